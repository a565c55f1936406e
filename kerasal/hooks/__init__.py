"""Look inside any Keras model while it runs, and leave it as it was.

``watched``      a model as a callable whose output and layers an ordinary ``GradientTape`` differentiates, under a rule
``activations``  what layers make of inputs, as arrays
``layers``       the layers and operations in a model, at any depth, by path
``logits``       what went into an output's softmax or sigmoid
``Snapshot``     whether anything has changed that a trace depends on

Nothing is cloned and no weight is copied. The backward rules act on the *operations* of the traced graph, so every
spelling of ReLU is reached alike: ``activation="relu"``, ``ReLU``, ``Activation``, ``ReLU6``, ``keras.ops.relu`` nodes,
and ``tf.nn.relu`` inside somebody's own ``call``. What a rule would miss is refused (``NoReLU``).
"""

import warnings

from kerasal import _keras as _keras
from kerasal.hooks import taps
from kerasal.hooks.backward_rules import RULES, NoReLU
from kerasal.hooks.engine import activations, watched
from kerasal.hooks.model_digest import digest_model
from kerasal.hooks.paths import channel_count, layers, select_output
from kerasal.hooks.paths import find as find_layer
from kerasal.hooks.snapshot import Snapshot
from kerasal.hooks.softmax import NoLogits, logits
from kerasal.hooks.state import state_rows, unchanged
from kerasal.hooks.taps import NoGradient, differentiate
from kerasal.hooks.target_layers import last_map, target_maps

__all__ = [
    "RULES",
    "NoGradient",
    "NoLogits",
    "NoReLU",
    "Snapshot",
    "activations",
    "channel_count",
    "differentiate",
    "digest_model",
    "find_layer",
    "last_map",
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
    if name == "watch":
        warnings.warn("kerasal.hooks.watch is now kerasal.hooks.watched.", DeprecationWarning, stacklevel=2)
        return taps.watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
