"""Attentions that cannot be read or combined: inside a compiled function or a loop, or with a causal mask."""

from collections.abc import Sequence

import numpy as np

from kerasal.hooks.attentions import Attention
from kerasal.hooks.called_functions import first_call
from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.operations import SHAPES, apply_operation, skip_operations
from kerasal.hooks.position_tracer import PRODUCTS, PositionTracer

import tensorflow as tf

_PASSING = ("Cast", "Identity", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Mul")
_STEPS_TO_PRODUCT = 8  # scale, relative positions and masks lie between the product and the softmax
_FORBIDDEN = -1e4  # masks that are added to the logits hold at most this value where a token may not attend


def check_hidden_attentions(operations: Sequence[tf.Operation]) -> None:
    """Raise an error if an operation calls a function or loop that holds an attention.

    Raises:
        ValueError: as above.
    """
    op = hidden_attention(operations)
    if op is not None:
        raise ValueError(
            f"The model must run its attention in its own graph, but operation {op.name!r} runs one inside a "
            "compiled function or a loop, where it cannot be read. Remove the tf.function, or load the .keras "
            "file instead of a SavedModel."
        )


def hidden_attention(operations: Sequence[tf.Operation]) -> tf.Operation | None:
    """Return the first operation that calls a function or loop which holds an attention, or None."""
    return first_call(operations, _holds_attention)


def _holds_attention(function) -> bool:
    """Return whether a function multiplies the result of a softmax with another tensor of the function."""
    nodes = {node.name: node for node in function.node_def}
    for node in function.node_def:
        if node.op in PRODUCTS:
            for name in node.input[:2]:
                source = nodes.get(name.split(":")[0])
                while source is not None and source.op in _PASSING and source.input:
                    source = nodes.get(source.input[0].split(":")[0])
                if source is not None and source.op == "Softmax":
                    return True
    return False


def is_causal(attention: Attention, tracer: PositionTracer) -> bool:
    """Return whether a constant mask lets each token attend only to tokens on one side of it."""
    tensor = skip_operations(attention.logits, ("Cast", "Identity", "Reshape"))
    for _ in range(_STEPS_TO_PRODUCT):
        masks = [x for x in tensor.op.inputs if (x.shape.rank or 0) >= 2 and tracer.axes(x) is None]
        varying = [x for x in tensor.op.inputs if tracer.axes(x) is not None]
        if tensor.op.type in PRODUCTS or len(varying) != 1:
            return False
        if any(_is_triangular(mask) for mask in masks):
            return True
        tensor = skip_operations(varying[0], ("Cast", "Identity", "Reshape"))
    return False


def _is_triangular(mask: tf.Tensor) -> bool:
    value = _constant_value(mask)
    if value is None or value.ndim < 2 or value.shape[-1] != value.shape[-2] or value.shape[-1] < 2:
        return False
    allowed = value if value.dtype == bool else value > _FORBIDDEN
    lower = np.tril(np.ones(value.shape[-2:], bool))
    return bool((allowed == lower).all() or (allowed == lower.T).all())


def _constant_value(tensor: tf.Tensor) -> np.ndarray | None:
    """Return the value of a tensor that depends on no variable, computed for one image; None for other tensors."""
    operations = operations_below([tensor], SHAPES)
    captures = {inner.op.name: outer for outer, inner in getattr(tensor.graph, "captures", ())}
    copies = {}
    with tf.Graph().as_default() as graph:
        for op in operations:
            outer = captures.get(op.name)
            if op.type == "Placeholder" and outer is not None and outer.dtype != tf.resource:
                copies[op.outputs[0].ref()] = tf.constant(tf.get_static_value(outer))
                continue
            known = [copies[x.ref()] if x.ref() in copies else _static_shape(x) for x in op.inputs]
            inputs = [x for x in known if x is not None]
            if op.type == "Placeholder" or len(inputs) < len(known):  # a variable or an input of the model
                return None
            copies |= {old.ref(): new for old, new in zip(op.outputs, apply_operation(op, inputs), strict=True)}
        with tf.compat.v1.Session(graph=graph) as session:
            return np.asarray(session.run(copies[tensor.ref()]))


def _static_shape(tensor: tf.Tensor) -> tf.Tensor | None:
    """Return the value of the output of a shape operation for one image; None for other tensors."""
    if tensor.op.type not in ("Shape", "ShapeN"):
        return None
    shape = tensor.op.inputs[tensor.value_index].shape
    return None if shape.rank is None else tf.constant([size or 1 for size in shape.as_list()], tensor.dtype)
