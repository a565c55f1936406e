"""From model inputs to pictures that a person can read."""

import numpy as np

from kerasal.preprocessing import Preprocessing

# An image's standard deviation is drawn as this share of the range: the usual choice for such images.
CONTRAST = 0.15


def to_pictures(raw: np.ndarray, display: str, convention: Preprocessing | None) -> np.ndarray:
    """Turn model inputs (N, H, W, C) into uint8 (N, H, W, 3).

    ``"pixels"`` undoes the preprocessing, and what leaves 0..255 is cut off. ``"contrast"``, and any display without a
    known convention, centers each channel on middle gray and stretches the image's standard deviation to a fixed
    contrast.
    """
    pixels = raw if raw.ndim == 4 else raw[..., None]
    if convention is not None:
        pixels = convention.invert(pixels)
    if display == "contrast" or convention is None:
        centered = pixels - pixels.mean(axis=(1, 2), keepdims=True)
        spread = centered.std(axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (0.5 + CONTRAST * centered / np.where(spread > 0, spread, 1))
    pictures = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    if pictures.shape[-1] == 3:
        return pictures
    return np.repeat(pictures[..., :1], 3, axis=-1)
