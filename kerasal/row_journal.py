"""The rows of a long job, kept one JSON line each, so that the same job started again goes on where it stopped."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasal.digests import stamp


def journal_path(output: str | os.PathLike) -> pathlib.Path:
    """Return where an unfinished job keeps the rows of its table ``output``."""
    output = pathlib.Path(output)
    return output.with_name(f".{output.name}.partial")


def stamps(*files: str | os.PathLike | None) -> list[list[int]]:
    """Return what changes when one of the files does, as JSON gives it back."""
    return [list(stamp(file) or ()) for file in files if file is not None]


class RowJournal:
    """The journal of a job, beside its table ``output``; ``rows`` are those that an unfinished run left.

    A row belongs to the job while the ``header`` (its settings) and the item's own stamp (``items``: name -> what
    changes with its files, as JSON) are the same, and if it holds no error. A torn last line is left out. Without an
    output nothing is kept. ``notes`` say what was taken over.
    """

    def __init__(self, output: str | os.PathLike | None, header: Any, items: Mapping[str, Any]):
        self.path = None if output is None else journal_path(output)
        self._header = json.dumps(header, sort_keys=True)
        self._items = json.loads(json.dumps(items))
        self.notes: list[str] = []
        self.rows: dict[str, dict[str, Any]] = self._read()
        if self.rows:
            self.notes.append(f"{len(self.rows)} images were taken over from the interrupted run.")

    @property
    def missing(self) -> list[str]:
        """The items that have no row yet."""
        return [name for name in self._items if name not in self.rows]

    def _read(self) -> dict[str, dict[str, Any]]:
        if self.path is None or not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines or lines[0] != self._header:
            self.notes.append(
                f"Starting anew: {self.path} is of a run with other settings, data or weights, or of an earlier "
                "version."
            )
            return {}
        rows = {}
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                if self._items.get(entry["image"]) == entry["stamp"] and entry["row"]["error"] is None:
                    rows[entry["image"]] = entry["row"]
            except (ValueError, KeyError, TypeError):  # torn
                continue
        return rows

    @contextlib.contextmanager
    def adding(self) -> Iterator[Callable[[str, dict[str, Any]], None]]:
        """Yield a function that adds a row, which is on the disk when it returns."""
        if self.path is None:
            yield self.rows.__setitem__
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.rows:
            self.path.write_text(self._header + "\n", encoding="utf-8")
        with self.path.open("a", encoding="utf-8") as file:
            if not self.path.read_bytes().endswith(b"\n"):
                file.write("\n")  # a torn last line must not swallow the next row

            def add(name: str, row: dict[str, Any]) -> None:
                self.rows[name] = row
                file.write(json.dumps({"image": name, "stamp": self._items[name], "row": row}) + "\n")
                file.flush()

            yield add

    def remove(self) -> None:
        """Remove the journal of a job that is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
