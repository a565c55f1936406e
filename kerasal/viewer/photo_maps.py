"""Maps drawn on the photo at its own resolution, with the legend of their colors."""

import dataclasses
from typing import NamedTuple

import numpy as np

from kerasal import images
from kerasal.attribution import draw_map
from kerasal.attribution.explanation import Explanation

_DIMMED = 0.45


class Legend(NamedTuple):
    """The color scale of a picture, a name of ``images.drawings.color_scale``, and what its two ends mean."""

    scale: str
    low: str
    high: str


@dataclasses.dataclass(frozen=True)
class PhotoMap:
    """A map on its photo.

    Attributes:
        over: the map over the photo, uint8 RGB, of the size of the photo.
        map: the map alone, uint8 RGB, of the same size.
        over_legend, map_legend: the colors of both.
        cropped: whether the model sees only the middle of the photo; the rest is gray and darker.
    """

    over: np.ndarray
    map: np.ndarray
    over_legend: Legend
    map_legend: Legend
    cropped: bool


def seen_part(shape: tuple[int, ...], size: tuple[int, int], fit: str) -> tuple[slice, slice]:
    """Return the rows and columns of a photo (H, W, …) that ``images.fit_image`` brings to ``size`` by ``fit``."""
    height, width = shape[:2]
    if fit == "stretch":
        return slice(0, height), slice(0, width)
    scale = min(height / size[0], width / size[1])
    rows, columns = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def draw_on_photo(explanation: Explanation, photo: np.ndarray, fit: str = "crop", *, bgr: bool = False) -> PhotoMap:
    """Return an attribution map drawn on the whole photo from which its inputs were made.

    Args:
        explanation: the map, from ``kerasal.explain``.
        photo: uint8 RGB (H, W, 3), of any resolution.
        fit: how the photo was brought to the size of the model, ``"crop"`` or ``"stretch"``.
        bgr: whether the channels of the model's inputs are blue, green and red, in this order.
    """
    spec, options, size = explanation.spec, explanation.options, explanation.picture.shape[:2]
    values = spec.to_pixels(np.asarray(explanation.map), size, options)
    part = seen_part(photo.shape, size, fit)
    seen = np.ascontiguousarray(photo[part])
    drawn, over = draw_map(spec, seen, values, options=options, bgr=bgr)
    cropped = seen.shape != photo.shape
    over_legend, map_legend = _legends(spec, values, options)
    whole_over, whole_map = _dim(photo), np.full_like(photo, 128)
    whole_over[part] = over
    whole_map[part] = images.resize(drawn, seen.shape[:2])
    return PhotoMap(whole_over, whole_map, over_legend, map_legend, cropped)


def _legends(spec, values: np.ndarray, options) -> tuple[Legend, Legend]:
    """Return the legends of the two pictures of ``draw_map``."""
    if values.ndim == 3 and values.shape[2] == 3:
        return (
            Legend("overlay", "small gradient", "large gradient"),
            Legend("gray", "brighter lowers the score", "brighter raises the score"),
        )
    if values.ndim == 3 or spec.is_signed(options) or (values < 0).any():
        signed = Legend("signed", "lowers the score", "raises the score")
        return signed, signed
    return Legend("overlay", "no evidence", "most evidence"), Legend("heat", "no evidence", "most evidence")


def _dim(photo: np.ndarray) -> np.ndarray:
    """Return a photo in gray and darker, as a background for the part that the model sees."""
    gray = _DIMMED * photo.mean(axis=2, keepdims=True, dtype=np.float32)
    return np.repeat(gray.round().astype(np.uint8), 3, axis=2)
