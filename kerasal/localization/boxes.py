"""Boxes (x_min, y_min, x_max, y_max), upper bounds exclusive: checked, compared, scaled."""

from collections.abc import Iterable

import numpy as np

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


def iou(a, b) -> float | np.ndarray:
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
