"""Activation maximization: the image that a unit, a channel or a class would most like to see.

``maximize`` is the one entry; ``PRESETS`` are the published recipes for it, ``L1``, ``L2`` and ``TotalVariation`` hold
the image back, and ``Jitter``, ``Rotation`` and ``Scale`` change it before each look. It is made of pixels or of waves.
"""

from kerasal import _keras as _keras
from kerasal.maximization.image_priors import L1, L2, Jitter, Rotation, Scale, TotalVariation
from kerasal.maximization.maximizer import maximize
from kerasal.maximization.recipe import PRESETS
from kerasal.maximization.result import Maximization, draw_maximized

__all__ = [
    "L1",
    "L2",
    "PRESETS",
    "Jitter",
    "Maximization",
    "Rotation",
    "Scale",
    "TotalVariation",
    "draw_maximized",
    "maximize",
]


def __dir__() -> list[str]:
    return sorted(__all__)
