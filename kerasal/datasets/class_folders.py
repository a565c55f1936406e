"""Folders of images, one a class: what classes there are, which files are theirs, and what is no image.

Two layouts: ``FOLDER/CLASS/*.jpg``, and ``FOLDER/train/CLASS/*.jpg`` beside ``FOLDER/val/CLASS/*.jpg`` (or ``test``).
An image may lie at any depth in its class folder.
Classes are numbered in the order of their folders' names. A ``classes.csv`` in the folder, with a column ``folder``,
``wnid`` or ``id`` and a column ``name``, names folders that are called by numbers.
"""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from kerasal.images.image_folders import is_image, list_files
from kerasal.names import abbreviate, unknown_name_message

_TRAIN, _TEST = ("train", "training"), ("val", "valid", "validation", "test")
_NAMED = 10


@dataclasses.dataclass(frozen=True, eq=False)
class ClassFiles:
    """Image files and their classes: ``labels`` int32 (N,) are positions in ``names``; ``others`` are no images."""

    names: list[str]
    files: list[pathlib.Path]
    labels: np.ndarray
    others: list[pathlib.Path] = dataclasses.field(default_factory=list)


def class_files(
    folder: str | os.PathLike, classes: Sequence[str] | None = None
) -> tuple[ClassFiles, ClassFiles | None]:
    """List the images of class folders: those to train on, and those to test on where the folder has a part for it.

    Args:
        folder: see above; hidden files and folders do not count.
        classes: names of classes or folders, the only ones to use, in this order.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        ValueError: no class folders in it, fewer than two classes, an unknown class, one without images, or a training
            and a test part that differ in their classes.
    """
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise NotADirectoryError(f"{folder} is a file. Expected a folder, with a folder of images for each class.")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder of class folders {folder}.")
    inside = _folders(folder)
    train = next((one for name in _TRAIN for one in inside if one.name.lower() == name), None)
    test = next((one for name in _TEST for one in inside if one.name.lower() == name), None)
    names = _names(folder)
    lone = train or test
    if (
        (train is None or test is None)
        and lone is not None
        and not any(one.is_file() and is_image(one) for one in lone.iterdir())
    ):
        raise ValueError(
            f"{folder} has a part {lone.name} and not the other: expected train beside val (or test). To have one "
            f"folder of class folders split, give that folder, such as {lone}."
        )
    if train is None or test is None:
        return _two(_list_classes(folder, inside, names, classes), folder), None
    parts = [_list_classes(part, _folders(part), names, classes) for part in (train, test)]
    only = set(parts[0].names) ^ set(parts[1].names)
    if only:
        raise ValueError(
            f"{train} and {test} must hold the same classes. Only one of them has {abbreviate(sorted(only), _NAMED)}; "
            "choose among the others (--classes on the command line)."
        )
    return _two(parts[0], train), parts[1]


def _two(listed: ClassFiles, folder: pathlib.Path) -> ClassFiles:
    if len(listed.names) < 2:
        raise ValueError(f"A classifier needs two classes or more. Received {', '.join(listed.names)} from {folder}.")
    return listed


def has_class_folders(folder: pathlib.Path) -> bool:
    """Tell whether a folder holds folders with images, directly or below a part such as ``train``."""
    return any(list_files(one)[0] for one in _folders(folder))


def _list_classes(folder: pathlib.Path, inside: list[pathlib.Path], names: dict[str, str], classes) -> ClassFiles:
    if not inside:
        raise ValueError(
            f"There are no class folders in {folder}. Expected a folder for each class, with its images in it, such as "
            f"{folder / 'goldfish' / '1.jpg'}."
        )
    known = {names.get(one.name, one.name): one for one in inside}
    if len(known) < len(inside):
        raise ValueError(f"Two class folders of {folder} have the same name in its classes.csv. Name them apart.")
    chosen = known if classes is None else {name: known[name] for name in _choose(classes, known)}
    found = {name: list_files(one) for name, one in chosen.items()}
    empty = [
        name if name == chosen[name].name else f"{name} ({chosen[name].name})"
        for name, (files, _) in found.items()
        if not files
    ]
    if empty:
        raise ValueError(
            f"{len(empty)} of {len(found)} class folders in {folder} hold no images: {abbreviate(empty, _NAMED)}. "
            "Remove them, or choose the classes (--classes on the command line)."
        )
    return ClassFiles(
        list(found),
        [file for files, _ in found.values() for file in files],
        np.repeat(np.arange(len(found), dtype=np.int32), [len(files) for files, _ in found.values()]),
        [file for _, others in found.values() for file in others],
    )


def _choose(classes: Sequence[str], known: dict[str, pathlib.Path]) -> list[str]:
    called = {_plain(one.name): name for name, one in known.items()} | {_plain(name): name for name in known}
    for name in classes:
        if _plain(name) not in called:
            raise ValueError(unknown_name_message(name, known, "class"))
    chosen = [called[_plain(name)] for name in classes]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"Each class once, please. Received: {', '.join(classes)}.")
    return chosen


def _plain(name: str) -> str:
    return name.replace("_", " ").casefold()


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _names(folder: pathlib.Path) -> dict[str, str]:
    """Read ``classes.csv``, if there is one that names folders."""
    path = folder / "classes.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a table: {error}. Save it as CSV in UTF-8.") from error
    key = next((key for key in ("folder", "wnid", "id") if rows and key in rows[0]), None)
    if key is None or "name" not in rows[0]:
        return {}
    named: dict[str, str] = {}
    for row in rows:
        if not (row[key] and row["name"]):
            continue
        name = row["name"].strip()
        if named.setdefault(row[key].strip(), name) != name:
            raise ValueError(
                f"{path}: each folder must have one name, got {named[row[key].strip()]!r} and {name!r} for "
                f"{row[key].strip()!r}. Keep one."
            )
    return named
