"""True boxes for a folder of images: matched by name, with the model's numbers of their classes, to scale."""

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
    """The class of a box is none of the model's, as far as their names tell."""


class Truth(NamedTuple):
    """One true box: the number of its class, and the (height, width) of the image that it was drawn on, if known."""

    number: int
    box: tuple[float, float, float, float]
    size: tuple[int, int] | None


@dataclasses.dataclass
class MatchedBoxes:
    """The images with their true boxes, and why others have none."""

    files: dict[str, pathlib.Path]
    boxes: dict[str, pd.DataFrame]
    numbers: dict[str, int] | None
    errors: dict[str, str]
    notes: list[str]

    def truths(self, labels: Sequence[str]) -> dict[str, list[Truth]]:
        """Return the true boxes of each image that has some, with the numbers of their classes.

        Raises:
            UnknownClass: neither ``labels``, the model's, nor the table of classes has it.
        """
        tables = {name: self.boxes[name] for name in self.files if name in self.boxes}
        names = sorted({str(name) for table in tables.values() for name in table["class"]})
        try:
            numbers = {name: find(name, labels) for name in names} if self.numbers is None else self.numbers
            tables = {name: number_classes(table, numbers) for name, table in tables.items()}
        except ValueError as error:
            raise (ValueError if self.numbers else UnknownClass)(str(error)) from error
        found: dict[str, list[Truth]] = {name: [] for name in tables}
        for name, table in tables.items():
            for row in table.to_dict("records"):
                size, (left, top, right, bottom) = (int(row["height"]), int(row["width"])), map(float, row["box"])
                found[name].append(Truth(int(row["class"]), (left, top, right, bottom), size if all(size) else None))
        return found


def match_boxes(
    folder: str | os.PathLike,
    boxes: str | os.PathLike,
    *,
    classes: str | os.PathLike | None = None,
    inclusive: bool = False,
) -> MatchedBoxes:
    """Find the images of a folder, read all boxes and match them by name; see ``evaluate_folder``.

    Raises:
        ValueError: no image has a box, or two images share a name.
    """
    files: dict[str, pathlib.Path] = {}
    for file in images.find_files([folder]):
        if file.stem in files:
            raise ValueError(f"{files[file.stem]} and {file} have the same name, so that boxes fit either.")
        files[file.stem] = file
    table = read_boxes(boxes, inclusive=inclusive)
    by_name = {str(name): rows for name, rows in table.groupby("image", sort=False)}
    errors = {name: f"{boxes} has no box for it" for name in files if name not in by_name}
    if len(errors) == len(files):
        raise ValueError(
            f"No image in {folder} has a box in {boxes}: images are called {next(iter(files))!r}, the boxes' "
            f"{next(iter(by_name))!r}."
        )
    spare = [name for name in by_name if name not in files]
    notes = [f"{len(spare)} images of {boxes} are not in {folder}, such as {spare[0]}."] if spare else []
    return MatchedBoxes(files, by_name, None if classes is None else _numbers(pathlib.Path(classes)), errors, notes)


def fit_box(truth: Truth, size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Return a true box in pixels of the image as it is now, of (height, width) ``size``.

    Raises:
        ValueError: a box that leaves the image, or that was drawn on one of other proportions.
    """
    if truth.size in (None, tuple(size)):
        return clip_boxes([truth.box], size, name)[0]
    rows, columns = (now / then for now, then in zip(size, truth.size, strict=True))
    # Resizing rounds each side to a pixel.
    if abs(size[0] - truth.size[0] * columns) > 1 and abs(size[1] - truth.size[1] * rows) > 1:
        raise ValueError(
            f"The boxes of {name} are of an image of {truth.size[1]} × {truth.size[0]} (width × height), but it is "
            f"{size[1]} × {size[0]}, of other proportions."
        )
    (box,) = clip_boxes([truth.box], truth.size, name)
    return box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows


def _numbers(path: pathlib.Path) -> dict[str, int]:
    """Read a table of class names: every column but the number's holds names of it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name == "index" or name.endswith("_index"))
        return {row[name]: int(row[column]) for row in rows for name in row if name != column}
    except (StopIteration, IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV with a column index (or …_index) of whole numbers: {error!r}.") from error
