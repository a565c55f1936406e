"""A folder with one folder a class: ``folder -> files, labels``."""

import os
import pathlib

from kerasal.images import find_files


def class_files(folder: str | os.PathLike) -> tuple[list[pathlib.Path], list[str]]:
    """List the image files of a folder that holds one folder for each class, and each file's class.

    Classes are sorted by name, their files by path; hidden folders, and files beside the class folders, do not count.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: fewer than two class folders, or one without any image file.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(
            f"Expected {folder} to hold a folder of images for each class, two at least. Received {len(classes)}."
        )
    files: list[pathlib.Path] = []
    labels: list[str] = []
    for path in classes:
        found = find_files([path])
        files += found
        labels += [path.name] * len(found)
    return files, labels
