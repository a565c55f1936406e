"""The attentions of a traced graph: softmax weights over positions, however they are spelled."""

import dataclasses
from collections.abc import Iterable

from kerasal.hooks.operations import skip_operations
from kerasal.hooks.position_tracer import PRODUCTS, PositionTracer
from kerasal.hooks.squashing_formulas import match_formula

import tensorflow as tf

# From the softmax to the product with the values: dropout, casts and changes of the shape.
_PASSING = ("Cast", "Identity", "Reshape", "Squeeze", "ExpandDims", "Transpose")
# Linear steps from the tensor that an attention reads to its keys, apart from those that have weights.
_MOVING = frozenset((
    "Cast", "ExpandDims", "GatherV2", "Identity", "Pad", "PadV2", "Reshape", "Roll", "Slice", "Split", "SplitV",
    "Squeeze", "StridedSlice", "Transpose", "Unpack",
))  # fmt: skip
_SCALING = frozenset(("Mul", "RealDiv"))
_SHIFTING = frozenset(("Add", "AddV2", "BiasAdd", "Sub"))


@dataclasses.dataclass(frozen=True)
class Attention:
    """An attention: ``weights``, whose last axis runs over the positions that are read, times values.

    Attributes:
        weights: output of the softmax, (N, heads, queries, keys) in most models; (N · windows, …) in windows.
        logits: input of the softmax, with masks and biases.
        product: the operation that sums the weighted values.
    """

    weights: tf.Tensor
    logits: tf.Tensor
    product: tf.Operation

    @property
    def name(self) -> str:
        """Name of the softmax in the graph, which starts with the names of the layers around it."""
        return self.weights.op.name


def find_attentions(tracer: PositionTracer, operations: Iterable[tf.Operation]) -> list[Attention]:
    """Return the attentions among the operations of a run, in the order in which they run.

    A product is an attention if one of its factors is a softmax over the axis that it sums, and if both factors depend
    on the model's inputs.
    """
    found: dict = {}
    for op in operations:
        if op.type not in PRODUCTS or any(tracer.axes(tensor) is None for tensor in op.inputs):
            continue
        for factor in op.inputs:
            weights = skip_operations(_skip_dropout(factor, tracer), _PASSING)
            logits = _softmax_input(weights)
            if logits is not None and (weights.shape.rank or 0) >= 3:
                found.setdefault(weights.ref(), Attention(weights, logits, op))
    return list(found.values())


def read_tensor(attention: Attention, tracer: PositionTracer) -> tf.Tensor | None:
    """Return the tensor from which an attention takes its keys, before its projections; None if it is not found.

    In a vision transformer this is the output of the normalization at the start of the block.
    """
    product = skip_operations(attention.logits, ("Cast", "Identity", "Reshape"))
    for _ in range(8):  # scale, relative positions and masks lie between the product and the softmax
        if product.op.type in PRODUCTS and all(tracer.axes(tensor) is not None for tensor in product.op.inputs):
            break
        varying = [tensor for tensor in product.op.inputs if tracer.axes(tensor) is not None]
        if len(varying) != 1:
            return None
        (product,) = varying
    else:
        return None
    return _before_projections(product.op.inputs[_key_number(product.op, tracer, attention)], tracer)


def _key_number(op: tf.Operation, tracer: PositionTracer, attention: Attention) -> int:
    """Return which factor of the product of queries and keys holds the keys."""
    if op.type != "Einsum":
        return 1
    left, right = op.get_attr("equation").decode().split("->")
    terms = left.split(",")
    keys = right.strip()[-1]
    return next((number for number, term in enumerate(terms) if keys in term), 1)


def _before_projections(tensor: tf.Tensor, tracer: PositionTracer) -> tf.Tensor:
    """Return the tensor that is projected to keys, or the keys themselves if they have no projection."""
    keys = _before_moves(tensor, tracer)
    tensor = keys
    while True:
        op = tensor.op
        fixed = [x for x in op.inputs if tracer.axes(x) is None]
        varying = [x for x in op.inputs if tracer.axes(x) is not None]
        if len(varying) != 1:
            return keys
        if op.type in PRODUCTS:
            return _before_moves(varying[0], tracer)
        if op.type not in _MOVING | _SCALING | _SHIFTING or (op.type not in _MOVING and len(fixed) != 1):
            return keys
        (tensor,) = varying


def _before_moves(tensor: tf.Tensor, tracer: PositionTracer) -> tf.Tensor:
    while tensor.op.type in _MOVING:
        varying = [x for x in tensor.op.inputs if tracer.axes(x) is not None]
        if len(varying) != 1:
            break
        (tensor,) = varying
    return tensor


def _skip_dropout(tensor: tf.Tensor, tracer: PositionTracer) -> tf.Tensor:
    while tensor.op.type == "Mul":
        varying = [x for x in tensor.op.inputs if tracer.axes(x) is not None]
        if len(varying) != 1:
            return tensor
        (tensor,) = varying
    return tensor


def _softmax_input(tensor: tf.Tensor) -> tf.Tensor | None:
    if tensor.op.type == "Softmax":
        return tensor.op.inputs[0]
    formula = match_formula(tensor.op) if tensor.op.inputs else None
    return formula.logits if formula is not None and formula.kind == "Softmax" else None
