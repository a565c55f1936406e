"""Receptive fields: which pixels each unit of a layer can see, and the patch of the image to crop for a unit."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.hooks.trace import remember
from kerasal.receptive_field.geometry.route import Route
from kerasal.receptive_field.geometry.route_reader import read_input_routes, read_routes

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """The receptive fields of a layer's units, in pixels of the model's input.

    Attributes:
        size: (height, width) of the receptive field; the largest where units differ, as after upsampling. It may be
            larger than the image.
        stride: (vertical, horizontal) distance between the fields of neighboring units; a fraction after upsampling, 0
            if every unit sees the whole image.
        offset: (top, left) of the field of the top-left unit; negative if it extends into zero padding. Reflection
            padding repeats pixels of the image, so such a field ends at the border.
        map_size: (height, width) of the layer's map.
        channels: number of channels of the layer.
        input_size: (height, width) of the image for which the fields were computed.
        whole: name of the operation that makes every unit see the whole image (global pooling, attention, or an
            unsupported operation); empty if there is none.
        rows: int (map height, 2), first row (inclusive) and last row (exclusive) of each unit's field.
        columns: int (map width, 2), first column (inclusive) and last column (exclusive) of each unit's field.
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
        """Return the receptive field of the unit at (``row``, ``column``) as a box (x_min, y_min, x_max, y_max).

        Upper bounds are exclusive. The box may extend into padding outside the image; ``clip=True`` crops it to the
        image.

        Raises:
            IndexError: if the map has no such unit.
        """
        height, width = self.map_size
        if not (0 <= row < height and 0 <= column < width):
            raise IndexError(
                f"row and column must be in 0..{height - 1} and 0..{width - 1}, got row {row} and column {column}. "
                f"The map has {height} rows and {width} columns."
            )
        top, bottom = self.rows[row]
        left, right = self.columns[column]
        if clip:
            top, bottom = np.clip((top, bottom), 0, self.input_size[0])
            left, right = np.clip((left, right), 0, self.input_size[1])
        return int(left), int(top), int(right), int(bottom)


@dataclasses.dataclass(frozen=True, eq=False)
class InputField:
    """The receptive fields of a layer's units in a signal or volume.

    Attributes:
        spans: for each position axis, int (units, 2): first position (inclusive) and last (exclusive) of each field,
            which may lie in padding outside the input.
        input_size: number of positions along each axis.
    """

    spans: tuple[np.ndarray, ...]
    input_size: tuple[int, ...]

    def box(self, unit: Sequence[int]) -> tuple[int, ...]:
        """Return the field of a unit: its first position along every axis, then the ends, which are exclusive."""
        ends = [span[index] for span, index in zip(self.spans, unit, strict=True)]
        return *(int(first) for first, _ in ends), *(int(last) for _, last in ends)

    def window(self, unit: Sequence[int]) -> list[tuple[int, int]]:
        """Return the (first, last) position to cut along each axis for a unit; see the function of this name."""
        ends = []
        for span, index, size in zip(self.spans, unit, self.input_size, strict=True):
            length, first = int(np.diff(span).max()), int(span[index, 0])
            ends.append((0, size) if length >= size else (first, first + length))
        return ends


def field(model: keras.Model, layer: str, *, input_size: tuple[int, int] | None = None) -> Field:
    """Return size, stride and offset of the receptive fields of a layer's units.

    The model is traced and its operations are followed from the layer back to the image: with kernel size k, dilation
    d, stride t and padding p, the outputs first..last depend on the inputs first·t - p to last·t - p + (k-1)·d. Where
    several paths join, the field is the smallest box that contains the fields of all paths. Reflection padding counts
    as the pixels that it repeats. The result is what a unit *can* see: no pixel outside the field affects it.

    Args:
        model: any built Keras model with a single image input; it is not changed.
        layer: name or path of a layer with a map (N, h, w, C).
        input_size: (height, width) of the image; by default the size that the model declares, or 224 × 224. Size and
            stride do not depend on it. The offset does, because "same" padding of a strided operation does.

    Raises:
        ValueError: if the layer is unknown or has no spatial map, or if the model contains a compiled function whose
            operations cannot be read.

    Source: Luo et al. 2016, section 2; Araujo, Norris & Sim 2019, "Computing receptive fields of convolutional neural
        networks", equations 2 to 8.
    """
    path, _ = hooks.find_layer(model, layer)
    routes = read_routes(model, [path], input_size)
    if path not in routes:
        raise ValueError(no_map_message(model, path))
    return to_field(*routes[path])


def fields(model: keras.Model, *, input_size: tuple[int, int] | None = None) -> dict[str, Field]:
    """Return the receptive fields of all layers that have a map (N, h, w, C), as a dictionary from path to ``Field``.

    ``input_size`` and errors are those of ``field``.
    """
    routes = read_routes(model, [path for path, _ in hooks.layers(model)], input_size)
    return {path: to_field(route, size) for path, (route, size) in routes.items()}


def find_spans(route: Route, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Return for each position axis of inputs of these ``sizes`` the first and last position of each unit's field.

    Each is int (units, 2), with an inclusive first and an exclusive last position.
    """
    spans = []
    for axis, size in enumerate(sizes):
        lengths = route.lengths(axis, size)
        first, last = route.ranges(axis, lengths, np.arange(lengths[-1]))[0]
        if route.whole:
            first, last = np.zeros_like(first), np.full_like(last, size - 1)
        empty = first > last
        spans.append(np.stack([np.where(empty, 0, first), np.where(empty, 0, last + 1)], axis=1))
    return spans


def to_field(route: Route, input_size: tuple[int, int]) -> Field:
    """Return the receptive fields of a route's last layer for images of ``input_size`` (height, width)."""
    spans, strides = find_spans(route, input_size), []
    for axis in (0, 1):
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
    """Return the error message for a layer without a spatial map."""
    return (
        f"Layer {path!r} of {model.name!r} has no spatial map: its output must be (N, h, w, C), like that of a "
        "convolution or pooling. Choose another layer; kerasal.receptive_field.fields(model) lists those with a map."
    )


GRAY = 128


def remember_field(model: keras.Model, layer: str, size: tuple[int, int]) -> Field:
    """Return ``field(model, layer, input_size=size)``, cached for each model."""
    return remember(model, ("field", layer, size), lambda: field(model, layer, input_size=size))


def remember_input_field(model: keras.Model, layer: str, shape: tuple[int, ...]) -> InputField:
    """Return the receptive fields of a layer for inputs of a ``shape`` (*positions, C), cached for each model.

    Raises:
        ValueError: the layer has no map along all positions, with channels last.
    """

    def read() -> InputField:
        routes = read_input_routes(model, [layer], shape)
        if layer not in routes:
            raise ValueError(
                f"Layer {layer!r} of {model.name!r} must have a map along all {len(shape) - 1} position axes of the "
                "input, like that of a convolution or pooling. Choose another layer."
            )
        route, sizes = routes[layer]
        return InputField(tuple(find_spans(route, sizes)), tuple(sizes))

    return remember(model, ("input field", layer, shape), read)


def window(geometry: Field, row: int, column: int) -> tuple[int, int, int, int]:
    """Return the box (x_min, y_min, x_max, y_max) to crop for a unit; all units of a layer have boxes of the same size.

    The box has the size of the largest receptive field of the layer, starts where the unit's field starts, and may
    extend outside the image. Along an axis on which the field is at least as long as the image, it spans the image.
    """
    left, top, _, _ = geometry.box(row, column)
    height, width = geometry.size
    if width >= geometry.input_size[1]:
        left, width = 0, geometry.input_size[1]
    if height >= geometry.input_size[0]:
        top, height = 0, geometry.input_size[0]
    return left, top, left + width, top + height


def cut_box(image: np.ndarray, box: tuple[int, int, int, int], fill: float) -> np.ndarray:
    """Crop the box (x_min, y_min, x_max, y_max) from an image (H, W, C); pixels outside the image become ``fill``."""
    x_min, y_min, x_max, y_max = box
    return cut_window(image, [(y_min, y_max), (x_min, x_max)], fill)


def cut_window(array: np.ndarray, window: Sequence[tuple[int, int]], fill: float) -> np.ndarray:
    """Crop a window, (first, last) along each axis, from an array (*positions, C); what is outside becomes ``fill``."""
    part = np.full((*(last - first for first, last in window), *array.shape[len(window) :]), fill, array.dtype)
    inside = [(max(first, 0), min(last, size)) for (first, last), size in zip(window, array.shape, strict=False)]
    if all(last > first for first, last in inside):
        target = tuple(slice(a - first, b - first) for (a, b), (first, _) in zip(inside, window, strict=True))
        part[target] = array[tuple(slice(a, b) for a, b in inside)]
    return part
