"""Eigen-CAM: the main pattern of a late layer's channels, which is the same for every class."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import WeightedLayer, activation_map, weighted_maps
from kerasal.attribution.principal_pattern import project_on_pattern

import tensorflow as tf


@method(
    reference="Muhammad & Yeasin 2020, arXiv:2008.00299",
    family="cam",
    passes="1 forward pass",
    compared=False,
    if_zero="the layer is 0 everywhere, or with center=True the same at all positions",
    check=weighted_maps,
    question="pattern",
    trust="Trust it for what stands out to the layer; it is the same for every class and no evidence for any.",
    with_positions=True,
)
def eigencam(view, *, layer: str | None = None, resize: bool = True, center: bool = False):
    """Where a late layer responds most, in the main pattern of its channels, for any class (Muhammad & Yeasin 2020).

    The channels at each position are projected on the first right singular vector of the matrix of positions ×
    channels. The target only decides which layer is the last before it. A singular vector has no sign of its own: here
    it is the one with which the mean of all positions has a positive projection, so that the map is large where the
    layer responds like its mean, and negative projections become 0. After a ReLU no projection is negative.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer; by default the last layer with a value per position on which the target
            depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        center: subtract the mean of each channel over positions first, as pytorch-grad-cam does. The map then shows
            what differs most between positions, and one half of that is cut off with the negative values.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``.
    """

    def combine(weighted: WeightedLayer) -> tf.Tensor:
        everywhere = tf.ones(tf.shape(weighted.maps)[:-1])
        return tf.nn.relu(project_on_pattern(weighted.maps, everywhere, center))

    return activation_map(view, layer, resize, combine)
