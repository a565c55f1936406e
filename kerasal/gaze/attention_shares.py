"""The share of attention that boxes in a photo get, such as the headline and the price of a poster."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasal.gaze.gaze_prediction import GazePrediction
from kerasal.images.image_check import check_map
from kerasal.localization.boxes import Box, check_boxes, clip_boxes

_CORNERS = ("x_min", "y_min", "x_max", "y_max")


@dataclasses.dataclass(frozen=True)
class AttentionShare:
    """The result of ``attention_share``.

    Attributes:
        table: one row per box, with its name as the index; see ``attention_share`` for the columns.
        rest: ``share``, ``area`` and ``lift`` of the photo outside of all boxes; the lift is NaN if nothing is outside.
        size: (height, width) of the photo in pixels.
    """

    table: pd.DataFrame
    rest: dict[str, float]
    size: tuple[int, int]

    def to_dict(self) -> dict[str, Any]:
        """Return size, boxes and rest as a dictionary of numbers, texts and lists, for JSON."""
        return {"size": list(self.size), "boxes": self.table.reset_index().to_dict("records"), "rest": self.rest}


def attention_share(
    prediction: GazePrediction | np.ndarray, boxes: Mapping[str, Sequence[float]] | Sequence[Sequence[float]]
) -> AttentionShare:
    """Return the share of the density of gaze in each box of a photo, and in the rest.

    Args:
        prediction: the prediction for the photo, or a map (H, W) of the size of the photo, non-negative, such as a
            density of recorded fixations.
        boxes: (x_min, y_min, x_max, y_max) in pixels of the photo from its upper left corner, with exclusive upper
            bounds: (0, 0, W, H) is the whole photo. A dictionary from name to box, or a list, whose boxes are named 1,
            2, …. At fractions, a pixel counts in part. A box may be up to one pixel outside of the photo, and is cut.

    Returns:
        ``AttentionShare``. Its table has the columns ``x_min``, ``y_min``, ``x_max``, ``y_max`` and

        * ``share``: the share of the density in the box, 0..1. Where boxes overlap, each counts all of the density, so
          that the shares can sum to more than 1;
        * ``divided``: the same, but where boxes overlap, the density is divided among them in equal parts: the sum of
          this column and the share of the rest is 1;
        * ``area``: the share of the photo's pixels in the box;
        * ``lift``: ``share`` divided by ``area``; 1 if the box gets as much as it would of uniform attention.

    Raises:
        ValueError: there are no boxes, a box is empty or outside of the photo, or the map is negative or has no
            positive values.
    """
    density = _as_density(prediction)
    named = dict(boxes) if isinstance(boxes, Mapping) else {str(n): box for n, box in enumerate(boxes, 1)}
    if not named:
        raise ValueError("boxes must have at least one box (x_min, y_min, x_max, y_max), got none.")
    height, width = density.shape
    corners = clip_boxes([_as_box(box) for box in named.values()], (height, width), "the photo")
    check_boxes(corners)  # a box that lay beside the photo is empty now
    covers = [(_cover(y_min, y_max, height), _cover(x_min, x_max, width)) for x_min, y_min, x_max, y_max in corners]
    times = sum(np.outer(rows, columns) for rows, columns in covers)
    divided, union = density / np.maximum(times, 1), np.minimum(times, 1)
    rows = []
    for box, (vertical, horizontal) in zip(corners, covers, strict=True):
        share = float(vertical @ density @ horizontal)
        area = float(vertical.sum() * horizontal.sum()) / density.size
        rows.append((*box, share, float(vertical @ divided @ horizontal), area, share / area))
    columns = [*_CORNERS, "share", "divided", "area", "lift"]
    table = pd.DataFrame(rows, columns=columns, index=pd.Index(list(named), name="box"))
    share, area = max(0.0, 1 - float((density * union).sum())), max(0.0, 1 - float(union.mean()))
    lift = share / area if area > 0.5 / density.size else float("nan")
    return AttentionShare(table, {"share": share, "area": area, "lift": lift}, (height, width))


def _as_box(box: Sequence[float]) -> Box:
    x_min, y_min, x_max, y_max = check_boxes(box)[0]
    return x_min, y_min, x_max, y_max


def _as_density(prediction: GazePrediction | np.ndarray) -> np.ndarray:
    """Return a prediction or map as a density, float64 (H, W), with sum 1."""
    if isinstance(prediction, GazePrediction):
        values = np.exp(prediction.log_density.astype(np.float64))
    else:
        values = np.asarray(check_map(prediction, "(H, W)"), np.float64)
    if values.min() < 0 or not values.any():
        raise ValueError(
            f"A map must be non-negative and have positive values, got {values.min():g}..{values.max():g}."
        )
    return values / values.sum()


def _cover(low: float, high: float, length: int) -> np.ndarray:
    """Return which part of each pixel of a side lies between two coordinates, 0..1, (length,)."""
    pixels = np.arange(length)
    return np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1)
