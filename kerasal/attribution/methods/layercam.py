"""LayerCAM: Grad-CAM with a weight per position, so that earlier layers give finer maps."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map, weighted_maps

import tensorflow as tf


@method(
    reference="Jiang, Zhang, Hou, Cheng & Wei 2021, equation 5",
    family="cam",
    passes="1 pass, backward to the layer",
    if_zero=NO_EVIDENCE,
    check=weighted_maps,
    question="region",
    trust="Trust it where gradcam agrees; at an early layer it draws finer detail, but also more noise.",
    with_positions=True,
)
def layercam(view, *, layer: str | None = None, resize: bool = True):
    """Location of the evidence at any layer: each position weighted by its positive gradient (Jiang et al. 2021).

    Unlike Grad-CAM, the map stays meaningful for early layers, which are finer.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the layer whose positions are weighted; by default the last layer with a value per
            position on which the target depends; in a transformer the tensor that the last attention reads.
        resize: resize each map to its input's height and width, bilinearly; otherwise it keeps the layer's size.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0; with ``resize=False`` of the layer's size. The attribute
        ``layer`` of the result is the path of the layer.

    Raises:
        ValueError: as in ``gradcam``.
    """
    return class_activation_map(view, layer, resize, lambda maps, gradients, *_: tf.nn.relu(gradients))
