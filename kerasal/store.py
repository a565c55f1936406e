"""What long work is kept in, so that it goes on after a stop: a folder of files, each whole or not there.

A file is written beside its place and renamed. It says what it was made from (settings and digests): by that the work
of a call is known again, and that of another is refused or made anew. A damaged file is told from a missing one. One
process at a time writes into a folder. Probe, training, feature evolution, callbacks, atlas, batch and searches keep
their work by these functions; what each of them keeps, and under which names, is its own. Rows that are added to one
file are a ``RowJournal``'s. Writing raises an OSError where the folder cannot be written to, or the disk is full.
"""

import contextlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasal import locks
from kerasal.files import is_temporary, remove_temporaries, replacing, write_text

_DAMAGES = (ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy, zip and JSON, and whoever takes apart what they read, raise for a file that is not whole."""
_LONGEST = 200  # letters of a setting in an error


class Damaged(ValueError):
    """A stored file that is not, or no longer, what was written."""


class OtherSettings(ValueError):
    """A folder holds work that was begun under other settings, or on other data."""


class Store:
    """A folder in which one process at a time keeps its work, directly and in the folders ``parts``."""

    parts: tuple[str, ...] = ()

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)

    def read_mark(self, name: str, whose: Callable[[dict], bool], what: str) -> dict[str, Any]:
        """Return what the JSON file ``name`` says of the folder; nothing where the folder is new or empty.

        Args:
            name: of the file, by which such a folder is known.
            whose: whether what a file says is of such a folder.
            what: such a folder holds, for the errors: ``"an atlas"``.

        Raises:
            ValueError: a file in the folder's place; a folder of something else, or whose mark is damaged.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"The place for {what} must be a folder; {self.folder} is a file. Choose another place.")
        inside = list(self.folder.iterdir()) if self.folder.is_dir() else []  # what a kill left counts for nothing
        inside = sorted(path.name for path in inside if path.name != locks.NAME and not is_temporary(path))
        found = read_json(self.folder / name)
        if not inside or whose(found):
            return found
        if name in inside:
            raise ValueError(
                f"{self.folder / name} is damaged, or not that of {what}. Remove {self.folder}, or choose another "
                "folder."
            )
        raise ValueError(
            f"{self.folder} holds something else than {what} ({', '.join(inside[:3])}{', …' * (len(inside) > 3)}). "
            "Choose a new or an empty folder."
        )

    def check(self, there: Mapping[str, Any], now: Mapping[str, Any], what: str, remedy: str) -> None:
        """Raise ``OtherSettings`` where those of ``what`` lies in the folder are not those of this call."""
        if found := differences(there, now):
            raise OtherSettings(f"{self.folder} holds {what} with other settings ({'; '.join(found)}). {remedy}")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out, or raise ``FolderInUse``; remove what killed ones left, before and after."""
        with locks.locked(self.folder):
            self.sweep()
            try:
                yield
            finally:
                self.sweep()

    def sweep(self, names: Iterable[str] | None = None) -> None:
        """Remove what killed writers left half-written, of all files or of those whose names begin with ``names``."""
        remove_temporaries(self.folder.glob(".*"), names)
        for part in self.parts:
            remove_temporaries((self.folder / part).rglob(".*"), names)


def write_json(path: pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Write a JSON file, unless it says that already."""
    # \udcff, a byte of a file name that is no UTF-8, is JSON for such a byte.
    write_text(path, json.dumps(plain(facts), indent=1, ensure_ascii=False) + "\n", errors="backslashreplace")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read a JSON file of an object; nothing where there is none, or a damaged one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_arrays(
    path: pathlib.Path, arrays: Mapping[str, Any], facts: Mapping[str, Any] | None = None, *, compress: bool = False
) -> None:
    """Write arrays into an NPZ file, and ``facts`` beside them, each as JSON under its name."""
    texts = {name: json.dumps(plain(fact)) for name, fact in (facts or {}).items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **texts, **arrays)


@contextlib.contextmanager
def reading_arrays(path: pathlib.Path) -> Iterator["Arrays"]:
    """Yield what ``write_arrays`` wrote; ``Damaged`` where it is not that, also by what the caller makes of it.

    Nothing stored is executed.
    """
    try:
        with path.open("rb") as file:  # opened here, because np.load leaves a damaged archive open
            yield Arrays(np.load(file, allow_pickle=False))
    except OtherSettings:
        raise
    except _DAMAGES as error:
        raise Damaged(f"{path} is damaged ({error}).") from error


class Arrays:
    """The arrays of a file, by their names, read when they are asked for."""

    def __init__(self, stored: Mapping[str, np.ndarray]):
        self._stored = stored

    def __getitem__(self, name: str) -> np.ndarray:
        return self._stored[name]

    def facts(self, name: str = "facts") -> Any:
        """Return what was written as JSON under a name."""
        return json.loads(str(self._stored[name]))


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say where two settings differ, a text for each: ``"seed: 5 there, 6 now"``."""
    found = []
    for key in dict.fromkeys([*now, *there]):
        before, after = there.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping) and set(before) == set(after):
            found += [f"{key} {text}" for text in differences(before, after)]
        elif before != after:
            old = _abbreviate(before) if key in there else "not noted, as by an earlier version,"
            found.append(f"{key}: {old} there, {_abbreviate(after)} now")
    return found


def plain(value: Any) -> Any:
    """Return what JSON gives back: lists for tuples, Python's numbers for NumPy's, texts for keys and all else."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _abbreviate(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
