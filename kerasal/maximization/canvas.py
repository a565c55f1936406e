"""How large the image is that is ascended: ``model, objectives, wish -> (H, W, C)``.

A layer whose units see a few pixels needs no more than these: below it everything is convolution, whatever size the
model declares.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasal.checks import check_choice, check_size
from kerasal.hooks.model_inputs import declared_image_shape, image_shape
from kerasal.objectives.expression import Objective, walk
from kerasal.receptive_field.geometry.field_geometry import Field, field

import keras

# The automatic canvas has room for this many whole fields, side by side, in each direction.
_FIELDS = 8


def canvas_shape(
    model: keras.Model, objectives: Sequence[Objective], size: tuple[int, int] | None, canvas: Literal["input", "auto"]
) -> tuple[int, ...]:
    """Return the shape (H, W, C) of the image: the model's own, ``size``, or as small as the layers allow.

    Raises:
        ValueError: a size that is none, is below a layer's receptive field, or that a dense layer cannot take.
    """
    check_choice("canvas", canvas, ("input", "auto"))
    if size is not None and canvas == "auto":
        raise ValueError(f"Give a size or canvas='auto', not both. Received: size={size!r}.")
    if size is not None:
        check_size("size", size)
    declared = declared_image_shape(model)
    # Sides that the model leaves open are the size, or 224.
    fixed = declared[:2] if size is None or getattr(model, "inputs", None) else (None, None)
    sides = [mine or free for mine, free in zip(fixed, size or (224, 224), strict=True)]
    own = *sides, *(image_shape(model)[2:] if len(declared) == 3 else ())
    if size is not None:
        _check_size(model, objectives, size, own)
        return *map(int, size), *own[2:]
    if canvas == "input" or len(own) == 2:
        return own
    leaves = {leaf for objective in objectives for leaf in walk(objective.structure)}
    if any(objective.needs_output for objective in objectives) or any(leaf[0] == "neuron" for leaf in leaves):
        return own  # for the output, and for a place on the whole map, it takes all of it
    try:
        fields = [field(model, layer) for layer in dict.fromkeys(name for one in objectives for name in one.layers)]
    except ValueError:  # one has no map: only the whole image will do, and what is wrong shows when it is run
        return own
    return (*enclose_fields(fields, (own[0], own[1])), *own[2:]) if fields else own


def enclose_fields(fields: Sequence[Field], own: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) with room for eight neighboring fields a direction; at most the model's ``own``."""
    sides = [[one.size[axis] + (_FIELDS - 1) * int(np.ceil(one.stride[axis])) for one in fields] for axis in (0, 1)]
    return min(own[0], max(sides[0])), min(own[1], max(sides[1]))


def _check_size(model, objectives, size, own) -> None:
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
