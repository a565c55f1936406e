"""Layers across channels: maxout in its two channel orders, and local response normalization."""

from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_int
from kerasal.layers.convolutions import PlainLayer

import keras
import tensorflow as tf

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function
LAYOUTS = ("adjacent", "halves")
"""Where the pieces of a ``Maxout`` unit are among the channels: side by side, or one group after the other."""


@keras.saving.register_keras_serializable(package="kerasal")
class LocalResponseNormalization(PlainLayer):
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

    b_i = a_i / (bias + alpha / size · Σ a_j²)^beta, summed over the ``size`` channels centered at i. As in Caffe, alpha
    is divided by the number of channels; in the paper it is not.

    Args:
        size: number of neighboring channels, a positive odd integer.
        alpha: weight of the mean of the squares.
        beta: exponent.
        bias: constant that is added to the weighted mean.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: ``size`` is not odd and positive.
    """

    settings = ("size", "alpha", "beta", "bias")

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **options):
        super().__init__(**options)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size must be a positive odd integer, got {size!r}.")
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def call(self, inputs: Any) -> Any:
        return tf.nn.local_response_normalization(
            inputs, depth_radius=self.size // 2, bias=self.bias, alpha=self.alpha / self.size, beta=self.beta
        )


@keras.saving.register_keras_serializable(package="kerasal")
class Maxout(PlainLayer):
    """Maxout: the maximum over groups of ``pieces`` values of the last axis (Goodfellow et al. 2013, section 3).

    The input ``(..., pieces * units)`` becomes ``(..., units)``. Unit j is the maximum of z[pieces * j],
    z[pieces * j + 1], … with the layout "adjacent" (Lasagne's FeaturePoolLayer), and of z[j], z[j + units], … with
    "halves".

    Args:
        pieces: number of values per unit.
        layout: "adjacent" or "halves". The two differ by a permutation of the preceding weights; see
            ``reorder_maxout``.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: the layout is unknown, or the last axis is not divisible by ``pieces``.
    """

    settings = ("pieces", "layout")

    def __init__(self, pieces: int = 2, layout: str = "adjacent", **options):
        super().__init__(**options)
        self.pieces, self.layout = check_int("pieces", pieces), check_choice("layout", layout, LAYOUTS)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape with the last axis divided by ``pieces``."""
        if input_shape[-1] is None or input_shape[-1] % self.pieces:
            raise ValueError(f"The last axis must be divisible by pieces={self.pieces}, got {input_shape[-1]} values.")
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def call(self, inputs: Any) -> Any:
        units = self.compute_output_shape(inputs.shape)[-1]
        parts = (units, self.pieces) if self.layout == "adjacent" else (self.pieces, units)
        split = ops.reshape(inputs, (*ops.shape(inputs)[:-1], *parts))
        return ops.max(split, axis=-1 if self.layout == "adjacent" else -2)


def reorder_maxout(array: np.ndarray, to: str, pieces: int = 2) -> np.ndarray:
    """Return the weights that precede a ``Maxout``, permuted along the last axis for its other layout.

    Args:
        array: kernel (inputs, pieces * units) or bias (pieces * units,), in Keras's order.
        to: the new layout, "adjacent" or "halves".
        pieces: number of values per unit.

    Returns:
        A new array, with which a ``Maxout`` of the new layout computes the same units.

    Raises:
        ValueError: the layout is unknown, or the last axis is not divisible by ``pieces``.
    """
    units, rest = divmod(array.shape[-1], pieces)
    if rest:
        raise ValueError(f"The last axis must be divisible by pieces={pieces}, got {array.shape[-1]} values.")
    parts = (pieces, units) if check_choice("to", to, LAYOUTS) == "adjacent" else (units, pieces)
    return np.ascontiguousarray(np.swapaxes(array.reshape(*array.shape[:-1], *parts), -1, -2).reshape(array.shape))
