"""What an interrupted ``kerasal score`` leaves behind, one line an image, and what the next run takes over from it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kerasal.cli.session import remark
from kerasal.digests import stamp


def journal_of(output: Path) -> Path:
    """Return where an unfinished run keeps its rows."""
    return output.with_name(f".{output.name}.partial")


def resume(journal: Path, header: str, todo: dict[str, list]) -> dict[str, dict]:
    """Return the rows of an unfinished run with the same settings and unchanged files; a torn last line is left out."""
    if not journal.is_file():
        return {}
    lines = journal.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or lines[0] != header:
        remark(f"Starting anew: {journal} is of a run with other settings, data or weights, or of an earlier version.")
        return {}
    rows = {}
    for line in lines[1:]:
        try:
            entry = json.loads(line)
            if todo.get(entry["image"]) == entry["stamp"] and entry["row"]["error"] is None:
                rows[entry["image"]] = entry["row"]
        except (ValueError, KeyError, TypeError):  # torn
            continue
    return rows


@contextlib.contextmanager
def continued(journal: Path, header: str, resumed: bool) -> Iterator[TextIO]:
    """Open a journal to add rows: behind those of an unfinished run, or anew with the header."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    if not resumed:
        journal.write_text(header + "\n", encoding="utf-8")
    with journal.open("a", encoding="utf-8") as file:
        if not journal.read_bytes().endswith(b"\n"):
            file.write("\n")  # a torn last line must not swallow the next row
        try:
            yield file
        except KeyboardInterrupt:
            remark("Stopped. What is done is kept; the same command goes on from there.")
            raise


def stamps(*files: Path | None) -> list:
    """Return what changes when one of the files does, as JSON gives it back."""
    return [list(stamp(file) or ()) for file in files if file is not None]
