"""Routes from an image to a layer: a node for each map, and moves that relate a map's axis to that of its source.

A move describes an axis of an operation, for maps of any length:

``length(inputs)``                    number of outputs for ``inputs`` input values
``input_range(first, last, inputs)``  first and last input (inclusive) that the outputs first..last depend on
``jump``                              distance between neighboring outputs, measured in inputs

Ranges are arrays (units,) and are not clipped to the map: indices outside the map are padding.
"""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from kerasal.hooks.operations import SlidingWindow

# First is greater than last, so that the union with another range is the other range.
EMPTY_RANGE = (2**40, -(2**40))


@dataclasses.dataclass(frozen=True)
class Slide:
    """A convolution, pooling, padding or cropping: output o depends on the inputs o·t - p, …, o·t - p + (k-1)·d."""

    kernel: SlidingWindow

    @property
    def jump(self) -> Fraction:
        return Fraction(self.kernel.stride)

    def length(self, inputs: int) -> int:
        return self.kernel.length(inputs)

    def input_range(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        start = -self.kernel.padding_before(inputs)
        return first * self.kernel.stride + start, last * self.kernel.stride + start + self.kernel.extent - 1


@dataclasses.dataclass(frozen=True)
class Mirror(Slide):
    """A reflection padding: the padding repeats values of the map.

    ``repeats`` is 1 if the border value is repeated (SYMMETRIC), 0 if it is not (REFLECT).
    """

    repeats: int

    def length(self, inputs: int) -> int:
        fits = max(self.kernel.padding or (0,)) < inputs + self.repeats
        return super().length(inputs) if fits else 0

    def input_range(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        first, last = self.padded_range(np.maximum(first, 0), np.minimum(last, self.length(inputs) - 1), inputs)
        mirrored = [
            (np.maximum(first, 0), np.minimum(last, inputs - 1)),
            (-np.minimum(last, -1) - self.repeats, -first - self.repeats),
            (2 * inputs - 2 + self.repeats - last, 2 * inputs - 2 + self.repeats - np.maximum(first, inputs)),
        ]
        valid = [(first <= last) & (low <= high) for low, high in mirrored]
        lows = [np.where(mask, low, EMPTY_RANGE[0]) for mask, (low, _) in zip(valid, mirrored, strict=True)]
        highs = [np.where(mask, high, EMPTY_RANGE[1]) for mask, (_, high) in zip(valid, mirrored, strict=True)]
        return np.minimum.reduce(lows), np.maximum.reduce(highs)

    def padded_range(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        """Return the range before reflection, which extends outside the map where outputs depend on padding."""
        return super().input_range(first, last, inputs)


@dataclasses.dataclass(frozen=True)
class TransposedSlide:
    """A transposed convolution: input i reaches the outputs i·t - p, …, i·t - p + (k-1)·d.

    ``extra`` is the number of outputs minus t times the number of inputs.
    """

    kernel: SlidingWindow
    extra: int

    @property
    def jump(self) -> Fraction:
        return Fraction(1, self.kernel.stride)

    def length(self, inputs: int) -> int:
        return inputs * self.kernel.stride + self.extra

    def input_range(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        kernel = self.kernel
        before = kernel.padding_before(self.length(inputs))
        return -(-(first + before - kernel.extent + 1) // kernel.stride), (last + before) // kernel.stride


@dataclasses.dataclass(frozen=True)
class Resize:
    """A resizing by ``factor``: output o interpolates around input (o + ½) / factor - ½ (``centered``) or o / factor.

    ``reach`` is the number of inputs on either side beyond the two nearest: 0 bilinear, 1 bicubic, None for nearest.
    """

    factor: Fraction
    reach: int | None
    centered: bool

    @property
    def jump(self) -> Fraction:
        return 1 / self.factor

    def length(self, inputs: int) -> int:
        return int(inputs * self.factor)

    def input_range(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        up, down = self.factor.numerator, self.factor.denominator
        shift = 1 if self.centered else 0
        if self.reach is None:
            return ((2 * first + shift) * down) // (2 * up), ((2 * last + shift) * down) // (2 * up)
        low, high = ((2 * end + shift) * down - shift * up for end in (first, last))  # in units of 1 / (2·up) inputs
        low, high = low // (2 * up), -(-high // (2 * up))
        beyond = np.where(low == high, 0, self.reach)  # at exactly an input, its neighbors have weight 0
        return (low - beyond, high + beyond) if self.reach else (low, high)


@dataclasses.dataclass(frozen=True)
class Node:
    """A map in the graph of a model, with the operation that computes it from other maps.

    Attributes:
        sources: numbers of the nodes that the map is computed from.
        moves: the moves along the position axes, such as (rows, columns), from the only source to this map; None if
            each position of this map depends only on the same position of the sources.
        whole: name of the operation that makes the map depend on the whole image; empty if there is none.
        size: numbers of positions of the traced map, such as (rows, columns); used only where ``whole`` is set.
        output: the map's tensor in the traced graph.
    """

    sources: tuple[int, ...] = ()
    moves: tuple[Any, ...] | None = None
    whole: str = ""
    size: tuple[int, ...] = (0, 0)
    output: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Route:
    """The nodes between an image and a layer.

    Attributes:
        nodes: the image first, the layer last, each node after its sources.
        channels: number of channels of the layer.
        kinds: types of the operations below the layer.
        places: node number of each tensor of the traced graph, by the tensor's reference.
    """

    nodes: tuple[Node, ...]
    channels: int
    kinds: frozenset[str]
    places: dict = dataclasses.field(default_factory=dict, repr=False)

    @property
    def whole(self) -> str:
        """Name of the operation that makes the layer depend on the whole image; empty if there is none."""
        return next((node.whole for node in self.nodes if node.whole), "")

    def lengths(self, axis: int, pixels: int) -> list[int]:
        """Return the length of every map along an axis (0 rows, 1 columns); empty if the maps cannot have this size."""
        lengths = [pixels]
        for node in self.nodes[1:]:
            input_lengths = {lengths[source] for source in node.sources}
            if len(input_lengths) > 1:
                input_lengths.discard(1)  # broadcasts
            if len(input_lengths) > 1:
                return []
            length = node.size[axis] if node.whole else input_lengths.pop()
            lengths.append(node.moves[axis].length(length) if node.moves else length)
            if lengths[-1] < 1:
                return []
        return lengths

    def stride(self, axis: int) -> Fraction:
        """Return the distance in pixels between the fields of neighboring units; 0 if all units see the whole image."""
        jumps = [Fraction(1)]
        for node in self.nodes[1:]:
            jump = max(jumps[source] for source in node.sources)
            jumps.append(Fraction(0) if node.whole else jump * node.moves[axis].jump if node.moves else jump)
        return jumps[-1]

    def ranges(self, axis: int, lengths: list[int], units: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, for every map, the first and last index (U,) on an axis that the layer's ``units`` (U,) depend on."""
        low, high = (np.full(len(units), end) for end in EMPTY_RANGE)
        ranges = [(low, high)] * len(self.nodes)
        ranges[-1] = (units, units)
        for number in range(len(self.nodes) - 1, 0, -1):
            node, (first, last) = self.nodes[number], ranges[number]
            for source in node.sources:
                low, high = first, last
                if node.whole or (not node.moves and lengths[source] < lengths[number]):
                    low, high = np.zeros_like(first), np.full_like(last, lengths[source] - 1)
                elif node.moves:
                    low, high = node.moves[axis].input_range(first, last, lengths[source])
                valid = (first <= last) & (low <= high)
                low, high = np.where(valid, low, EMPTY_RANGE[0]), np.where(valid, high, EMPTY_RANGE[1])
                ranges[source] = np.minimum(ranges[source][0], low), np.maximum(ranges[source][1], high)
        return ranges

    def sees_no_padding(self, axis: int, lengths: list[int], units: np.ndarray) -> np.ndarray:
        """Return a mask (U,) of the ``units`` (U,) that depend on no zero or reflection padding in any map."""
        ranges = self.ranges(axis, lengths, units)
        inner = list(zip(ranges, lengths, strict=True))
        for node, (first, last) in zip(self.nodes, ranges, strict=True):
            if node.moves and isinstance(move := node.moves[axis], Mirror):
                length = lengths[node.sources[0]]
                inner.append((move.padded_range(first, last, length), length))
        return np.all([(low >= 0) & (high < length) for (low, high), length in inner], axis=0)
