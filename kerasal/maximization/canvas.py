"""How large the image is that is ascended: ``model, objectives, wish -> (H, W, C)``.

A layer whose units see a few pixels needs no more than these: below it everything is convolution, whatever size the
model declares.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasal.hooks.model_inputs import check_channels_last
from kerasal.objectives.expression import Objective, walk
from kerasal.receptive_field.geometry.field_geometry import Field, field

CANVASES = ("input", "auto")

# The automatic canvas has room for this many whole fields, side by side, in each direction.
_FIELDS = 8


def input_shape(model, size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Return (H, W, C) of the image that the model takes; a free size is ``size``, or 224 × 224.

    Raises:
        ValueError: the model has not exactly one image input, or takes its channels first.
    """
    declared = getattr(model, "inputs", None)
    shapes = [tuple(tensor.shape[1:]) for tensor in declared] if declared else []
    if not shapes and getattr(model, "input_shape", None):
        shapes = [tuple(model.input_shape[1:])]
    if not shapes and size is not None:
        shapes = [(None, None, 3)]
    if not shapes:
        raise ValueError(f"{model.name!r} does not declare its input. Give size=(height, width) for 3-channel images.")
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        raise ValueError(f"Expected a model with one image input (H, W, C). {model.name!r} takes {shapes}.")
    if len(shapes[0]) == 3:
        check_channels_last(model, shapes[0])
    height, width = size or (224, 224)
    found = (shapes[0][0] or height, shapes[0][1] or width, *shapes[0][2:])
    if None in found:
        raise ValueError(f"{model.name!r} leaves its number of channels open, shape {shapes[0]}.")
    return found


def canvas_shape(
    model, objectives: Sequence[Objective], size: tuple[int, int] | None, canvas: Literal["input", "auto"]
) -> tuple[int, ...]:
    """Return the shape (H, W, C) of the image: the model's own, ``size``, or as small as the layers allow.

    Raises:
        ValueError: a size that is none, is below a layer's receptive field, or that a dense layer cannot take.
    """
    if canvas not in CANVASES:
        raise ValueError(f"canvas is one of {CANVASES}. Received: {canvas!r}.")
    if size is not None and canvas == "auto":
        raise ValueError(f"Give a size or canvas='auto', not both. Received: size={size!r}.")
    own = input_shape(model, size)
    if size is not None:
        _check_size(model, objectives, size, own)
        return *map(int, size), *own[2:]
    if canvas == "input" or len(own) == 2:
        return own
    layers = _layers(objectives)
    if layers is None:
        return own
    found = [_find_field(model, layer) for layer in layers]
    if None in found:
        return own
    sides = [[one.size[axis] + (_FIELDS - 1) * int(np.ceil(one.stride[axis])) for one in found] for axis in (0, 1)]
    return *(min(own[axis], max(sides[axis])) for axis in (0, 1)), *own[2:]


def _layers(objectives: Sequence[Objective]) -> list[str] | None:
    """Return the layers of the objectives; None if one of them asks for the output or for a place on the whole map."""
    leaves = {leaf for objective in objectives for leaf in walk(objective.structure)}
    if any(objective.needs_output for objective in objectives) or any(leaf[0] == "neuron" for leaf in leaves):
        return None
    layers = dict.fromkeys(layer for objective in objectives for layer in objective.layers)
    return list(layers) or None


def _find_field(model, layer: str) -> Field | None:
    try:
        return field(model, layer)
    except ValueError:  # it has no map: only the whole image will do, and what is wrong shows when it is run
        return None


def _check_size(model, objectives, size, own) -> None:
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) and side >= 1 for side in size):
        raise ValueError(f"size is (height, width), two whole numbers from 1 on. Received: {size!r}.")
    if tuple(size) == own[:2]:
        return
    takes = f"{model.name!r} takes images of {own[0]} × {own[1]}"
    wanting = [objective for objective in objectives if objective.needs_output]
    if wanting:
        raise ValueError(f"{takes}, and {wanting[0]!r} needs all of it. Received size={tuple(size)!r}.")
    for layer in dict.fromkeys(layer for objective in objectives for layer in objective.layers):
        found = field(model, layer)
        if found.whole:
            raise ValueError(
                f"{takes}, and each unit of {layer!r} looks at the whole of it ({found.whole}). Received "
                f"size={tuple(size)!r}; leave it out, or choose a layer below."
            )
        least = tuple(map(min, found.size, own[:2]))
        if size[0] < least[0] or size[1] < least[1]:
            raise ValueError(
                f"A unit of {layer!r} sees {least[0]} × {least[1]} pixels. Received size={tuple(size)!r}; give that or "
                'more, or canvas="auto".'
            )
