"""What convolutions need and Keras does not have: fast groups, reflected edges, and filters held to a size."""

from kerasal.checks import check_int, check_number

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="kerasal")
class GroupedConv2D(keras.layers.Conv2D):
    """Convolve each of ``groups`` parts of the channels by itself (Krizhevsky et al. 2012, section 3.5).

    Weights, options and results are those of ``keras.layers.Conv2D(groups=…)``. Keras compiles that one with XLA, which
    takes ten times as long on a CPU; this one is ordinary convolutions side by side, which every routine can follow.
    """

    def convolution_op(self, inputs, kernel):
        """Return the convolved groups side by side."""
        convolve = super().convolution_op
        if self.groups == 1:
            return convolve(inputs, kernel)
        pairs = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([convolve(one, own) for one, own in pairs], axis=-1)


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


@keras.saving.register_keras_serializable(package="kerasal")
class MaxFilterRMS(keras.constraints.Constraint):
    """Scale each filter of a kernel (h, w, in, out) whose RMS exceeds ``radius`` down to it; leave the others alone.

    Args:
        radius: the largest root mean square of a filter's weights.

    Raises:
        ValueError: a radius that is not above 0.

    Source: Zeiler & Fergus 2014, section 3.1: a few filters of the first layer dominate without it.
    """

    def __init__(self, radius: float = 0.1):
        self.radius = check_number("radius", radius, above=0)

    def __call__(self, kernel):
        """Return the kernel with its filters held to the radius."""
        rms = ops.sqrt(ops.mean(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)), keepdims=True))
        return kernel * (self.radius / ops.maximum(rms, self.radius))

    def get_config(self):
        """Return what builds this constraint again."""
        return {"radius": self.radius}
