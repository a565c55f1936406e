"""Objectives: the scores of a model to explain or to maximize, ``(N,)`` for a batch of N images.

An objective is an expression tree, built by the functions below and by ``+``, ``-``, ``*`` and ``/``. Its structure
(layers and formulas) determines the graph. Its parameters (channels, classes, masks and factors) are arrays that enter
the graph as tensors, so all channels of a layer share a trace, and each image of a batch can have a different channel.

    channel("block5_conv3", 12) - 0.5 * class_score(9)
    class_score([9, 1, 951])                                # one class per image
    region(mask, 15)                                        # a class over a region, for segmentation
    box((12, 30, 80, 90), 2, boxes="boxes", scores="scores")    # a detection
    similarity(embedding)                                   # to another image
    negative_class()                                        # of a single sigmoid
    output("species", 3) - output("age")                    # of a model with several outputs
"""

from collections.abc import Sequence

import numpy as np

from kerasal import _keras as _keras
from kerasal.checks import refuse_mask
from kerasal.objectives.expression import LARGEST_INDEX, Objective, check_indices, shorten, stack
from kerasal.objectives.outputs import box, negative_class, output, region, similarity

__all__ = [
    "Objective",
    "box",
    "channel",
    "class_score",
    "direction",
    "layer",
    "negative_class",
    "neuron",
    "output",
    "region",
    "similarity",
    "stack",
    "top_class",
]


def class_score(index: int | Sequence[int]) -> Objective:
    """Score of a class: the model's output ``index``, averaged over positions if there are any.

    Args:
        index: index of the class, from 0; or a sequence with an index per image.

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: an index is negative or at least 2**31.
    """
    return Objective(("class",), (check_indices(index),), f"class {shorten(index)}")


def top_class() -> Objective:
    """Score of each image's top class, the class with the largest output after averaging over positions."""
    return Objective(("top",), (), "top class")


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """Activation of a channel: its mean over all positions of a layer's output (Tang et al., section 3.2).

    Args:
        layer: name or path of the layer.
        index: index of the channel, from 0; or a sequence with an index per image.

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: an index is negative or at least 2**31.
    """
    return Objective(("channel", layer), (check_indices(index),), f"{layer}:{shorten(index)}")


def neuron(layer: str, index: int | Sequence[int], position: int | tuple[int, ...] | None = None) -> Objective:
    """Activation of a single unit: a channel of a layer's output at a single position.

    Args:
        layer: name or path of the layer.
        index: index of the channel, from 0; or a sequence with an index per image.
        position: (x, y) on the layer's map, from 0; by default its center. For a layer of tokens or time steps it is
            the index of one of them (prefix tokens such as the class token count), for a volume (x, y, z), where x
            counts along the last position axis.

    Raises:
        TypeError: ``index`` is not an integer or a sequence of integers.
        ValueError: an index is negative or at least 2**31, or the position is not one to three such integers.
    """
    if position is None:
        return Objective(("neuron_center", layer), (check_indices(index),), f"{layer}:{shorten(index)} at the center")
    refuse_mask(position, "position")
    place = np.atleast_1d(np.asarray(position))
    fits = place.ndim == 1 and len(place) in (1, 2, 3) and place.dtype.kind in "iu"
    if not fits or place.min() < 0 or place.max() > LARGEST_INDEX:
        raise ValueError(
            "position must be (x, y) on the layer's map, the index of a token or time step, or (x, y, z), integers of "
            f"at least 0, got {position!r}."
        )
    place = place.astype(np.int32)
    listed = place[0] if len(place) == 1 else tuple(place.tolist())
    name = f"{layer}:{shorten(index)} at {listed}"
    return Objective(("neuron", layer), (check_indices(index), place[None, :]), name)


def layer(layer: str) -> Objective:
    """Mean square of a layer's whole output, as in "DeepDream" (Mordvintsev et al. 2015)."""
    return Objective(("layer", layer), (), layer)


def direction(layer: str, vector: Sequence[float]) -> Objective:
    """Activation along a direction: the dot product of a layer's channels with a vector, averaged over positions.

    Args:
        layer: name or path of the layer.
        vector: finite numbers (C,), one per channel of the layer.

    Raises:
        ValueError: the vector is not one-dimensional or not finite.
    """
    refuse_mask(vector, "vector")
    numbers = np.asarray(vector, dtype=np.float32)
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
        raise ValueError(
            f"vector must be finite and have the shape (C,), a number per channel, got shape {numbers.shape}."
        )
    return Objective(("direction", layer), (numbers[None, :],), f"{layer}:direction")


def __dir__() -> list[str]:
    return sorted(__all__)
