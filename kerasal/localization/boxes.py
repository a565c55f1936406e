"""Boxes (x_min, y_min, x_max, y_max), upper bounds exclusive, and how good they are.

Scores: ILSVRC's localization error, correct localization of a known class, mean IoU, pointing.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kerasal.checks import check_int, check_number
from kerasal.localization.masks import check_varied_map

Box = tuple[float, float, float, float]


def check_boxes(boxes) -> np.ndarray:
    """Return one box or many as float64 (N, 4).

    Raises:
        ValueError: not four finite numbers each, or an empty or reversed box.
    """
    array = np.asarray(boxes, dtype=np.float64)
    array = array[None] if array.shape == (4,) else array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise ValueError(f"A box is four finite numbers (x_min, y_min, x_max, y_max). Received: {boxes!r}.")
    wrong = (array[:, 2:] <= array[:, :2]).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"A box is (x_min, y_min, x_max, y_max) with x_max > x_min and y_max > y_min. Received: "
            f"{_format_box(array[wrong][0])}. (x, y, width, height) is another convention."
        )
    return array


def iou(a: ArrayLike, b: ArrayLike) -> float | np.ndarray:
    """Return the intersection of boxes over their union, 0 to 1.

    Args:
        a: a box, or N boxes (N, 4).
        b: a box, or M boxes.

    Returns:
        A float for two boxes; float64 (N, M), every ``a`` with every ``b``, where either is a list of boxes.

    Raises:
        ValueError: something that is no box, or an empty one.
    """
    first, second = check_boxes(a), check_boxes(b)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    result = common / (areas[0][:, None] + areas[1][None, :] - common)
    return float(result[0, 0]) if np.ndim(a) == 1 and np.ndim(b) == 1 and result.size == 1 else result


def clip_boxes(boxes: Iterable[Box], size: tuple[int, int], name: str, tolerance: float = 1.0) -> list[Box]:
    """Return boxes cut to an image of (height, width); rounding may put one past the border by ``tolerance`` pixels.

    Raises:
        ValueError: a box that leaves the image further than that, which is most often one of another scale.
    """
    height, width = size
    kept = []
    for box in boxes:
        x_min, y_min, x_max, y_max = check_boxes(box)[0]
        if min(x_min, y_min) < -tolerance or x_max > width + tolerance or y_max > height + tolerance:
            raise ValueError(
                f"A box of {name}, {_format_box((x_min, y_min, x_max, y_max))}, leaves the image, which is "
                f"{width} × {height} (width × height). Boxes are in pixels of the image as it is; was it resized?"
            )
        kept.append((max(x_min, 0.0), max(y_min, 0.0), min(x_max, float(width)), min(y_max, float(height))))
    return kept


def scale_box(box: Box, before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a box of an image of (height, width) ``before`` in whole pixels of the same image resized to ``after``.

    Its sides are rounded; it keeps at least one pixel.
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
    """Return for each image whether all of its first ``top`` guesses miss; ``localization_error`` is the mean.

    Returns:
        A bool Series by image, in the order of ``boxes``. Arguments and errors as in ``localization_error``.
    """
    check_int("top", top)
    _check_level(iou)
    guesses, truths = _by_image(predictions, boxes)
    missed = {name: not _is_hit(guesses[name].head(top), truth, iou) for name, truth in truths.items()}
    return pd.Series(missed, name="missed", dtype=bool).rename_axis("image")


def localization_error(predictions: pd.DataFrame, boxes: pd.DataFrame, *, top: int = 5, iou: float = 0.5) -> float:
    """Return the share of images of which no guess has both the right class and a good box (ILSVRC's task 2).

    An image counts 0 if any of its first ``top`` guesses names a class that is there and overlaps one of that class's
    boxes with an IoU of at least ``iou``, and 1 otherwise (Russakovsky et al. 2015, section 4.2). The paper's text says
    "more than 50 %", the challenge's own program at least; here it is at least.

    Args:
        predictions: a row a guess, with ``image``, ``class`` and ``box``, and ``score`` if the rows of an image are not
            in the order of the guesses: ``localize``'s tables, each with a column ``image``.
        boxes: a row a true box, with ``image``, ``class`` and ``box``: what ``read_boxes`` returns. Classes are
            compared as they are, so both tables name them alike.
        top: how many guesses an image has.
        iou: the overlap that is enough.

    Raises:
        ValueError: tables without these columns, no boxes, an image in one table only, no class that both tables know,
            or a box that is none.
    """
    return float(localization_errors(predictions, boxes, top=top, iou=iou).mean())


def overlaps(predicted: Sequence, boxes: Sequence) -> np.ndarray:
    """Return the IoU of each image's box with the best of its true boxes, (N,): the class is known.

    Args:
        predicted: one box per image.
        boxes: for each image its true box, or a list of them.

    Raises:
        ValueError: not one entry an image, an image without a true box, or a box that is none.
    """
    if len(predicted) != len(boxes):
        raise ValueError(f"Expected true boxes for {len(predicted)} images. Received them for {len(boxes)}.")
    found = []
    for number, (one, truth) in enumerate(zip(predicted, boxes, strict=True)):
        truth = check_boxes(truth)
        if not len(truth):
            raise ValueError(f"Image {number} has no true box.")
        found.append(float(np.max(iou(one, truth))))
    return np.array(found)


def mean_iou(predicted: Sequence, boxes: Sequence) -> float:
    """Return the mean IoU of each image's box with the best of its true boxes; see ``overlaps``."""
    return float(_check_not_empty(overlaps(predicted, boxes)).mean())


def correct_localization(predicted: Sequence, boxes: Sequence, *, iou: float = 0.5) -> float:
    """Return the share of images whose box reaches an IoU of ``iou`` with a true box, the class being known (CorLoc).

    Deselaers, Alexe & Ferrari 2012, section 7.1. Arguments and errors as in ``overlaps``.
    """
    _check_level(iou)
    return float((_check_not_empty(overlaps(predicted, boxes)) >= iou).mean())


def pointing_accuracy(maps: Sequence[np.ndarray], boxes: Sequence, *, tolerance: int = 0) -> float:
    """Return the share of maps whose maximum lies in a true box, widened by ``tolerance`` pixels (the paper: 15).

    Zhang et al. 2018, section 4.2; of equal maxima the first counts, row by row. Maps may differ in size.

    Raises:
        ValueError: not one entry a map, an image without a true box, a constant map, a box that is none, or a
            negative tolerance.
    """
    if len(maps) != len(boxes) or not len(maps):
        raise ValueError(f"Expected true boxes for {len(maps)} maps, at least one. Received {len(boxes)}.")
    check_number("tolerance", tolerance, minimum=0)
    hits = []
    for values, truth in zip(maps, boxes, strict=True):
        values, truth = check_varied_map(values), check_boxes(truth)
        y, x = np.unravel_index(values.argmax(), values.shape)
        # The middle of the pixel: a box may end within one.
        inside = (truth[:, :2] - tolerance <= (x + 0.5, y + 0.5)) & ((x + 0.5, y + 0.5) < truth[:, 2:] + tolerance)
        hits.append(bool(inside.all(axis=1).any()))
    return float(np.mean(hits))


def _by_image(predictions: pd.DataFrame, boxes: pd.DataFrame) -> tuple[dict, dict]:
    """Return both tables cut into one per image, the guesses of each from best to worst."""
    for what, table in (("predictions", predictions), ("boxes", boxes)):
        absent = [name for name in _COLUMNS if name not in getattr(table, "columns", ())]
        if absent:
            raise ValueError(f"{what} is a DataFrame with the columns {', '.join(_COLUMNS)}; {absent[0]!r} is missing.")
    if boxes.empty:
        raise ValueError("There are no true boxes.")
    truths = dict(list(boxes.groupby("image", sort=False)))
    guesses = dict(list(predictions.groupby("image", sort=False)))
    for one, other, lacks in ((truths, guesses, "has no prediction"), (guesses, truths, "has no true box")):
        alone = [name for name in one if name not in other]
        if alone:
            raise ValueError(f"{len(alone)} images are in one table only: {alone[0]!r} {lacks}.")
    one, other = predictions["class"].tolist()[0], boxes["class"].tolist()[0]
    if not set(predictions["class"]) & set(boxes["class"]) and type(one) is not type(other):
        raise ValueError(f"The predictions call a class {one!r}, the boxes {other!r}; name them alike.")
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
        raise ValueError("There are no images to score.")
    return values


def _check_level(level: float) -> None:
    if not 0 < level <= 1:
        raise ValueError(f"iou is an overlap, above 0 and at most 1. Received: {level!r}.")
