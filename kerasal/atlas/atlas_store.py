"""The folder of an atlas: whose it is, what has been made, and its pictures. Written piece by piece, never half."""

import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images
from kerasal.files import is_temporary, replacing

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
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"An atlas is a folder; {folder} is a file. Choose another place.")
    inside = []
    if folder.is_dir():  # what a kill left of the first file that is written here counts for nothing
        inside = sorted(one.name for one in folder.iterdir() if not is_temporary(one))
    known = read_json(folder / _MARK)
    if (folder / _MARK).is_file() and known.get("kind") != _KIND:
        raise ValueError(
            f"{folder / _MARK} is damaged, or not that of an atlas. Remove {folder}, or choose another folder."
        )
    if inside and known.get("kind") != _KIND:
        raise ValueError(
            f"{folder} holds something else ({', '.join(inside[:3])}{', …' if len(inside) > 3 else ''}), which an "
            "atlas would lie among. Choose a new or an empty folder."
        )
    return known


def remembered(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the images that the atlas in the folder was made with, as far as they are still there."""
    return [path for path in map(pathlib.Path, check_folder(folder).get("images", ())) if path.is_file()]


class Store:
    """What is known of one model, on disk.

    A record is a JSON file ``data/KEY.json`` with the settings that it was made under and an entry for each unit or
    image; an entry counts while the settings are the same and its pictures are there. Pictures are written first.

    Raises:
        ValueError: the folder holds something else, or the atlas of another model.
    """

    def __init__(self, folder: pathlib.Path, digest: str, name: str, files: Sequence[pathlib.Path] = ()):
        self.folder = folder
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
        images = [str(path) for path in files] or known.get("images", [])
        self.write_json(_MARK, {"kind": _KIND, "format": _FORMAT, "model": digest, "name": name, "images": images})

    def entries(self, key: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the entries of a record that were made under ``settings`` and whose pictures are there."""
        found = read_json(self.folder / "data" / f"{key}.json")
        if found.get("settings") != _plain(settings):
            return {}
        present = {name: entry for name, entry in found["entries"].items() if self._whole(entry)}
        return dict(sorted(present.items(), key=lambda one: (len(one[0]), one[0]) if one[0].isdecimal() else (0, "")))

    def add(self, key: str, settings: dict[str, Any], entries: dict[str, Any]) -> None:
        """Put entries into a record, whose older ones stay if they were made under the same settings."""
        whole = {**self.entries(key, settings), **_plain(entries)}
        self.write_json(f"data/{key}.json", {"settings": settings, "entries": whole})

    def picture(self, name: str, pixels: np.ndarray) -> dict[str, Any]:
        """Write a picture uint8 (H, W, 3) and return what a page needs of it: its path, width and height."""
        small = max(pixels.shape[:2]) <= _SMALL
        path = f"pictures/{name}.{'png' if small else 'webp'}"
        images.write(self.folder / path, pixels)
        return {"path": path, "width": pixels.shape[1], "height": pixels.shape[0], "small": small}

    def write_json(self, path: str, value: dict) -> None:
        """Write a JSON file."""
        self.write_text(path, json.dumps(_plain(value), indent=1))

    def write_text(self, path: str, text: str) -> None:
        """Write a text file, unless it says that already."""
        target = self.folder / path
        if target.is_file() and target.read_bytes() == text.encode("utf-8", "replace"):
            return
        with replacing(target) as temporary:
            temporary.write_bytes(text.encode("utf-8", "replace"))

    def journal(self, key: str) -> pathlib.Path:
        """Return where a long search may keep its state."""
        path = self.folder / "data" / f"{key}.partial"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def copy(self, source: pathlib.Path, path: str) -> None:
        """Copy a file of the package into the folder."""
        with replacing(self.folder / path) as temporary:
            shutil.copyfile(source, temporary)

    def _whole(self, entry: Any) -> bool:
        """Tell whether all pictures that an entry names are there."""
        if isinstance(entry, dict):
            if set(entry) == {"path", "width", "height", "small"}:
                return (self.folder / entry["path"]).is_file()
            return all(map(self._whole, entry.values()))
        return not isinstance(entry, list) or all(map(self._whole, entry))


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read a JSON file; nothing where there is none, or a damaged one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or one that somebody has damaged: then it is made again
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    """Turn tuples, NumPy's numbers and keys that are numbers into what JSON gives back."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
