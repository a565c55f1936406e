"""Feature maps: what a layer makes of an image. ``model, inputs, layer -> activations (N, h, w, C)``."""

from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.hooks.model_inputs import chunk_size, conform
from kerasal.hooks.trace import traced
from kerasal.objectives import top_class

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
    path, _ = hooks.find_layer(model, layer)
    arrays = conform(model, inputs)
    batch_size = batch_size or hooks.state_rows(model) or chunk_size(arrays)
    parts = []
    for start in range(0, len(arrays[0]), batch_size):
        chunk = [array[start : start + batch_size] for array in arrays]
        settings = {"output": None, "logits": True, "options": {"layer": path}, "example": inputs}
        parts.append(traced(_tapped, model, top_class(), chunk, **settings)(chunk, [])[0])
    return np.concatenate(parts)


def _tapped(view, *, layer: str):
    return [view.layout.last(layer, view.run(view.inputs, taps=[layer])[1][layer])]
