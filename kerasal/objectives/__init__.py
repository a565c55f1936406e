"""Objectives: what of a model is to be explained or maximized. ``model, run on a batch -> (N,) scores``.

An objective is an expression tree, built by the functions below and by ``+ - *``. Its structure (which layers, which
formula) decides the graph; its parameters (which channel, which class, which factor) are arrays that enter the graph as
tensors. So all channels of a layer share one trace, and a batch can ask for a different channel in each image.

    channel("block5_conv3", 12) - 0.5 * class_score(9)
    class_score([9, 1, 951])                                # one class an image
"""

from collections.abc import Sequence

import numpy as np

from kerasal import _keras as _keras
from kerasal.checks import refuse_mask
from kerasal.objectives.expression import Objective, shorten, stack

__all__ = ["Objective", "channel", "class_score", "direction", "layer", "neuron", "stack", "top_class"]

_LARGEST = np.iinfo(np.int32).max  # a larger one would wrap around, to another class


def class_score(index: int | Sequence[int]) -> Objective:
    """Score of a class: output ``index``, averaged over positions if it has any; a sequence has one class an image."""
    return Objective(("class",), (_indices(index),), f"class {shorten(index)}")


def top_class() -> Objective:
    """Score of the class that each image scores highest (in the output itself, position-averaged)."""
    return Objective(("top",), (), "top class")


def channel(layer: str, index: int | Sequence[int]) -> Objective:
    """Mean of one channel of a layer's output over all positions (spec: Tang et al., section 3.2)."""
    return Objective(("channel", layer), (_indices(index),), f"{layer}:{shorten(index)}")


def neuron(layer: str, index: int | Sequence[int], position: tuple[int, int] | None = None) -> Objective:
    """Activation of one unit: channel ``index`` at ``position`` (x, y) of the layer's map, its center by default."""
    if position is None:
        return Objective(("neuron_center", layer), (_indices(index),), f"{layer}:{shorten(index)} at the center")
    refuse_mask(position, "position")
    place = np.asarray(position)
    if place.shape != (2,) or place.dtype.kind not in "iu" or place.min() < 0 or place.max() > _LARGEST:
        raise ValueError(f"position is (x, y) on the layer's map, both integers from 0 on. Received: {position!r}.")
    place = place.astype(np.int32)
    name = f"{layer}:{shorten(index)} at ({place[0]}, {place[1]})"
    return Objective(("neuron", layer), (_indices(index), place[None, :]), name)


def layer(layer: str) -> Objective:
    """Mean square of a layer's whole output ("deep dream", Mordvintsev et al. 2015)."""
    return Objective(("layer", layer), (), layer)


def direction(layer: str, vector: Sequence[float]) -> Objective:
    """Mean over positions of the dot product of a layer's output with a vector of one number a channel."""
    refuse_mask(vector, "vector")
    numbers = np.asarray(vector, dtype=np.float32)
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
        raise ValueError(f"vector is one finite number a channel, shape (C,). Received shape {numbers.shape}.")
    return Objective(("direction", layer), (numbers[None, :],), f"{layer}:direction")


def _indices(index) -> np.ndarray:
    refuse_mask(index, "A class or channel index")
    array = np.atleast_1d(np.asarray(index))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise TypeError(f"Expected a whole number, or one an image. Received: {index!r}.")
    if array.min() < 0:
        raise ValueError(f"A class or channel index counts from 0. Received: {index!r}.")
    if array.max() > _LARGEST:
        raise ValueError(f"A class or channel index must be below 2**31, got {array.max()}.")
    return array.astype(np.int32)


def __dir__() -> list[str]:
    return sorted(__all__)
