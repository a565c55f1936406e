"""Access to the layers and gradients of any Keras model, which stays unchanged.

``watched``      a function that runs a model and returns its output and layers, for a ``GradientTape`` under a rule
``activations``  outputs of layers as arrays
``layers``       all layers and operations inside a model, at any depth, with their paths
``logits``       the input of an output's softmax or sigmoid
``Snapshot``     a record of what a trace depends on, which detects changes

The model is not cloned and no weight is copied. Backward rules replace the gradients of *operations* in the traced
graph. They therefore reach every ReLU, whether it is ``activation="relu"``, ``ReLU``, ``Activation``, ``ReLU6``, a
``keras.ops.relu`` node or ``tf.nn.relu`` inside a custom ``call``. A model with a rectifier that a rule cannot replace
raises ``NoReLU``.
"""

import warnings

from kerasal import _keras as _keras
from kerasal.hooks import taps
from kerasal.hooks.backward_rules import RULES, NoReLU
from kerasal.hooks.engine import activations, watched
from kerasal.hooks.model_digest import digest_model
from kerasal.hooks.model_inputs import PixelInputs
from kerasal.hooks.paths import UnknownLayer, channel_count, layers, select_output
from kerasal.hooks.paths import find as find_layer
from kerasal.hooks.relevance_operations import NoRelevanceRule
from kerasal.hooks.rescale_rule import NoRescaleRule
from kerasal.hooks.snapshot import Snapshot
from kerasal.hooks.softmax import NoLogits, logits
from kerasal.hooks.state import state_rows, unchanged
from kerasal.hooks.taps import NoGradient, differentiate
from kerasal.hooks.target_layers import default_layer, target_maps

__all__ = [
    "RULES",
    "NoGradient",
    "NoLogits",
    "NoReLU",
    "NoRelevanceRule",
    "NoRescaleRule",
    "PixelInputs",
    "Snapshot",
    "UnknownLayer",
    "activations",
    "default_layer",
    "channel_count",
    "differentiate",
    "digest_model",
    "find_layer",
    "layers",
    "logits",
    "select_output",
    "state_rows",
    "target_maps",
    "unchanged",
    "watched",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str):
    if name == "last_map":
        warnings.warn("hooks.last_map is called hooks.default_layer now.", DeprecationWarning, stacklevel=2)
        return default_layer
    if name == "watch":
        warnings.warn("hooks.watch is called hooks.watched now.", DeprecationWarning, stacklevel=2)
        return taps.watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
