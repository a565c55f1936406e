"""Where the positions of a model's input are in each tensor of its traced graph.

The axes of the inputs are known; each operation moves, merges or splits them (``kerasal.hooks.axis_factors``). What an
operation that is not known here returns has no known positions, until a sum with a tensor of known positions, such as a
residual connection, determines them again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.hooks.axis_arithmetic import equation
from kerasal.hooks.axis_factors import (
    BATCH,
    BATCH_SIZE,
    CHANNEL,
    Axes,
    Axis,
    Factor,
    channel,
    combine,
    insert_axis,
    plain,
    remove_axes,
    reshape,
    resized,
)
from kerasal.hooks.axis_labels import data_format
from kerasal.hooks.axis_selection import select_outputs
from kerasal.hooks.map_positions import Positions, find_positions
from kerasal.hooks.operations import BROADCASTING, SHAPES, SPATIAL, UNARY, called_graph, skip_operations
from kerasal.hooks.shape_values import ShapeValues

import tensorflow as tf

_SAME_AXES = UNARY | {"BiasAdd", "CheckNumerics", "Cumsum", "EnsureShape", "FusedBatchNormV3", "LRN"}
# fmt: off
_SAME_AXES |= {
    "Acos", "Acosh", "AdjustContrastv2", "AdjustHue", "AdjustSaturation", "Asin", "Asinh", "Atan", "Atanh",
    "ClipByValue", "Cos", "Cosh", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "HSVToRGB", "IsFinite", "IsInf",
    "IsNan", "LogicalNot", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4", "RGBToHSV",
    "Sin", "Sinh", "Tan",
}
# fmt: on
_ELEMENTWISE = BROADCASTING | {"BroadcastTo", "FloorDiv", "FloorMod", "Select", "Xdivy", "Xlogy"}
_REDUCTIONS = frozenset(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"))
PRODUCTS = frozenset(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul", "Einsum"))


class PositionTracer:
    """The axes of all tensors that depend on the inputs of a run.

    Args:
        inputs: the inputs of the model as it takes them.
        channels: the channel axis of each input; None for an input without channels.
        operations: the operations of the run, in the order in which they run.
        fixed: by ``tensor.ref()``, functions from the traced axes to those that a layer determines, such as the time
            axis of a recurrent layer.

    ``mixing`` lists the operations that combine values of different positions into a value per position, such as
    attention or a dense layer along tokens, but not convolution or pooling.
    """

    def __init__(
        self,
        inputs: Sequence[tf.Tensor],
        channels: Sequence[int | None],
        operations: Iterable[tf.Operation],
        fixed: Mapping[Any, Callable[[Axes], Axes]] | None = None,
    ):
        self._axes: dict[Any, Axes] = {}
        self._shapes = ShapeValues(self._sizes)
        self.mixing: list[tf.Operation] = []
        for number, (x, channel_axis) in enumerate(zip(inputs, channels, strict=True)):
            self._axes[x.ref()] = input_axes(x, number, channel_axis)
        self._follow(operations, fixed or {})

    def axes(self, tensor: tf.Tensor) -> Axes | None:
        """Return the axes of a tensor, with None for each that is not known; None if it does not depend on the inputs.

        A tensor of unknown rank has no axes, ().
        """
        return self._axes.get(tensor.ref())

    def positions(self, tensor: tf.Tensor) -> Positions | None:
        """Return where the positions and channels of a tensor are, or None if it has none or they are not known."""
        return find_positions(self.axes(tensor))

    def _follow(self, operations: Iterable[tf.Operation], fixed: Mapping[Any, Callable]) -> None:
        for op in operations:
            if op.type in SHAPES or not any(tensor.ref() in self._axes for tensor in op.inputs):
                continue
            graph = called_graph(op)
            if graph is None:
                self._trace(op)
            else:
                self._follow_call(op, graph)
            for tensor in op.outputs:
                if tensor.ref() in fixed:
                    self._axes[tensor.ref()] = fixed[tensor.ref()](self._axes[tensor.ref()])

    def _follow_call(self, op: tf.Operation, graph: Any) -> None:
        """Follow the axes through a function that the graph calls."""
        inside = graph.get_operations()
        for tensor in (tensor for inner in inside for tensor in inner.outputs):
            self._axes.pop(tensor.ref(), None)  # of an earlier call of the same function
        for outer, inner in zip(op.inputs, graph.inputs, strict=False):
            if outer.ref() in self._axes:
                self._axes[inner.ref()] = self._axes[outer.ref()]
        count = len(self.mixing)
        self._follow(inside, {})
        self.mixing[count:] = [op] * (len(self.mixing) > count)
        for outer, inner in zip(op.outputs, graph.outputs, strict=False):
            self._axes[outer.ref()] = self._axes.get(inner.ref(), (None,) * (outer.shape.rank or 0))

    def _trace(self, op: tf.Operation) -> None:
        inputs = [self._axes.get(tensor.ref()) for tensor in op.inputs]
        try:
            outputs = self._outputs(op, inputs)
        except (IndexError, KeyError, TypeError, ValueError):  # an axis or a size is known only at run time
            outputs = None
        for number, output in enumerate(op.outputs):
            rank = output.shape.rank
            axes = outputs[min(number, len(outputs) - 1)] if outputs else None
            if axes is None or rank is None or len(axes) != rank:
                axes = (None,) * (rank or 0)
            sizes = output.shape.as_list() if rank is not None else []
            self._axes[output.ref()] = tuple(
                plain(1) if axis is None and size == 1 else axis for size, axis in zip(sizes, axes, strict=True)
            )

    def _outputs(self, op, inputs: list) -> list | None:
        first: Any = inputs[0] if inputs else None
        if op.type in _SAME_AXES:
            return [first]
        if op.type in SPATIAL or op.type == "BatchToSpaceND":
            return [self._image_axes(op, inputs)]
        if op.type == "IdentityN":
            return [axes or () for axes in inputs]
        if op.type in _ELEMENTWISE:
            return [_broadcast(op, inputs)]
        if op.type == "Transpose":
            return [tuple(first[axis] for axis in self._shapes.require(op.inputs[1]))]
        if op.type == "ExpandDims":
            return [insert_axis(first, int(self._shapes.require(op.inputs[1])))]
        if op.type == "Squeeze":
            return [remove_axes(first, self._sizes(op.inputs[0]), op.get_attr("squeeze_dims"))]
        if op.type == "Reshape":
            return [reshape(first, before := self._sizes(op.inputs[0]), *self._shapes.target(op, before))]
        if op.type in _REDUCTIONS:
            return [_reduce(op, first, self._shapes.require(op.inputs[1]))]
        if op.type in PRODUCTS:
            return [self._product(op, inputs)]
        return select_outputs(op, inputs, self._shapes)

    def _sizes(self, tensor: tf.Tensor) -> list[int | None]:
        """Return the sizes of a tensor; the number of images is a stand-in if it is known only at run time."""
        sizes, axes = tensor.shape.as_list(), self._axes.get(tensor.ref())
        if axes is None:
            return sizes
        return [
            axis.size if size is None and axis is not None else size for size, axis in zip(sizes, axes, strict=True)
        ]

    def _image_axes(self, op, inputs) -> Axes | None:
        """Return the axes after a convolution, pooling or resizing: new sizes along the same positions."""
        number = 2 if op.type.startswith(("Conv2DBackprop", "Conv3DBackprop")) else 0
        axes, x, output = inputs[number], op.inputs[number], op.outputs[0]
        if axes is None:  # only the kernel depends on the inputs
            return None
        rank = x.shape.rank
        channel_axis = 1 if data_format(op).startswith(b"NC") else rank - 1
        spatial = [axis for axis in range(1, rank) if axis != channel_axis]
        result = list(axes)
        result[channel_axis] = channel(output.shape[channel_axis])
        for axis in spatial:
            others = [other for place, other in enumerate(axes) if place != axis]
            result[axis] = resized(axes[axis], x.shape[axis], output.shape[axis], others)
        return tuple(result)

    def _product(self, op, inputs) -> Axes:
        """Return the axes of a tensor product; list it in ``mixing`` if it sums over positions and keeps others."""
        terms, result = equation(op)
        letters: dict[Any, list] = {}
        sizes = dict(zip(result, op.outputs[0].shape.as_list(), strict=True))
        for term, axes, tensor in zip(terms, inputs, op.inputs, strict=True):
            for place, letter in enumerate(term):
                if axes is not None and not (tensor.shape[place] == 1 and sizes.get(letter, 1) != 1):
                    letters.setdefault(letter, []).append(axes[place])
        meaning = {letter: combine(axes) for letter, axes in letters.items()}
        summed = [meaning[letter] for letter in meaning if letter not in result]
        new: Axis | None
        output = []
        for letter in result:
            if letter in meaning:
                output.append(meaning[letter])
                continue
            new = None
            if any(axis is not None and axis.has(CHANNEL) for axis in summed):
                new = channel(sizes[letter])
            elif all(axis is not None and not axis.factors for axis in summed):
                new = plain(sizes[letter])
            output.append(new)
        unknown_attention = None in summed and any(_is_softmax(tensor) for tensor in op.inputs)
        over_positions = unknown_attention or any(
            axis is not None and axis.positions and not axis.has(CHANNEL) for axis in summed
        )
        if over_positions and any(axis is not None and axis.positions for axis in output):
            self.mixing.append(op)
        return tuple(output)


def input_axes(x: tf.Tensor, number: int, channel_axis: int | None) -> Axes:
    """Return the axes of an input of a model."""
    axes, place = [], 0
    for axis, size in enumerate(x.shape.as_list()):
        if axis == 0:
            axes.append(Axis((Factor(BATCH, size or BATCH_SIZE),)))
        elif axis == channel_axis:
            axes.append(channel(size))
        else:
            axes.append(Axis((Factor((number, place), size),)))
            place += 1
    return tuple(axes)


def _broadcast(op, inputs) -> Axes:
    sizes = op.outputs[0].shape.as_list()
    result = []
    for axis in range(-len(sizes), 0):
        aligned = [
            axes[axis]
            for tensor, axes in zip(op.inputs, inputs, strict=True)
            if axes is not None and len(axes) >= -axis and (sizes[axis] == 1 or tensor.shape[axis] != 1)
        ]
        result.append(combine(aligned) if aligned else plain(sizes[axis]))
    return tuple(result)


def _reduce(op, axes: Axes, numbers: np.ndarray) -> Axes:
    rank = len(axes)
    reduced = {int(axis) % rank for axis in numbers.reshape(-1)}
    if op.get_attr("keep_dims"):
        return tuple(plain(1) if axis in reduced else axes[axis] for axis in range(rank))
    return tuple(axes[axis] for axis in range(rank) if axis not in reduced)


def _is_softmax(tensor: tf.Tensor) -> bool:
    return skip_operations(tensor, ("Cast", "Identity", "Reshape")).op.type == "Softmax"
