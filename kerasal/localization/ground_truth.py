"""True boxes of a folder of images: matched by file name, with class indices, scaled to the images."""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from kerasal import images
from kerasal.labels import find
from kerasal.localization.box_files import number_classes, read_boxes
from kerasal.localization.boxes import clip_boxes


class UnknownClass(ValueError):
    """The class name of a box is not among the labels of the model."""


class Truth(NamedTuple):
    """A true box: its class index, its corners, and the (height, width) of the annotated image, or None if unknown."""

    number: int
    box: tuple[float, float, float, float]
    size: tuple[int, int] | None


@dataclasses.dataclass
class MatchedBoxes:
    """The images with their true boxes, and the reason for each image without boxes."""

    files: dict[str, pathlib.Path]
    boxes: dict[str, pd.DataFrame]
    numbers: dict[str, int] | None
    errors: dict[str, str]
    notes: list[str]

    def truths(self, labels: Sequence[str]) -> dict[str, list[Truth]]:
        """Return the true boxes, with class indices, of each image that has any.

        Raises:
            UnknownClass: there is no table of classes, and ``labels``, those of the model, lack the class of a box.
            ValueError: the table of classes lacks the class of a box.
        """
        tables = {name: self.boxes[name] for name in self.files if name in self.boxes}
        names = sorted({str(name) for table in tables.values() for name in table["class"]})
        try:
            numbers = {name: find(name, labels) for name in names} if self.numbers is None else self.numbers
            tables = {name: number_classes(table, numbers) for name, table in tables.items()}
        except ValueError as error:
            raise (ValueError if self.numbers else UnknownClass)(str(error)) from error
        truths: dict[str, list[Truth]] = {name: [] for name in tables}
        for name, table in tables.items():
            for row in table.to_dict("records"):
                size, (left, top, right, bottom) = (int(row["height"]), int(row["width"])), map(float, row["box"])
                truths[name].append(Truth(int(row["class"]), (left, top, right, bottom), size if all(size) else None))
        return truths


def match_boxes(
    folder: str | os.PathLike,
    boxes: str | os.PathLike,
    *,
    classes: str | os.PathLike | None = None,
    inclusive: bool = False,
) -> MatchedBoxes:
    """Return the images of a folder with their true boxes, matched by file name; see ``evaluate_folder``.

    Raises:
        ValueError: no image has a box, or two images have the same name.
    """
    files: dict[str, pathlib.Path] = {}
    for file in images.find_files([folder]):
        if file.stem in files:
            raise ValueError(f"Image names must be unique, got both {files[file.stem]} and {file}. Rename one of them.")
        files[file.stem] = file
    table = read_boxes(boxes, inclusive=inclusive)
    by_name = {str(name): rows for name, rows in table.groupby("image", sort=False)}
    errors = {name: f"{boxes} has no box for this image" for name in files if name not in by_name}
    if len(errors) == len(files):
        raise ValueError(
            f"Image names in {folder} and {boxes} must match, got {next(iter(files))!r} and {next(iter(by_name))!r}, "
            "for example. Rename the files."
        )
    absent = [name for name in by_name if name not in files]
    notes = [f"{len(absent)} images of {boxes} are not in {folder}, such as {absent[0]}."] if absent else []
    numbers = None if classes is None else _read_class_indices(pathlib.Path(classes))
    return MatchedBoxes(files, by_name, numbers, errors, notes)


def fit_box(truth: Truth, size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Return the corners of a true box scaled from the annotated image to the actual (height, width) ``size``.

    Raises:
        ValueError: the box extends beyond the image, or the aspect ratios of the two images differ.
    """
    if truth.size in (None, tuple(size)):
        return clip_boxes([truth.box], size, name)[0]
    rows, columns = (actual / annotated for actual, annotated in zip(size, truth.size, strict=True))
    # A resized image has integer sides, so the aspect ratios are equal only to a pixel.
    if abs(size[0] - truth.size[0] * columns) > 1 and abs(size[1] - truth.size[1] * rows) > 1:
        raise ValueError(
            f"{name} must have the aspect ratio of the annotated image, {truth.size[1]} × {truth.size[0]} (width × "
            f"height), got {size[1]} × {size[0]}. Use the image for which the boxes were drawn."
        )
    (box,) = clip_boxes([truth.box], truth.size, name)
    return box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows


def _read_class_indices(path: pathlib.Path) -> dict[str, int]:
    """Return class name -> class index from a CSV; every column other than the index contains names of the class."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name == "index" or name.endswith("_index"))
        return {row[name]: int(row[column]) for row in rows for name in row if name != column}
    except (StopIteration, IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} must be a CSV with a column index (or …_index) of integers, got {error!r}."
        ) from error
