"""ShapleyCAM: Grad-CAM with the curvature of the score, an estimate of Shapley values of the channels."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, WeightedLayer, activation_map, position_axes

import tensorflow as tf


def _check(view) -> None:
    """Raise an error if the model has no map, or its score no second derivative."""
    _map(view, None, False)


def _map(view, layer: str | None, resize: bool) -> list[tf.Tensor]:
    return activation_map(view, layer, resize, _combine, second_order=True)


@method(
    reference="Cai 2025, arXiv:2501.06261",
    family="cam",
    passes="1 pass, and 1 more from the layer on",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=_check,
    question="region",
    trust="Trust it over gradcam where the score is curved; after a last layer with ReLUs alone both are the same.",
    with_positions=True,
)
def shapleycam(view, *, layer: str | None = None, resize: bool = True):
    """Location of the evidence: late channels weighted by gradient and curvature of the score (Cai 2025).

    The weight of a channel is the mean over positions of gradient - ½ · Hessian × activations, which estimates its
    Shapley value from the second-order expansion of the score. Where the rest of the model is linear or made of ReLUs,
    the Hessian is 0 and the map is that of Grad-CAM. With ``logits=False`` the softmax is curved as well; the paper's
    score is the sum of logit and log-probability, a function as the target.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``, or TensorFlow has no second derivative of an operation after the layer.
    """
    return _map(view, layer, resize)


def _combine(weighted: WeightedLayer) -> tf.Tensor:
    axes = position_axes(weighted.maps)
    weights = tf.reduce_mean(weighted.gradients - weighted.product / 2, axis=axes, keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * weighted.maps, axis=-1))
