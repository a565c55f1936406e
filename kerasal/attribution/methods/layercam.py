"""LayerCAM: Grad-CAM with a weight for each place, so that earlier layers give finer maps."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map

import tensorflow as tf


@method(reference="Jiang, Zhang, Hou, Cheng & Wei 2021, equation 5", if_zero=NO_EVIDENCE)
def layercam(view, *, layer: str | None = None, resize: bool = True):
    """Show where in the image the evidence lies: a layer's map, each place weighted by its own positive gradient.

    Unlike Grad-CAM it stays meaningful for early layers. Made by this package's own hooks. ``layer`` and ``resize``,
    and what is raised, are as in ``gradcam``.

    Returns:
        float32 (N, H, W), from 0 on; or (N, h, w) of the layer's own size.
    """
    return class_activation_map(view, layer, resize, lambda maps, gradients, *_: tf.nn.relu(gradients))
