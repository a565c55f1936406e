"""Notes on maps: the layer from which a map was made, and a warning with the likely cause of a map of zeros.

A map of zeros looks as if the image had no evidence. The usual causes are others: a probability of exactly 1, a clipped
score, or a gradient too small for float16. So the gradient is computed again. Only if it is not 0, the likely cause is
part of the method, such as the ReLU of a class activation map.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.held_inputs import explained_numbers, hold_others
from kerasal.hooks.trace import batch_rows, cached_trace
from kerasal.hooks.view import Settings, View
from kerasal.objectives.expression import Objective

import tensorflow as tf

# Factors on the score that make a gradient representable that underflows in float16 (True) or float32 (False).
_FACTORS = {True: 2.0**12, False: 2.0**60}
_BOUNDED_OPS = {"Softmax": (0, 1), "Sigmoid": (0, 1), "Tanh": (-1, 1)}
_STEP_OPS = ("Sign", "Round", "Rint", "Floor", "Ceil")
_CLIPPING_OPS = ("ClipByValue", "Minimum", "Maximum", "Relu6")
_MAX_LISTED = 10


class NamedMaps(np.ndarray):
    """An array with ``notes`` as attributes, such as ``maps.layer``; slices keep them, arithmetic and files do not."""

    notes: dict[str, Any]

    def __array_finalize__(self, source):
        self.notes = getattr(source, "notes", {})

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else np.asarray(array)

    def __getattr__(self, name):
        if name != "notes" and name in self.notes:
            return self.notes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class PerInput(list):
    """A note with a value for each input of the model, in their order."""


def attach_notes(array: np.ndarray, notes: dict[str, Any], number: int = 0) -> np.ndarray:
    """Return ``array``, the maps of input ``number``, with the notes as attributes."""
    if not notes:
        return array
    result = array.view(NamedMaps)
    result.notes = {key: value[number] if isinstance(value, PerInput) else value for key, value in notes.items()}
    return result


class ZeroMap(UserWarning):
    """Warning that maps are 0 everywhere.

    Attributes:
        images: indices of the images whose maps are 0, a list of ints.
        cause: the likely cause for the first of them.
    """

    def __init__(self, method: str, images: Sequence[int], count: int, cause: str, of: str = ""):
        self.images, self.cause = list(images), cause
        listed = ", ".join(map(str, self.images[:_MAX_LISTED])) + (", …" if len(self.images) > _MAX_LISTED else "")
        super().__init__(
            f"{method} is 0 everywhere{of} for {len(self.images)} of {count} images ({listed}). Likely cause at image "
            f"{self.images[0]}: {cause}."
        )


class ToleranceNotReached(UserWarning):
    """A map whose standard error is above the tolerance after all samples."""


def warn_of_tolerance(name: str, tolerance: float, errors: Sequence[np.ndarray]) -> None:
    """Warn if a standard error, as a share of the largest value of its map, is above the tolerance."""
    largest = max(float(np.max(error)) for error in errors)
    if largest > tolerance:
        warnings.warn(
            ToleranceNotReached(
                f"{name} reached a standard error of {largest:.2g}, not the tolerance of {tolerance:.2g}. "
                "Pass more samples, or trust only what is much larger than the error."
            ),
            stacklevel=4,
        )


def warn_of_zero_maps(
    spec,
    maps: list[np.ndarray],
    explained: list[int] | None,
    model,
    objective: Objective,
    arrays: list[np.ndarray],
    settings: Settings,
    rows: int | None,
) -> None:
    """Warn if maps are 0 everywhere.

    ``maps`` has an array per input whose number is in ``explained``, or one for a layer if that is None; ``rows`` is
    the batch size of the run.
    """
    for place, array in enumerate(maps):
        images = np.flatnonzero(~array.reshape(len(array), -1).any(axis=1)).tolist()
        if images and array.dtype.kind == "f":  # integer maps hold class indices
            of = f" at input {explained[place]} of {len(arrays)}" if explained and len(maps) > 1 else ""
            if explained is None:
                cause = spec.if_zero or "the score does not depend on the layer at this input"
            else:
                cause = _find_cause(spec, model, objective, arrays, explained[place], images[0], settings, rows)
            warnings.warn(ZeroMap(spec.name, images, len(array), cause, of), stacklevel=4)


def _find_cause(spec, model, objective, arrays, number: int, image: int, settings: Settings, rows: int | None) -> str:
    if spec.any_size:  # the images are larger than the model's input
        return "the gradient is 0 in every crop; the score may be saturated or clipped, or its ReLUs inactive"
    rows = batch_rows(model, arrays, objective, rows)
    start = image // rows * rows
    chunk = [array[start : start + rows] for array in arrays]
    trace = cached_trace(_probe, model, chunk, objective, settings, declared=not spec.separate_sizes)
    scores, *sizes = trace(chunk, objective.rows(start, start + rows))
    # A tensor without a batch axis, such as a kernel, affects all images.
    by_image = [size if len(size) == len(scores) else np.full(len(scores), size.max()) for size in sizes]
    score, sizes = scores[image - start], np.stack(by_image)[:, image - start]
    kinds, explained = trace.notes["kinds"], explained_numbers(model, arrays)
    count, number = 2 * len(explained), explained.index(number)
    (gradients, scaled), (above, below) = np.split(sizes[:count], 2), np.split(sizes[count:], 2)
    if gradients[number] or np.isnan(gradients[number]):
        return spec.if_zero or f"{spec.name} turns a gradient that is not 0 into 0"
    if scaled[number] or np.isnan(scaled[number]):
        return f"the gradient is too small for {trace.notes['precision']}; use a model that computes in float32"
    if gradients.any():
        return "the score does not depend on this input"
    ends = [
        kind for kind, above_size, below_size in zip(kinds, above, below, strict=True) if above_size and not below_size
    ]
    return _describe_zero_gradient(ends[0] if ends else "", score, settings.logits)


def _describe_zero_gradient(kind: str, score: float, logits: bool) -> str:
    """Return the likely cause of a zero gradient that is still nonzero at the output of an operation of ``kind``."""
    if kind in _STEP_OPS:
        return f"the score passes through {kind.lower()}, whose gradient is 0"
    if kind in _BOUNDED_OPS and score in _BOUNDED_OPS[kind]:
        advice = "" if logits else " (logits=True)"
        return f"the score is saturated at {score:g} by a {kind.lower()}; explain its input{advice}"
    if kind in _BOUNDED_OPS:
        return f"the score, {score:g}, depends on a saturated {kind.lower()}, or weighs its values equally"
    if kind in _CLIPPING_OPS:
        return f"the score, {score:g}, depends on a clipped value, whose gradient is 0"
    if kind == "Relu":
        return f"the score, {score:g}, depends on ReLUs that are inactive, whose gradient is 0"
    return f"the score, {score:g}, does not change with the input"


def _probe(view: View) -> list[tf.Tensor]:
    """Return the scores (N,) and the largest absolute gradients (N,) of the inputs and of certain operations.

    The gradients are those of the score and of the scaled score with respect to each input, and those of the score with
    respect to the outputs and then the inputs of all operations at which a gradient can become 0, from the score down.
    """
    view = hold_others(view, explained_numbers(view.model, view.inputs))
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        scores = view.score()
    operations = operations_below([scores])[::-1]  # from the score down
    is_float16 = any(tensor.dtype == tf.float16 for op in operations for tensor in op.outputs)
    ends = [op for op in operations if op.type in (*_STEP_OPS, *_BOUNDED_OPS, *_CLIPPING_OPS, "Relu")]
    view.notes["kinds"] = [op.type for op in ends]
    view.notes["precision"] = "float16" if is_float16 else "float32"
    rows = tf.shape(scores)
    gradients = []
    for factor in (1.0, _FACTORS[is_float16]):
        gradients += _largest_gradients(tape, scores, factor, view.inputs, rows)
    op_tensors = [op.outputs[0] for op in ends] + [_bounded_input(op) for op in ends]
    return [scores, *gradients, *_largest_gradients(tape, scores, 1.0, op_tensors, rows)]


def _largest_gradients(
    tape, scores: tf.Tensor, factor: float, tensors: Sequence[tf.Tensor], rows: tf.Tensor
) -> list[tf.Tensor]:
    """Return the largest absolute gradients of the scores times ``factor`` with respect to each tensor, (N,) each."""
    signal, none = tf.fill(tf.shape(scores), factor), tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(scores, list(tensors), output_gradients=signal, unconnected_gradients=none)
    largest = []
    for gradient in gradients:
        size, rank = tf.abs(tf.convert_to_tensor(gradient)), gradient.shape.rank
        by_image = rank and gradient.shape[:1].is_compatible_with(scores.shape)
        size = tf.reduce_max(size, axis=list(range(1, rank)) if by_image else None)
        largest.append(tf.cast(size if by_image else tf.fill(rows, size), tf.float32))
    return largest


def _bounded_input(op: tf.Operation) -> tf.Tensor:
    """Return the input that an operation bounds; of a maximum with a constant, the input that is not constant."""
    return next((x for x in op.inputs if tf.get_static_value(x) is None), op.inputs[0])
