"""Keras layers for convolutional networks and gaze models, registered so that saved models load with them."""

from kerasal import _keras as _keras
from kerasal.layers.channel_layers import LAYOUTS, LocalResponseNormalization, Maxout, reorder_maxout
from kerasal.layers.convolutions import GroupedConv2D, MaxFilterRMS, RandomZeroing, ReflectionPadding2D
from kerasal.layers.density_adaptation import DensityAdaptation
from kerasal.layers.map_layers import CenterBias, GaussianBlur, LogDensity, MinMax, ResizeLike, center_bias_switched_off

__all__ = [
    "CenterBias",
    "DensityAdaptation",
    "GaussianBlur",
    "GroupedConv2D",
    "LAYOUTS",
    "LocalResponseNormalization",
    "LogDensity",
    "MaxFilterRMS",
    "Maxout",
    "MinMax",
    "RandomZeroing",
    "ReflectionPadding2D",
    "ResizeLike",
    "center_bias_switched_off",
    "reorder_maxout",
]


def __dir__() -> list[str]:
    return sorted(__all__)
