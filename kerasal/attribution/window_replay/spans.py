"""Which part of a map a window can influence, along one axis and in two.

With kernel k, dilation d, stride t and padding p before the first value, output o looks at the inputs
o·t - p, o·t - p + d, …, o·t - p + (k-1)·d. So a change of inputs [first, last] reaches the outputs
[ceil((first + p - (k-1)·d) / t), floor((last + p) / t)], cut to the map.
"""

import dataclasses

import numpy as np


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
