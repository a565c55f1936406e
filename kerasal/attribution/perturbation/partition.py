"""A partition of an input's positions into regions, which perturbation methods cover as a whole."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.checks import check_int, refuse_mask

import tensorflow as tf

# The default number of cells along each side, by the number of axes; and the fewest positions in a cell.
_CELLS, _LEAST_POSITIONS = {1: 24, 2: 7, 3: 4}, 2


@dataclasses.dataclass(frozen=True, eq=False)
class Regions:
    """The number of the region of each position, int32 (*positions): 0 to ``count`` - 1.

    ``block`` holds the sides of the regions if all are blocks of equal size, in the order of their positions, and
    ``places`` the number of the block of each position along each axis if all are blocks.
    """

    labels: np.ndarray
    count: int
    block: tuple[int, ...] | None = None
    places: tuple[np.ndarray, ...] = ()

    def masks(self, kept: tf.Tensor) -> tf.Tensor:
        """Return masks (m, *positions) from the value of each region, (m, regions), of the same type."""
        if not self.places:
            return tf.reshape(tf.gather(kept, tf.constant(self.labels.ravel()), axis=1), [-1, *self.labels.shape])
        # Last axis first, so that the other axes copy whole rows.
        masks = tf.reshape(kept, [-1, *(int(places[-1]) + 1 for places in self.places)])
        for axis in reversed(range(len(self.places))):
            masks = tf.gather(masks, tf.constant(self.places[axis]), axis=axis + 1)
        return masks

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """Return maps (N, *positions) in which each position has the value of its region, from (N, regions)."""
        return self.masks(tf.cast(values, tf.float32))


def make_regions(
    sides: Sequence[int],
    cells: int | tuple[int, ...] | None = None,
    segments: Any = None,
    *,
    ordered: bool = True,
    by_position: bool = False,
    name: str = "segments",
) -> Regions:
    """Return the regions of an input with these ``sides``: blocks of a grid, or ``segments``.

    By default there are 7 × 7 blocks in an image, 24 in a signal and 4 per side in a volume, of two positions or more
    per side. If the input is not ``ordered``, as features, or ``by_position`` is set, as for tokens, each
    position is a region by itself.

    Args:
        sides: the number of positions along each axis.
        cells: number of blocks along each side, or one number per axis; the sides of blocks differ by at most one.
        segments: the number of the region of each position, integers (*positions), in place of blocks. Any numbers;
            equal ones are one region.
        ordered: whether neighbors belong together.
        by_position: whether each position is a region unless ``cells`` or ``segments`` say otherwise.
        name: what ``segments`` are called in errors.

    Raises:
        ValueError: both ``cells`` and ``segments`` are set; ``cells`` is not a positive integer or one per side, or
            more than a side has positions; ``segments`` are no integers, have another shape than the positions, or hold
            a single region.
    """
    if segments is not None:
        if cells is not None:
            raise ValueError(f"cells must be None where segments are passed, got {cells}. Pass one of the two.")
        return _read_segments(sides, segments, name)
    if cells is None and (by_position or not ordered):
        counts = list(sides)
    elif cells is None:
        usual = _CELLS.get(len(sides), 3)
        counts = [max(1, min(usual, side // _LEAST_POSITIONS)) for side in sides]
    elif isinstance(cells, tuple):
        if len(cells) != len(sides):
            raise ValueError(f"cells must be an integer or one for each of the {len(sides)} sides, got {cells}.")
        counts = [check_int(f"cells[{axis}]", count) for axis, count in enumerate(cells)]
    else:
        counts = [check_int("cells", cells, none="None")] * len(sides)
    if any(count > side for count, side in zip(counts, sides, strict=True)):
        raise ValueError(
            f"cells must be at most the sides of the input, {' × '.join(map(str, sides))}, got {cells}. "
            "There cannot be more regions than positions."
        )
    places = tuple(np.arange(side, dtype=np.int32) * count // side for side, count in zip(sides, counts, strict=True))
    labels = np.ravel_multi_index(np.meshgrid(*places, indexing="ij", sparse=True), counts).astype(np.int32)
    equal = all(side % count == 0 for side, count in zip(sides, counts, strict=True))
    block = tuple(side // count for side, count in zip(sides, counts, strict=True))
    return Regions(labels, math.prod(counts), block if equal else None, places)


def _read_segments(sides: Sequence[int], segments: Any, name: str) -> Regions:
    refuse_mask(segments, name)
    shape = " × ".join(map(str, sides))
    array = np.zeros(0) if callable(segments) else np.asarray(segments)
    if callable(segments) or array.shape[1:] == tuple(sides):  # what remains after ``own_segments``
        received = "a function" if callable(segments) else f"{len(array)} maps"
        raise ValueError(
            f"{name} must be one map, {shape}, in compiled and exported methods and at a layer, got {received}. Only a "
            "call on inputs can have a map for each."
        )
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, the number of the region of each position, got {array.dtype}.")
    if array.shape != tuple(sides):
        raise ValueError(
            f"{name} must have the positions of the input, {shape}, got shape {array.shape}. Segments of a photo must "
            "be resized with it, without mixing numbers (nearest neighbor)."
        )
    numbers, labels = np.unique(array, return_inverse=True)
    if len(numbers) < 2:
        raise ValueError(f"{name} must hold at least two regions, got {len(numbers)}.")
    return Regions(labels.reshape(array.shape).astype(np.int32), len(numbers))
