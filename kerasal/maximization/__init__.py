"""Activation maximization: the image that maximizes the score of a unit, a channel or a class.

``maximize``                          the images, by gradient ascent on pixels or on a Fourier spectrum
``PRESETS``                           the recipes, by name
``default_preset``                    the name of the recipe that suits a model
``L1``, ``L2``, ``TotalVariation``    regularizers, subtracted from the score
``Jitter``, ``Rotation``, ``Scale``   random transforms before each forward pass
``Maximization``                      the result: images, model inputs, history of scores
``draw_maximized``                    a page of the images
"""

from kerasal import _keras as _keras
from kerasal.maximization.image_priors import L1, L2, Jitter, Rotation, Scale, TotalVariation
from kerasal.maximization.maximizer import maximize
from kerasal.maximization.recipe import PRESETS, default_preset
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
    "default_preset",
    "draw_maximized",
    "maximize",
]


def __dir__() -> list[str]:
    return sorted(__all__)
