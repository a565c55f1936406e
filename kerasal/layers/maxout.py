"""Maxout, and the two orders in which its pieces may lie."""

import numpy as np

from kerasal.checks import check_choice, check_int

import keras
from keras import ops

LAYOUTS = ("adjacent", "halves")


@keras.saving.register_keras_serializable(package="kerasal")
class Maxout(keras.layers.Layer):
    """Keep the largest of every ``pieces`` values along the last axis (Goodfellow et al. 2013, section 3).

    ``(..., pieces * units)`` becomes ``(..., units)``. Unit j is the maximum of z[pieces * j], z[pieces * j + 1], …
    for the layout "adjacent" (Lasagne's FeaturePoolLayer), and of z[j], z[j + units], … for "halves".

    Args:
        pieces: values per unit.
        layout: "adjacent" or "halves"; the same up to a permutation of the weights before it, see ``reorder_maxout``.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: another layout, or a last axis that ``pieces`` does not divide.
    """

    def __init__(self, pieces: int = 2, layout: str = "adjacent", **options):
        super().__init__(**options)
        self.pieces, self.layout = check_int("pieces", pieces), check_choice("layout", layout, LAYOUTS)

    def compute_output_shape(self, input_shape):
        """Return the shape with the last axis divided by ``pieces``."""
        if input_shape[-1] is None or input_shape[-1] % self.pieces:
            raise ValueError(f"Maxout of {self.pieces} pieces cannot divide a last axis of {input_shape[-1]}.")
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def call(self, inputs):
        """Return the maxima."""
        units = self.compute_output_shape(inputs.shape)[-1]
        parts = (units, self.pieces) if self.layout == "adjacent" else (self.pieces, units)
        split = ops.reshape(inputs, (*ops.shape(inputs)[:-1], *parts))
        return ops.max(split, axis=-1 if self.layout == "adjacent" else -2)

    def get_config(self):
        """Return what builds this layer again."""
        return {**super().get_config(), "pieces": self.pieces, "layout": self.layout}


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
