"""Folders that hold the intermediate results of long work, so that it can be resumed.

Every file is written atomically, together with the settings and digests that it was computed from: results of another
call are recognized and either refused or recomputed. A damaged file is distinguished from a missing one, and only one
process at a time writes to a folder. Probes, training, feature evolution, callbacks, atlas, batches and searches use
these functions with their own file names. For tables that grow row by row, see ``RowJournal``. All writing functions
raise OSError if the folder cannot be written to or the disk is full.
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
from kerasal.files import atomic_write, is_temporary, remove_temporaries, write_text

_DAMAGES = (ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""The errors that NumPy, zipfile and JSON, and the code that interprets their data, raise for a damaged file."""
_LONGEST = 200  # characters of a setting in an error message


class Damaged(ValueError):
    """A stored file is damaged."""


class OtherSettings(ValueError):
    """A folder holds results that were computed with other settings or data."""


class Store:
    """A folder for intermediate results, with the subfolders ``parts``; one process at a time writes to it."""

    parts: tuple[str, ...] = ()

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)

    def read_mark(self, name: str, whose: Callable[[dict], bool], what: str) -> dict[str, Any]:
        """Return the content of the JSON file ``name`` that identifies the folder; {} for a new or empty folder.

        Args:
            name: name of the identifying file.
            whose: returns whether the content of that file identifies a folder of this kind.
            what: the kind of content for error messages, such as ``"an atlas"``.

        Raises:
            ValueError: the path is a file, the folder holds something else, or the identifying file is damaged.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"The output of {what} must be a folder, got the file {self.folder}. Choose another path.")
        inside = (
            list(self.folder.iterdir()) if self.folder.is_dir() else []
        )  # temporary files of killed processes are ignored
        inside = sorted(path.name for path in inside if path.name != locks.NAME and not is_temporary(path))
        content = read_json(self.folder / name)
        if not inside or whose(content):
            return content
        if name in inside:
            raise ValueError(
                f"{self.folder / name} must identify the folder as {what}, got a damaged or different file. Remove "
                f"{self.folder}, or choose another folder."
            )
        raise ValueError(
            f"{self.folder} must be empty or hold {what}, got other files "
            f"({', '.join(inside[:3])}{', …' * (len(inside) > 3)}). Choose a new or an empty folder."
        )

    def check(self, there: Mapping[str, Any], now: Mapping[str, Any], what: str, remedy: str) -> None:
        """Raise ``OtherSettings`` if the settings ``now`` differ from those ``there``, in the folder of ``what``."""
        if changes := differences(there, now):
            raise OtherSettings(f"{self.folder} holds {what} with other settings ({'; '.join(changes)}). {remedy}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder, or raise ``FolderInUse``; remove temporary files of killed processes before and after."""
        with locks.lock_folder(self.folder):
            self.sweep()
            try:
                yield
            finally:
                self.sweep()

    def sweep(self, names: Iterable[str] | None = None) -> None:
        """Remove temporary files of killed processes: all, or those of the files ``names``."""
        remove_temporaries(self.folder.glob(".*"), names)
        for part in self.parts:
            remove_temporaries((self.folder / part).rglob(".*"), names)


def write_json(path: pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Write a JSON file unless its content is already ``facts``."""
    # File names that are not UTF-8 contain surrogates such as \udcff, which are written as escapes.
    write_text(path, json.dumps(plain(facts), indent=1, ensure_ascii=False) + "\n", errors="backslashreplace")


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read a JSON object from a file; {} if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_arrays(
    path: pathlib.Path, arrays: Mapping[str, Any], facts: Mapping[str, Any] | None = None, *, compress: bool = False
) -> None:
    """Write arrays and ``facts`` to an NPZ file; each fact is stored as JSON under its name."""
    texts = {name: json.dumps(plain(fact)) for name, fact in (facts or {}).items()}
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **texts, **arrays)


@contextlib.contextmanager
def reading_arrays(path: pathlib.Path) -> Iterator["Arrays"]:
    """Yield the content of a file that ``write_arrays`` wrote, without unpickling.

    Raises:
        Damaged: the file cannot be read, or the code of the ``with`` block cannot interpret its content.
    """
    try:
        with path.open("rb") as file:  # opened here, because np.load leaves a damaged archive open
            yield Arrays(np.load(file, allow_pickle=False))
    except OtherSettings:
        raise
    except _DAMAGES as error:
        raise Damaged(f"{path} is damaged ({error}).") from error


class Arrays:
    """The arrays of an NPZ file by name, read on access."""

    def __init__(self, stored: Mapping[str, np.ndarray]):
        self._stored = stored

    def __getitem__(self, name: str) -> np.ndarray:
        return self._stored[name]

    def facts(self, name: str = "facts") -> Any:
        """Return a fact that was stored as JSON under ``name``."""
        return json.loads(str(self._stored[name]))


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe each difference of two settings in a phrase: ``"seed: 5 there, 6 now"``."""
    phrases = []
    for key in dict.fromkeys([*now, *there]):
        before, after = there.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping) and set(before) == set(after):
            phrases += [f"{key} {text}" for text in differences(before, after)]
        elif before != after:
            old = _abbreviate(before) if key in there else "not recorded"
            phrases.append(f"{key}: {old} there, {_abbreviate(after)} now")
    return phrases


def plain(value: Any) -> Any:
    """Return a value as JSON restores it: lists for tuples, Python numbers for NumPy ones, strings for the rest."""
    if isinstance(value, Mapping):
        return {str(key): plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _abbreviate(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
