"""Grad-CAM: the channels of a late layer, weighted by their mean gradients."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map, position_axes, weighted_maps

import tensorflow as tf


@method(
    reference="Selvaraju et al. 2017, equations 1 and 2",
    family="cam",
    passes="1 pass, backward to the layer",
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust the region, not its outline, which is that of a coarse grid of late positions.",
    with_positions=True,
)
def gradcam(view, *, layer: str | None = None, resize: bool = True):
    """Coarse location of the evidence: late channels weighted by their mean gradients (Selvaraju et al. 2017).

    The map is relu(sum over channels of weight × channel), where a channel's weight is the mean over positions of the
    score's gradient. For a network that ends in global average pooling and a dense layer it is the class activation
    map of Zhou et al. 2016.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer. For a model with several inputs, the map of each input is that
        of the layer's call that depends on this input alone.

    Raises:
        ValueError: no layer is named, and the model has no convolution before the target or mixes positions after its
            last convolution (attention); the layer's output is not (N, h, w, C); or no layer depends on an input alone.
    """
    return class_activation_map(view, layer, resize, _weights)


def _weights(maps, gradients, *_):
    return tf.reduce_mean(gradients, axis=position_axes(maps), keepdims=True)
