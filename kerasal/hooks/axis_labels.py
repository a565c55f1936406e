"""The meaning of each axis in a traced graph: positions, channels, or an axis of a tensor where the labels start.

Labels move forward through the graph and the functions that it calls; flattening takes the union of the labels of the
flattened axes. The output of an operation on images gets new labels, since its axes are known. Other operations drop
the labels instead of guessing.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasal.hooks.axis_arithmetic import (
    NONE,
    Labels,
    concatenate_labels,
    equation,
    reshape_labels,
    slice_labels,
)
from kerasal.hooks.operations import BROADCASTING, SHAPES, SPATIAL, UNARY, called_graph, output_sizes, static_value

import tensorflow as tf

POSITION, CHANNEL = "position", "channel"
Seeds = Iterable[tuple[tf.Tensor, Labels]]

_SAME_AXES = UNARY | {"BiasAdd", "CheckNumerics", "Cumsum", "EnsureShape", "MirrorPad", "Pad", "PadV2", "ReverseV2"}
_SAME_AXES |= {"Roll", "Slice", "Split", "SplitV", "Tile"}
_ELEMENTWISE = BROADCASTING | {"BroadcastTo", "FloorDiv", "FloorMod", "Select", "Xdivy", "Xlogy"}
_REDUCTIONS = frozenset(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"))
_PRODUCTS = frozenset(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"))


@dataclasses.dataclass(frozen=True)
class Vote:
    """Evidence that the axis with these ``labels`` holds channels: an ``operation`` requires or ``suggests`` it.

    ``positions`` holds the labels of the other axes of an operation on images, and ``rank`` is that of its input.
    """

    labels: frozenset
    operation: str
    rank: int
    suggests: bool = False
    positions: frozenset = NONE


class AxisLabels:
    """The labels of all tensors that depend on ``seeds``, pairs of a tensor and its labels.

    ``votes`` lists the axes that operations treat as channels. ``mixed`` names the operations that combine positions
    and still return a value per position: attention or a dense layer along tokens, but not convolution or pooling.
    Labels end at operations on images if not ``past_images``; with ``keep_seeds`` they pass to the output's axes.
    """

    def __init__(self, seeds: Seeds, operations: Iterable, *, past_images: bool = True, keep_seeds: bool = False):
        self._past_images, self._keep_seeds = past_images, keep_seeds
        self._labels = {tensor.ref(): labels for tensor, labels in seeds}
        self.votes: list[Vote] = []
        self.mixed: list[str] = []
        self._caller = ""
        self._follow(operations)

    def get(self, tensor: tf.Tensor) -> Labels | None:
        """Return the labels of each axis; None if the tensor does not depend on the seeds or its rank is unknown."""
        return self._labels.get(tensor.ref())

    def merges(self, axes: frozenset) -> bool:
        """Return whether an axis of any tensor has all of these labels."""
        return any(axes <= axis_labels for labels in self._labels.values() for axis_labels in labels)

    def _follow(self, operations: Iterable) -> None:
        for op in (op for op in operations if op.type not in SHAPES):
            if any(tensor.ref() in self._labels for tensor in op.inputs):
                self._label_outputs(op)

    def _follow_call(self, op: tf.Operation, graph: Any) -> None:
        """Label the outputs of a call by following the labels of its inputs through the function."""
        inside = graph.get_operations()
        for tensor in (tensor for inner in inside for tensor in inner.outputs):
            self._labels.pop(tensor.ref(), None)  # of an earlier call of the same function
        for outer, inner in zip(op.inputs, graph.inputs, strict=False):
            if outer.ref() in self._labels:
                self._labels[inner.ref()] = self._labels[outer.ref()]
        caller, self._caller = self._caller, self._caller or op.name
        self._follow(inside)
        self._caller = caller
        for outer, inner in zip(op.outputs, graph.outputs, strict=False):
            if inner.ref() in self._labels:
                self._labels[outer.ref()] = self._labels[inner.ref()]

    def _label_outputs(self, op: tf.Operation) -> None:
        if (graph := called_graph(op)) is not None:
            self._follow_call(op, graph)
            return
        inputs = [self._labels.get(tensor.ref()) for tensor in op.inputs]
        try:
            outputs = self._outputs(op, inputs)
        except (IndexError, TypeError, ValueError):  # an axis or a size is known only at run time
            outputs = None
        for number, output in enumerate(op.outputs if self._past_images or not data_format(op) else ()):
            rank = output.shape.rank
            labels = outputs[min(number, len(outputs) - 1)] if outputs else None
            self._labels[output.ref()] = labels if labels and len(labels) == rank else (NONE,) * (rank or 0)

    def _outputs(self, op, inputs: list[Any]) -> list[Any] | None:
        first: Any = inputs[0] if inputs else None
        if op.type in SPATIAL:
            return self._image_labels(op, inputs)
        if op.type == "IdentityN":
            return [labels or () for labels in inputs]
        if op.type in _SAME_AXES:
            return [inputs[1] if op.type == "Split" else first]
        if op.type in _ELEMENTWISE:
            return [self._broadcast(op, inputs)]
        if op.type == "Transpose":
            return [tuple(first[axis] for axis in _constant(op.inputs[1]))]
        if op.type in ("Reshape", "ExpandDims", "Squeeze"):
            return [reshape_labels(first, op.inputs[0].shape.as_list(), output_sizes(op))]
        if op.type in _REDUCTIONS:
            return [self._reduce(op, first)]
        if op.type in _PRODUCTS or op.type == "Einsum":
            return [self._product(op, inputs)]
        if op.type in ("ConcatV2", "Pack"):
            return [concatenate_labels(op, inputs)]
        if op.type == "Unpack":
            axis = op.get_attr("axis") % len(first)
            return [first[:axis] + first[axis + 1 :]]
        if op.type == "StridedSlice":
            return [slice_labels(op, first)]
        if op.type == "GatherV2" and not op.get_attr("batch_dims"):
            axis = int(_constant(op.inputs[2])) % len(first)
            return [first[:axis] + (first[axis],) * op.inputs[1].shape.rank + first[axis + 1 :]]
        return None

    def _image_labels(self, op, inputs) -> list[Labels] | None:
        number = 2 if op.type.startswith(("Conv2DBackprop", "Conv3DBackprop")) else 0
        labels, rank = inputs[number], op.inputs[number].shape.rank
        if labels is None:  # only the kernel depends on the seeds
            return None
        channel = rank - 1 if data_format(op).endswith(b"C") else 1
        positions = frozenset().union(*(labels[axis] for axis in range(1, rank) if axis != channel))
        self.votes.append(Vote(labels[channel], self._caller or op.name, rank, positions=positions))
        roles = list(labels) if self._keep_seeds else [labels[0], *[frozenset((POSITION,))] * (rank - 1)]
        roles[channel] = frozenset((CHANNEL,))
        return [tuple(roles)]

    def _broadcast(self, op, inputs) -> Labels:
        """Return the union of the labels of aligned axes; list the operation in ``mixed`` if it mixes positions.

        It does if one operand has a value per position and the other has an axis there without that label, for example
        a mean over all positions.
        """
        rank = op.outputs[0].shape.rank
        union = [NONE] * rank
        for axis in range(-rank, 0):
            aligned = []
            for tensor, labels in zip(op.inputs, inputs, strict=True):
                if labels is not None and len(labels) >= -axis and tensor.shape[axis] != 1:
                    aligned.append(labels[axis])
            union[axis] = frozenset().union(*aligned)
            without_position = [labels for labels in aligned if POSITION not in labels]
            if axis > -rank and POSITION in union[axis] and without_position:
                self.mixed.append(self._caller or op.name)
        return tuple(union)

    def _reduce(self, op, labels) -> Labels:
        rank = len(labels)
        axes = {int(axis) % rank for axis in _constant(op.inputs[1]).reshape(-1)}
        left = set(range(1, rank)) - axes
        keeps_axes = op.get_attr("keep_dims")
        # A normalization of a sequence reduces its channels and keeps the axis; a pooling drops the time.
        if len(left) == 1 and 0 not in axes and (rank >= 4 or (rank == 3 and not keeps_axes)):
            self.votes.append(Vote(labels[left.pop()], self._caller or op.name, rank, suggests=True))
        if keeps_axes:
            return tuple(NONE if axis in axes else labels[axis] for axis in range(rank))
        return tuple(labels[axis] for axis in range(rank) if axis not in axes)

    def _product(self, op, inputs) -> Labels:
        """Return the labels of a tensor product; list it in ``mixed`` if it sums over some of the positions."""
        terms, result = equation(op)
        letters = {}
        for term, labels, tensor in zip(terms, inputs, op.inputs, strict=True):
            for letter, axis_labels in zip(term, labels or (NONE,) * len(term), strict=True):
                letters.setdefault(letter, []).append(axis_labels if tensor.shape.rank else NONE)
        union = {letter: frozenset().union(*several) for letter, several in letters.items()}
        summed = [union[letter] for letter in union if letter not in result]
        mixes = any(POSITION in labels and CHANNEL not in labels for labels in summed)
        if any((labels and POSITION not in labels) or CHANNEL in labels for labels in summed):
            for letter in result:  # an axis of new features
                union[letter] = union[letter] or frozenset((CHANNEL,))
        output = tuple(union[letter] for letter in result)
        if mixes and any(POSITION in labels for labels in output[1:]):
            self.mixed.append(self._caller or op.name)
        if None in inputs:  # one factor is a kernel; attention multiplies two factors that depend on the input
            for term, labels in zip(terms, inputs, strict=True):
                contracted = [labels[i] for i, letter in enumerate(term) if letter not in result] if labels else []
                if len(contracted) == 1:
                    self.votes.append(Vote(contracted[0], self._caller or op.name, len(term), suggests=True))
        return output


def _constant(tensor: tf.Tensor) -> np.ndarray:
    value = static_value(tensor)
    if value is None:
        raise ValueError("The value is known only at run time.")
    return value


def data_format(op: tf.Operation) -> bytes:
    """Return the data format of an operation on images, such as b"NCHW", and b"" for any other operation."""
    if op.type not in SPATIAL:
        return b""
    return op.get_attr("data_format") if any(attr.name == "data_format" for attr in op.op_def.attr) else b"NHWC"
