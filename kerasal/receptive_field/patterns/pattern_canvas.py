"""The smallest image on which a unit's whole receptive field fits: ``route -> image size, unit, box``."""

import dataclasses

import numpy as np

from kerasal.receptive_field.geometry.field_geometry import to_field
from kerasal.receptive_field.geometry.route import Route


@dataclasses.dataclass(frozen=True)
class Canvas:
    """An image of ``size`` (height, width), and a ``unit`` (row, column) of the layer with its field on it.

    ``box`` is (x_min, y_min, x_max, y_max), cut to the image; ``map_size`` is the (height, width) of the layer's map.
    """

    size: tuple[int, int]
    unit: tuple[int, int]
    box: tuple[int, int, int, int]
    map_size: tuple[int, int]

    def crop(self, images: np.ndarray) -> np.ndarray:
        """Cut (N, H, W, C) to the box."""
        left, top, right, bottom = self.box
        return images[:, top:bottom, left:right]

    def place(self, images: np.ndarray) -> np.ndarray:
        """Lay images (N, h, w, C) of the box's size at its place on zeros (N, H, W, C)."""
        left, top, right, bottom = self.box
        laid = np.zeros((len(images), *self.size, images.shape[-1]), images.dtype)
        laid[:, top:bottom, left:right] = images
        return laid


def find_smallest(route: Route, own: tuple[int, int]) -> Canvas | None:
    """Return the smallest canvas on which a unit sees no padding in any map on the way, or None if there is none.

    A field that is the whole image has no smaller canvas. ``own`` is the (height, width) that the model takes.
    """
    if route.whole:
        return None
    height, width = (_smallest_side(route, axis, pixels) for axis, pixels in enumerate(own))
    return place_canvas(route, (height, width)) if height and width else None


def place_canvas(route: Route, size: tuple[int, int]) -> Canvas:
    """Return the canvas of a given size, with the most central of the units that see least padding."""
    field = to_field(route, size)
    units = []
    for axis, pixels in enumerate(size):
        lengths = route.lengths(axis, pixels)
        inside = np.flatnonzero(route.sees_no_padding(axis, lengths, np.arange(lengths[-1])))
        middle = lengths[-1] // 2
        units.append(int(inside[np.abs(inside - middle).argmin()]) if inside.size else middle)
    row, column = units
    return Canvas(field.input_size, (row, column), field.box(row, column, clip=True), field.map_size)


def _smallest_side(route: Route, axis: int, own: int) -> int | None:
    """Try sides from the field's own on: where a unit stands is only known once the maps have their lengths."""
    lengths = route.lengths(axis, own)
    first, last = route.ranges(axis, lengths, np.arange(lengths[-1]))[0]
    extent = int((last - first).max()) + 1
    for side in range(max(1, extent), 2 * extent + int(4 * route.stride(axis)) + 1):
        lengths = route.lengths(axis, side)
        if lengths and route.sees_no_padding(axis, lengths, np.arange(lengths[-1])).any():
            return side
    return None
