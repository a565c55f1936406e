"""Layers across channels: maxout, with the two orders in which its pieces may lie, and local response normalization."""

from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_int
from kerasal.layers.convolutions import PlainLayer

import keras
import tensorflow as tf

ops: Any = keras.ops  # whose stubs let every function return None
LAYOUTS = ("adjacent", "halves")


@keras.saving.register_keras_serializable(package="kerasal")
class LocalResponseNormalization(PlainLayer):
    """Divide each value by a power of its neighboring channels' energy (Krizhevsky et al. 2012, section 3.3).

    b_i = a_i / (bias + alpha / size · Σ a_j²)^beta, summed over the ``size`` channels around i, as Caffe has it (the
    paper has alpha instead of alpha / size).

    Args:
        size: channels, an odd number.
        alpha: weight of the energy's mean.
        beta: exponent.
        bias: constant.

    Raises:
        ValueError: an even ``size``.
    """

    settings = ("size", "alpha", "beta", "bias")

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **options):
        super().__init__(**options)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size: expected an odd number of channels, received {size!r}.")
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, inputs: Any) -> Any:
        return tf.nn.local_response_normalization(
            inputs, depth_radius=self.size // 2, bias=self.bias, alpha=self.alpha / self.size, beta=self.beta
        )


@keras.saving.register_keras_serializable(package="kerasal")
class Maxout(PlainLayer):
    """Keep the largest of every ``pieces`` values along the last axis (Goodfellow et al. 2013, section 3).

    ``(..., pieces * units)`` becomes ``(..., units)``. Unit j is the maximum of z[pieces * j], z[pieces * j + 1], …
    for the layout "adjacent" (Lasagne's FeaturePoolLayer), and of z[j], z[j + units], … for "halves".

    Args:
        pieces: values per unit.
        layout: "adjacent" or "halves"; the same up to a permutation of the weights before it, see ``reorder_maxout``.

    Raises:
        ValueError: another layout, or a last axis that ``pieces`` does not divide.
    """

    settings = ("pieces", "layout")

    def __init__(self, pieces: int = 2, layout: str = "adjacent", **options):
        super().__init__(**options)
        self.pieces, self.layout = check_int("pieces", pieces), check_choice("layout", layout, LAYOUTS)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with the last axis divided by ``pieces``."""
        if input_shape[-1] is None or input_shape[-1] % self.pieces:
            raise ValueError(f"Maxout of {self.pieces} pieces cannot divide a last axis of {input_shape[-1]}.")
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def call(self, inputs: Any) -> Any:
        units = self.compute_output_shape(inputs.shape)[-1]
        parts = (units, self.pieces) if self.layout == "adjacent" else (self.pieces, units)
        split = ops.reshape(inputs, (*ops.shape(inputs)[:-1], *parts))
        return ops.max(split, axis=-1 if self.layout == "adjacent" else -2)


def reorder_maxout(array: np.ndarray, to: str, pieces: int = 2) -> np.ndarray:
    """Permute the last axis of the weights before a ``Maxout`` so that they serve its other layout.

    Args:
        array: kernel (inputs, pieces * units) or bias (pieces * units,), as Keras has them.
        to: the layout it is to serve, "adjacent" or "halves".
        pieces: values per unit.

    Returns:
        A new array: with it the other layout computes the same units.

    Raises:
        ValueError: another layout, or a last axis that ``pieces`` does not divide.
    """
    units, rest = divmod(array.shape[-1], pieces)
    if rest:
        raise ValueError(f"pieces: {pieces} does not divide a last axis of {array.shape[-1]}.")
    parts = (pieces, units) if check_choice("to", to, LAYOUTS) == "adjacent" else (units, pieces)
    return np.ascontiguousarray(np.swapaxes(array.reshape(*array.shape[:-1], *parts), -1, -2).reshape(array.shape))
