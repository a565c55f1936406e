"""Feature maps: the activations of a layer and their drawing. ``model, inputs, layer -> maps (N, h, w, C)``."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks, images

import keras

__all__ = ["draw_feature_maps", "feature_maps"]

_MAX_LISTED = 64  # silent channels that are listed by their numbers


def feature_maps(model: keras.Model, inputs: Any, layer: str, *, batch_size: int | None = None) -> np.ndarray:
    """Return the output of a layer for each image.

    Args:
        model: any built Keras model; it is not changed.
        inputs: preprocessed model inputs (N, H, W, C), or of another rank, float32.
        layer: name or path of the layer, at any depth of nested models.
        batch_size: number of images run at once; by default the fastest number.

    Returns:
        float32 (N, h, w, C) for a convolution or pooling, channels last even if the layer is channels first; (N, t, C)
        for a layer of signals or tokens, (N, d, h, w, C) for volumes and videos; (N, units) for a dense layer.

    Raises:
        ValueError: the layer is unknown (the error lists the closest names), or its output is not a single tensor.
    """
    return hooks.activations(model, [layer], inputs, batch_size=batch_size)[layer]


def draw_feature_maps(
    maps: np.ndarray,
    channels: Sequence[int] | None = None,
    *,
    scale: Literal["map", "layer"] = "map",
    layer: str = "",
    title: str = "",
    tile: int | None = None,
) -> np.ndarray:
    """Return the feature maps of an image as a grid with channel numbers, uint8 RGB.

    Silent channels, whose maps are 0 everywhere, are listed below the grid instead of drawn.

    Args:
        maps: feature maps of a single image, float (h, w, C).
        channels: channels to draw; by default the first 256.
        scale: range of the colors: that of each map (``"map"``) or of all maps together (``"layer"``).
        layer: name of the layer, for error messages.
        title: a line of text above the grid.
        tile: longer side of each map in pixels; by default 84 for up to 64 maps, 56 for more.

    Raises:
        ValueError: ``maps`` is not (h, w, C), or has no such channel.
    """
    name = f"layer {layer!r}" if layer else "the layer"
    if maps.ndim != 3:
        raise ValueError(f"maps must have the shape (h, w, C), got {maps.shape} from {name}.")
    count = maps.shape[2]
    channels = list(range(min(count, 256))) if channels is None else list(channels)
    if max(channels) >= count:
        raise ValueError(f"channels must be in 0..{count - 1} for {name}, got {max(channels)}.")
    signed = bool((maps < 0).any())
    limit = float(np.abs(maps[..., channels]).max()) if scale == "layer" else None
    silent = [channel for channel in channels if not maps[..., channel].any()]
    active = [channel for channel in channels if channel not in silent] or channels[:1]
    drawn = [images.heatmap(maps[..., channel], signed=signed, limit=limit) for channel in active]
    note = [f"Each map has {maps.shape[0]} × {maps.shape[1]} positions."]
    if len(channels) < count:
        note.append(f"{len(channels)} of {count} channels were chosen.")
    if scale == "map":
        note.append("Each map has its own color scale, so the brightness of two maps cannot be compared.")
    else:
        note.append("All maps have the same color scale.")
    if silent:
        verb = "is" if len(silent) == 1 else "are"
        listed = ", ".join(map(str, silent[:_MAX_LISTED])) + (", …" if len(silent) > _MAX_LISTED else "")
        note.append(f"{len(silent)} of {len(channels)} channels {verb} silent, 0 everywhere for this image: {listed}.")
    low, high = ("negative", "positive") if signed else ("0", "largest activation of the map")
    if limit is not None:
        low, high = (f"{-limit:.3g}" if signed else "0"), f"{limit:.3g}"
    return images.grid(
        drawn,
        list(map(str, active)),
        columns=min(8 if len(active) <= 64 else 16, len(active)),
        title=title,
        note=" ".join(note),
        legend=[("signed" if signed else "heat", low, high)],
        tile=tile or (84 if len(active) <= 64 else 56),
    )
