"""Activation maximization: the image that a unit, a channel or a class would most like to see.

``maximize`` is the one entry; ``PRESETS`` are the published recipes for it, ``L1``, ``L2`` and ``TotalVariation`` hold
the image back, and ``Jitter``, ``Rotation`` and ``Scale`` change it before each look. It is made of pixels or of waves.
"""

from kerasal import _keras as _keras
from kerasal.maximization.image_priors import L1 as L1
from kerasal.maximization.image_priors import L2 as L2
from kerasal.maximization.image_priors import Jitter as Jitter
from kerasal.maximization.image_priors import Rotation as Rotation
from kerasal.maximization.image_priors import Scale as Scale
from kerasal.maximization.image_priors import TotalVariation as TotalVariation
from kerasal.maximization.maximizer import maximize as maximize
from kerasal.maximization.recipe import PRESETS as PRESETS
from kerasal.maximization.result import Maximization as Maximization
from kerasal.maximization.result import draw_maximized as draw_maximized

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
