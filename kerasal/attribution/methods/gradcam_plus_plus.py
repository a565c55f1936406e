"""Grad-CAM++: Grad-CAM whose weights count several small objects as much as one large one."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map

import tensorflow as tf


@method(
    reference="Chattopadhyay, Sarkar, Howlader & Balasubramanian 2018, equations 10, 16 and 19", if_zero=NO_EVIDENCE
)
def gradcam_plus_plus(view, *, layer: str | None = None, resize: bool = True):
    """Show where in the image the evidence lies, also if in several places: positive gradients, weighted by place.

    The paper's derivatives are those of the exponential of the score, which enters the weights only as a factor of the
    whole image; it is left out, since it overflows for large scores. The coefficients of each channel are scaled to sum
    to 1, as in the authors' released code. Made by this package's own hooks. ``layer`` and ``resize``, and what is
    raised, are as in ``gradcam``.

    Returns:
        float32 (N, H, W), from 0 on, up to that factor; or (N, h, w) of the layer's own size.
    """
    return class_activation_map(view, layer, resize, _weights)


def _weights(maps, gradients, *_):
    second, third = tf.square(gradients), gradients**3
    denominator = 2 * second + third * tf.reduce_sum(maps, axis=[1, 2], keepdims=True)
    coefficients = tf.math.divide_no_nan(second, denominator)
    coefficients = tf.math.divide_no_nan(coefficients, tf.reduce_sum(coefficients, axis=[1, 2], keepdims=True))
    return tf.reduce_sum(coefficients * tf.nn.relu(gradients), axis=[1, 2], keepdims=True)
