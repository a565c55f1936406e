"""What the visualizations share: the model and its modifiers, scores, and seed inputs."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tf_keras_vis.utils import is_mixed_precision, listify

from kerasal.compat.tf_keras_vis.compiled_model import CompiledModel
from kerasal.compat.tf_keras_vis.model_modifiers import apply_modifiers, modify
from kerasal.hooks.model_inputs import format_shape, input_specs
from kerasal.maximization.eager_calls import mean_score
from kerasal.maximization.user_calls import refuse_classes

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
            tensor = to_tensor(array, number)
            if not tensor.dtype.is_floating and tf.as_dtype(declared[number]).is_floating:
                tensor = tf.cast(tensor, tf.float32)  # bytes of a photo, which masks in 0..1 would cut to 0
            tensor = tensor[None] if tensor.shape.rank == len(shape) else tensor
            check_shape(tensor, shape, number, is_declared=bool(getattr(self._modified, "inputs", None)))
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
        refuse_classes("score", functions)
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


def to_tensor(array: Any, number: int) -> tf.Tensor:
    """Return an input as a tensor; ``number`` is its place among the inputs.

    Raises:
        ValueError: it is not an array of numbers.
    """
    try:
        tensor = array if tf.is_tensor(array) else tf.constant(array)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"seed_input must be an array of numbers for input {number}, got {type(array).__name__} ({error})."
        ) from error
    if tensor.dtype == tf.string:
        raise ValueError(f"seed_input must be an array of numbers for input {number}, got text. Read the image first.")
    return tensor


def check_shape(tensor: tf.Tensor, shape: tuple, number: int, *, is_declared: bool = True) -> None:
    """Raise a ValueError for an input (N, …) of another shape; undeclared inputs may have any size."""
    sizes = zip(shape, tensor.shape[1:], strict=False) if is_declared else ()
    if tensor.shape.rank != len(shape) + 1 or any(size not in (None, other) for size, other in sizes):
        raise ValueError(
            f"seed_input must have shape {format_shape(shape)} for input {number}, got {tuple(tensor.shape)}."
        )
    if tensor.shape[0] == 0:
        raise ValueError(f"seed_input must hold at least one image, got {tuple(tensor.shape)} for input {number}.")


def mean_scores(functions: Sequence, outputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the score of each image for each output: the mean of what the score function returns for it."""
    return [mean_score(function, output) for function, output in zip(functions, outputs, strict=True)]


def modify_result(
    function: Callable | None, value: Any, argument: str, *, broadcast: bool = False, exact: bool = False
) -> Any:
    """Return what a modifier of the caller makes of an array (N, …), or the array itself without one.

    With ``broadcast`` each axis of the result must have the size of the array's, or 1; with ``exact`` the size; else
    only the first one.

    Raises:
        TypeError: the modifier is no function, or returns no numbers.
        ValueError: it returns another number of axes or of images.
    """
    if function is None:
        return value
    if not callable(function):
        raise TypeError(f"{argument} must be a function or None, got {function!r}.")
    result = function(value)
    wanted = f"{argument} must return an array like the one that it gets, {tuple(value.shape)}"
    if not tf.is_tensor(result) and getattr(result, "dtype", np.dtype(object)).kind not in "fiu":
        raise TypeError(f"{wanted}, got {type(result).__name__}. Return the changed array.")
    pairs = list(zip(result.shape, value.shape, strict=False))
    fits = len(result.shape) == len(value.shape) and result.shape[0] == value.shape[0]
    if broadcast or exact:
        fits = fits and all(size == other or (broadcast and size == 1) for size, other in pairs)
    if not fits:
        raise ValueError(f"{wanted}, got {tuple(result.shape)}. Keep its axes.")
    return result


def refuse_unconnected(gradients: Sequence, what: str) -> None:
    """Raise an error for gradients that are None."""
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            f"The score must depend on {what}, but it has no gradient. Check the score function, or pass "
            "unconnected_gradients=tf.UnconnectedGradients.ZERO."
        )


def check_gradients(gradients: Sequence, what: str) -> None:
    """Raise an error for gradients that are None, NaN or infinite."""
    refuse_unconnected(gradients, what)
    for gradient in gradients:
        axes = list(range(1, gradient.shape.rank))
        broken = ~tf.reduce_all(tf.math.is_finite(gradient), axis=axes).numpy()
        if broken.any():
            raise ValueError(
                f"The gradient by {what} must be finite, got NaN or infinity, first in image {int(np.argmax(broken))}. "
                "Check the score function, or use float32 instead of float16."
            )


def normalize(array: np.ndarray) -> np.ndarray:
    """Return each image of an array scaled to 0..1, up to the small constant of Keras in the denominator."""
    array = np.asarray(array)
    axes = tuple(range(1, array.ndim))
    lowest, highest = array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)
    return (array - lowest) / (highest - lowest + keras.config.epsilon())
