"""Eigen-Grad-CAM: the main pattern of a late layer's channels times their gradients."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import WeightedLayer, activation_map, weighted_maps
from kerasal.attribution.principal_pattern import project_on_pattern

import tensorflow as tf


@method(
    reference="pytorch-grad-cam, EigenGradCAM; singular vectors as in Muhammad & Yeasin 2020, arXiv:2008.00299",
    family="cam",
    passes="1 pass, backward to the layer",
    compared=False,
    if_zero="the main pattern of the layer is evidence against the score, so the ReLU sets the map to 0",
    check=weighted_maps,
    question="region",
    trust="Trust what it shares with hirescam: it keeps the main pattern of that map and drops the rest.",
    with_positions=True,
)
def eigengradcam(view, *, layer: str | None = None, resize: bool = True, center: bool = False):
    """Location of the main evidence: the strongest pattern among channels times their gradients (Eigen-Grad-CAM).

    Channels times gradients at each position are projected on the first right singular vector of the matrix of
    positions × channels. A singular vector has no sign of its own: here it is the one with which the projection agrees
    with the sum over channels, the evidence for the class (``hirescam``), and negative projections become 0.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose positions are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.
        center: subtract the mean of each channel over positions first, as pytorch-grad-cam does, whose sign is that of
            the computation. What is below the mean is then cut off, also where it is evidence for the class, and
            evidence against it that is weaker than elsewhere is shown.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``.
    """

    def combine(weighted: WeightedLayer) -> tf.Tensor:
        evidence = weighted.gradients * weighted.maps
        return tf.nn.relu(project_on_pattern(evidence, tf.reduce_sum(evidence, axis=-1), center))

    return activation_map(view, layer, resize, combine)
