"""The part of an image that a unit sees, cut out at one size wherever the unit is."""

import numpy as np

from kerasal.hooks.trace import remember
from kerasal.receptive_field.geometry.field_geometry import Field, field

GREY = 128


def known_field(model, layer: str, size: tuple[int, int]) -> Field:
    """Return ``field`` of a layer's path for images of ``size``, traced once a model and not at every call."""
    return remember(model, ("field", layer, size), lambda: field(model, layer, input_size=size))


def window(geometry: Field, row: int, column: int) -> tuple[int, int, int, int]:
    """Return the box (x_min, y_min, x_max, y_max) to cut from the image for one unit, of the same size for every unit.

    It is the unit's receptive field, which may reach outside; where the units of a layer differ, as large as that of
    the largest. Along an axis on which the field is as long as the image or longer, it is the whole image, since more
    than that nobody can be shown.
    """
    left, top, _, _ = geometry.box(row, column)
    height, width = geometry.size
    if width >= geometry.input_size[1]:
        left, width = 0, geometry.input_size[1]
    if height >= geometry.input_size[0]:
        top, height = 0, geometry.input_size[0]
    return left, top, left + width, top + height


def cut(image: np.ndarray, box: tuple[int, int, int, int], fill: float) -> np.ndarray:
    """Cut a box (x_min, y_min, x_max, y_max) out of (H, W, C); ``fill`` stands where it reaches outside."""
    x_min, y_min, x_max, y_max = box
    height, width = image.shape[:2]
    part = np.full((y_max - y_min, x_max - x_min, *image.shape[2:]), fill, image.dtype)
    top, left, bottom, right = max(y_min, 0), max(x_min, 0), min(y_max, height), min(x_max, width)
    if bottom > top and right > left:
        part[top - y_min : bottom - y_min, left - x_min : right - x_min] = image[top:bottom, left:right]
    return part
