"""What ``kerasal localize-score`` compares with: images and their true boxes, matched, numbered, to scale."""

import csv
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd


class Truth(NamedTuple):
    """One true box: the number of its class, and the (height, width) of the image that it was drawn on, if known."""

    number: int
    box: tuple[float, float, float, float]
    size: tuple[int, int] | None


@dataclasses.dataclass
class Job:
    """The images with their true boxes, and why others have none."""

    files: dict[str, Path]
    boxes: dict[str, pd.DataFrame]
    numbers: dict[str, int] | None
    errors: dict[str, str]
    notes: list[str]


def prepare(folder: Path, boxes: Path, *, classes: Path | None, inclusive: bool) -> Job:
    """Find the images, read all boxes and match them by name.

    Raises:
        ValueError: no image has a box, or two images share a name.
    """
    from kerasal import images
    from kerasal.localization import read_boxes

    files: dict[str, Path] = {}
    for file in images.find_files([folder]):
        if file.stem in files:
            raise ValueError(f"{files[file.stem]} and {file} have the same name, so that boxes fit either.")
        files[file.stem] = file
    table = read_boxes(boxes, inclusive=inclusive)
    by_name = dict(list(table.groupby("image", sort=False)))
    errors = {name: f"{boxes} has no box for it" for name in files if name not in by_name}
    if len(errors) == len(files):
        raise ValueError(
            f"No image in {folder} has a box in {boxes}: images are called {next(iter(files))!r}, the boxes' "
            f"{next(iter(by_name))!r}."
        )
    spare = [name for name in by_name if name not in files]
    notes = [f"{len(spare)} images of {boxes} are not in {folder}, such as {spare[0]}."] if spare else []
    return Job(files, by_name, _numbers(classes), errors, notes)


def numbered(job: Job, labels: list[str]) -> dict[str, list[Truth]]:
    """Return the true boxes of each image that has some, with the numbers of their classes.

    Raises:
        ValueError: a class that neither the model's labels nor the table of classes has.
    """
    from kerasal import localization
    from kerasal.labels import find

    tables = {name: job.boxes[name] for name in job.files if name in job.boxes}
    names = sorted({str(one) for table in tables.values() for one in table["class"]})
    try:
        numbers = {name: find(name, labels) for name in names} if job.numbers is None else job.numbers
        tables = {name: localization.number_classes(table, numbers) for name, table in tables.items()}
    except ValueError as error:
        advice = "" if job.numbers else " --classes CSV says which of the model's numbers the boxes' classes have."
        raise ValueError(f"{error}{advice}") from error
    return {name: [_truth(row) for row in table.to_dict("records")] for name, table in tables.items()}


def _truth(row: dict[str, Any]) -> Truth:
    size = (int(row["height"]), int(row["width"]))
    return Truth(int(row["class"]), tuple(map(float, row["box"])), size if all(size) else None)


def fitted(truth: Truth, size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Return a true box in pixels of the image as it is now, of (height, width) ``size``.

    Raises:
        ValueError: a box that leaves the image, or that was drawn on one of other proportions.
    """
    from kerasal import localization

    if truth.size in (None, tuple(size)):
        return localization.clip_boxes([truth.box], size, name)[0]
    rows, columns = (now / then for now, then in zip(size, truth.size, strict=True))
    # Resizing rounds each side to a pixel.
    if abs(size[0] - truth.size[0] * columns) > 1 and abs(size[1] - truth.size[1] * rows) > 1:
        raise ValueError(
            f"The boxes of {name} are of an image of {truth.size[1]} × {truth.size[0]} (width × height), but it is "
            f"{size[1]} × {size[0]}, of other proportions."
        )
    (box,) = localization.clip_boxes([truth.box], truth.size, name)
    return box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows


def _numbers(path: Path | None) -> dict[str, int] | None:
    """Read a table of class names: every column but the number's holds names of it."""
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name == "index" or name.endswith("_index"))
        return {row[name]: int(row[column]) for row in rows for name in row if name != column}
    except (StopIteration, IndexError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV with a column index (or …_index) of whole numbers: {error!r}.") from error
