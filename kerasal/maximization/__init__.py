"""Activation maximization: the image that a unit, a channel or a class would most like to see.

``maximize`` is the one entry; ``presets`` are the published recipes for it, ``regularizers`` what holds the image back,
``transforms`` what is done to it before each look, ``parameterization`` what it is made of: pixels or waves.
"""

from kerasal import _keras as _keras
from kerasal.maximization.maximized_page import draw_maximized as draw_maximized
from kerasal.maximization.maximizer import maximize as maximize
from kerasal.maximization.presets import PRESETS as PRESETS
from kerasal.maximization.regularizers import L1 as L1
from kerasal.maximization.regularizers import L2 as L2
from kerasal.maximization.regularizers import TotalVariation as TotalVariation
from kerasal.maximization.result import Maximization as Maximization
from kerasal.maximization.transforms import Jitter as Jitter
from kerasal.maximization.transforms import Rotation as Rotation
from kerasal.maximization.transforms import Scale as Scale

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
