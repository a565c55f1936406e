"""What follows a linear operation in a traced graph: a bias, batch normalization and factors, per channel."""

from typing import Any

from kerasal.hooks.operation_replay import widen

import tensorflow as tf

UNCHANGED = ("Identity", "Cast", "Snapshot", "CheckNumerics", "EnsureShape")
MOVES = ("Squeeze", "ExpandDims", "Reshape", "Transpose", "BatchToSpaceND")


class Tail:
    """The factors and shifts after a linear operation, each a number or one value per channel."""

    def __init__(self, output: tf.Tensor, axes: frozenset[int]):
        self.output, self.axes = output, axes
        self.factor: Any = None
        self.bias: Any = None
        self.moves: list[tf.Operation] = []

    def extend(self, op: tf.Operation, folds: bool) -> bool:
        """Take up the operation ``op``, which reads the output; return False if it is none of the tail's.

        ``folds`` tells whether a factor per channel can be folded into the weights.
        """
        if op.type in MOVES:
            axes = _moved_axes(op, self.axes)
            if axes is None:
                return False
            self.moves.append(op)
            self.axes = axes
        elif op.type == "BiasAdd":
            if self.axes != {channel_axis(op, self.output.shape.rank)}:
                return False
            self._shift(tf.reshape(widen(op.inputs[1]), [-1]))
        elif op.type == "Neg":
            self._multiply(tf.constant(-1, widen(self.output).dtype))
        elif op.type == "FusedBatchNormV3" and not op.get_attr("is_training"):
            if self.axes != {channel_axis(op, self.output.shape.rank)} or not folds:
                return False
            scale, offset, mean, variance = (widen(x) for x in op.inputs[1:5])
            scale *= tf.math.rsqrt(variance + op.get_attr("epsilon"))
            self._multiply(scale)
            self._shift(offset - mean * scale)
        elif op.type in ("Add", "AddV2", "Sub", "Mul", "RealDiv"):
            if not self._combine(op, folds):
                return False
        elif op.type not in UNCHANGED or not op.outputs[0].dtype.is_floating:
            return False
        self.output = op.outputs[0]
        return True

    def broadcast(self, values: tf.Tensor | None) -> tf.Tensor | None:
        """Return a number or values per channel in a shape that broadcasts to the output."""
        if values is None or not values.shape.rank:
            return values
        (axis,) = self.axes
        return tf.reshape(values, [-1 if place == axis else 1 for place in range(self.output.shape.rank)])

    def _combine(self, op: tf.Operation, folds: bool) -> bool:
        is_first = op.inputs[0] is self.output
        values = self._per_channel(op.inputs[1 if is_first else 0])
        if values is None or (op.type == "RealDiv" and not is_first):
            return False
        if op.type in ("Mul", "RealDiv"):
            if values.shape.rank and not folds:
                return False
            self._multiply(values if op.type == "Mul" else 1 / values)
            return True
        if op.type == "Sub" and not is_first:
            self._multiply(tf.constant(-1, values.dtype))
        self._shift(-values if op.type == "Sub" and is_first else values)
        return True

    def _per_channel(self, constant: tf.Tensor) -> tf.Tensor | None:
        """Return a constant operand as a number or as values per channel; None if it varies along other axes."""
        rank = self.output.shape.rank
        if constant.shape.rank is None or rank is None or constant.shape.rank > rank:
            return None
        sizes = [1] * (rank - constant.shape.rank) + constant.shape.as_list()
        varied = {axis for axis, size in enumerate(sizes) if size != 1}
        if not varied:
            return tf.reshape(widen(constant), [])
        if not varied <= self.axes or any(sizes[axis] != self.output.shape[axis] for axis in varied):
            return None
        return tf.reshape(widen(constant), [-1])

    def _multiply(self, values: tf.Tensor) -> None:
        self.factor = values if self.factor is None else self.factor * values
        self.bias = None if self.bias is None else self.bias * values

    def _shift(self, values: tf.Tensor) -> None:
        if len(self.axes) > 1:  # of an Einsum, whose rule reads the bias from the output
            return
        self.bias = values if self.bias is None else self.bias + values


def channel_axis(op: tf.Operation, rank: int) -> int:
    """Return the channel axis of the output of an operation with a data format."""
    return 1 if op.get_attr("data_format").startswith(b"NC") else rank - 1


def _moved_axes(op: tf.Operation, axes: frozenset[int]) -> frozenset[int] | None:
    """Return where a channel axis is after an operation that moves values; None if it is lost."""
    before, after = op.inputs[0].shape, op.outputs[0].shape
    if before.rank is None or after.rank is None:
        return None
    if op.type == "Transpose":
        order = tf.get_static_value(op.inputs[1])
        return None if order is None else frozenset(list(order).index(axis) for axis in axes)
    if op.type == "BatchToSpaceND":
        return axes
    if axes == {before.rank - 1} and before[-1] is not None and before[-1] == after[-1]:
        return frozenset((after.rank - 1,))
    if axes == {1} and before[1] is not None and before[1] == after[1] and op.type in ("Squeeze", "ExpandDims"):
        return axes
    return None
