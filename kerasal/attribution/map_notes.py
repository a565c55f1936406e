"""What is known of maps beside their values: the layer that they were made from, and why one is 0 everywhere.

A picture of a map of zeros looks like one of "no evidence". Mostly it is another thing: a probability of exactly 1, a
score that is clipped, a gradient that is too small for float16. What speaks against that is the gradient itself, so it
is looked at; only where it is not 0, the method's own reason is likely, such as the ReLU of a class activation map.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.trace import batch_rows, cached_trace
from kerasal.hooks.view import Settings, View
from kerasal.objectives.expression import Objective

import tensorflow as tf

# A factor that brings back a gradient which is too small: 1 is far from float16's largest number, and from float32's.
_FACTORS = {True: 2.0**12, False: 2.0**60}
_BOUNDED = {"Softmax": (0, 1), "Sigmoid": (0, 1), "Tanh": (-1, 1)}
_STEPS = ("Sign", "Round", "Rint", "Floor", "Ceil")
_CLIPS = ("ClipByValue", "Minimum", "Maximum", "Relu6")
_SHOWN = 10


class NamedMaps(np.ndarray):
    """An array with ``notes``, which are attributes too: ``maps.layer``. Slices keep them, sums and files do not."""

    notes: dict[str, Any]

    def __array_finalize__(self, source):
        self.notes = getattr(source, "notes", {})

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else np.asarray(array)

    def __getattr__(self, name):
        if name != "notes" and name in self.notes:
            return self.notes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class OfEachInput(list):
    """A note that differs from input to input: its values in their order."""


def named(array: np.ndarray, notes: dict[str, Any], number: int = 0) -> np.ndarray:
    """Return ``array``, the map of input ``number``, with the notes as its attributes if there are any."""
    if not notes:
        return array
    result = array.view(NamedMaps)
    result.notes = {key: value[number] if isinstance(value, OfEachInput) else value for key, value in notes.items()}
    return result


class ZeroMap(UserWarning):
    """A map is 0 everywhere; ``images`` (a list of their numbers) says of which, ``cause`` why, most likely."""

    def __init__(self, method: str, images: Sequence[int], count: int, cause: str, of: str = ""):
        self.images, self.cause = list(images), cause
        listed = ", ".join(map(str, self.images[:_SHOWN])) + (", …" if len(self.images) > _SHOWN else "")
        super().__init__(
            f"{method} is 0 everywhere{of} for {len(self.images)} of {count} images ({listed}). Likely cause at image "
            f"{self.images[0]}: {cause}."
        )


def warn_of_zero_maps(
    spec,
    maps: list[np.ndarray],
    model,
    objective: Objective,
    arrays: list[np.ndarray],
    settings: Settings,
    rows: int | None,
) -> None:
    """Warn of maps that are 0 everywhere, one array of maps for each input; ``rows`` images were run at once."""
    for number, one in enumerate(maps):
        images = np.flatnonzero(~one.reshape(len(one), -1).any(axis=1)).tolist()
        if images and one.dtype.kind == "f":  # not a map of whole numbers (classes)
            of = f" at input {number} of {len(maps)}" if len(maps) > 1 else ""
            cause = _cause(spec, model, objective, arrays, number, images[0], settings, rows)
            warnings.warn(ZeroMap(spec.name, images, len(one), cause, of), stacklevel=4)


def _cause(spec, model, objective, arrays, number: int, image: int, settings: Settings, rows: int | None) -> str:
    if spec.any_size:  # the images are larger than what the model takes
        return "the gradient is 0 in every crop, as where the score is saturated, clipped or behind ReLUs that are off"
    rows = batch_rows(model, arrays, objective, rows)
    start = image // rows * rows
    chunk = [array[start : start + rows] for array in arrays]
    trace = cached_trace(_probe, model, chunk, objective, settings, declared=not spec.own_size)
    scores, *sizes = trace(chunk, objective.rows(start, start + rows))
    # What has another first axis than the images, such as a kernel, counts for all of them.
    by_image = [one if len(one) == len(scores) else np.full(len(scores), one.max()) for one in sizes]
    score, sizes = scores[image - start], np.stack(by_image)[:, image - start]
    kinds = trace.notes["kinds"]
    (gradients, scaled), (above, below) = np.split(sizes[: 2 * len(arrays)], 2), np.split(sizes[2 * len(arrays) :], 2)
    if gradients[number] or np.isnan(gradients[number]):
        return spec.if_zero or f"its gradient is not 0 there, but what {spec.name} makes of it is"
    if scaled[number] or np.isnan(scaled[number]):
        return f"the gradient is too small for {trace.notes['precision']}; use a model that computes in float32"
    if gradients.any():
        return "the score does not depend on this input there"
    ends = [kind for kind, before, after in zip(kinds, above, below, strict=True) if before and not after]
    return _where_it_ends(ends[0] if ends else "", score, settings.logits)


def _where_it_ends(kind: str, score: float, logits: bool) -> str:
    """Return what a gradient of 0 means if it is not 0 above an operation of ``kind`` and 0 below it."""
    if kind in _STEPS:
        return f"the score passes through {kind.lower()}, whose gradient is 0"
    if kind in _BOUNDED and score in _BOUNDED[kind]:
        advice = "" if logits else " (logits=True)"
        return f"the score is saturated at {score:g} by a {kind.lower()}; explain what goes into it{advice}"
    if kind in _BOUNDED:
        return f"a {kind.lower()} on the way to the score, {score:g}, is saturated, or its values count alike"
    if kind in _CLIPS:
        return f"the score, {score:g}, is clipped on its way, where the gradient is 0"
    if kind == "Relu":
        return f"the score, {score:g}, is behind ReLUs that are off, where the gradient is 0"
    return f"the score, {score:g}, does not change with the input"


def _probe(view: View) -> list[tf.Tensor]:
    """Return scores (N,) and largest gradients (N,): by the inputs, by them for scaled scores, and around operations.

    The operations are those at which a gradient can end, from the score down: above each, then below each.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        scores = view.score()
    operations = operations_below([scores])[::-1]  # from the score down
    half = any(tensor.dtype == tf.float16 for op in operations for tensor in op.outputs)
    ends = [op for op in operations if op.type in (*_STEPS, *_BOUNDED, *_CLIPS, "Relu")]
    view.notes["kinds"] = [op.type for op in ends]
    view.notes["precision"] = "float16" if half else "float32"
    rows = tf.shape(scores)
    found = []
    for factor in (1.0, _FACTORS[half]):
        found += _sizes(tape, scores, factor, view.inputs, rows)
    around = [op.outputs[0] for op in ends] + [_varying(op) for op in ends]
    return [scores, *found, *_sizes(tape, scores, 1.0, around, rows)]


def _sizes(tape, scores: tf.Tensor, factor: float, tensors: Sequence[tf.Tensor], rows: tf.Tensor) -> list[tf.Tensor]:
    """Return the largest gradient of each scaled score by each tensor, (N,); the same for all by one without images."""
    signal, none = tf.fill(tf.shape(scores), factor), tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(scores, list(tensors), output_gradients=signal, unconnected_gradients=none)
    found = []
    for gradient in gradients:
        size, rank = tf.abs(tf.convert_to_tensor(gradient)), gradient.shape.rank
        by_image = rank and gradient.shape[:1].is_compatible_with(scores.shape)
        size = tf.reduce_max(size, axis=list(range(1, rank)) if by_image else None)
        found.append(tf.cast(size if by_image else tf.fill(rows, size), tf.float32))
    return found


def _varying(op: tf.Operation) -> tf.Tensor:
    """Return what an operation bounds: of a maximum with a constant, the other."""
    return next((x for x in op.inputs if tf.get_static_value(x) is None), op.inputs[0])
