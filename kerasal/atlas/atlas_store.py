"""The folder of an atlas: whose it is, what has been made, and its pictures. Written piece by piece, never half."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images, store

_MARK = "atlas.json"
_KIND = "kerasal atlas"
_FORMAT = 2  # 1 knew a model by its weights alone
# From here on a picture is a photograph; below, each pixel is looked at by itself, so none may be changed.
_SMALL = 64


def check_folder(folder: pathlib.Path) -> dict[str, Any]:
    """Return what an atlas in the folder says of itself; nothing where there is none yet.

    Raises:
        ValueError: it is a file, or holds something else.
    """
    return store.Store(folder).read_mark(_MARK, lambda found: found.get("kind") == _KIND, "an atlas")


def recall_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the images that the atlas in the folder was made with, as far as they are still there."""
    return [path for path in map(pathlib.Path, check_folder(folder).get("images", ())) if path.is_file()]


class Store(store.Store):
    """What is known of one model, on disk.

    A record is a JSON file ``data/KEY.json`` with the settings that it was made under and an entry for each unit or
    image; an entry counts while the settings are the same and its pictures are there. Pictures are written first.

    Raises:
        ValueError: the folder holds something else, or the atlas of another model.
    """

    parts = ("data", "pictures", "assets", "classes", "layers", "units", "images")

    def __init__(self, folder: pathlib.Path, digest: str, name: str, files: Sequence[pathlib.Path] = ()):
        super().__init__(folder)
        known = check_folder(folder)
        if known and known.get("format") != _FORMAT:
            raise ValueError(
                f"{folder} is an atlas of an earlier version, which knew its model by the weights alone. "
                "Choose another folder, or remove this one first."
            )
        if known and known.get("model") != digest:
            raise ValueError(
                f"{folder} is the atlas of another model, of other layers or weights ({known.get('name')!r}). Choose "
                "another folder, or remove this one first."
            )
        shown = [str(path) for path in files] or known.get("images", [])
        mark = {"kind": _KIND, "format": _FORMAT, "model": digest, "name": name, "images": shown}
        store.write_json(self.folder / _MARK, mark)

    def entries(self, key: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the entries of a record that were made under ``settings`` and whose pictures are there."""
        found = store.read_json(self._record(key))
        if found.get("settings") != store.plain(settings):
            return {}
        present = {name: entry for name, entry in found["entries"].items() if self._whole(entry)}
        return dict(sorted(present.items(), key=lambda one: (len(one[0]), one[0]) if one[0].isdecimal() else (0, "")))

    def add(self, key: str, settings: dict[str, Any], entries: dict[str, Any]) -> None:
        """Put entries into a record, whose older ones stay if they were made under the same settings."""
        whole = {**self.entries(key, settings), **store.plain(entries)}
        store.write_json(self._record(key), {"settings": settings, "entries": whole})

    def picture(self, name: str, pixels: np.ndarray) -> dict[str, Any]:
        """Write a picture uint8 (H, W, 3) and return what a page needs of it: its path, width and height."""
        small = max(pixels.shape[:2]) <= _SMALL
        path = f"pictures/{name}.{'png' if small else 'webp'}"
        images.write(self.folder / path, pixels)
        return {"path": path, "width": pixels.shape[1], "height": pixels.shape[0], "small": small}

    def journal(self, key: str) -> pathlib.Path:
        """Return where a long search may keep its state."""
        return self.folder / "data" / f"{key}.partial"

    def _record(self, key: str) -> pathlib.Path:
        return self.folder / "data" / f"{key}.json"

    def _whole(self, entry: Any) -> bool:
        """Tell whether all pictures that an entry names are there."""
        if isinstance(entry, dict):
            if set(entry) == {"path", "width", "height", "small"}:
                return (self.folder / entry["path"]).is_file()
            return all(map(self._whole, entry.values()))
        return not isinstance(entry, list) or all(map(self._whole, entry))
