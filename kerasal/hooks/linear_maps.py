"""Linear operations of a traced graph, each with the bias and the batch normalization that follow it.

A convolution or matrix product with weights is one linear map together with the operations after it that scale and
shift its channels: a bias, batch normalization, a factor. Their factors are folded into the weights and their shifts
into one bias, as the rules of relevance propagation need it.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection

from kerasal.hooks.axis_arithmetic import equation
from kerasal.hooks.linear_tail import MOVES, UNCHANGED, Tail, channel_axis
from kerasal.hooks.operation_replay import replay, widen
from kerasal.hooks.operations import called_graph

import tensorflow as tf

# Types of linear operations, with the number of the input that holds the values; the weights are the other one.
_CONVOLUTIONS = {
    "Conv2D": 0,
    "Conv3D": 0,
    "DepthwiseConv2dNative": 0,
    "Conv2DBackpropInput": 2,
    "Conv3DBackpropInputV2": 2,
}
_PRODUCTS = ("MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
# From a convolution back to a ReLU, these keep values positive.
_KEEPS_SIGN = frozenset((*UNCHANGED, *MOVES, "SpaceToBatchND", "MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D"))
_KEEPS_SIGN |= {"Pad", "Max", "Mean", "StridedSlice"}
_POSITIVE = ("Relu", "Relu6", "Sigmoid")


@dataclasses.dataclass(frozen=True, eq=False)
class LinearMap:
    """A linear operation with what follows it: output = moves(operation(x, weights)) + bias.

    Attributes:
        operation: the convolution or matrix product, or the call of a compiled function that holds it.
        x: its input.
        kernel: its weights.
        weights: its weights times the factors that follow.
        factor: those factors in a shape that broadcasts to the output, or None.
        output: the tensor after factors and shifts.
        bias: the sum of the shifts as they affect the output, which it broadcasts to, or None.
        members: the operations from ``operation`` to ``output``.
        is_convolution: whether the operation is a convolution, not a matrix product.
    """

    operation: tf.Operation
    x: tf.Tensor
    kernel: tf.Tensor
    weights: tf.Tensor
    factor: tf.Tensor | None
    output: tf.Tensor
    bias: tf.Tensor | None
    members: tuple[tf.Operation, ...]
    is_convolution: bool
    _moves: tuple[tf.Operation, ...]
    _apply: Callable

    @functools.cached_property
    def has_positive_input(self) -> bool:
        """Whether no value of the input can be negative, because it comes from a ReLU."""
        return _is_positive(self.x)

    @property
    def positive_bias(self) -> tf.Tensor | None:
        """The positive part of the bias, or None."""
        return None if self.bias is None else tf.nn.relu(self.bias)

    @property
    def negative_bias(self) -> tf.Tensor | None:
        """The negative part of the bias, or None."""
        return None if self.bias is None else -tf.nn.relu(-self.bias)

    def run(self, x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return the output for another input and other weights, without bias."""
        y = self._apply(x, weights)
        for move in self._moves:
            (y,) = replay(move, [y, *move.inputs[1:]])
        return y


def find_linear_map(op: tf.Operation, varying: Collection, flow: Collection, ends: Collection) -> LinearMap | None:
    """Return the linear map that starts with ``op``, or None if ``op`` is no linear operation.

    Args:
        op: an operation of the graph.
        varying: references of all tensors that depend on the model's inputs.
        flow: the operations between the inputs and the score.
        ends: references of tensors that must stay outputs, such as the one that the score is read from.
    """
    inputs = [number for number, tensor in enumerate(op.inputs) if tensor.ref() in varying]
    if len(inputs) != 1:
        return None
    number, linear = inputs[0], op
    if op.type in _CONVOLUTIONS or op.type in _PRODUCTS:
        if number != _CONVOLUTIONS.get(op.type, number):
            return None
        other = {0: 1, 1: 0, 2: 1}[number]
        weights, axes = op.inputs[other], _channel_axes(op, number)
        apply = functools.partial(_replay_with, op, {number: 0, other: 1})
    else:
        inner = _inner_convolution(op, number)
        if inner is None:
            return None
        linear, weights, axes, apply = inner
    tail = Tail(op.outputs[0], axes)
    members = [op]
    while tail.output.ref() not in ends:
        uses = [use for use in tail.output.consumers() if use in flow]
        if len(uses) != 1 or [x.ref() for x in uses[0].inputs if x.ref() in varying] != [tail.output.ref()]:
            break
        if not tail.extend(uses[0], linear.type in _CONVOLUTIONS or _folds(linear, number)):
            break
        members.append(uses[0])
    kernel = widen(weights)
    return LinearMap(
        operation=op,
        x=widen(op.inputs[number]),
        kernel=kernel,
        weights=kernel if tail.factor is None else _scale(linear, kernel, tail.factor),
        factor=tail.broadcast(tail.factor),
        output=widen(tail.output),
        bias=tail.broadcast(tail.bias),
        members=tuple(members),
        is_convolution=linear.type in _CONVOLUTIONS,
        _moves=tuple(tail.moves),
        _apply=apply,
    )


def _replay_with(op: tf.Operation, places: dict[int, int], *operands: tf.Tensor) -> tf.Tensor:
    """Return the output of an operation with operands in place of some inputs; ``places`` maps inputs to operands."""
    inputs = [operands[places[number]] if number in places else x for number, x in enumerate(op.inputs)]
    return replay(op, inputs)[0]


def _channel_axes(op: tf.Operation, number: int) -> frozenset[int]:
    """Return the axes of the output along which each value has weights of its own, as far as they are known."""
    rank = op.outputs[0].shape.rank
    if rank is None or any(tensor.shape.rank is None for tensor in op.inputs):
        return frozenset()
    if op.type in _CONVOLUTIONS:
        return frozenset((channel_axis(op, rank),))
    terms, result = equation(op)
    return frozenset(axis for axis, letter in enumerate(result) if letter not in terms[number])


def _folds(op: tf.Operation, number: int) -> bool:
    """Return whether a factor per channel can be folded into the weights of a matrix product."""
    return op.type != "Einsum" and number == 0


def _scale(op: tf.Operation, weights: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Return weights times a factor, which is a number or has a value per channel of the output."""
    if not factor.shape.rank:
        return weights * factor
    if op.type == "DepthwiseConv2dNative":
        return weights * tf.reshape(factor, tf.shape(weights)[-2:])
    transposed = "transpose_b" if op.type == "MatMul" else "adj_y"
    swapped = op.type not in _CONVOLUTIONS and op.get_attr(transposed)
    if swapped or op.type.endswith(("BackpropInput", "BackpropInputV2")):
        return weights * factor[:, None]
    return weights * factor


def _inner_convolution(op: tf.Operation, number: int) -> tuple | None:
    """Return the convolution inside a compiled function, its weights, its channel axes and the function of both.

    Keras compiles grouped convolutions, and those of volumes with channels first, because they run on a CPU only then.
    None if ``op`` calls no function, or one that computes something else.
    """
    graph = called_graph(op)
    if graph is None:
        return None
    found = [inner for inner in graph.get_operations() if inner.type in _CONVOLUTIONS]
    if len(found) != 1 or len(op.outputs) != 1:
        return None
    (convolution,) = found
    x, outside = graph.inputs[number], dict(zip([x.ref() for x in graph.inputs], op.inputs, strict=True))
    between = [inner for inner in graph.get_operations() if _depends(inner, x)]
    if any(inner is not convolution and inner.type not in MOVES + UNCHANGED for inner in between):
        return None
    weights = _inline(convolution.inputs[1], {ref: tensor for ref, tensor in outside.items() if ref != x.ref()})
    tail = Tail(convolution.outputs[0], _channel_axes(convolution, 0))
    for inner in between[between.index(convolution) + 1 :]:
        if not tail.extend(inner, True):
            return None

    @functools.partial(tf.function, autograph=False, jit_compile=True)
    def apply(values, kernel):
        return _inline(graph.outputs[0], {x.ref(): values, convolution.inputs[1].ref(): kernel})

    return convolution, weights, tail.axes, apply


def _depends(op: tf.Operation, x: tf.Tensor) -> bool:
    return any(tensor is x or (tensor.op.inputs and _depends(tensor.op, x)) for tensor in op.inputs)


def _inline(tensor: tf.Tensor, values: dict) -> tf.Tensor:
    """Return a tensor of a function's graph, computed in the current graph from ``values`` by reference."""
    if tensor.ref() not in values:
        constant = tf.get_static_value(tensor)
        if constant is not None:
            return tf.constant(constant, tensor.dtype)
        return replay(tensor.op, [_inline(x, values) for x in tensor.op.inputs])[tensor.value_index]
    return values[tensor.ref()]


def _is_positive(tensor: tf.Tensor) -> bool:
    """Return whether a tensor has no negative values because it comes from ReLUs."""
    op = tensor.op
    if op.type in ("AddV2", "Add", "ConcatV2", "Pack"):
        return all(_is_positive(x) for x in (op.inputs[:-1] if op.type == "ConcatV2" else op.inputs))
    return op.type in _POSITIVE or (op.type in _KEEPS_SIGN and _is_positive(op.inputs[0]))
