"""What the visualizations share: the model and its modifiers, scores, and seed inputs."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tf_keras_vis.utils import is_mixed_precision, listify

from kerasal.compat.tf_keras_vis.compiled_model import CompiledModel
from kerasal.compat.tf_keras_vis.model_modifiers import apply_modifiers, modify
from kerasal.hooks.model_inputs import input_specs

import keras
import tensorflow as tf


class ModelVisualization(abc.ABC):
    """A visualization of a model: an instance holds the model, and a call computes the result.

    Args:
        model: any built Keras model.
        model_modifier: a model modifier, a function of a model that returns another model or None, or a list of them.
            tf-keras-vis' own need no clone, and the model stays unchanged. Any other is applied to a clone.
        clone: apply other modifiers to a clone; without it, they change the model itself.

    Raises:
        ValueError: the model has no weights yet, or cannot be cloned for a modifier; or a layer to extract is unknown.
        TypeError: ``model`` is no Keras model.

    Warns:
        ClonedModel: a modifier is applied to a clone.
    """

    def __init__(self, model, model_modifier=None, clone=True) -> None:
        input_specs(model)  # checks the model
        self._modified, modification, self._recognized = apply_modifiers(model, listify(model_modifier), clone)
        self._visible: keras.Model | None = None if self._recognized else self._modified
        self._compiled = CompiledModel(self._modified, modification)

    @property
    def model(self) -> keras.Model:
        """The model after its modifiers, as tf-keras-vis builds it; a clone, made when it is first read."""
        if self._visible is None:
            self._visible = modify(self._modified, self._recognized, clone=True)
        return self._visible

    @abc.abstractmethod
    def __call__(self, score, seed_input):
        """Compute the visualization."""
        raise NotImplementedError

    def _inputs(self, seed_input: Any) -> list[tf.Tensor]:
        """Return the inputs as tensors (N, …), one per input of the model."""
        if isinstance(seed_input, Mapping):
            names = self._input_names()
            if set(seed_input) != set(names):
                raise ValueError(f"seed_input must have the keys {', '.join(names)}, got {', '.join(seed_input)}.")
            seed_input = [seed_input[name] for name in names]
        arrays, shapes = listify(seed_input), self._input_shapes()
        declared = [dtype for _, _, dtype in input_specs(self._modified) or ()] or ["float32"] * len(shapes)
        if len(arrays) != len(shapes):
            raise ValueError(
                f"seed_input must be {len(shapes)} arrays, one for each input of {self._modified.name!r}, got "
                f"{len(arrays)}."
            )
        inputs = []
        for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
            tensor = array if tf.is_tensor(array) else tf.constant(array)
            if not tensor.dtype.is_floating and tf.as_dtype(declared[number]).is_floating:
                tensor = tf.cast(tensor, tf.float32)  # bytes of a photo, which masks in 0..1 would cut to 0
            tensor = tensor[None] if tensor.shape.rank == len(shape) else tensor
            if tensor.shape.rank != len(shape) + 1:
                raise ValueError(
                    f"seed_input must have shape (N, {', '.join(map(str, shape))}) for input {number}, got "
                    f"{tuple(tensor.shape)}."
                )
            if tensor.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(tensor))):
                raise ValueError(f"seed_input must be finite, got NaN or infinity in input {number}.")
            inputs.append(tensor)
        if len({len(tensor) for tensor in inputs}) > 1:
            raise ValueError(f"seed_input must hold equally many images, got {[len(tensor) for tensor in inputs]}.")
        return inputs

    def _input_names(self) -> list[str]:
        return [name for name, _, _ in input_specs(self._modified) or [("input", (), "")]]

    def _input_shapes(self) -> list[tuple]:
        """Return the shape of each input without the batch axis; a subclassed model has those it was built with."""
        specs = input_specs(self._modified)
        if specs is not None:
            return [shape for _, shape, _ in specs]
        built = (getattr(self._modified, "_build_shapes_dict", None) or {}).values()
        shapes = [shape for shape in built if shape]
        flat = [shape if isinstance(shape[0], (int, type(None))) else None for shape in shapes]
        if not flat or None in flat:
            raise ValueError(
                f"The inputs of {self._modified.name!r} must be known. Wrap it: inputs = keras.Input(shape), then "
                "keras.Model(inputs, model(inputs))."
            )
        return [tuple(shape[1:]) for shape in flat if shape is not None]

    def _scores(self, score: Any, count: int | None = None) -> list:
        """Return the score functions, one per output of the model, of which there are ``count``."""
        if isinstance(score, Mapping):
            names = list(getattr(self._modified, "output_names", None) or score)
            if set(score) != set(names):
                raise ValueError(f"score must have the keys {', '.join(names)}, got {', '.join(score)}.")
            score = [score[name] for name in names]
        functions = listify(score)
        for function in functions:
            if not callable(function):
                raise ValueError(f"score must be a Score or a function, got {function!r}. Pass one per output.")
        if count is None:
            count = 1
            if self._compiled.modification.layer is None:
                count = len(keras.tree.flatten(getattr(self._modified, "outputs", None) or [None]))
        if len(functions) != count:
            raise ValueError(
                f"score must be {count} functions, one for each output of {self._modified.name!r}, got "
                f"{len(functions)}. InactiveScore() leaves an output out."
            )
        return functions

    def _unwrap(self, results: list, seed_input: Any) -> Any:
        """Return one result per input as the inputs were passed: alone, in a list, or in a dictionary."""
        if isinstance(seed_input, Mapping):
            return dict(zip(self._input_names(), results, strict=True))
        return results[0] if len(results) == 1 and not isinstance(seed_input, list) else results

    def _full_precision(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor of a model with float16 or bfloat16 layers in the precision of its weights."""
        low = tensor.dtype == tf.bfloat16 or is_mixed_precision(self._modified)
        return tf.cast(tensor, self._modified.variable_dtype) if low else tensor


def mean_scores(functions: Sequence, outputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the score of each image for each output: the mean of what the score function returns for it."""
    values = []
    for function, output in zip(functions, outputs, strict=True):
        value: Any = function(output)
        if isinstance(value, (list, tuple)) and len(value) and tf.is_tensor(value[0]):
            value = tf.stack(value, axis=0)
        value = value if tf.is_tensor(value) else tf.constant(value)
        images = output.shape[0]
        if value.shape.rank and None not in (images, value.shape[0]) and value.shape[0] != images:
            raise ValueError(f"score must return {images} scores, one per image, got {tuple(value.shape)}.")
        values.append(tf.reduce_mean(value, axis=list(range(1, len(value.shape)))))
    return values


def refuse_unconnected(gradients: Sequence, what: str) -> None:
    """Raise an error for gradients that are None."""
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            f"The score must depend on {what}, but it has no gradient. Check the score function, or pass "
            "unconnected_gradients=tf.UnconnectedGradients.ZERO."
        )


def normalize(array: np.ndarray) -> np.ndarray:
    """Return each image of an array scaled to 0..1, up to the small constant of Keras in the denominator."""
    array = np.asarray(array)
    axes = tuple(range(1, array.ndim))
    lowest, highest = array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)
    return (array - lowest) / (highest - lowest + keras.config.epsilon())
