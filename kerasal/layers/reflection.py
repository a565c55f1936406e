"""The padding that Keras does not have."""

from kerasal.checks import check_int

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="kerasal")
class ReflectionPadding2D(keras.layers.Layer):
    """Pad images (N, H, W, C) on every side by their own reflection, which does not repeat the edge: c b [a b c] b a.

    Args:
        padding: pixels on each side, fewer than the image has.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: a padding that is neither 0 nor a positive integer.
    """

    def __init__(self, padding: int = 1, **options):
        super().__init__(**options)
        self.padding = check_int("padding", padding, 0)

    def compute_output_shape(self, input_shape):
        """Return the padded shape."""
        images, height, width, channels = input_shape
        sides = [None if side is None else side + 2 * self.padding for side in (height, width)]
        return (images, *sides, channels)

    def call(self, inputs):
        """Return the padded images."""
        both = (self.padding, self.padding)
        return tf.pad(inputs, ((0, 0), both, both, (0, 0)), mode="REFLECT")

    def get_config(self):
        """Return what builds this layer again."""
        return {**super().get_config(), "padding": self.padding}
