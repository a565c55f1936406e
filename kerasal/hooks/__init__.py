"""Look inside any Keras model while it is traced, and leave it as it was.

``paths``    model -> the layers and operations in it, at any depth, by path
``watch``    a context: tensors of chosen layers are kept, a backward rule is in force
``outputs``  a model's outputs: which one, and its logits

Everything here happens in the graph of a ``tf.function``. Nothing is cloned and no weight is copied. The backward rules
act on the *operations* of that graph, so every spelling of ReLU is reached alike: ``activation="relu"``, ``ReLU``,
``Activation``, ``ReLU6``, ``keras.ops.relu`` nodes, and ``tf.nn.relu`` inside somebody's own ``call``.
"""

from kerasal.hooks.maps import last_map as last_map
from kerasal.hooks.outputs import logits as logits
from kerasal.hooks.outputs import select as select_output
from kerasal.hooks.paths import find as find_layer
from kerasal.hooks.paths import fingerprint as fingerprint
from kerasal.hooks.paths import layers as layers
from kerasal.hooks.rules import RULES as RULES
from kerasal.hooks.state import state_rows as state_rows
from kerasal.hooks.state import unchanged as unchanged
from kerasal.hooks.watching import gradients as gradients
from kerasal.hooks.watching import watch as watch

__all__ = [
    "RULES",
    "find_layer",
    "fingerprint",
    "gradients",
    "last_map",
    "layers",
    "logits",
    "select_output",
    "state_rows",
    "unchanged",
    "watch",
]
