"""A Keras model that calls a function, so that the perturbation methods explain anything that maps inputs to scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal.checks import is_int

import keras
import tensorflow as tf


class FunctionCall(keras.layers.Layer):
    """Calls a function of a batch; a Python function runs outside of the graph and has no gradient."""

    def __init__(self, function: Callable, output_shape: Sequence[int], **options: Any):
        super().__init__(**options)
        self._function, self._row_shape = function, tuple(output_shape)

    def call(self, x):
        """Return the function's values for a batch, float32 (N, …)."""
        if _runs_in_graphs(self._function):
            values = tf.cast(_single_output(self._function(x)), tf.float32)
        else:
            values = tf.numpy_function(self._run, [x], tf.float32)
        return tf.ensure_shape(values, [x.shape[0], *self._row_shape])

    def compute_output_shape(self, input_shape):
        """Return the shape of the values."""
        return (input_shape[0], *self._row_shape)

    def _run(self, x: np.ndarray) -> np.ndarray:
        values = np.asarray(_single_output(self._function(np.array(x))), np.float32)  # it may write into its copy
        if values.shape != (len(x), *self._row_shape):
            raise ValueError(
                f"function must return an array {(len(x), *self._row_shape)} for {len(x)} inputs, got {values.shape}."
            )
        return values


def from_function(function: Callable, input_shape: Sequence[int], *, name: str = "function") -> keras.Model:
    """Return a Keras model that calls a function, for the perturbation methods and everything else that runs forward.

    Args:
        function: takes a batch of inputs, float32 (N, …), and returns an array (N, classes) or another array with a row
            per input, or a dictionary with one such array: a Python function around a model of any library, a
            ``tf.function``, or a signature of a loaded SavedModel. A Python function gets and returns NumPy arrays, has
            no gradient and cannot be exported. It is called once here, with zeros, to find the shape of its values.
        input_shape: shape of an input without the batch axis, such as (224, 224, 3).
        name: name of the model.

    Raises:
        ValueError: ``input_shape`` holds no positive integers, or the function does not return a row per input.
    """
    shape = tuple(input_shape) if isinstance(input_shape, Sequence) else ()
    if not shape or not all(is_int(size) and size > 0 for size in shape):
        raise ValueError(
            "input_shape must hold positive integers without the batch axis, such as (224, 224, 3), got "
            f"{input_shape!r}."
        )
    zeros = np.zeros((2, *shape), np.float32)
    values = np.asarray(_single_output(function(tf.constant(zeros) if _runs_in_graphs(function) else zeros)))
    if values.ndim < 1 or len(values) != 2 or values.dtype.kind not in "fiub":
        raise ValueError(
            f"function must return numbers with a row per input, got shape {values.shape}, {values.dtype} for 2 inputs."
        )
    row_shape = values.shape[1:] or (1,)
    if values.ndim == 1:
        function = _add_axis(function)
    inputs = keras.Input(shape)
    return keras.Model(inputs, FunctionCall(function, row_shape, name="call")(inputs), name=name)


def _add_axis(function: Callable) -> Callable:
    """Return the function with an axis of length 1 after the batch axis of its values."""
    if _runs_in_graphs(function):
        return tf.function(lambda x: _single_output(function(x))[:, None])
    return lambda x: np.asarray(_single_output(function(x)))[:, None]


def _runs_in_graphs(function: Callable) -> bool:
    """Return whether a function is TensorFlow's, which can be a part of another graph."""
    is_graph = isinstance(function, (tf.types.experimental.PolymorphicFunction, tf.types.experimental.ConcreteFunction))
    return is_graph or isinstance(function, (keras.Layer, tf.Module)) or type(function).__name__ == "_WrapperFunction"


def _single_output(values: Any) -> Any:
    """Return the values of a function, also if they are the only entry of a dictionary, as of a signature.

    Raises:
        ValueError: the dictionary has several entries.
    """
    if not isinstance(values, dict):
        return values
    if len(values) != 1:
        raise ValueError(
            f"function must return one array, got a dictionary of {', '.join(map(repr, values))}. Wrap it in one that "
            "returns one of them."
        )
    return next(iter(values.values()))
