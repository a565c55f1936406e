"""The OUT folder: what is done, shard by shard, in files that are whole or not there, and the manifest over them.

OUT/manifest.json            what was asked, the shards, the dead letters: the summary of
OUT/done/00000.json          one shard's images, files and dead letters: written when its files are
OUT/shards/00000.parquet     or .npz
OUT/pictures/NAME.png        in the place of shards, for the format png
"""

import contextlib
import itertools
import json
import pathlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kerasal import locks
from kerasal._version import __version__
from kerasal.batch.batch_job import describe_differences
from kerasal.digests import known_digest
from kerasal.files import is_temporary, replacing

FORMAT = 1
_MANIFEST, _DONE = "manifest.json", "done"


class Folder:
    """The results of one job; ``path`` is made when something is written.

    Raises:
        ValueError: there is something else at ``path``.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.manifest = self._read()

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse to mix results: those that are here, if any, must have been made by the same settings.

        Raises:
            ValueError: they were not; the error lists what differs.
        """
        differ = describe_differences(self.manifest["settings"], settings) if self.manifest and self.records() else []
        if differ:
            raise ValueError(
                f"{self.path} holds the results of another run ({self.path / _MANIFEST}): {'; '.join(differ)}. "
                "Give another folder, or repeat what was asked there."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder; ended by any end of this one, and then what it left half-written goes.

        Raises:
            FolderInUse: another run is at work in it.
        """
        with locks.locked(self.path):
            self._sweep()
            try:
                yield
            finally:
                self._sweep()

    def records(self) -> dict[int, dict[str, Any]]:
        """Return the record of each shard that is done and whose files are all there as written, by number."""
        found = {}
        for path in sorted((self.path / _DONE).glob("*.json")):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                whole = all(self._has(name, one["bytes"], one["sha256"]) for name, one in record["files"].items())
            except (ValueError, KeyError, TypeError):  # damaged: made anew
                continue
            if whole and path.stem.isdecimal():
                found[int(path.stem)] = record
        return found

    def forget(self, number: int) -> None:
        """Say that a shard is not done."""
        (self.path / _DONE / f"{number:05d}.json").unlink(missing_ok=True)

    def write_manifest(self, settings: Mapping[str, Any], missing: int, present: Collection[str]) -> dict[str, Any]:
        """Sum up what is done, ``missing`` images being not; return it.

        Of images that are not among those ``present`` (their names) the results stay; only ``"gone"`` counts them.
        """
        records = dict(sorted(self.records().items()))
        names = [name for record in records.values() for name, _ in record["images"]]
        done = sum(name in present for name in names)
        all_letters = [letter for record in records.values() for letter in record["dead_letters"]]
        letters = [letter for letter in all_letters if letter["image"] in present]
        without = {letter["image"] for letter in all_letters}
        self.manifest = {
            "format": FORMAT,
            "kerasal": (self.manifest or {}).get("kerasal", __version__),
            "settings": settings,
            "complete": missing == 0,
            "images": done + missing,
            "results": done - len(letters),
            "dead_letters": letters,
            "gone": [name for name in names if name not in present and name not in without],
            "remarks": [text for record in records.values() for text in record["remarks"]],
            "shards": [
                {"shard": number, "images": len(record["images"]), "files": record["files"]}
                for number, record in records.items()
            ],
        }
        _write(self.path / _MANIFEST, self.manifest)
        return self.manifest

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            raise ValueError(f"The results go into a folder; {self.path} is a file.")
        inside = sorted(one.name for one in self.path.iterdir() if one.name != locks.NAME and not is_temporary(one))
        if not inside:
            return None
        try:
            found = json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
            if found["format"] == FORMAT and {"settings", "shards", "dead_letters"} <= set(found):
                return found
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise ValueError(
            f"{self.path} holds something else than results of kerasal batch ({', '.join(inside[:3])}"
            f"{', …' if len(inside) > 3 else ''}). Give an empty folder, or one that does not exist."
        )

    def _has(self, name: str, size: int, sha256: str) -> bool:
        path = self.path / name
        return path.is_file() and path.stat().st_size == size and known_digest(path) == sha256

    def _sweep(self) -> None:
        """Remove what a killed worker has left half-written."""
        inside = [(self.path / folder).rglob(".*") for folder in (_DONE, "shards", "pictures")]
        for path in itertools.chain(self.path.glob(".*"), *inside):
            if is_temporary(path) and path.is_file():
                path.unlink(missing_ok=True)


def write_record(out: pathlib.Path, number: int, record: Mapping[str, Any]) -> None:
    """Say that a shard is done, once its files are written."""
    _write(out / _DONE / f"{number:05d}.json", record)


def _write(path: pathlib.Path, facts: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # \udcff is JSON for such a byte
