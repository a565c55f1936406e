"""Which pixels a unit can see: ``model, layer -> size, stride and place of its receptive fields``, and windows."""

import dataclasses

import numpy as np

from kerasal import hooks
from kerasal.hooks.trace import remember
from kerasal.receptive_field.geometry.operation_moves import read_routes
from kerasal.receptive_field.geometry.route import Route

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """The receptive fields of a layer's units, in pixels of the model's input.

    Attributes:
        size: (height, width) of a unit's field; where units differ (above an enlargement), that of the largest. It may
            exceed the image.
        stride: (down, right), how far apart the fields of neighboring units lie; a fraction above an enlargement, 0
            where all units see the whole image.
        offset: (top, left) of the field of the first unit, the top-left one; negative where it reaches into padding by
            zeros. Reflection padding shows pixels of the image again, and a field there ends at the border.
        map_size: (height, width) of the layer's map.
        channels: the number of its channels.
        input_size: (height, width) of the image that all this is for.
        whole: the name of an operation because of which every unit sees the whole image (global pooling, attention,
            or one that is not understood), or empty.
        rows: int (map height, 2), the first row of each unit's field and the one after its last.
        columns: int (map width, 2), the same for its columns.
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    offset: tuple[int, int]
    map_size: tuple[int, int]
    channels: int
    input_size: tuple[int, int]
    whole: str
    rows: np.ndarray
    columns: np.ndarray

    def box(self, row: int, column: int, *, clip: bool = False) -> tuple[int, int, int, int]:
        """Return the field of the unit at ``row`` and ``column`` of the map as (x_min, y_min, x_max, y_max).

        Upper bounds are exclusive. The box may reach outside the image, into padding; ``clip`` cuts it to the image.

        Raises:
            IndexError: the map has no such unit.
        """
        height, width = self.map_size
        if not (0 <= row < height and 0 <= column < width):
            raise IndexError(
                f"The map has {height} rows and {width} columns, counted from 0. Received: row {row}, column {column}."
            )
        top, bottom = self.rows[row]
        left, right = self.columns[column]
        if clip:
            top, bottom = np.clip((top, bottom), 0, self.input_size[0])
            left, right = np.clip((left, right), 0, self.input_size[1])
        return int(left), int(top), int(right), int(bottom)


def field(model: keras.Model, layer: str, *, input_size: tuple[int, int] | None = None) -> Field:
    """Return size, stride and place of the receptive fields of a layer's units.

    The model is traced, and its operations are followed backwards: with kernel k, dilation d, stride t and padding p,
    the outputs first to last look at the inputs first·t - p to last·t - p + (k-1)·d. Where several paths join, the
    field is the smallest box that holds all of theirs. Padding by reflection counts as the pixels that it mirrors. This
    is what a unit *can* see: outside, no pixel changes it.

    Args:
        model: any built Keras model with one image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        input_size: (height, width) of the image; by default what the model declares, or 224 × 224. Size and stride do
            not depend on it, but "same" padding before a stride, and so the offset, does.

    Raises:
        ValueError: an unknown layer, one without a spatial map, or a model that cannot be looked into.

    Source: Luo et al. 2016, section 2; Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural
        networks", equations 2 to 8.
    """
    path, _ = hooks.find_layer(model, layer)
    routes = read_routes(model, [path], input_size)
    if path not in routes:
        raise ValueError(no_map_message(model, path))
    return to_field(*routes[path])


def fields(model: keras.Model, *, input_size: tuple[int, int] | None = None) -> dict[str, Field]:
    """Return the receptive fields of all layers that have a map (N, h, w, C), by their paths; see ``field``."""
    routes = read_routes(model, [path for path, _ in hooks.layers(model)], input_size)
    return {path: to_field(*found) for path, found in routes.items()}


def to_field(route: Route, input_size: tuple[int, int]) -> Field:
    """Work out the fields of a route for images of one size."""
    spans, strides = [], []
    for axis, pixels in enumerate(input_size):
        lengths = route.lengths(axis, pixels)
        first, last = route.ranges(axis, lengths, np.arange(lengths[-1]))[0]
        if route.whole:
            first, last = np.zeros_like(first), np.full_like(last, pixels - 1)
        empty = first > last
        spans.append(np.stack([np.where(empty, 0, first), np.where(empty, 0, last + 1)], axis=1))
        stride = route.stride(axis)
        strides.append(int(stride) if stride.denominator == 1 else float(stride))
    rows, columns = spans
    return Field(
        size=(int(np.diff(rows).max()), int(np.diff(columns).max())),
        stride=(strides[0], strides[1]),
        offset=(int(rows[0, 0]), int(columns[0, 0])),
        map_size=(len(rows), len(columns)),
        channels=route.channels,
        input_size=(input_size[0], input_size[1]),
        whole=route.whole,
        rows=rows,
        columns=columns,
    )


def no_map_message(model: keras.Model, path: str) -> str:
    """Return the error sentence for a layer without a spatial map."""
    return (
        f"Layer {path!r} of {model.name!r} has no spatial map: expected an output (N, h, w, C), as convolutions and "
        "poolings give. Choose a layer below it (kerasal field MODEL lists them)."
    )


GRAY = 128


def remember_field(model: keras.Model, layer: str, size: tuple[int, int]) -> Field:
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


def cut_box(image: np.ndarray, box: tuple[int, int, int, int], fill: float) -> np.ndarray:
    """Cut a box (x_min, y_min, x_max, y_max) out of (H, W, C); ``fill`` stands where it reaches outside."""
    x_min, y_min, x_max, y_max = box
    height, width = image.shape[:2]
    part = np.full((y_max - y_min, x_max - x_min, *image.shape[2:]), fill, image.dtype)
    top, left, bottom, right = max(y_min, 0), max(x_min, 0), min(y_max, height), min(x_max, width)
    if bottom > top and right > left:
        part[top - y_min : bottom - y_min, left - x_min : right - x_min] = image[top:bottom, left:right]
    return part
