"""Canvas of an ascent: the shape (H, W, C) of the maximized image, from the model, its objectives and options.

Inputs of another rank are (T, C) or (D, H, W, C), channels last whatever the model takes, with one channel if it takes
none.

Layers with small receptive fields can be maximized on a small image, since below them everything is convolutional.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasal.checks import check_choice, check_size, is_int
from kerasal.hooks.image_shapes import InputLayout, input_layout
from kerasal.objectives.expression import Objective, walk
from kerasal.receptive_field.geometry.field_geometry import Field, field

import keras

# The automatic canvas encloses this many neighboring receptive fields in each direction.
_FIELDS = 8


def canvas_shape(
    model: keras.Model, objectives: Sequence[Objective], size: tuple[int, ...] | None, canvas: Literal["input", "auto"]
) -> tuple[int, ...]:
    """Return the shape (H, W, C) of the image: the model's input shape, ``size``, or the smallest for "auto".

    For other inputs than images, "auto" is the input's shape.

    Raises:
        ValueError: if ``size`` is not two positive integers, is smaller than a layer's receptive field, or does not fit
            a dense layer.
    """
    check_choice("canvas", canvas, ("input", "auto"))
    if size is not None and canvas == "auto":
        raise ValueError(f"size must be None with canvas='auto', got {size!r}. Leave out size, or pass canvas='input'.")
    layout = input_layout(model)
    if not layout.is_image:
        return _input_shape(model, layout, size)
    if size is not None:
        check_size("size", size)
    # Sides that the model leaves open are taken from size, or are 224.
    fixed = layout.positions if size is None or getattr(model, "inputs", None) else (None, None)
    sides = [fixed_side or free_side for fixed_side, free_side in zip(fixed, size or (224, 224), strict=True)]
    model_shape = *sides, layout.channels or 3
    if size is not None:
        _check_size(model, objectives, size, model_shape)
        return *map(int, size), *model_shape[2:]
    if canvas == "input" or not layout.is_last:
        return model_shape
    leaves = {leaf for objective in objectives for leaf in walk(objective.structure)}
    if any(objective.needs_output for objective in objectives) or any(leaf[0] == "neuron" for leaf in leaves):
        return model_shape  # the output, and a position on the whole map, need an image of the full size
    try:
        fields = [
            field(model, layer)
            for layer in dict.fromkeys(name for objective in objectives for name in objective.layers)
        ]
    except ValueError:  # a layer has no map, and needs the whole image or fails when it is run
        return model_shape
    return (*enclose_fields(fields, (model_shape[0], model_shape[1])), *model_shape[2:]) if fields else model_shape


def _input_shape(model: keras.Model, layout: InputLayout, size: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape (*positions, C) of an input other than an image, whose open sides are those of ``size``."""
    sides: tuple = layout.positions if size is None else tuple(np.atleast_1d(size).tolist())
    fits = len(sides) == len(layout.positions) and all(
        is_int(side) and side > 0 and declared in (None, side)
        for side, declared in zip(sides, layout.positions, strict=True)
    )
    if not fits or layout.channels is None:
        open_size = "(" + ", ".join("any" if side is None else str(side) for side in layout.positions) + ")"
        raise ValueError(
            f"size must be a positive integer per position axis, {open_size}, for the input of {model.name!r}, got "
            f"{size!r}. The number of channels must be fixed by the model."
        )
    return *map(int, sides), layout.channels


def enclose_fields(fields: Sequence[Field], model_size: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) that encloses eight neighboring fields per direction; at most ``model_size``."""
    sides = [
        [layer_field.size[axis] + (_FIELDS - 1) * int(np.ceil(layer_field.stride[axis])) for layer_field in fields]
        for axis in (0, 1)
    ]
    return min(model_size[0], max(sides[0])), min(model_size[1], max(sides[1]))


def _check_size(model, objectives, size, model_shape) -> None:
    if tuple(size) == model_shape[:2]:
        return
    on_output = [objective for objective in objectives if objective.needs_output]
    if on_output:
        raise ValueError(
            f"size must be ({model_shape[0]}, {model_shape[1]}) for {on_output[0]!r}, which depends on the output of "
            f"the model, got {tuple(size)!r}. Leave size out."
        )
    for layer in dict.fromkeys(layer for objective in objectives for layer in objective.layers):
        layer_field = field(model, layer)
        if layer_field.whole:
            raise ValueError(
                f"size must be ({model_shape[0]}, {model_shape[1]}) for layer {layer!r}, whose units see the whole "
                f"image because of {layer_field.whole}, got {tuple(size)!r}. Leave it out, or choose an earlier layer."
            )
        least = tuple(map(min, layer_field.size, model_shape[:2]))
        if size[0] < least[0] or size[1] < least[1]:
            raise ValueError(
                f"size must be at least {least[0]} × {least[1]} pixels, the receptive field of layer {layer!r}, got "
                f"{tuple(size)!r}. Pass a larger size, or canvas='auto' without a size."
            )
