"""XGrad-CAM: Grad-CAM with gradients that are averaged where a channel is active."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map, position_axes, weighted_maps

import tensorflow as tf


@method(
    reference="Fu, Hu, Dong, Guo, Gao & Li 2020, arXiv:2008.02312",
    family="cam",
    passes="1 pass, backward to the layer",
    compared=False,
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust it after a ReLU; where a channel has both signs, its mean may be near 0 and its weight huge.",
    with_positions=True,
)
def xgradcam(view, *, layer: str | None = None, resize: bool = True):
    """Location of the evidence: late channels, each weighted by its gradients where it is active (Fu et al. 2020).

    The weight of a channel is the mean of its gradients over positions, weighted by its activations. With it the sum of
    the map before its ReLU is that of gradient × activation, as if the layer were all that the score depends on.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose channels are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer. A channel whose activations sum to 0 has the weight 0.

    Raises:
        ValueError: as in ``gradcam``.
    """
    return class_activation_map(view, layer, resize, _weights)


def _weights(maps, gradients, *_):
    axes = position_axes(maps)
    products, sums = (tf.reduce_sum(tensor, axis=axes, keepdims=True) for tensor in (gradients * maps, maps))
    return tf.math.divide_no_nan(products, sums)
