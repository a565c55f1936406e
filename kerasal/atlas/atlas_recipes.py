"""How the images of an atlas are ascended: quickly, since there are hundreds, and so that a person can read them."""

from typing import Any

import numpy as np

from kerasal.images import resize
from kerasal.maximization import L2, Jitter, TotalVariation

# Up to this side there is no room for a photograph's waves: strokes of pixels, held smooth, say more.
_SMALL = 64
VERSION = 2
"""Raised when a recipe changes, so that older pictures are made again."""


def class_recipe(shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """Return the arguments of ``maximize`` for the images of classes."""
    return _strokes(shape, seed, 200) if is_small(shape) else {"preset": "olah", "steps": 128}


def channel_recipe(shape: tuple[int, int, int], canvas: tuple[int, int], seed: int) -> dict[str, Any]:
    """Return the arguments of ``maximize`` for the images of channels, on a canvas (height, width)."""
    if is_small(shape):
        return _strokes((*canvas, shape[2]), seed, 160)
    return {"preset": "olah", "steps": 40, "step_size": 0.13}  # fewer and longer steps than the preset's


def is_small(shape: tuple[int, int, int]) -> bool:
    """Tell whether images of a shape (H, W, C) are ascended as strokes of pixels, stretched when they are drawn."""
    return shape[2] != 3 or max(shape[:2]) <= _SMALL


def _strokes(shape: tuple[int, int, int], seed: int, steps: int) -> dict[str, Any]:
    """From noise of the full range, so that ReLUs wake up; the penalties take away what the score does not ask for."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (-(-shape[0] // 2), -(-shape[1] // 2), shape[2]))
    return {
        "preset": "simonyan",
        "regularizers": (L2(4e-3), TotalVariation(0.05)),
        "transforms": (Jitter(2),),
        "clip": True,
        "steps": steps,
        "step_size": 2.0,
        "noise": np.clip(resize(coarse.astype(np.float32), shape[:2]), 0, 255),
    }
