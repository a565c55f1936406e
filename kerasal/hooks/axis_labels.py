"""The meaning of each axis in a traced graph: positions, channels, or an axis of a tensor where the labels start.

Labels move forward through the graph; flattening takes the union of the labels of the flattened axes. The output of an
operation on images gets new labels, since its axes are known. Other operations drop the labels instead of guessing.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasal.hooks.operations import BROADCASTING, SHAPES, SPATIAL, UNARY, only_convolution, output_sizes, static_value

import tensorflow as tf

POSITION, CHANNEL = "position", "channel"
Labels = tuple[frozenset, ...]
Seeds = Iterable[tuple[tf.Tensor, Labels]]

_NONE = frozenset()
_SAME_AXES = UNARY | {"BiasAdd", "CheckNumerics", "Cumsum", "EnsureShape", "MirrorPad", "Pad", "PadV2", "ReverseV2"}
_SAME_AXES |= {"Roll", "Slice", "Split", "SplitV", "Tile"}
_ELEMENTWISE = BROADCASTING | {"BroadcastTo", "FloorDiv", "FloorMod", "Select", "Xdivy", "Xlogy"}
_REDUCTIONS = frozenset(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"))
_PRODUCTS = frozenset(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"))


@dataclasses.dataclass(frozen=True)
class Vote:
    """Evidence that the axis with these ``labels`` holds channels: an ``operation`` requires or ``suggests`` it."""

    labels: frozenset
    operation: str
    suggests: bool = False


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
        for op in (op for op in operations if op.type not in SHAPES):
            if any(tensor.ref() in self._labels for tensor in op.inputs):
                self._label_outputs(op)

    def get(self, tensor: tf.Tensor) -> Labels | None:
        """Return the labels of each axis; None if the tensor does not depend on the seeds or its rank is unknown."""
        return self._labels.get(tensor.ref())

    def _label_outputs(self, op: tf.Operation) -> None:
        inputs = [self._labels.get(tensor.ref()) for tensor in op.inputs]
        try:
            outputs = self._outputs(op, inputs)
        except (IndexError, TypeError, ValueError):  # an axis or a size is known only at run time
            outputs = None
        for number, output in enumerate(op.outputs if self._past_images or not data_format(op) else ()):
            rank = output.shape.rank
            labels = outputs[min(number, len(outputs) - 1)] if outputs else None
            self._labels[output.ref()] = labels if labels and len(labels) == rank else (_NONE,) * (rank or 0)

    def _outputs(self, op, inputs: list[Any]) -> list[Any] | None:
        first: Any = inputs[0] if inputs else None
        if (image_op := only_convolution(op) or op).type in SPATIAL:
            return self._image_labels(op, image_op, inputs)
        if op.type == "IdentityN":
            return [labels or () for labels in inputs]
        if op.type in _SAME_AXES:
            return [inputs[1] if op.type == "Split" else first]
        if op.type in _ELEMENTWISE:
            return [self._broadcast(op, inputs)]
        if op.type == "Transpose":
            return [tuple(first[axis] for axis in _constant(op.inputs[1]))]
        if op.type in ("Reshape", "ExpandDims", "Squeeze"):
            return [_reshape(first, op.inputs[0].shape.as_list(), output_sizes(op))]
        if op.type in _REDUCTIONS:
            return [self._reduce(op, first)]
        if op.type in _PRODUCTS or op.type == "Einsum":
            return [self._product(op, inputs)]
        if op.type in ("ConcatV2", "Pack"):
            return [_concatenate(op, inputs)]
        if op.type == "Unpack":
            axis = op.get_attr("axis") % len(first)
            return [first[:axis] + first[axis + 1 :]]
        if op.type == "StridedSlice":
            return [_strided_slice(op, first)]
        if op.type == "GatherV2" and not op.get_attr("batch_dims"):
            axis = int(_constant(op.inputs[2])) % len(first)
            return [first[:axis] + (first[axis],) * op.inputs[1].shape.rank + first[axis + 1 :]]
        return None

    def _image_labels(self, op, image_op, inputs) -> list[Labels] | None:
        number = 2 if image_op.type.startswith(("Conv2DBackprop", "Conv3DBackprop")) else 0
        labels, rank = inputs[number], op.inputs[number].shape.rank
        if labels is None:  # only the kernel depends on the seeds
            return None
        channel = rank - 1 if data_format(image_op).endswith(b"C") else 1
        self.votes.append(Vote(labels[channel], op.name))
        roles = list(labels) if self._keep_seeds else [labels[0], *[frozenset((POSITION,))] * (rank - 1)]
        roles[channel] = frozenset((CHANNEL,))
        return [tuple(roles)]

    def _broadcast(self, op, inputs) -> Labels:
        """Return the union of the labels of aligned axes; list the operation in ``mixed`` if it mixes positions.

        It does if one operand has a value per position and the other has an axis there without that label, for example
        a mean over all positions.
        """
        rank = op.outputs[0].shape.rank
        union = [_NONE] * rank
        for axis in range(-rank, 0):
            aligned = []
            for tensor, labels in zip(op.inputs, inputs, strict=True):
                if labels is not None and len(labels) >= -axis and tensor.shape[axis] != 1:
                    aligned.append(labels[axis])
            union[axis] = frozenset().union(*aligned)
            without_position = [labels for labels in aligned if POSITION not in labels]
            if axis > -rank and POSITION in union[axis] and without_position:
                self.mixed.append(op.name)
        return tuple(union)

    def _reduce(self, op, labels) -> Labels:
        rank = len(labels)
        axes = {int(axis) % rank for axis in _constant(op.inputs[1]).reshape(-1)}
        left = set(range(1, rank)) - axes
        if rank >= 4 and len(left) == 1 and 0 not in axes:
            self.votes.append(Vote(labels[left.pop()], op.name, suggests=True))
        if op.get_attr("keep_dims"):
            return tuple(_NONE if axis in axes else labels[axis] for axis in range(rank))
        return tuple(labels[axis] for axis in range(rank) if axis not in axes)

    def _product(self, op, inputs) -> Labels:
        """Return the labels of a tensor product; list it in ``mixed`` if it sums over some of the positions."""
        terms, result = _equation(op)
        letters = {}
        for term, labels, tensor in zip(terms, inputs, op.inputs, strict=True):
            for letter, axis_labels in zip(term, labels or (_NONE,) * len(term), strict=True):
                letters.setdefault(letter, []).append(axis_labels if tensor.shape.rank else _NONE)
        union = {letter: frozenset().union(*several) for letter, several in letters.items()}
        summed = [union[letter] for letter in union if letter not in result]
        mixes = any(POSITION in labels and CHANNEL not in labels for labels in summed)
        if any((labels and POSITION not in labels) or CHANNEL in labels for labels in summed):
            for letter in result:  # an axis of new features
                union[letter] = union[letter] or frozenset((CHANNEL,))
        output = tuple(union[letter] for letter in result)
        if mixes and any(POSITION in labels for labels in output[1:]):
            self.mixed.append(op.name)
        for term, labels in zip(terms, inputs, strict=True):
            contracted = [labels[i] for i, letter in enumerate(term) if letter not in result] if labels else []
            if len(contracted) == 1 and len(term) >= 4:
                self.votes.append(Vote(contracted[0], op.name, suggests=True))
        return output


def _constant(tensor: tf.Tensor) -> np.ndarray:
    value = static_value(tensor)
    if value is None:
        raise ValueError("The value is known only at run time.")
    return value


def data_format(op: tf.Operation) -> bytes:
    """Return the data format of an operation on images, such as b"NCHW", and b"" for any other operation."""
    op = only_convolution(op) or op
    if op.type not in SPATIAL:
        return b""
    return op.get_attr("data_format") if any(attr.name == "data_format" for attr in op.op_def.attr) else b"NHWC"


def _equation(op) -> tuple[list[list], list]:
    """Return an operation as an einsum equation: the letters of the axes of each factor, and those of the product."""
    ranks = [tensor.shape.rank for tensor in op.inputs]
    if op.type == "Einsum":
        left, right = op.get_attr("equation").decode().replace(" ", "").split("->")
        terms = [_letters(term, rank) for term, rank in zip(left.split(","), ranks, strict=True)]
        return terms, _letters(right, op.outputs[0].shape.rank)
    first, second = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
    batch = [_letters("...", rank - 2) for rank in ranks]
    left_axes = "ji" if op.get_attr(first) else "ij"
    right_axes = "kj" if op.get_attr(second) else "jk"
    longest = max(batch, key=len)
    return [[*batch[0], *left_axes], [*batch[1], *right_axes]], [*longest, *"ik"]


def _letters(term: str, rank: int) -> list:
    """Return the letters of an einsum term, where the axes of an ellipsis are numbered from the right."""
    before, dots, after = term.partition("...")
    spelled = [f".{number}" for number in range(rank - len(before) - len(after), 0, -1)] if dots else []
    return [*before, *spelled, *after]


def _reshape(labels: Labels, before: list, after: list) -> Labels:
    """Return the labels after a reshape: merged or split axes have the union of the labels they come from."""
    result = [_NONE] * len(after)
    i, j = len(before), len(after)
    while i and j:  # take the smallest groups of axes, from the right, that hold equally many values
        first_i, first_j = i - 1, j - 1
        have, want = before[first_i], after[first_j]
        while have is not None and want is not None and have != want:
            if have < want:
                first_i -= 1
                have = None if before[first_i] is None else have * before[first_i]
            else:
                first_j -= 1
                want = None if after[first_j] is None else want * after[first_j]
            if min(first_i, first_j) < 0:
                raise ValueError(f"A reshape must keep the number of values, got {before} and {after}.")
        if None in (have, want):  # an unknown size takes all axes that are left
            first_i = first_j = 0
        same = before[first_i:i] == after[first_j:j]
        union = frozenset().union(*labels[first_i:i])
        for k in range(first_j, j):
            result[k] = labels[k - first_j + first_i] if same else _NONE if after[k] == 1 else union
        i, j = first_i, first_j
    return tuple(result)


def _concatenate(op, inputs) -> Labels:
    known = [labels for labels in inputs if labels is not None]
    union = tuple(frozenset().union(*axes) for axes in zip(*known, strict=True))
    axis = 0 if op.type == "ConcatV2" else op.get_attr("axis") % (len(union) + 1)
    return union if op.type == "ConcatV2" else (*union[:axis], _NONE, *union[axis:])


def _strided_slice(op, labels: Labels) -> Labels:
    """Return the labels after ``x[…]``: an integer index drops its axis, a new axis has no labels."""
    count = op.inputs[1].shape[0]
    masks = {name: op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")}
    result, axis = [], 0
    for place in range(count):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            rest = count - place - 1 - bin(masks["new_axis"] >> (place + 1)).count("1")
            result += labels[axis : len(labels) - rest]
            axis = len(labels) - rest
        elif masks["new_axis"] & bit:
            result.append(_NONE)
        else:
            result += [] if masks["shrink_axis"] & bit else [labels[axis]]
            axis += 1
    return (*result, *labels[axis:])
