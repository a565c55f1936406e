"""Grad-CAM++: Grad-CAM whose weights count several small objects as much as a single large object."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map, position_axes, weighted_maps

import tensorflow as tf


@method(
    reference="Chattopadhyay, Sarkar, Howlader & Balasubramanian 2018, equations 10, 16 and 19",
    family="cam",
    passes="1 pass, backward to the layer",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust it over gradcam when the class is in the image several times; otherwise both should agree.",
    with_positions=True,
)
def gradcam_plus_plus(view, *, layer: str | None = None, resize: bool = True):
    """Grad-CAM for several objects of a class: positive gradients weighted by position (Chattopadhyay et al. 2018).

    The paper differentiates the exponential of the score. Its value multiplies all weights of an image by the same
    factor and overflows for large scores, so it is left out here. The coefficients of each channel are scaled to sum
    to 1, as in the authors' released code.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.

    Returns:
        float32 (N, H, W), at least 0, up to the factor that is left out; or (N, h, w), the size of the layer, with
        ``resize=False``. The attribute ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``.
    """
    return class_activation_map(view, layer, resize, _weights)


def _weights(maps, gradients, *_):
    axes = position_axes(maps)
    second, third = tf.square(gradients), gradients**3
    denominator = 2 * second + third * tf.reduce_sum(maps, axis=axes, keepdims=True)
    coefficients = tf.math.divide_no_nan(second, denominator)
    coefficients = tf.math.divide_no_nan(coefficients, tf.reduce_sum(coefficients, axis=axes, keepdims=True))
    return tf.reduce_sum(coefficients * tf.nn.relu(gradients), axis=axes, keepdims=True)
