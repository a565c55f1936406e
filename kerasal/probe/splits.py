"""The images of a folder with one folder per class, and which of them train a probe and which test it."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

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


@dataclasses.dataclass(frozen=True)
class Split:
    """One draw: the numbers of the training and of the test images."""

    fold: int
    per_class: int
    train: np.ndarray
    test: np.ndarray


def check_counts(names: np.ndarray, codes: np.ndarray, per_class: Sequence[int]) -> None:
    """Refuse classes that are too small to give ``per_class`` training images and one to test.

    Raises:
        ValueError: fewer than two classes, or a class that is too small.
    """
    if len(names) < 2:
        raise ValueError(f"A classifier needs images of two classes at least. Received labels of {len(names)}.")
    counts = np.bincount(codes, minlength=len(names))
    needed = max(per_class) + 1
    small = np.flatnonzero(counts < needed)
    if small.size:
        listed = ", ".join(f"{names.tolist()[i]!r} has {counts[i]}" for i in small[:5])
        more = f" and {small.size - 5} more classes" if small.size > 5 else ""
        possible = counts.min() - 1
        way = f"Ask for at most {possible} per class" if possible >= 1 else "Add images"
        raise ValueError(
            f"{max(per_class)} training images per class and at least one to test need {needed} images in every class, "
            f"but {listed}{more}. {way}, or leave the small classes out."
        )


def draw_splits(codes: np.ndarray, per_class: Sequence[int], folds: int, seed: int) -> list[Split]:
    """Draw the splits; fold ``f`` follows from ``(seed, f)``, and more training images include the fewer."""
    splits = []
    for fold in range(folds):
        random = np.random.default_rng([seed, fold])
        shuffled = [random.permutation(np.flatnonzero(codes == code)) for code in range(codes.max() + 1)]
        for count in per_class:
            train = np.concatenate([one[:count] for one in shuffled])
            test = np.concatenate([one[count:] for one in shuffled])
            splits.append(Split(fold, count, train, test))
    return splits
