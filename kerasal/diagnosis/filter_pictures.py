"""The filters themselves, as a person looks at them."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.diagnosis.filter_spectra import find_kernels

import keras


def draw_filters(
    model: keras.Model,
    layer: str | None = None,
    *,
    table: pd.DataFrame | None = None,
    channels: Sequence[int] | None = None,
    bgr: bool = False,
    scale: Literal["filter", "layer"] = "filter",
    columns: int = 16,
    tile: int = 56,
    title: str | None = None,
) -> np.ndarray:
    """Draw the kernels of a convolution that sees 1 or 3 channels: middle grey is 0, colours are those of the weights.

    Args:
        model: a built model.
        layer: name or path; by default the first convolution.
        table: what ``filter_diagnosis`` said; then dead filters are marked.
        channels: which, in this order; by default all.
        bgr: the model's preprocessing swaps the channels.
        scale: each filter by its own largest weight, or all by that of the layer, so that weak ones look weak.
        columns: filters a row.
        tile: side of a picture in pixels.
        title: above everything; by default the layer, its kernel and its stride.

    Returns:
        uint8 RGB.

    Raises:
        ValueError: filters that see neither 1 nor 3 channels, or no such layer or channel.
    """
    path, kernels, stride, _ = find_kernels(model, layer)
    height, width, seen, count = kernels.shape
    if seen not in (1, 3):
        raise ValueError(
            f"The filters of {path!r} see {seen} channels; only those that see 1 or 3 have colours. "
            "kerasal.receptive_field.patterns.painter paints the others."
        )
    chosen = list(range(count)) if channels is None else list(channels)
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise ValueError(f"There are {count} filters, counted from 0. Received: {channels!r}.")
    if bgr:
        kernels = kernels[:, :, ::-1]
    limit = float(np.abs(kernels).max()) or 1.0
    own = np.abs(kernels).max(axis=(0, 1, 2))
    pictures = [
        images.relief(kernels[..., one], limit=limit if scale == "layer" else float(own[one]) or 1.0) for one in chosen
    ]
    dead = set() if table is None else set(table.loc[table["dead"], "channel"])
    steps = f"{stride[0]}" if stride[0] == stride[1] else f"{stride[0]} × {stride[1]}"
    return images.grid(
        pictures,
        [f"{one} dead" if one in dead else str(one) for one in chosen],
        columns=min(columns, len(chosen)),
        title=f"{model.name}, {path}: {height} × {width} in steps of {steps}" if title is None else title,
        note="middle grey is 0; each filter up to its own largest weight"
        if scale == "filter"
        else f"middle grey is 0; full colour is a weight of {limit:.3g}",
        tile=tile,
    )
