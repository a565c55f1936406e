"""Grad-CAM++, as tf-keras-vis computes it."""

from typing import Any

import numpy as np

from kerasal.compat.tf_keras_vis.class_maps import ClassMap
from kerasal.compat.tf_keras_vis.visualization import modify_result

import tensorflow as tf


class GradcamPlusPlus(ClassMap):
    """The channels of a layer, weighted by coefficients of higher derivatives (Chattopadhay et al. 2018, equation 19).

    The score whose derivatives count is exp(score), as in the paper.
    """

    def __call__(
        self,
        score,
        seed_input,
        penultimate_layer=None,
        seek_penultimate_conv_layer=True,
        gradient_modifier=None,
        activation_modifier=lambda cam: tf.nn.relu(cam),
        training=False,
        expand_cam=True,
        normalize_cam=True,
        unconnected_gradients=tf.UnconnectedGradients.NONE,
    ) -> Any:
        """Return the map of each input, (N, *positions), in 0..1; a list if ``seed_input`` is a list.

        The arguments and errors are those of ``Gradcam``. The coefficients of each channel sum to 1.

        Raises:
            ValueError: as for ``Gradcam``; or exp(score) is too large for float32, and the map is not normalized.
        """
        inputs, maps, gradient, values = self._weighted(
            score, seed_input, penultimate_layer, seek_penultimate_conv_layer, training, unconnected_gradients
        )
        factor = _exponential(values, normalize_cam)
        factor = tf.reshape(factor, [-1, *[1] * (gradient.shape.rank - 1)])
        gradient = modify_result(gradient_modifier, gradient, "gradient_modifier", broadcast=True)
        first = factor * gradient
        second, third = first * gradient, first * gradient * gradient
        axes = list(range(1, maps.shape.rank - 1))
        denominator = 2.0 * second + third * tf.reduce_sum(maps, axis=axes, keepdims=True)
        shares = second / _replace_zeros(denominator, second)
        total = tf.reduce_sum(shares, axis=axes, keepdims=True)
        shares /= _replace_zeros(total, total)
        weights = modify_result(activation_modifier, first, "activation_modifier", broadcast=True)
        weights = tf.reduce_sum(weights * shares, axis=axes, keepdims=True)
        cam = tf.reduce_sum(weights * maps, axis=-1)
        cam = modify_result(activation_modifier, cam, "activation_modifier")
        return self._finish(cam, inputs, seed_input, expand_cam, normalize_cam)


def _replace_zeros(tensor: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Return a tensor plus 1 where ``reference`` is 0."""
    return tensor + tf.cast(reference == 0, tensor.dtype)


def _exponential(values: list[tf.Tensor], normalize_cam: bool) -> tf.Tensor:
    """Return exp(score) of each image, summed over outputs; relative to the largest score where it is too large.

    The factor scales the map of an image, so that it does not matter once the map is normalized.
    """
    factor = tf.add_n([tf.exp(value) for value in values])
    too_large = ~np.isfinite(factor.numpy())
    if not too_large.any():
        return factor
    if not normalize_cam:
        raise ValueError(
            f"exp(score) must be finite for a map that is not normalized, got a score of "
            f"{max(float(tf.reduce_max(value)) for value in values):.0f}. Pass normalize_cam=True, or leave out "
            "ReplaceToLinear."
        )
    largest = tf.reduce_max(tf.stack(values), axis=0)
    relative = tf.add_n([tf.exp(value - largest) for value in values])
    return tf.where(too_large, relative, factor)
