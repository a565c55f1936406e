"""The attentions of a traced graph: softmax weights over positions, however they are spelled."""

import dataclasses
from collections.abc import Iterable

from kerasal.hooks.axis_arithmetic import equation
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
_STEPS_TO_PRODUCT = 16  # scale, relative positions, masks and a mix of heads lie between the product and the softmax


@dataclasses.dataclass(frozen=True)
class Attention:
    """An attention: the weights with which positions are read, times values.

    Attributes:
        weights: output of the softmax, (N, heads, queries, keys) in most models; (N · windows, …) in windows.
        logits: input of the softmax, with masks and biases.
        product: the operation that sums the weighted values.
        axis: axis of the weights that runs over the positions that are read, the keys.
        query_axis: axis of the weights that runs over the positions that read, or None if the product leaves it open.
        mixes_heads: whether heads are mixed between the softmax and the values (talking heads), so that the weights of
            the softmax are not those of the values.
    """

    weights: tf.Tensor
    logits: tf.Tensor
    product: tf.Operation
    axis: int = -1
    query_axis: int | None = None
    mixes_heads: bool = False

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
        for number, factor in enumerate(op.inputs):
            weights, before = factor, None
            while weights is not before:
                before, weights = weights, skip_operations(_skip_dropout(weights, tracer), _PASSING)
            logits, axis = _softmax_input(weights)
            mixed = None if logits is not None else _before_mixed_heads(op, number, tracer)
            if mixed is not None:
                found.setdefault(mixed.weights.ref(), mixed)
            if logits is not None and (weights.shape.rank or 0) >= 3:
                queries = _query_axis(op, number, tracer, weights)
                found.setdefault(weights.ref(), Attention(weights, logits, op, axis, queries))
    return list(found.values())


def read_tensor(attention: Attention, tracer: PositionTracer) -> tf.Tensor | None:
    """Return the tensor from which an attention takes its keys, before its projections; None if it is not found.

    In a vision transformer this is the output of the normalization at the start of the block.
    """
    product = skip_operations(attention.logits, ("Cast", "Identity", "Reshape"))
    for _ in range(_STEPS_TO_PRODUCT):
        if product.op.type in PRODUCTS and all(tracer.axes(tensor) is not None for tensor in product.op.inputs):
            break
        varying = [tensor for tensor in product.op.inputs if tracer.axes(tensor) is not None]
        if len(varying) != 1:
            return None
        (product,) = varying
    else:
        return None
    return _before_projections(product.op.inputs[_key_number(product.op, tracer, attention)], tracer)


def _query_axis(op: tf.Operation, number: int, tracer: PositionTracer, weights: tf.Tensor) -> int | None:
    """Return the only axis of the weights that the values do not have, or None if the weights are reshaped first."""
    if skip_operations(_skip_dropout(op.inputs[number], tracer), ("Cast", "Identity")) is not weights:
        return None
    terms, result = equation(op)
    axes = [axis for axis, letter in enumerate(terms[number]) if letter in result and letter not in terms[1 - number]]
    return axes[0] if len(axes) == 1 else None


def _before_mixed_heads(op: tf.Operation, number: int, tracer: PositionTracer) -> Attention | None:
    """Return the attention whose mixed heads are a factor of a product, or None for another factor.

    Between the softmax and the product there are only linear steps with weights of their own, after which the product
    still sums over the positions of the softmax.
    """
    tensor, mixed = op.inputs[number], False
    logits, axis = _softmax_input(tensor)
    while logits is None:
        varying = [x for x in tensor.op.inputs if tracer.axes(x) is not None]
        if len(varying) != 1 or tensor.op.type not in _MOVING | _SCALING | _SHIFTING | set(PRODUCTS):
            return None
        mixed |= tensor.op.type in PRODUCTS
        (tensor,) = varying
        logits, axis = _softmax_input(tensor)
    keys = (tracer.axes(tensor) or (None,))[axis]
    terms, result = equation(op)
    axes = zip(terms[number], tracer.axes(op.inputs[number]) or (), strict=True)
    summed = [found for letter, found in axes if letter not in result]
    return Attention(tensor, logits, op, axis, None, True) if mixed and keys is not None and keys in summed else None


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
    """Return the tensor from before products and selections with a constant, such as dropout and masks."""
    while tensor.op.type in ("Mul", "SelectV2"):
        operands = tensor.op.inputs[1:] if tensor.op.type == "SelectV2" else tensor.op.inputs  # without the condition
        varying = [x for x in operands if tracer.axes(x) is not None]
        if len(varying) != 1:
            return tensor
        (tensor,) = varying
    return tensor


def _softmax_input(tensor: tf.Tensor) -> tuple[tf.Tensor | None, int]:
    """Return the input of a softmax over one axis, and the axis; (None, -1) for other tensors."""
    if tensor.op.type == "Softmax":
        return tensor.op.inputs[0], -1
    formula = match_formula(tensor.op) if tensor.op.inputs else None
    if formula is None or formula.kind != "Softmax" or len(formula.axes) != 1:
        return None, -1
    return formula.logits, formula.axes[0]
