"""The OUT folder: what is done, shard by shard, in files that are whole or not there, and the manifest over them.

OUT/manifest.json            what was asked, the shards, the dead letters: the summary of
OUT/done/00000.json          one shard's images, files and dead letters: written when its files are
OUT/shards/00000.parquet     or .npz
OUT/pictures/NAME.png        in the place of shards, for the format png
"""

import pathlib
from collections.abc import Collection, Mapping
from typing import Any

from kerasal._version import __version__
from kerasal.digests import known_digest
from kerasal.store import Store, read_json, write_json

FORMAT = 1
_MANIFEST, _DONE = "manifest.json", "done"


class Folder(Store):
    """The results of one job; the folder is made when something is written.

    Raises:
        ValueError: there is something else in its place.
    """

    parts = (_DONE, "shards", "pictures")

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.manifest = self.read_mark(_MANIFEST, _is_manifest, "results of kerasal batch")

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse to mix results: those that are here, if any, must have been made by the same settings.

        Raises:
            OtherSettings: they were not; the error lists what differs.
        """
        if self.manifest and self.records():
            remedy = "Give another folder, or repeat what was asked there."
            self.check(self.manifest["settings"], settings, "results", remedy)

    def records(self) -> dict[int, dict[str, Any]]:
        """Return the record of each shard that is done and whose files are all there as written, by number."""
        found = {}
        for path in sorted((self.folder / _DONE).glob("*.json")):
            record = read_json(path)
            try:
                named = [(self.folder / name, one["bytes"], one["sha256"]) for name, one in record["files"].items()]
                whole = all(
                    file.is_file() and file.stat().st_size == size and known_digest(file) == digest
                    for file, size, digest in named
                )
            except (KeyError, TypeError, AttributeError):  # damaged: made anew
                continue
            if whole and path.stem.isdecimal():
                found[int(path.stem)] = record
        return found

    def forget(self, number: int) -> None:
        """Say that a shard is not done."""
        (self.folder / _DONE / f"{number:05d}.json").unlink(missing_ok=True)

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
            "kerasal": self.manifest.get("kerasal", __version__),
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
        write_json(self.folder / _MANIFEST, self.manifest)
        return self.manifest


def write_record(out: pathlib.Path, number: int, record: Mapping[str, Any]) -> None:
    """Say that a shard is done, once its files are written."""
    write_json(out / _DONE / f"{number:05d}.json", record)


def _is_manifest(found: Mapping[str, Any]) -> bool:
    return found.get("format") == FORMAT and {"settings", "shards", "dead_letters"} <= set(found)
