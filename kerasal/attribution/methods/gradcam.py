"""Grad-CAM: where a late layer's channels, weighted by how the score depends on them, are active."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import NO_EVIDENCE, class_activation_map

import tensorflow as tf


@method(reference="Selvaraju et al. 2017, equations 1 and 2", if_zero=NO_EVIDENCE)
def gradcam(view, *, layer: str | None = None, resize: bool = True):
    """Show where in the image the evidence lies, coarsely: the last map's channels, weighted by their mean gradient.

    On a net that ends in global average pooling and one dense layer it is the class activation map of Zhou et al. 2016.
    Made by this package's own hooks.

    Args:
        view: the model, watched.
        layer: name or path of the layer; by default the last map on which the target depends, before the logits, named
            in the result as ``maps.layer``.
        resize: bring the maps to the input's size, bilinearly.

    Returns:
        float32 (N, H, W), from 0 on; or (N, h, w) of the layer's own size. Of several inputs each has the map of the
        layer, and of its run, that depends on this input alone.

    Raises:
        ValueError: the model has no convolution before the target, or mixes its positions later (attention), and no
            layer is named; the layer has no (N, h, w, C) output; an input has no map of its own.
    """
    return class_activation_map(view, layer, resize, _weights)


def _weights(maps, gradients, *_):
    return tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
