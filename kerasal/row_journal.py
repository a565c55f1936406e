"""A journal of finished table rows, one JSON line per row, from which an interrupted job is resumed."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasal.digests import stamp


def journal_path(output: str | os.PathLike) -> pathlib.Path:
    """Return the path of the journal for the table ``output``."""
    output = pathlib.Path(output)
    return output.with_name(f".{output.name}.partial")


def stamps(*files: str | os.PathLike | None) -> list[list[int]]:
    """Return the sizes and modification times of files as JSON lists, which change if a file changes."""
    return [list(stamp(file) or ()) for file in files if file is not None]


class RowJournal:
    """The journal of a job, next to its table ``output``; ``rows`` starts with the rows of an interrupted run.

    ``items`` maps the name of each item to its stamp, a JSON value that changes if the files of the item change. A row
    is reused if the ``header`` (the settings of the job) and the stamp of its item are the same, and if it has no
    error. An incomplete last line is ignored. Without an ``output`` nothing is written. ``notes`` are sentences for the
    user about reused rows, in which ``noun`` names the items.
    """

    def __init__(
        self, output: str | os.PathLike | None, header: Any, items: Mapping[str, Any], *, noun: str = "images"
    ):
        self.path = None if output is None else journal_path(output)
        self._header = json.dumps(header, sort_keys=True)
        self._items = json.loads(json.dumps(items))
        self.notes: list[str] = []
        self.rows: dict[str, dict[str, Any]] = self._read_rows()
        if self.rows:
            self.notes.append(f"The results of {len(self.rows)} {noun} were reused from the interrupted run.")

    @property
    def missing(self) -> list[str]:
        """The names of the items without a row."""
        return [name for name in self._items if name not in self.rows]

    def _read_rows(self) -> dict[str, dict[str, Any]]:
        if self.path is None or not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines or lines[0] != self._header:
            self.notes.append(
                f"Starting over: {self.path} belongs to a run with other settings, data or weights, or of another "
                "version of kerasal."
            )
            return {}
        rows = {}
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                if self._items.get(entry["image"]) == entry["stamp"] and entry["row"]["error"] is None:
                    rows[entry["image"]] = entry["row"]
            except (ValueError, KeyError, TypeError):  # incomplete
                continue
        return rows

    @contextlib.contextmanager
    def open_appender(self) -> Iterator[Callable[[str, dict[str, Any]], None]]:
        """Yield a function that appends a row and flushes it to the file."""
        if self.path is None:
            yield self.rows.__setitem__
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.rows:
            self.path.write_text(self._header + "\n", encoding="utf-8")
        with self.path.open("a", encoding="utf-8") as file:
            if not self.path.read_bytes().endswith(b"\n"):
                file.write("\n")  # the next row must not continue an incomplete line

            def add(name: str, row: dict[str, Any]) -> None:
                self.rows[name] = row
                file.write(json.dumps({"image": name, "stamp": self._items[name], "row": row}) + "\n")
                file.flush()

            yield add

    def remove(self) -> None:
        """Remove the journal after the job has finished."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
