"""List the image files of folders with one subfolder per class.

There are two layouts: ``FOLDER/CLASS/*.jpg``, and ``FOLDER/train/CLASS/*.jpg`` beside ``FOLDER/val/CLASS/*.jpg`` (or
``test``). Images may be at any depth in their class folder. Classes are numbered in the order of their folder names. A
file ``classes.csv`` in the folder, with a column ``folder``, ``wnid`` or ``id`` and a column ``name``, assigns class
names to folders.
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
_MAX_NAMES = 10


@dataclasses.dataclass(frozen=True, eq=False)
class ClassFiles:
    """Image files and their classes: ``labels`` int32 (N,) index ``names``; ``others`` are all other files."""

    names: list[str]
    files: list[pathlib.Path]
    labels: np.ndarray
    others: list[pathlib.Path] = dataclasses.field(default_factory=list)


def class_files(
    folder: str | os.PathLike, classes: Sequence[str] | None = None
) -> tuple[ClassFiles, ClassFiles | None]:
    """Return the training files and the test files of class folders; the latter are None without a test folder.

    Args:
        folder: folder in one of the layouts that the module describes; hidden files and folders are ignored.
        classes: names of the classes or folders to use, in this order; by default all.

    Raises:
        FileNotFoundError: ``folder`` does not exist.
        NotADirectoryError: ``folder`` is a file.
        ValueError: there are fewer than two class folders, a class is unknown or has no images, or the training and
            the test folder have different classes.
    """
    folder = pathlib.Path(folder)
    if folder.is_file():
        raise NotADirectoryError(f"folder must be a folder with a folder of images per class, got the file {folder}.")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    subfolders = _list_subfolders(folder)
    train = next((child for name in _TRAIN for child in subfolders if child.name.lower() == name), None)
    test = next((child for name in _TEST for child in subfolders if child.name.lower() == name), None)
    names = _read_class_names(folder)
    only_part = train or test
    if (
        (train is None or test is None)
        and only_part is not None
        and not any(file.is_file() and is_image(file) for file in only_part.iterdir())
    ):
        raise ValueError(
            f"{folder} must have both a folder train and a folder val or test, got only {only_part.name}. To split the "
            f"images of a single folder, pass that folder, such as {only_part}."
        )
    if train is None or test is None:
        return _check_count(_list_class_files(folder, subfolders, names, classes), folder), None
    parts = [_list_class_files(part, _list_subfolders(part), names, classes) for part in (train, test)]
    different = set(parts[0].names) ^ set(parts[1].names)
    if different:
        raise ValueError(
            f"{train} and {test} must have the same classes. Only one of them has "
            f"{abbreviate(sorted(different), _MAX_NAMES)}. Pass the argument classes with the classes that both have."
        )
    return _check_count(parts[0], train), parts[1]


def _check_count(listed: ClassFiles, folder: pathlib.Path) -> ClassFiles:
    if len(listed.names) < 2:
        raise ValueError(f"{folder} must have at least two classes, got {', '.join(listed.names)}.")
    return listed


def has_class_folders(folder: pathlib.Path) -> bool:
    """Return whether a folder has folders with images, directly or in a folder such as ``train``."""
    return any(list_files(child)[0] for child in _list_subfolders(folder))


def _list_class_files(
    folder: pathlib.Path, subfolders: list[pathlib.Path], names: dict[str, str], classes
) -> ClassFiles:
    if not subfolders:
        raise ValueError(
            f"{folder} must have a folder of images per class, got none. An example of an image is "
            f"{folder / 'goldfish' / '1.jpg'}."
        )
    folders = {names.get(child.name, child.name): child for child in subfolders}
    if len(folders) < len(subfolders):
        twice = next(child for child in subfolders if folders[names.get(child.name, child.name)] != child)
        name = names.get(twice.name, twice.name)
        raise ValueError(
            f"{folder / 'classes.csv'} must have a different name for each folder, got {name!r} for both {twice.name} "
            f"and {folders[name].name}. Change one of the names."
        )
    chosen = folders if classes is None else {name: folders[name] for name in _select_classes(classes, folders)}
    files_by_class = {name: list_files(child) for name, child in chosen.items()}
    empty = [
        name if name == chosen[name].name else f"{name} ({chosen[name].name})"
        for name, (files, _) in files_by_class.items()
        if not files
    ]
    if empty:
        raise ValueError(
            f"All class folders in {folder} must have images, got none in {len(empty)} of {len(files_by_class)}: "
            f"{abbreviate(empty, _MAX_NAMES)}. Remove them, or pass the argument classes with the others."
        )
    return ClassFiles(
        list(files_by_class),
        [file for files, _ in files_by_class.values() for file in files],
        np.repeat(np.arange(len(files_by_class), dtype=np.int32), [len(files) for files, _ in files_by_class.values()]),
        [file for _, others in files_by_class.values() for file in others],
    )


def _select_classes(classes: Sequence[str], folders: dict[str, pathlib.Path]) -> list[str]:
    names_by_key = {_normalize_name(child.name): name for name, child in folders.items()} | {
        _normalize_name(name): name for name in folders
    }
    for name in classes:
        if _normalize_name(name) not in names_by_key:
            raise ValueError(unknown_name_message(name, folders, "class"))
    chosen = [names_by_key[_normalize_name(name)] for name in classes]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"classes must be unique, got {', '.join(classes)}.")
    return chosen


def _normalize_name(name: str) -> str:
    return name.replace("_", " ").casefold()


def _list_subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _read_class_names(folder: pathlib.Path) -> dict[str, str]:
    """Return the class name of each folder in ``classes.csv``, or an empty dictionary without such a file."""
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
    class_names: dict[str, str] = {}
    for row in rows:
        if not (row[key] and row["name"]):
            continue
        name = row["name"].strip()
        if class_names.setdefault(row[key].strip(), name) != name:
            raise ValueError(
                f"{path}: each folder must have a single name, got {class_names[row[key].strip()]!r} and {name!r} for "
                f"{row[key].strip()!r}. Keep one."
            )
    return class_names
