"""HiResCAM: each position of a late layer with its own gradient, so that the map adds up to the score."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, WeightedLayer, activation_map, weighted_maps

import tensorflow as tf


@method(
    reference="Draelos & Carin 2020, arXiv:2011.08891",
    family="cam",
    passes="1 pass, backward to the layer",
    compared=False,
    has_sign=lambda options: not options["positive"],
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust its places over those of gradcam, whose mean gradients mark positions that the model did not use.",
    with_positions=True,
)
def hirescam(view, *, layer: str | None = None, resize: bool = True, positive: bool = True):
    """Location of the evidence that the model used: channels times their gradients, summed (Draelos & Carin 2020).

    The map is the sum over channels of gradient × channel, each position with the gradient of its own. For a network
    that ends in a single dense layer, after pooling or not, its sum over positions is the score minus the bias; for
    one with global average pooling it is the map of Grad-CAM, too.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose positions are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        positive: set negative values to 0, as the other class activation maps do; False keeps the evidence against the
            class, as in the paper.

    Returns:
        float32 (N, *positions), such as (N, H, W), in units of the score: at least 0, or signed with
        ``positive=False``; with ``resize=False`` of the layer's size. The attribute ``layer`` of the result is the path
        of the layer.

    Raises:
        ValueError: as in ``gradcam``.
    """

    def combine(weighted: WeightedLayer) -> tf.Tensor:
        total = tf.reduce_sum(weighted.gradients * weighted.maps, axis=-1)
        return tf.nn.relu(total) if positive else total

    return activation_map(view, layer, resize, combine)
