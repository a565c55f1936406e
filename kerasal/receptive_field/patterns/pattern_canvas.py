"""Canvases: the smallest image that contains the whole receptive field of a unit, and an image of a fixed size."""

import dataclasses

import numpy as np

from kerasal.receptive_field.geometry.field_geometry import to_field
from kerasal.receptive_field.geometry.route import Route


@dataclasses.dataclass(frozen=True)
class Canvas:
    """An image size and the unit of a layer whose pattern is computed on it.

    Attributes:
        size: (height, width) of the image.
        unit: (row, column) of the unit on the layer's map.
        box: receptive field of the unit (x_min, y_min, x_max, y_max), cropped to the image.
        map_size: (height, width) of the layer's map.
    """

    size: tuple[int, int]
    unit: tuple[int, int]
    box: tuple[int, int, int, int]
    map_size: tuple[int, int]

    def crop(self, images: np.ndarray) -> np.ndarray:
        """Return images (N, H, W, C) cropped to the unit's receptive field."""
        left, top, right, bottom = self.box
        return images[:, top:bottom, left:right]

    def place(self, images: np.ndarray) -> np.ndarray:
        """Return the canvas (N, H, W, C) with images (N, h, w, C) at the unit's receptive field and zeros elsewhere."""
        left, top, right, bottom = self.box
        padded = np.zeros((len(images), *self.size, images.shape[-1]), images.dtype)
        padded[:, top:bottom, left:right] = images
        return padded


def find_smallest(route: Route, model_size: tuple[int, int]) -> Canvas | None:
    """Return the smallest canvas on which a unit sees no padding in any map, or None if there is none.

    There is none if the units see the whole image. ``model_size`` is the (height, width) of the model's input.
    """
    if route.whole:
        return None
    height, width = (_smallest_side(route, axis, pixels) for axis, pixels in enumerate(model_size))
    return place_canvas(route, (height, width)) if height and width else None


def place_canvas(route: Route, size: tuple[int, int]) -> Canvas:
    """Return a canvas of the ``size`` for the most central unit that sees no padding.

    If every unit sees padding, the canvas is for the central unit.
    """
    field = to_field(route, size)
    units = []
    for axis, pixels in enumerate(size):
        lengths = route.lengths(axis, pixels)
        unpadded = np.flatnonzero(route.sees_no_padding(axis, lengths, np.arange(lengths[-1])))
        middle = lengths[-1] // 2
        units.append(int(unpadded[np.abs(unpadded - middle).argmin()]) if unpadded.size else middle)
    row, column = units
    return Canvas(field.input_size, (row, column), field.box(row, column, clip=True), field.map_size)


def _smallest_side(route: Route, axis: int, default_side: int) -> int | None:
    """Return the smallest side on which a unit sees no padding, or None.

    Sides are tried in ascending order, since the position of a unit depends on the lengths of all maps.
    """
    lengths = route.lengths(axis, default_side)
    first, last = route.ranges(axis, lengths, np.arange(lengths[-1]))[0]
    extent = int((last - first).max()) + 1
    for side in range(max(1, extent), 2 * extent + int(4 * route.stride(axis)) + 1):
        lengths = route.lengths(axis, side)
        if lengths and route.sees_no_padding(axis, lengths, np.arange(lengths[-1])).any():
            return side
    return None
