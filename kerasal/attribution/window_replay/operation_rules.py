"""What occlusion understands of a graph's operations, and which part of a map a window can influence through them.

What is not listed here is run on whole maps, which is always right.

With kernel k, dilation d, stride t and padding p before the first value, output o looks at the inputs
o·t - p, o·t - p + d, …, o·t - p + (k-1)·d. So a change of inputs [first, last] reaches the outputs
[ceil((first + p - (k-1)·d) / t), floor((last + p) / t)], cut to the map.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasal.hooks import operations
from kerasal.hooks.operations import is_map
from kerasal.hooks.operations import is_opaque as is_opaque

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Reach:
    """How an operation looks at its input along one axis, and how long its output is."""

    kernel: int
    stride: int
    dilation: int
    before: int
    length: int

    @property
    def extent(self) -> int:
        """The number of inputs from the first to the last that one output looks at."""
        return (self.kernel - 1) * self.dilation + 1


@dataclasses.dataclass(frozen=True, eq=False)
class Span:
    """What each window changes along one axis of ``length`` values: ``first`` to ``last``, both inclusive, (windows,).

    ``start`` and ``size`` are the part that is computed: of one size for all windows, inside the map, never less.
    """

    first: np.ndarray
    last: np.ndarray
    length: int

    @property
    def size(self) -> int:
        """The longest change of any window."""
        return int(max(1, (self.last - self.first).max() + 1))

    @property
    def start(self) -> np.ndarray:
        """Where the computed part begins for each window."""
        return np.clip(self.first, 0, self.length - self.size)

    def through(self, reach: Reach) -> "Span":
        """Follow the change through an operation."""
        first = -(-(self.first + reach.before - reach.extent + 1) // reach.stride)
        last = (self.last + reach.before) // reach.stride
        return Span(np.maximum(first, 0), np.minimum(last, reach.length - 1), reach.length)

    def joined(self, other: "Span") -> "Span":
        """Return the shortest span that holds both."""
        return Span(np.minimum(self.first, other.first), np.maximum(self.last, other.last), self.length)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A rectangle of a map (height, width) for each row and column of windows."""

    y: Span
    x: Span

    @property
    def area(self) -> int:
        """Values in the computed part, of one channel."""
        return self.y.size * self.x.size

    @property
    def share(self) -> float:
        """The computed part as a share of the whole map."""
        return self.area / (self.y.length * self.x.length)

    def through(self, reaches: tuple[Reach, Reach]) -> "Part":
        """Follow the change through an operation."""
        return Part(self.y.through(reaches[0]), self.x.through(reaches[1]))

    def joined(self, other: "Part") -> "Part":
        """Return the smallest part that holds both."""
        return Part(self.y.joined(other.y), self.x.joined(other.x))

    def same_as(self, other: "Part") -> bool:
        """Tell whether both are computed at the same places."""
        return all(
            mine.size == theirs.size and np.array_equal(mine.start, theirs.start)
            for mine, theirs in ((self.y, other.y), (self.x, other.x))
        )


def is_pointwise(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether each place of the output looks at the same place of the inputs, and at nothing else of the image.

    Inputs that do not depend on the image must be one value a channel, or one value.
    """
    size = op.outputs[0].shape[1:3]
    if not all(is_map(tensor) and tensor.shape[1:3] == size for tensor in op.inputs if depends(tensor)):
        return False
    others = [tensor for tensor in op.inputs if not depends(tensor)]
    if op.type in ("BiasAdd", "FusedBatchNormV3"):
        frozen = op.type == "BiasAdd" or not op.get_attr("is_training")
        return frozen and op.get_attr("data_format") == b"NHWC" and not any(map(depends, list(op.inputs)[1:]))
    if op.type in ("Concat", "ConcatV2"):
        axis = tf.get_static_value(op.inputs[-1])
        return op.type == "ConcatV2" and len(others) == 1 and axis is not None and int(axis) in (-1, 3)
    if op.type in operations.UNARY:
        return True
    return op.type in operations.BROADCASTING and all(_one_a_channel(tensor) for tensor in others)


def is_sliding(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether an operation slides a kernel of known geometry over one map of the image."""
    first, *others = op.inputs
    if not (is_map(first) and is_map(op.outputs[0])) or any(map(depends, others)):
        return False
    if op.type in operations.PADDING:
        amounts, value = (tf.get_static_value(tensor) for tensor in (others[0], others[-1]))
        return amounts is not None and not amounts[[0, 3]].any() and (len(others) == 1 or value == 0)
    return op.type in operations.SLIDING and op.get_attr("data_format") == b"NHWC"


def reaches(op: tf.Operation) -> tuple[Reach, Reach]:
    """Return how a sliding operation looks at its input, along its rows and its columns."""
    found = []
    for axis in (1, 2):
        slide = operations.sliding(op, axis)
        before = slide.before(op.inputs[0].shape[axis])
        found.append(Reach(slide.kernel, slide.stride, slide.dilation, before, op.outputs[0].shape[axis]))
    return found[0], found[1]


def _one_a_channel(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return shape.rank is not None and all(size == 1 for size in shape.as_list()[:-1])
