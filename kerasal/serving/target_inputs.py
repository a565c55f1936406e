"""The target of a signature as an objective: its parameters are constants, or inputs of each request.

export(model, folder, signatures=[Signature("road", "gradcam", {"target": objectives.region(mask, 3)})])
export(model, folder, signatures=["gradcam:target=region"])       # a request sends mask and class_index
export(model, folder, signatures=["class_saliency:target=similarity"])    # a request sends vector
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.hooks import select_output
from kerasal.models.image_model import ImageModel
from kerasal.objectives import Objective, negative_class, region, similarity
from kerasal.objectives.expression import walk
from kerasal.serving.request_inputs import check_rows, check_shape, require

import tensorflow as tf

TARGET_WORDS = ("region", "similarity", "negative")
"""Targets that a signature names by a word, besides "top", "class" and a class index."""

# The names of the parameters of each formula, in their order.
_PARAMETER_NAMES = {
    "class": ("class_index",),
    "negative": ("class_index",),
    "region": ("class_index", "mask"),
    "box": ("class_index", "box"),
    "similarity": ("vector",),
    "channel": ("channel",),
    "neuron": ("channel", "position"),
    "neuron_center": ("channel",),
    "direction": ("vector",),
    "constant": ("factor",),
}


@dataclasses.dataclass(frozen=True, eq=False)
class TargetInputs:
    """An objective of a signature, with the specs and an example of the parameters that a request sends."""

    objective: Objective
    specs: Sequence[tf.TensorSpec]
    example: Mapping[str, np.ndarray]

    def parameters(self, first: tf.Tensor, sent: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the parameters of the objective for a request with the inputs ``first`` (N, …)."""
        if not self.specs:
            return [tf.constant(parameter) for parameter in self.objective.parameters]
        shaped = [check_shape(tensor, spec.shape, spec.name) for tensor, spec in zip(sent, self.specs, strict=True)]
        return [
            _check_values(check_rows(first, tensor, spec.name), str(spec.name))
            for tensor, spec in zip(shaped, self.specs, strict=True)
        ]


def make_target(model: ImageModel, target: Any, *, request: bool, output: str | int | None) -> TargetInputs:
    """Return the objective of a signature.

    Args:
        model: the exported model.
        target: an objective, or one of ``TARGET_WORDS``. The parameters of "region" and "similarity" are always sent.
        request: whether each request sends the parameters of an objective.
        output: the output to explain.

    Raises:
        ValueError: the objective has parameters for several images, or the output has no fixed size.
    """
    objective = target
    if isinstance(target, str):
        objective = {
            "region": lambda: region(np.ones(_output_positions(model, output)), 0),
            "similarity": lambda: similarity(np.ones(_output_shape(model, output)[-1])),
            "negative": negative_class,
        }[target]()
        request = request or target != "negative"
    if objective.batch is not None:
        raise ValueError(f"target must have parameters for one image, got {objective.batch}. Export with request.")
    if not request:
        return TargetInputs(objective, [], {})
    names = _names(objective)
    specs = [
        tf.TensorSpec((None, *parameter.shape[1:]), tf.as_dtype(parameter.dtype), name)
        for name, parameter in zip(names, objective.parameters, strict=True)
    ]
    return TargetInputs(objective, specs, dict(zip(names, objective.parameters, strict=True)))


def check_limits(limits: Sequence[tuple], parameters: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the parameters of a request if its indices and boxes are in range; otherwise the request fails."""
    checked = list(parameters)
    for number, bound, what in limits:
        sizes = [np.inf if size is None else size for size in (bound if isinstance(bound, tuple) else (bound,))]
        values, is_box = tf.cast(parameters[number], tf.float64), callable(what)
        inside = tf.reduce_all((values < sizes) & ((values >= 0) | is_box))
        text = "The box must overlap the image" if is_box else f"An index must be in range, with {sizes} {what}"
        checked[number] = require(inside, text, checked[number], value=values)
    return checked


def _check_values(tensor: tf.Tensor, name: str) -> tf.Tensor:
    """Return a parameter (N, …) of a request if its values can be those of its formula; otherwise the request fails."""
    if name.startswith("mask"):
        weights = tf.reduce_all((tensor >= 0) & (tensor <= 1))  # False for NaN too
        tensor = require(weights, f"{name} must hold numbers in 0..1", tensor, value=_range(tensor))
    elif name.startswith("box"):
        corners = tf.reduce_all(tf.math.is_finite(tensor)) & tf.reduce_all(tensor[:, 2:] > tensor[:, :2])
        text = f"{name} must be (x_min, y_min, x_max, y_max) with x_min < x_max and y_min < y_max"
        return require(corners, text, tensor, value=tensor)
    elif tensor.dtype.is_floating:
        tensor = require(tf.reduce_all(tf.math.is_finite(tensor)), f"{name} must be finite.", tensor)
    if name.startswith(("mask", "vector")):
        filled = tf.reduce_all(tf.reduce_any(tf.reshape(tensor, [tf.shape(tensor)[0], -1]) != 0, axis=1))
        tensor = require(filled, f"{name} must not be 0 everywhere.", tensor)
    return tensor


def _range(tensor: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.reduce_min(tensor), tf.reduce_max(tensor)])


def _output_shape(model: ImageModel, output: str | int | None) -> tuple[int, ...]:
    shapes: dict[str, Any] = dict(model.output_shapes)
    shape = next(iter(shapes.values())) if len(shapes) == 1 else select_output(model.keras_model, shapes, output)
    if not shape or None in shape:
        raise ValueError(f"The output of {model.name!r} must have a fixed size for this target, got {(None, *shape)}.")
    return shape


def _output_positions(model: ImageModel, output: str | int | None) -> tuple[int, ...]:
    shape = _output_shape(model, output)
    if len(shape) < 2:
        raise ValueError(
            f"target must be top, class or an objective, got 'region', which needs scores per position, but the output "
            f"of {model.name!r} has the shape {(None, *shape)}. Choose another target or output."
        )
    return shape[:-1]


def _names(objective: Objective) -> list[str]:
    """Return a name per parameter of an objective; a name that comes again gets a number."""
    names: list[str] = []
    for node in walk(objective.structure):
        for name in _PARAMETER_NAMES.get(node[0], ()):
            count = sum(known == name or known.startswith(f"{name}_") for known in names)
            names.append(f"{name}_{count + 1}" if count else name)
    return names
