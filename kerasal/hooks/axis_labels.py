"""What the axes of a traced graph's tensors hold: positions, channels, or an axis of what the labels started from.

A label names an axis; an axis has a set of labels, which flattening unites. Labels spread forward. Where an operation
itself says which of its axes hold positions (a convolution, a pooling, an enlargement), its output is labeled anew.
What is not understood loses its labels, never guesses them.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasal.hooks.operations import (
    BROADCASTING,
    CHANNEL_AWARE,
    SHAPES,
    UNARY,
    only_convolution,
    output_sizes,
    static_value,
)

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
    """An operation takes an axis with these ``labels`` as its channels; a reduction only ``suggests`` it."""

    labels: frozenset
    operation: str
    suggests: bool = False


class AxisLabels:
    """The labels of every tensor that depends on some of the ``seeds`` (a tensor, its labels), within ``operations``.

    ``votes`` lists which axes were taken for channels; without ``beyond`` that is all, and labels end there. ``mixed``
    lists operations that mix positions with each other and keep them apart: attention, a dense layer along tokens; not
    a convolution, a pooling or a dense layer on all. With ``follow`` labels stay with an axis along which these slide.
    """

    def __init__(self, seeds: Seeds, operations: Iterable[tf.Operation], *, beyond: bool = True, follow: bool = False):
        self._beyond, self._follow = beyond, follow
        self._labels = {tensor.ref(): labels for tensor, labels in seeds}
        self.votes: list[Vote] = []
        self.mixed: list[str] = []
        for op in operations:
            if op.type not in SHAPES and any(tensor.ref() in self._labels for tensor in op.inputs):
                self._spread(op)

    def of(self, tensor: tf.Tensor) -> Labels | None:
        """Return the labels of a tensor's axes; None where it does not depend on the seeds or its rank is open."""
        return self._labels.get(tensor.ref())

    def _spread(self, op: tf.Operation) -> None:
        inputs = [self._labels.get(tensor.ref()) for tensor in op.inputs]
        try:
            found = self._outputs(op, inputs)
        except (IndexError, TypeError, ValueError):  # an axis or a size that only a run decides
            found = None
        if not self._beyond and data_format(op):
            return
        for number, output in enumerate(op.outputs):
            rank = output.shape.rank
            labels = found[min(number, len(found) - 1)] if found else None
            self._labels[output.ref()] = labels if labels and len(labels) == rank else (_NONE,) * (rank or 0)

    def _outputs(self, op, inputs: list[Any]) -> list[Any] | None:
        first: Any = inputs[0] if inputs else None
        if (telling := only_convolution(op) or op).type in CHANNEL_AWARE:
            return self._told(op, telling, inputs)
        if op.type == "IdentityN":
            return [labels or () for labels in inputs]
        if op.type in _SAME_AXES:
            return [inputs[1] if op.type == "Split" else first]
        if op.type in _ELEMENTWISE:
            return [self._aligned(op, inputs)]
        if op.type == "Transpose":
            return [tuple(first[axis] for axis in _constant(op.inputs[1]))]
        if op.type in ("Reshape", "ExpandDims", "Squeeze"):
            return [_regrouped(first, op.inputs[0].shape.as_list(), output_sizes(op))]
        if op.type in _REDUCTIONS:
            return [self._reduced(op, first)]
        if op.type in _PRODUCTS or op.type == "Einsum":
            return [self._product(op, inputs)]
        if op.type in ("ConcatV2", "Pack"):
            return [_joined(op, inputs)]
        if op.type == "Unpack":
            axis = op.get_attr("axis") % len(first)
            return [first[:axis] + first[axis + 1 :]]
        if op.type == "StridedSlice":
            return [_sliced(op, first)]
        if op.type == "GatherV2" and not op.get_attr("batch_dims"):
            axis = int(_constant(op.inputs[2])) % len(first)
            return [first[:axis] + (first[axis],) * op.inputs[1].shape.rank + first[axis + 1 :]]
        return None

    def _told(self, op, telling, inputs) -> list[Labels] | None:
        number = 2 if telling.type.startswith(("Conv2DBackprop", "Conv3DBackprop")) else 0
        labels, rank = inputs[number], op.inputs[number].shape.rank
        if labels is None:  # a kernel that depends on the seeds slides over something that does not
            return None
        channel = rank - 1 if data_format(telling).endswith(b"C") else 1
        self.votes.append(Vote(labels[channel], op.name))
        roles = list(labels) if self._follow else [labels[0], *[frozenset((POSITION,))] * (rank - 1)]
        roles[channel] = frozenset((CHANNEL,))
        return [tuple(roles)]

    def _aligned(self, op, inputs) -> Labels:
        """Unite the labels of axes that meet; note where tokens meet what was made of all of them."""
        rank = op.outputs[0].shape.rank
        found = [_NONE] * rank
        for axis in range(-rank, 0):
            meeting = []
            for tensor, labels in zip(op.inputs, inputs, strict=True):
                if labels is not None and len(labels) >= -axis and tensor.shape[axis] != 1:
                    meeting.append(labels[axis])
            found[axis] = frozenset().union(*meeting)
            lost = [labels for labels in meeting if POSITION not in labels]
            if axis > -rank and POSITION in found[axis] and lost:
                self.mixed.append(op.name)
        return tuple(found)

    def _reduced(self, op, labels) -> Labels:
        rank = len(labels)
        axes = {int(axis) % rank for axis in _constant(op.inputs[1]).reshape(-1)}
        left = set(range(1, rank)) - axes
        if rank >= 4 and len(left) == 1 and 0 not in axes:
            self.votes.append(Vote(labels[left.pop()], op.name, suggests=True))
        if op.get_attr("keep_dims"):
            return tuple(_NONE if axis in axes else labels[axis] for axis in range(rank))
        return tuple(labels[axis] for axis in range(rank) if axis not in axes)

    def _product(self, op, inputs) -> Labels:
        """Follow a sum over axes that two tensors share; note one that mixes positions and keeps others apart."""
        terms, result = _equation(op)
        letters = {}
        for term, labels, tensor in zip(terms, inputs, op.inputs, strict=True):
            for letter, own in zip(term, labels or (_NONE,) * len(term), strict=True):
                letters.setdefault(letter, []).append(own if tensor.shape.rank else _NONE)
        united = {letter: frozenset().union(*several) for letter, several in letters.items()}
        summed = [united[letter] for letter in united if letter not in result]
        mixes = any(POSITION in labels and CHANNEL not in labels for labels in summed)
        if any((labels and POSITION not in labels) or CHANNEL in labels for labels in summed):
            for letter in result:  # new features
                united[letter] = united[letter] or frozenset((CHANNEL,))
        found = tuple(united[letter] for letter in result)
        if mixes and any(POSITION in labels for labels in found[1:]):
            self.mixed.append(op.name)
        for term, labels in zip(terms, inputs, strict=True):
            own = [labels[i] for i, letter in enumerate(term) if letter not in result] if labels else []
            if len(own) == 1 and len(term) >= 4:
                self.votes.append(Vote(own[0], op.name, suggests=True))
        return found


def _constant(tensor: tf.Tensor) -> np.ndarray:
    value = static_value(tensor)
    if value is None:
        raise ValueError("Only a run decides it.")
    return value


def data_format(op: tf.Operation) -> bytes:
    """Return the layout of an operation that tells which axis holds channels, such as NCHW; b"" of all others."""
    op = only_convolution(op) or op
    if op.type not in CHANNEL_AWARE:
        return b""
    return op.get_attr("data_format") if any(one.name == "data_format" for one in op.op_def.attr) else b"NHWC"


def _equation(op) -> tuple[list[list], list]:
    """Return the letters of each factor's axes and of the product's."""
    ranks = [tensor.shape.rank for tensor in op.inputs]
    if op.type == "Einsum":
        left, right = op.get_attr("equation").decode().replace(" ", "").split("->")
        terms = [_letters(term, rank) for term, rank in zip(left.split(","), ranks, strict=True)]
        return terms, _letters(right, op.outputs[0].shape.rank)
    first, second = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
    batch = [_letters("...", rank - 2) for rank in ranks]
    one = "ji" if op.get_attr(first) else "ij"
    other = "kj" if op.get_attr(second) else "jk"
    longest = max(batch, key=len)
    return [[*batch[0], *one], [*batch[1], *other]], [*longest, *"ik"]


def _letters(term: str, rank: int) -> list:
    """Spell out an ellipsis: its axes are numbered from the right."""
    before, dots, after = term.partition("...")
    spelled = [f".{number}" for number in range(rank - len(before) - len(after), 0, -1)] if dots else []
    return [*before, *spelled, *after]


def _regrouped(labels: Labels, before: list, after: list) -> Labels:
    """Follow a reshape: axes united, or read apart, have the labels of all that they were made of."""
    found = [_NONE] * len(after)
    i, j = len(before), len(after)
    while i and j:  # the smallest groups of axes, from the right, that hold as many values
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
                raise ValueError("These sizes hold different numbers of values.")
        if None in (have, want):  # an open size takes all that is left
            first_i = first_j = 0
        same = before[first_i:i] == after[first_j:j]
        united = frozenset().union(*labels[first_i:i])
        for k in range(first_j, j):
            found[k] = labels[k - first_j + first_i] if same else _NONE if after[k] == 1 else united
        i, j = first_i, first_j
    return tuple(found)


def _joined(op, inputs) -> Labels:
    known = [labels for labels in inputs if labels is not None]
    united = tuple(frozenset().union(*axes) for axes in zip(*known, strict=True))
    if op.type == "ConcatV2":
        return united
    axis = op.get_attr("axis") % (len(united) + 1)
    return (*united[:axis], _NONE, *united[axis:])


def _sliced(op, labels: Labels) -> Labels:
    """Follow ``x[…]``: single places drop their axis, new axes have no labels."""
    count = op.inputs[1].shape[0]
    masks = {name: op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")}
    found, axis = [], 0
    for place in range(count):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            rest = count - place - 1 - bin(masks["new_axis"] >> (place + 1)).count("1")
            found += labels[axis : len(labels) - rest]
            axis = len(labels) - rest
        elif masks["new_axis"] & bit:
            found.append(_NONE)
        else:
            found += [] if masks["shrink_axis"] & bit else [labels[axis]]
            axis += 1
    return (*found, *labels[axis:])
