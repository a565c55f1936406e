"""Look inside any Keras model while it is traced, and leave it as it was.

``paths``    model -> the layers and operations in it, at any depth, by path
``watch``    a context: tensors of chosen layers are kept, a backward rule is in force
``outputs``  a model's outputs: which one, and its logits
``Snapshot`` whether anything has changed that a trace depends on
``reach``    what a backward rule would miss, refused
``softmax``  what may follow the softmax or sigmoid that the logits are behind

Everything here happens in the graph of a ``tf.function``. Nothing is cloned and no weight is copied. The backward rules
act on the *operations* of that graph, so every spelling of ReLU is reached alike: ``activation="relu"``, ``ReLU``,
``Activation``, ``ReLU6``, ``keras.ops.relu`` nodes, and ``tf.nn.relu`` inside somebody's own ``call``.
"""

from kerasal import _keras as _keras
from kerasal.hooks.backward_rules import RULES as RULES
from kerasal.hooks.engine import gradients as gradients
from kerasal.hooks.engine import watch as watch
from kerasal.hooks.model_digest import digest_model as digest_model
from kerasal.hooks.model_outputs import NoLogits as NoLogits
from kerasal.hooks.model_outputs import logits as logits
from kerasal.hooks.model_outputs import select as select_output
from kerasal.hooks.paths import channel_count as channel_count
from kerasal.hooks.paths import find as find_layer
from kerasal.hooks.paths import layers as layers
from kerasal.hooks.reach import NoReLU as NoReLU
from kerasal.hooks.snapshot import Snapshot as Snapshot
from kerasal.hooks.state import state_rows as state_rows
from kerasal.hooks.state import unchanged as unchanged
from kerasal.hooks.target_layers import last_map as last_map
from kerasal.hooks.target_layers import target_maps as target_maps

__all__ = [
    "RULES",
    "NoLogits",
    "NoReLU",
    "Snapshot",
    "channel_count",
    "digest_model",
    "find_layer",
    "gradients",
    "last_map",
    "layers",
    "logits",
    "select_output",
    "state_rows",
    "target_maps",
    "unchanged",
    "watch",
]
