"""The folder of an atlas: the model that it belongs to, the records of results, and the pictures.

Files are written whole or not at all, so that an interrupted build can continue.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images, store

_MARK = "atlas.json"
_KIND = "kerasal atlas"
_FORMAT = 2  # format 1 identified a model by its weights only
_SMALL = 64  # up to this side pictures are enlarged on the pages, so that they are stored without loss


def check_folder(folder: pathlib.Path) -> dict[str, Any]:
    """Return ``atlas.json`` of the atlas in a folder; empty if the folder is new or empty.

    Raises:
        ValueError: the path is a file, or the folder has other contents.
    """
    return store.Store(folder).read_mark(_MARK, lambda contents: contents.get("kind") == _KIND, "an atlas")


def recall_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return those images of the last build of an atlas whose files still exist."""
    return [path for path in map(pathlib.Path, check_folder(folder).get("images", ())) if path.is_file()]


class Store(store.Store):
    """The results of an atlas on disk.

    A record is a JSON file ``data/KEY.json`` with the settings of the computation and an entry per unit or image. An
    entry is valid if the settings are unchanged and its pictures exist. Pictures are written before the entry.

    Raises:
        ValueError: the folder holds the atlas of another model, or other files.
    """

    parts = ("data", "pictures", "assets", "classes", "layers", "units", "images")

    def __init__(self, folder: pathlib.Path, digest: str, name: str, files: Sequence[pathlib.Path] = ()):
        super().__init__(folder)
        mark = check_folder(folder)
        if mark and mark.get("format") != _FORMAT:
            raise ValueError(
                f"{folder} must not be an atlas of an earlier version of kerasal, got format {mark.get('format')}. "
                "Choose another folder, or remove this folder first."
            )
        if mark and mark.get("model") != digest:
            raise ValueError(
                f"{folder} must be an atlas of this model, got the atlas of a model with other layers or weights "
                f"({mark.get('name')!r}). Choose another folder, or remove this folder first."
            )
        images_used = [str(path) for path in files] or mark.get("images", [])
        mark = {"kind": _KIND, "format": _FORMAT, "model": digest, "name": name, "images": images_used}
        store.write_json(self.folder / _MARK, mark)

    def entries(self, key: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the valid entries of a record: those with these ``settings`` whose pictures exist."""
        record = store.read_json(self._record_path(key))
        if record.get("settings") != store.plain(settings):
            return {}
        valid = {name: entry for name, entry in record["entries"].items() if self._has_pictures(entry)}
        return dict(sorted(valid.items(), key=lambda item: (len(item[0]), item[0]) if item[0].isdecimal() else (0, "")))

    def add(self, key: str, settings: dict[str, Any], entries: dict[str, Any]) -> None:
        """Add entries to a record; its other entries are kept if they have the same settings."""
        merged = {**self.entries(key, settings), **store.plain(entries)}
        store.write_json(self._record_path(key), {"settings": settings, "entries": merged})

    def write_picture(self, name: str, pixels: np.ndarray) -> dict[str, Any]:
        """Write a picture, uint8 (H, W, 3), and return its path, width and height for the pages."""
        small = max(pixels.shape[:2]) <= _SMALL
        path = f"pictures/{name}.{'png' if small else 'webp'}"
        images.write(self.folder / path, pixels)
        return {"path": path, "width": pixels.shape[1], "height": pixels.shape[0], "small": small}

    def journal(self, key: str) -> pathlib.Path:
        """Return the path at which a long search keeps its state."""
        return self.folder / "data" / f"{key}.partial"

    def _record_path(self, key: str) -> pathlib.Path:
        return self.folder / "data" / f"{key}.json"

    def _has_pictures(self, entry: Any) -> bool:
        """Return whether all pictures in an entry exist."""
        if isinstance(entry, dict):
            if set(entry) == {"path", "width", "height", "small"}:
                return (self.folder / entry["path"]).is_file()
            return all(map(self._has_pictures, entry.values()))
        return not isinstance(entry, list) or all(map(self._has_pictures, entry))
