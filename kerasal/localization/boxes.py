"""Boxes (x_min, y_min, x_max, y_max) with exclusive upper bounds, and their scores.

The scores are the localization error of ILSVRC, correct localization (CorLoc), mean IoU, and pointing accuracy.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kerasal.checks import check_int, check_number
from kerasal.localization.masks import check_varied_map

Box = tuple[float, float, float, float]


def check_boxes(boxes) -> np.ndarray:
    """Return a box or a list of boxes as float64 (N, 4).

    Raises:
        ValueError: a box is not four finite numbers, or it is empty or reversed.
    """
    array = np.asarray(boxes, dtype=np.float64)
    array = array[None] if array.shape == (4,) else array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise ValueError(f"A box must be four finite numbers (x_min, y_min, x_max, y_max), got {boxes!r}.")
    wrong = (array[:, 2:] <= array[:, :2]).any(axis=1)
    if wrong.any():
        raise ValueError(
            "A box must be (x_min, y_min, x_max, y_max) with x_max > x_min and y_max > y_min, got "
            f"{_format_box(array[wrong][0])}. Convert boxes (x, y, width, height) first."
        )
    return array


def iou(a: ArrayLike, b: ArrayLike) -> float | np.ndarray:
    """Return the intersection over union of boxes, 0 to 1.

    Args:
        a: a box, or boxes (N, 4).
        b: a box, or boxes (M, 4).

    Returns:
        A float for two boxes. If ``a`` or ``b`` is a list of boxes: float64 (N, M), each box of ``a`` with each of
        ``b``.

    Raises:
        ValueError: a box is not four finite numbers, or is empty.
    """
    first, second = check_boxes(a), check_boxes(b)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    result = common / (areas[0][:, None] + areas[1][None, :] - common)
    return float(result[0, 0]) if np.ndim(a) == 1 and np.ndim(b) == 1 and result.size == 1 else result


def clip_boxes(boxes: Iterable[Box], size: tuple[int, int], name: str, tolerance: float = 1.0) -> list[Box]:
    """Return boxes clipped to an image.

    Args:
        boxes: boxes in pixels of the image.
        size: (height, width) of the image.
        name: the image's name, for error messages.
        tolerance: number of pixels by which a box may extend beyond the image, because of rounding.

    Raises:
        ValueError: a box extends further beyond the image; usually it belongs to an image of another size.
    """
    height, width = size
    clipped = []
    for box in boxes:
        x_min, y_min, x_max, y_max = check_boxes(box)[0]
        if min(x_min, y_min) < -tolerance or x_max > width + tolerance or y_max > height + tolerance:
            raise ValueError(
                f"A box of {name} must lie in the image, {width} × {height} (width × height), got "
                f"{_format_box((x_min, y_min, x_max, y_max))}. If the image was resized, scale its boxes too."
            )
        clipped.append((max(x_min, 0.0), max(y_min, 0.0), min(x_max, float(width)), min(y_max, float(height))))
    return clipped


def scale_box(box: Box, before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a box scaled from an image of size ``before`` to its resized copy of size ``after``, both (height, width).

    The result is in whole pixels, rounded, and at least 1 × 1.
    """
    rows, columns = after[0] / before[0], after[1] / before[1]
    x_min, y_min, x_max, y_max = check_boxes(box)[0]
    left, top, right, bottom = (round(side) for side in (x_min * columns, y_min * rows, x_max * columns, y_max * rows))
    left, top = min(left, after[1] - 1), min(top, after[0] - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _format_box(box) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"


_COLUMNS = ("image", "class", "box")


def localization_errors(predictions: pd.DataFrame, boxes: pd.DataFrame, *, top: int = 5, iou: float = 0.5) -> pd.Series:
    """Return for each image whether all of its first ``top`` guesses miss; their mean is ``localization_error``.

    Returns:
        A bool Series by image, in the order of ``boxes``. Arguments and errors are those of ``localization_error``.
    """
    check_int("top", top)
    check_number("iou", iou, above=0, maximum=1)
    guesses, truths = _group_by_image(predictions, boxes)
    missed = {name: not _is_hit(guesses[name].head(top), truth, iou) for name, truth in truths.items()}
    return pd.Series(missed, name="missed", dtype=bool).rename_axis("image")


def localization_error(predictions: pd.DataFrame, boxes: pd.DataFrame, *, top: int = 5, iou: float = 0.5) -> float:
    """Return the share of images for which no guess has both the right class and a good box (ILSVRC's task 2).

    The error of an image is 0 if any of its first ``top`` guesses has the class of a true box and overlaps a box of
    that class with an IoU of at least ``iou``, and else 1 (Russakovsky et al. 2015, section 4.2). The paper writes
    "more than 50 %", but the program of the challenge uses "at least", as here.

    Args:
        predictions: one row per guess with ``image``, ``class`` and ``box``, such as the tables of ``localize`` with an
            added column ``image``. The guesses of an image are sorted by the column ``score``, if present.
        boxes: one row per true box with ``image``, ``class`` and ``box``, as ``read_boxes`` returns them. Classes are
            compared for equality, so both tables must use numbers, or the same names.
        top: number of guesses per image.
        iou: the smallest IoU of a good box.

    Raises:
        ValueError: a column is missing, there are no boxes, the tables contain different images, classes are numbers in
            one table but names in the other, or a box is invalid.
    """
    return float(localization_errors(predictions, boxes, top=top, iou=iou).mean())


def overlaps(predicted: Sequence, boxes: Sequence) -> np.ndarray:
    """Return the IoU of the box of each image with the best of its true boxes, float64 (N,), for a known class.

    Args:
        predicted: the box of each image.
        boxes: for each image its true box, or a list of them.

    Raises:
        ValueError: the numbers of images differ, an image has no true box, or a box is invalid.
    """
    if len(predicted) != len(boxes):
        raise ValueError(f"boxes must have an entry for each of the {len(predicted)} images, got {len(boxes)}.")
    ious = []
    for number, (box, truth) in enumerate(zip(predicted, boxes, strict=True)):
        truth = check_boxes(truth)
        if not len(truth):
            raise ValueError(f"Each image must have a true box, got none for image {number}.")
        ious.append(float(np.max(iou(box, truth))))
    return np.array(ious)


def mean_iou(predicted: Sequence, boxes: Sequence) -> float:
    """Return the mean over images of the IoU with the best true box; see ``overlaps`` for arguments and errors."""
    return float(_check_not_empty(overlaps(predicted, boxes)).mean())


def correct_localization(predicted: Sequence, boxes: Sequence, *, iou: float = 0.5) -> float:
    """Return the share of images whose box has an IoU of at least ``iou`` with a true box, for a known class (CorLoc).

    See Deselaers, Alexe & Ferrari 2012, section 7.1. Arguments and errors are those of ``overlaps``.
    """
    check_number("iou", iou, above=0, maximum=1)
    return float((_check_not_empty(overlaps(predicted, boxes)) >= iou).mean())


def pointing_accuracy(maps: Sequence[np.ndarray], boxes: Sequence, *, tolerance: int = 0) -> float:
    """Return the share of maps whose maximum lies in a true box (the pointing game).

    See Zhang et al. 2018, section 4.2. Of equal maxima, the first in row-major order counts.

    Args:
        maps: the map (H, W) of each image; their sizes may differ.
        boxes: for each map its true box, or a list of them.
        tolerance: number of pixels by which the boxes are enlarged on each side; 15 in the paper.

    Raises:
        ValueError: the numbers of maps and entries differ or are 0, a map is constant, a box is invalid, or the
            tolerance is negative.
    """
    if len(maps) != len(boxes) or not len(maps):
        raise ValueError(f"maps and boxes must have the same length, at least 1, got {len(maps)} and {len(boxes)}.")
    check_number("tolerance", tolerance, minimum=0)
    hits = []
    for values, truth in zip(maps, boxes, strict=True):
        values, truth = check_varied_map(values), check_boxes(truth)
        y, x = np.unravel_index(values.argmax(), values.shape)
        # The center of the pixel, because the bounds of a box may be fractions.
        inside = (truth[:, :2] - tolerance <= (x + 0.5, y + 0.5)) & ((x + 0.5, y + 0.5) < truth[:, 2:] + tolerance)
        hits.append(bool(inside.all(axis=1).any()))
    return float(np.mean(hits))


def _group_by_image(predictions: pd.DataFrame, boxes: pd.DataFrame) -> tuple[dict, dict]:
    """Return the guesses of each image from best to worst, and its true boxes, both as a dictionary by image."""
    for what, table in (("predictions", predictions), ("boxes", boxes)):
        absent = [name for name in _COLUMNS if name not in getattr(table, "columns", ())]
        if absent:
            raise ValueError(
                f"{what} must be a DataFrame with the columns {', '.join(_COLUMNS)}, got a table without {absent[0]!r}."
            )
    if boxes.empty:
        raise ValueError("boxes must contain true boxes, got none.")
    truths = dict(list(boxes.groupby("image", sort=False)))
    guesses = dict(list(predictions.groupby("image", sort=False)))
    for left, right, problem in ((truths, guesses, "has no prediction"), (guesses, truths, "has no true box")):
        unmatched = [name for name in left if name not in right]
        if unmatched:
            raise ValueError(
                f"predictions and boxes must contain the same images, got {len(unmatched)} that do not match: "
                f"{unmatched[0]!r} {problem}."
            )
    guessed, true = predictions["class"].tolist()[0], boxes["class"].tolist()[0]
    if not set(predictions["class"]) & set(boxes["class"]) and type(guessed) is not type(true):
        raise ValueError(
            f"predictions and boxes must identify classes in the same way, got {guessed!r} and {true!r}. Use "
            "number_classes(boxes, numbers) to replace names by numbers."
        )
    if "score" in predictions.columns:
        guesses = {name: rows.sort_values("score", ascending=False, kind="stable") for name, rows in guesses.items()}
    return guesses, truths


def _is_hit(guesses: pd.DataFrame, truth: pd.DataFrame, level: float) -> bool:
    for name, box in zip(guesses["class"], guesses["box"], strict=True):
        same = truth.loc[truth["class"] == name, "box"]
        if len(same) and np.max(iou(box, list(same))) >= level:
            return True
    return False


def _check_not_empty(values: np.ndarray) -> np.ndarray:
    if not len(values):
        raise ValueError("predicted must contain boxes, got none.")
    return values
