"""Layers that normalise: across channels, over a map, and to a density."""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="kerasal")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by a power of its neighbouring channels' energy (Krizhevsky et al. 2012, section 3.3).

    b_i = a_i / (bias + alpha / size · Σ a_j²)^beta, summed over the ``size`` channels around i, as Caffe has it (the
    paper has alpha instead of alpha / size).

    Args:
        size: channels, an odd number.
        alpha: weight of the energy's mean.
        beta: exponent.
        bias: constant.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: an even ``size``.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **options):
        super().__init__(**options)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size: expected an odd number of channels, received {size!r}.")
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the normalised values."""
        return tf.nn.local_response_normalization(
            inputs, depth_radius=self.size // 2, bias=self.bias, alpha=self.alpha / self.size, beta=self.beta
        )

    def get_config(self):
        """Return what builds this layer again."""
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": self.bias}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasal")
class MinMax(keras.layers.Layer):
    """Scale each map (H, W, …) of a batch to 0..1 by its own minimum and maximum; a constant map becomes 0."""

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the scaled maps."""
        axes = tuple(range(1, len(inputs.shape)))
        low, high = ops.min(inputs, axis=axes, keepdims=True), ops.max(inputs, axis=axes, keepdims=True)
        span = high - low
        return (inputs - low) / ops.where(ops.equal(span, 0), ops.ones_like(span), span)


@keras.saving.register_keras_serializable(package="kerasal")
class LogDensity(keras.layers.Layer):
    """Normalise maps (N, H, W) of any values to log-densities: log p with Σ p = 1 over the pixels of each map.

    Source: Kümmerer et al. 2016, "DeepGaze II", section 2; Vig et al. 2014 for the softmax over pixels.
    """

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the log-densities, in nats."""
        return inputs - ops.logsumexp(inputs, axis=(1, 2), keepdims=True)
