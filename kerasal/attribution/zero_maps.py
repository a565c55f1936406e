"""Maps that are 0 everywhere: which images they are of, and why, as far as it can be told.

A picture of such a map looks like one of "no evidence". Mostly it is another thing: a probability of exactly 1, a score
that is clipped, a gradient that is too small for float16. What speaks against that is the gradient itself, so it is
looked at; only where it is not 0, the method's own reason is likely, such as the ReLU of a class activation map.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import (
    _keras,  # noqa: F401
    hooks,
)
from kerasal.hooks.trace import traced
from kerasal.hooks.view import View
from kerasal.objectives.expression import Objective

import tensorflow as tf  # isort: skip

# A factor that brings back a gradient which is too small: 1 is far from float16's largest number, and from float32's.
_FACTORS = {True: 2.0**12, False: 2.0**60}
_BOUNDED = {"Softmax": (0, 1), "Sigmoid": (0, 1), "Tanh": (-1, 1)}
_CLIPS = ("ClipByValue", "Minimum", "Maximum", "Relu6")
_SHOWN = 10


class ZeroMap(UserWarning):
    """A map is 0 everywhere; ``images`` (a list of their numbers) says of which, ``cause`` why, most likely."""

    def __init__(self, method: str, images: Sequence[int], count: int, cause: str, of: str = ""):
        self.images, self.cause = list(map(int, images)), cause
        listed = ", ".join(map(str, self.images[:_SHOWN])) + (", …" if len(self.images) > _SHOWN else "")
        super().__init__(
            f"{method} is 0 everywhere{of} for {len(self.images)} of {count} images ({listed}). Likely cause at image "
            f"{self.images[0]}: {cause}."
        )


def zero_images(maps: np.ndarray) -> np.ndarray:
    """Return the numbers of the maps that are 0 everywhere; maps of whole numbers (classes) have none."""
    if maps.dtype.kind != "f":
        return np.array([], int)
    return np.flatnonzero(~maps.reshape(len(maps), -1).any(axis=1))


def warn_of_zero_maps(
    spec, maps: list[np.ndarray], model, objective: Objective, arrays: list[np.ndarray], rows: int, **settings: Any
) -> None:
    """Warn of maps that are 0 everywhere, one array of maps for each input; ``rows`` images were run at once."""
    for number, one in enumerate(maps):
        images = zero_images(one)
        if images.size:
            of = f" at input {number} of {len(maps)}" if len(maps) > 1 else ""
            cause = _cause(spec, model, objective, arrays, number, int(images[0]), rows, settings)
            warnings.warn(ZeroMap(spec.name, images, len(one), cause, of), stacklevel=4)


def _cause(spec, model, objective, arrays, number: int, image: int, rows: int, settings) -> str:
    if spec.any_size:  # the images are larger than what the model takes
        return "the gradient is 0 in every crop, as where the score is saturated, clipped or behind ReLUs that are off"
    start = image // rows * rows
    chunk = [array[start : start + rows] for array in arrays]
    trace = traced(_probe, model, objective, chunk, declared=not spec.own_size, **{**settings, "options": {}})
    scores, *sizes = trace(chunk, objective.rows(start, start + rows))
    score, (gradients, scaled) = scores[image - start], np.split(np.stack(sizes)[:, image - start], 2)
    if gradients[number] or np.isnan(gradients[number]):
        return spec.if_zero or f"its gradient is not 0 there, but what {spec.name} makes of it is"
    if scaled[number] or np.isnan(scaled[number]):
        return f"the gradient is too small for {trace.notes['precision']}; use a model that computes in float32"
    if gradients.any():
        return "the score does not depend on this input there"
    kinds = trace.notes["kinds"]
    if "Sign" in kinds:
        return "the score passes through sign, whose gradient is 0"
    for kind, ends in _BOUNDED.items():
        if kind in kinds and score in ends:
            advice = "" if settings["logits"] else " (logits=True)"
            return f"the score is saturated at {score:g} by a {kind.lower()}; explain what goes into it{advice}"
    if any(kind in kinds for kind in _CLIPS):
        return f"the score, {score:g}, is clipped on its way, where the gradient is 0"
    if "Relu" in kinds:
        return f"the score, {score:g}, is behind ReLUs that are off, where the gradient is 0"
    return f"the score, {score:g}, does not change with the input"


def _probe(view: View) -> list[tf.Tensor]:
    """Return the scores (N,), and each input's largest gradient (N,): as it is, and of scores that were scaled up."""
    scores, _ = view.score()
    below = _operations_below(scores)
    half = any(tensor.dtype == tf.float16 for op in below for tensor in op.outputs)
    view.notes["kinds"] = {op.type for op in below}
    view.notes["precision"] = "float16" if half else "float32"
    found = []
    for factor in (1.0, _FACTORS[half]):
        try:
            gradients = hooks.gradients(scores * factor, view.inputs)
        except ValueError:  # through nothing differentiable, as an occlusion can do
            gradients = [tf.zeros_like(x) for x in view.inputs]
        found += [tf.reduce_max(tf.abs(one), axis=list(range(1, one.shape.rank))) for one in gradients]
    return [scores, *found]


def _operations_below(tensor: tf.Tensor) -> set[tf.Operation]:
    """Return the operations that a tensor is computed by."""
    found, pending = set(), [tensor.op]
    while pending:
        op = pending.pop()
        if op not in found:
            found.add(op)
            pending += [one.op for one in op.inputs]
    return found
