"""A model's outputs: which one is meant, and its logits, found in the graph behind it."""

from collections.abc import Mapping

from kerasal import _keras  # noqa: F401
from kerasal.naming import closest

import keras  # isort: skip
import tensorflow as tf  # isort: skip

_SQUASHING = ("Softmax", "Sigmoid", "LogSoftmax")
_PASSING = ("Identity", "Reshape", "Cast", "Squeeze", "ExpandDims")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def select(model: keras.Model, outputs, name: str | int | None):
    """Return the one output that is meant, by name or position; a model with one output needs no name.

    Raises:
        ValueError: several outputs and no name, or a name that does not exist; the outputs are listed.
    """
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    else:
        flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        names = getattr(model, "output_names", None) or []
        named = dict(zip(names if len(names) == len(flat) else map(str, range(len(flat))), flat, strict=True))
    if name is None:
        if len(named) == 1:
            return next(iter(named.values()))
        raise ValueError(f"{model.name!r} has {len(named)} outputs; say which with output=, one of {list(named)}.")
    if isinstance(name, int) and 0 <= name < len(named):
        return list(named.values())[name]
    if name not in named:
        raise ValueError(closest(str(name), named, "output", f" of {model.name!r}"))
    return named[name]


def logits(output: tf.Tensor) -> tf.Tensor:
    """Return what went into the softmax or sigmoid that made ``output``, or ``output`` itself if none did.

    The graph is walked backwards from the output, so the squashing may be a layer's ``activation``, a ``Softmax`` or
    ``Activation`` layer, an op node or a line of somebody's ``call``, in a nested model or not.

    Raises:
        ValueError: a softmax is there, but inside a compiled function (a SavedModel), where it cannot be undone.
    """
    tensor = output
    while tensor.op.type in _PASSING and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
    op = tensor.op
    if op.type in _SQUASHING:
        return tf.reshape(tf.cast(op.inputs[0], output.dtype), tf.shape(output))
    if (
        op.type == "Transpose"
        and op.inputs[0].op.type == "Softmax"
        and op.inputs[0].op.inputs[0].op.type == "Transpose"
    ):
        return tf.reshape(op.inputs[0].op.inputs[0].op.inputs[0], tf.shape(output))  # softmax over an inner axis
    if op.type in _CALLS and _ends_in_squashing(op, list(op.outputs).index(tensor)):
        raise ValueError(
            "The model ends in a softmax or sigmoid inside a compiled function (a SavedModel or a tf.function), so its "
            "logits cannot be had. Pass logits=False (--no-logits) to explain the probabilities, or load the .keras "
            "file."
        )
    return output


def _ends_in_squashing(op, index: int) -> bool:
    library = {function.signature.name: function for function in op.graph.as_graph_def().library.function}
    name = op.get_attr("f").name
    while name in library:
        function = library[name]
        nodes = {node.name: node for node in function.node_def}
        end = function.ret[function.signature.output_arg[index].name]
        node = nodes.get(end.split(":")[0])
        while node is not None and node.op in _PASSING:
            end = node.input[0]
            node = nodes.get(end.split(":")[0])
        if node is None:
            return False
        if node.op in _SQUASHING:
            return True
        if node.op not in _CALLS:
            return False
        name, index = node.attr["f"].func.name, int(end.split(":")[-1])
    return False
