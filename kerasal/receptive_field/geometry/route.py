"""The way from an image to a layer: a node per map, and how each axis of a map follows from the map below.

A move is one axis of one operation, for maps of any length:

``length(inputs)``             how many values come out of ``inputs`` values
``back(first, last, inputs)``  the inputs, first to last and both inclusive, that the outputs first to last look at
``jump``                       how far apart neighboring outputs lie, in neighboring inputs

Ranges are arrays, (units,), and are not cut to the map: what lies outside it is padding.
"""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from kerasal.hooks.operations import SlidingWindow

# The range that looks at nothing: its first is after its last, and stays so when it is joined with others.
NOTHING = (2**40, -(2**40))


@dataclasses.dataclass(frozen=True)
class Slide:
    """A convolution, pooling, padding or cropping: output o looks at o·t - p, …, o·t - p + (k-1)·d."""

    kernel: SlidingWindow

    @property
    def jump(self) -> Fraction:
        return Fraction(self.kernel.stride)

    def length(self, inputs: int) -> int:
        return self.kernel.length(inputs)

    def back(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        start = -self.kernel.padding_before(inputs)
        return first * self.kernel.stride + start, last * self.kernel.stride + start + self.kernel.extent - 1


@dataclasses.dataclass(frozen=True)
class Mirror(Slide):
    """A padding by the map's own reflection: what lies outside of it are values of the map again.

    ``repeats`` is 1 where the value at the border stands there twice (SYMMETRIC), 0 where it does not (REFLECT).
    """

    repeats: int

    def length(self, inputs: int) -> int:
        fits = max(self.kernel.padding or (0,)) < inputs + self.repeats
        return super().length(inputs) if fits else 0

    def back(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        first, last = self.unfold(np.maximum(first, 0), np.minimum(last, self.length(inputs) - 1), inputs)
        mirrored = [
            (np.maximum(first, 0), np.minimum(last, inputs - 1)),
            (-np.minimum(last, -1) - self.repeats, -first - self.repeats),
            (2 * inputs - 2 + self.repeats - last, 2 * inputs - 2 + self.repeats - np.maximum(first, inputs)),
        ]
        seen = [(first <= last) & (low <= high) for low, high in mirrored]
        lows = [np.where(one, low, NOTHING[0]) for one, (low, _) in zip(seen, mirrored, strict=True)]
        highs = [np.where(one, high, NOTHING[1]) for one, (_, high) in zip(seen, mirrored, strict=True)]
        return np.minimum.reduce(lows), np.maximum.reduce(highs)

    def unfold(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        """Return the range before reflection, which reaches outside of the map where outputs look at the padding."""
        return super().back(first, last, inputs)


@dataclasses.dataclass(frozen=True)
class Spread:
    """A transposed convolution: input i reaches the outputs i·t - p, …, i·t - p + (k-1)·d.

    ``extra`` is how many outputs there are beyond t times the inputs.
    """

    kernel: SlidingWindow
    extra: int

    @property
    def jump(self) -> Fraction:
        return Fraction(1, self.kernel.stride)

    def length(self, inputs: int) -> int:
        return inputs * self.kernel.stride + self.extra

    def back(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        kernel = self.kernel
        before = kernel.padding_before(self.length(inputs))
        return -(-(first + before - kernel.extent + 1) // kernel.stride), (last + before) // kernel.stride


@dataclasses.dataclass(frozen=True)
class Resize:
    """An enlargement or reduction by ``factor``: output o looks around (o + ½) / factor - ½, or o / factor.

    ``reach`` is how many inputs beyond the nearest ones on either side take part: 0 bilinear, 1 bicubic, None nearest.
    """

    factor: Fraction
    reach: int | None
    centered: bool

    @property
    def jump(self) -> Fraction:
        return 1 / self.factor

    def length(self, inputs: int) -> int:
        return int(inputs * self.factor)

    def back(self, first: Any, last: Any, inputs: int) -> tuple[Any, Any]:
        up, down = self.factor.numerator, self.factor.denominator
        shift = 1 if self.centered else 0
        if self.reach is None:
            return ((2 * first + shift) * down) // (2 * up), ((2 * last + shift) * down) // (2 * up)
        low, high = ((2 * end + shift) * down - shift * up for end in (first, last))  # in 2·up-ths of an input
        low, high = low // (2 * up), -(-high // (2 * up))
        beyond = np.where(low == high, 0, self.reach)  # exactly on an input, its neighbors weigh nothing
        return (low - beyond, high + beyond) if self.reach else (low, high)


@dataclasses.dataclass(frozen=True)
class Node:
    """A map: ``moves`` (rows, columns) lead from its one source to it; without, it is its sources place by place.

    ``whole`` is the name of the operation because of which it looks at all of the image, or empty; then ``size``,
    (rows, columns), is what it was when the model was traced. ``output`` is the tensor in the graph that was read.
    """

    sources: tuple[int, ...] = ()
    moves: tuple[Any, Any] | None = None
    whole: str = ""
    size: tuple[int, int] = (0, 0)
    output: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Route:
    """Nodes, the image first and the layer last, each after its sources.

    ``channels`` are those of the layer, ``kinds`` the types of the operations, and ``places`` says which node a tensor
    of the graph is, by its reference.
    """

    nodes: tuple[Node, ...]
    channels: int
    kinds: frozenset[str]
    places: dict = dataclasses.field(default_factory=dict, repr=False)

    @property
    def whole(self) -> str:
        """The name of an operation because of which the layer looks at all of the image, or empty."""
        return next((node.whole for node in self.nodes if node.whole), "")

    def lengths(self, axis: int, pixels: int) -> list[int]:
        """Return the length of every map along an axis (0 rows, 1 columns); none where they do not fit together."""
        found = [pixels]
        for node in self.nodes[1:]:
            own = {found[source] for source in node.sources}
            if len(own) > 1:
                own.discard(1)  # broadcasts
            if len(own) > 1:
                return []
            length = node.size[axis] if node.whole else own.pop()
            found.append(node.moves[axis].length(length) if node.moves else length)
            if found[-1] < 1:
                return []
        return found

    def stride(self, axis: int) -> Fraction:
        """Return how many pixels lie between neighboring units; 0 where all units look at the whole image alike."""
        jumps = [Fraction(1)]
        for node in self.nodes[1:]:
            jump = max(jumps[source] for source in node.sources)
            jumps.append(Fraction(0) if node.whole else jump * node.moves[axis].jump if node.moves else jump)
        return jumps[-1]

    def ranges(self, axis: int, lengths: list[int], units: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, for every map, which of its values the ``units`` (U,) of the layer look at: first and last, (U,)."""
        low, high = (np.full(len(units), end) for end in NOTHING)
        found = [(low, high)] * len(self.nodes)
        found[-1] = (units, units)
        for number in range(len(self.nodes) - 1, 0, -1):
            node, (first, last) = self.nodes[number], found[number]
            for source in node.sources:
                low, high = first, last
                if node.whole or (not node.moves and lengths[source] < lengths[number]):
                    low, high = np.zeros_like(first), np.full_like(last, lengths[source] - 1)
                elif node.moves:
                    low, high = node.moves[axis].back(first, last, lengths[source])
                seen = (first <= last) & (low <= high)
                low, high = np.where(seen, low, NOTHING[0]), np.where(seen, high, NOTHING[1])
                found[source] = np.minimum(found[source][0], low), np.maximum(found[source][1], high)
        return found

    def inside(self, axis: int, lengths: list[int], units: np.ndarray) -> np.ndarray:
        """Tell which ``units`` (U,) look at no padding, zeros or mirrored, in no map on the way."""
        ranges = self.ranges(axis, lengths, units)
        inner = list(zip(ranges, lengths, strict=True))
        for node, (first, last) in zip(self.nodes, ranges, strict=True):
            if node.moves and isinstance(move := node.moves[axis], Mirror):
                length = lengths[node.sources[0]]
                inner.append((move.unfold(first, last, length), length))
        return np.all([(low >= 0) & (high < length) for (low, high), length in inner], axis=0)
