"""Feature maps: what a layer makes of an image. ``model, inputs, layer -> activations (N, h, w, C)``."""

from typing import Any

import numpy as np

from kerasal import hooks

import keras


def feature_maps(model: keras.Model, inputs: Any, layer: str, *, batch_size: int | None = None) -> np.ndarray:
    """Return the output of one layer, at any depth, for each image.

    Args:
        model: any built Keras model; it is not changed.
        inputs: preprocessed inputs (N, H, W, C); see the package's conventions.
        layer: name or path of the layer.
        batch_size: images run at once; by default as many as run fastest.

    Returns:
        float32 (N, h, w, C) for a convolution or pooling, also for one that is channels first; (N, units) for a dense
        layer.

    Raises:
        ValueError: an unknown layer (the closest are listed), or one without a single output tensor.
    """
    return hooks.activations(model, [layer], inputs, batch_size=batch_size)[layer]
