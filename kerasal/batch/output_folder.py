"""The output folder of a batch: a record and a file per shard, and a manifest. Files are written whole or not at all.

OUT/manifest.json            the settings, the shards and the dead letters (images without a result) of the batch
OUT/done/00000.json          the record of a shard: its images, files and dead letters; written after its files
OUT/shards/00000.parquet     the results of a shard, or .npz
OUT/pictures/NAME.png        the picture of an image, for the format png, which has no shards
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
    """The output folder of a job, created with the first file.

    Raises:
        ValueError: the path is a file, or a folder with other contents.
    """

    parts = (_DONE, "shards", "pictures")

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.manifest = self.read_mark(_MANIFEST, _is_manifest, "results of kerasal batch")

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Check that the results in the folder, if any, were computed with the same settings.

        Raises:
            OtherSettings: they were computed with other settings; the error lists the differences.
        """
        if self.manifest and self.records():
            remedy = "Choose another folder, or use the settings of the results."
            self.check(self.manifest["settings"], settings, "results", remedy)

    def records(self) -> dict[int, dict[str, Any]]:
        """Return {number: record} of the finished shards whose files are complete and unchanged."""
        records = {}
        for path in sorted((self.folder / _DONE).glob("*.json")):
            record = read_json(path)
            try:
                files = [
                    (self.folder / name, facts["bytes"], facts["sha256"]) for name, facts in record["files"].items()
                ]
                complete = all(
                    file.is_file() and file.stat().st_size == size and known_digest(file) == digest
                    for file, size, digest in files
                )
            except (KeyError, TypeError, AttributeError):  # a damaged record: the shard is computed again
                continue
            if complete and path.stem.isdecimal():
                records[int(path.stem)] = record
        return records

    def forget(self, number: int) -> None:
        """Remove the record of a shard, so that it counts as not computed."""
        (self.folder / _DONE / f"{number:05d}.json").unlink(missing_ok=True)

    def write_manifest(self, settings: Mapping[str, Any], missing: int, present: Collection[str]) -> dict[str, Any]:
        """Write the manifest of all finished shards and return it.

        Args:
            settings: the settings of the job.
            missing: the number of images that have no result yet.
            present: the names of the images of the batch. Results of other images are kept and listed as ``"gone"``.
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
    """Write the record that marks a shard as finished, after its files."""
    write_json(out / _DONE / f"{number:05d}.json", record)


def _is_manifest(contents: Mapping[str, Any]) -> bool:
    return contents.get("format") == FORMAT and {"settings", "shards", "dead_letters"} <= set(contents)
