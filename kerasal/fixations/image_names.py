"""One key per image for whatever a file names: two names that would become one key are refused, none is dropped."""

import pathlib
from collections.abc import Iterable
from typing import TypeVar

from kerasal.images.image_folders import image_stem

_Value = TypeVar("_Value")


def key_by_stem(
    entries: Iterable[tuple[str, _Value]], file: pathlib.Path, split: str | None = None
) -> dict[str, _Value]:
    """Return image stem -> value for the images that ``file`` names, without their folders and suffixes.

    Args:
        entries: names as the file spells them, such as ``train/1.jpg``, each with what belongs to it.
        file: named in errors.
        split: the name of a folder; if the file names images in it, only those count.

    Raises:
        ValueError: two names have one stem, so that the fixations of one image would be lost.
    """
    entries = list(entries)
    if split is not None and any(_folder(name) == split for name, _ in entries):
        entries = [(name, value) for name, value in entries if _folder(name) == split]
    keyed: dict[str, _Value] = {}
    spelled: dict[str, str] = {}
    for name, value in entries:
        stem = take_stem(name, spelled, file)
        if stem in keyed:
            raise ValueError(f"{file}: each image must have a file name of its own, got {name!r} twice. Keep one.")
        keyed[stem] = value
    return keyed


def take_stem(name: str, spelled: dict[str, str], file: pathlib.Path) -> str:
    """Return the stem of an image's name and note in ``spelled`` how the name was spelled.

    Raises:
        ValueError: another name had this stem before, so that two images would be taken for one; or there is no name.
    """
    stem = image_stem(name)
    if not stem:
        raise ValueError(f"{file}: each image must have a name, got {name!r}. Complete or remove that entry.")
    other = spelled.setdefault(stem, name)
    if other != name:
        raise ValueError(
            f"{file}: each image must have a file name of its own, got {other!r} and {name!r}, which are both {stem!r} "
            "without folder and suffix. Rename one, or keep each folder in a file of its own."
        )
    return stem


def _folder(name: str) -> str:
    return pathlib.PureWindowsPath(name).parent.name
