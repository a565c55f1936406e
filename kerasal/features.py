"""Feature maps: what a layer makes of an image. ``model, inputs, layer -> activations (N, h, w, C)``."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks, images

import keras

__all__ = ["draw_feature_maps", "feature_maps"]


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


def draw_feature_maps(
    maps: np.ndarray,
    channels: Sequence[int] | None = None,
    *,
    scale: Literal["map", "layer"] = "map",
    layer: str = "",
    title: str = "",
    tile: int = 84,
) -> np.ndarray:
    """Lay out the feature maps of one image as a grid, each under its number, uint8 RGB.

    Args:
        maps: (h, w, C), of one image.
        channels: which; by default all, at most 256.
        scale: each map on its own brightness scale (``"map"``), or all on one (``"layer"``).
        layer: named in errors.
        title: a line above.
        tile: the side of a map in pixels.

    Raises:
        ValueError: no maps, or a channel that there is not.
    """
    named = f"Layer {layer!r}" if layer else "The layer"
    if maps.ndim != 3:
        raise ValueError(f"{named} has no maps to draw: its output for an image has shape {maps.shape}.")
    count = maps.shape[2]
    channels = list(range(min(count, 256))) if channels is None else list(channels)
    if max(channels) >= count:
        raise ValueError(f"{named} has {count} channels, counted from 0, got {max(channels)}.")
    signed = bool((maps < 0).any())
    limit = float(np.abs(maps[..., channels]).max()) if scale == "layer" else None
    drawn = [images.heatmap(maps[..., channel], signed=signed, limit=limit) for channel in channels]
    silent = [str(channel) for channel in channels if not maps[..., channel].any()]
    listed = ", ".join(silent[:12]) + (", …" if len(silent) > 12 else "")
    note = f"black: silent for this image ({listed})" if silent and not signed else ""
    if len(channels) < count:
        note = f"{len(channels)} of {count} channels. {note}"
    columns = min(8 if len(channels) <= 64 else 16, len(channels))
    return images.grid(drawn, list(map(str, channels)), columns=columns, title=title, note=note, tile=tile)
