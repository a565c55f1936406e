"""Layers that networks of this field are made of and Keras does not have; saved models find them by name."""

from kerasal import _keras as _keras
from kerasal.layers.convolutions import GroupedConv2D as GroupedConv2D
from kerasal.layers.convolutions import MaxFilterRMS as MaxFilterRMS
from kerasal.layers.convolutions import ReflectionPadding2D as ReflectionPadding2D
from kerasal.layers.jitter import RandomZeroing as RandomZeroing
from kerasal.layers.map_layers import CenterBias as CenterBias
from kerasal.layers.map_layers import GaussianBlur as GaussianBlur
from kerasal.layers.map_layers import ResizeLike as ResizeLike
from kerasal.layers.map_layers import center_bias_switched_off as center_bias_switched_off
from kerasal.layers.maxout import LAYOUTS as LAYOUTS
from kerasal.layers.maxout import Maxout as Maxout
from kerasal.layers.maxout import reorder_maxout as reorder_maxout
from kerasal.layers.normalization import LocalResponseNormalization as LocalResponseNormalization
from kerasal.layers.normalization import LogDensity as LogDensity
from kerasal.layers.normalization import MinMax as MinMax
