"""The way from an image to a layer, as a list of nodes: what each map looks at, along its rows and its columns."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np

from kerasal.receptive_field.geometry.moves import NOTHING, Mirror


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

    def lengths(self, axis: int, pixels: int) -> list[int] | None:
        """Return the length of every map along an axis (0 rows, 1 columns), or None where they do not fit together."""
        found = [pixels]
        for node in self.nodes[1:]:
            own = {found[source] for source in node.sources}
            if len(own) > 1:
                own.discard(1)  # broadcasts
            if len(own) > 1:
                return None
            length = node.size[axis] if node.whole else own.pop()
            found.append(node.moves[axis].length(length) if node.moves else length)
            if found[-1] < 1:
                return None
        return found

    def stride(self, axis: int) -> Fraction:
        """Return how many pixels lie between neighbouring units; 0 where all units look at the whole image alike."""
        jumps = [Fraction(1)]
        for node in self.nodes[1:]:
            jump = max(jumps[source] for source in node.sources)
            jumps.append(Fraction(0) if node.whole else jump * node.moves[axis].jump if node.moves else jump)
        return jumps[-1]

    def ranges(self, axis: int, lengths: list[int], units: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, for every map, which of its values the ``units`` (U,) of the layer look at: first and last, (U,)."""
        found = [tuple(np.full(len(units), end) for end in NOTHING) for _ in self.nodes]
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
                inner.append((move.unfolded(first, last, length), length))
        return np.all([(low >= 0) & (high < length) for (low, high), length in inner], axis=0)
