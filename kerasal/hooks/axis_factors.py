"""Axes of a tensor as products of factors: the batch, the channels, or position axes of the model's input.

A map (N, h, w, C) that is reshaped to tokens (N, h·w, C) has a token axis with two factors, the rows and the columns; a
class token in front is one entry ``before`` them. Windows split the factor of the rows into two, whose strides tell
their order. So positions are known through reshapes, transpositions, slices and concatenations, and can be put back
into a map (``kerasal.hooks.map_positions``).
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

BATCH, CHANNEL, OTHER = "batch", "channel", "other"
BATCH_SIZE = 1_000_003  # stands for the number of images; a prime, so that no other size divides by it


@dataclasses.dataclass(frozen=True)
class Factor:
    """A factor of an axis.

    Attributes:
        source: ``BATCH``, ``CHANNEL``, ``OTHER`` (neither, such as learned tokens), (number of the model's input,
            number of its position axis), or a whole axis with entries that are not positions, which is not split.
        size: number of values, or None if it is known only at run time.
        stride: distance of neighboring values, in positions of the map that was split.
        steps: what was done to the axis before it was split, in order: ("roll", number of positions), ("pad", number
            of entries in front, number behind) or ("flip",).
        part: where the first position begins and the last one ends on the input's axis, which runs from 0 to 1.
    """

    source: "str | tuple[int, int] | Axis"
    size: int | None
    stride: int = 1
    steps: tuple[tuple, ...] = ()
    part: tuple[float, float] = (0.0, 1.0)

    @property
    def is_position(self) -> bool:
        """Whether the factor counts positions."""
        return isinstance(self.source, tuple)


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis: entries without positions, then the product of the factors, then entries without positions again.

    Without factors the axis has ``before`` entries, which are not positions.
    """

    factors: tuple[Factor, ...] = ()
    before: int = 0
    after: int = 0

    @property
    def size(self) -> int | None:
        """Number of entries, or None if it is known only at run time."""
        sizes = [factor.size for factor in self.factors if factor.size is not None]
        inner = None if len(sizes) < len(self.factors) else math.prod(sizes) if sizes else 0
        return None if inner is None else self.before + inner + self.after

    @property
    def positions(self) -> tuple[Factor, ...]:
        """The factors that count positions."""
        return tuple(factor for factor in self.factors if factor.is_position)

    def has(self, source: str) -> bool:
        """Return whether a factor has this source."""
        return any(factor.source == source for factor in self.factors)


# None stands for an axis whose meaning is not known.
Axes = tuple[Axis | None, ...]
Sizes = Sequence[int | None]


def plain(size: int | None) -> Axis | None:
    """Return an axis without positions, such as that of learned tokens, or of size 1."""
    return None if size is None else Axis(before=size)


def channel(size: int | None) -> Axis:
    """Return an axis of channels."""
    return Axis((Factor(CHANNEL, size),))


def combine(axes: Iterable[Axis | None]) -> Axis | None:
    """Return the meaning of an axis that several tensors share elementwise; None if they disagree or none knows it."""
    known = [axis for axis in axes if axis is not None]
    with_factors = list({_whole(axis): axis for axis in known if axis.factors}.values())
    if len(with_factors) > 1:
        with_factors = [axis for axis in with_factors if axis.positions] or with_factors[:1]
    if len(with_factors) > 1:
        return None
    return with_factors[0] if with_factors else known[0] if known else None


def _whole(axis: Axis) -> Axis:
    """Return an axis without the part that it covers: a convolution and a crop may both leave out a border."""
    return dataclasses.replace(axis, factors=tuple(dataclasses.replace(one, part=(0.0, 1.0)) for one in axis.factors))


def reshape(axes: Axes, before: Sizes, after: Sizes, copied: Sizes = ()) -> Axes:
    """Return the axes after a reshape; ``copied`` has for each new axis the old one whose size it copies, or None."""
    result: list[Axis | None] = [None] * len(after)
    i, j = len(before), len(after)
    while i and j:  # the smallest groups of axes, from the right, that hold equally many values
        first_i, first_j = i - 1, j - 1
        have, want = before[first_i], after[first_j]
        while have is not None and want is not None and have != want:
            if have < want:
                first_i -= 1
                more = before[first_i] if first_i >= 0 else None
                have = None if more is None else have * more
            else:
                first_j -= 1
                more = after[first_j] if first_j >= 0 else None
                want = None if more is None else want * more
        if None in (have, want):  # an unknown size takes all axes that are left
            first_i = first_j = 0
        old, new, sources = tuple(before[first_i:i]), tuple(after[first_j:j]), copied[first_j:j]
        is_copy = first_i == first_j == 0 and i == j and list(sources[1:]) == list(range(1, i))
        swaps = None in old and any(axis not in (None, first_i + place) for place, axis in enumerate(sources))
        if (old == new and not swaps) or is_copy:
            result[first_j:j] = axes[first_i:i]
        else:
            result[first_j:j] = _regroup(axes[first_i:i], after[first_j:j])
        i, j = first_i, first_j
    result[:j] = map(plain, after[:j])  # axes of size 1 in front
    return tuple(result)


def insert_axis(axes: Axes, place: int) -> Axes:
    """Return the axes after a new one of size 1 at ``place``; sizes are not needed, as they may be unknown."""
    place %= len(axes) + 1
    return (*axes[:place], plain(1), *axes[place:])


def remove_axes(axes: Axes, sizes: Sizes, places: Iterable[int]) -> Axes:
    """Return the axes without those at ``places``, or without ``places`` without all that are of size 1."""
    removed = {place % len(axes) for place in places} or {place for place, size in enumerate(sizes) if size == 1}
    return tuple(axis for place, axis in enumerate(axes) if place not in removed)


def _regroup(axes: Axes, sizes: Sizes) -> list[Axis | None]:
    unknown = [plain(1) if size == 1 else None for size in sizes]
    factors: list[Factor] = []
    for axis in axes:
        if axis is None:
            return unknown
        if axis.factors and (axis.before or axis.after):
            factors.append(padded(axis) or Factor(axis, axis.size))
        else:
            factors += axis.factors or ((Factor(OTHER, axis.before),) if axis.before > 1 else ())
    result: list[Axis | None] = []
    for size in reversed(sizes[1:]):
        taken = _take(factors, size)
        if taken is None:
            return unknown
        result.insert(0, _merge(taken))
    first = _merge(factors)
    if sizes[0] is not None and first.size is not None and max(first.size, 1) != sizes[0]:
        return unknown
    return [first, *result]


def padded(axis: Axis) -> Factor | None:
    """Return an axis with padding as a single factor, which can be rolled and split; None for other axes."""
    if len(axis.factors) != 1 or not axis.factors[0].is_position or axis.size is None:
        return None
    (factor,) = axis.factors
    if factor.stride != 1:
        return None
    steps = (*factor.steps, ("pad", axis.before, axis.after)) if axis.before or axis.after else factor.steps
    return dataclasses.replace(factor, size=axis.size, steps=steps)


def unpadded(axis: Axis) -> Axis:
    """Return an axis of a single factor with its padding as entries before and after it, as ``padded`` got it."""
    factor = axis.factors[0] if len(axis.factors) == 1 else None
    if factor is None or not factor.steps or factor.steps[-1][0] != "pad" or factor.stride != 1 or factor.size is None:
        return axis
    _, low, high = factor.steps[-1]
    return Axis((dataclasses.replace(factor, size=factor.size - low - high, steps=factor.steps[:-1]),), low, high)


def _take(factors: list[Factor], size: int | None) -> list[Factor] | None:
    """Remove factors with a product of ``size`` from the right end of a list, and return them."""
    if size is None:
        return None
    taken = []
    while size > 1:
        last = factors.pop() if factors else None
        if last is None or last.size is None:
            return None
        if size % last.size == 0:
            taken.insert(0, last)
            size //= last.size
        elif last.size % size == 0 and not isinstance(last.source, Axis):
            taken.insert(0, dataclasses.replace(last, size=size))
            factors.append(dataclasses.replace(last, size=last.size // size, stride=last.stride * size))
            size = 1
        else:
            return None
    return taken


def _merge(factors: Sequence[Factor]) -> Axis:
    """Return an axis of these factors; neighbors that were split from one are joined again."""
    merged: list[Factor] = []
    for factor in factors:
        last = merged[-1] if merged else None
        if factor.size == 1:
            continue
        joins = last is not None and map_of(last) == map_of(factor)
        if last is not None and joins and (last.source == OTHER or last.stride == factor.stride * (factor.size or 0)):
            size = last.size * factor.size if last.size and factor.size else None
            merged[-1] = dataclasses.replace(factor, size=size)
        else:
            merged.append(factor)
    if len(merged) == 1 and isinstance(merged[0].source, Axis):
        return merged[0].source
    if not merged or (len(merged) == 1 and merged[0].source == OTHER):
        return Axis(before=(merged[0].size or 1) if merged else 1)
    return unpadded(Axis(tuple(merged)))


def map_of(factor: Factor) -> tuple:
    """Return what identifies the map that a factor was split from."""
    return factor.source, factor.steps, factor.part


def resized(axis: Axis | None, before: int | None, after: int | None, others: Iterable[Axis | None]) -> Axis | None:
    """Return a position axis after an operation that may change its size."""
    if axis is None or not axis.factors:
        return axis if axis is None or before == after else plain(after)
    if before == after and before is not None:
        return Axis(axis.factors) if axis.before + axis.after == 0 else _fresh(axis, after)
    if any(
        factor.source == axis.factors[0].source for other in others if other is not None for factor in other.factors
    ):
        return None  # inside windows
    return _fresh(axis, after)


def _fresh(axis: Axis, size: int | None) -> Axis | None:
    if len(axis.factors) != 1 or not axis.factors[0].is_position:
        return None
    if any(step[0] != "flip" for step in axis.factors[0].steps):  # they count positions of the old size
        return None
    return Axis((dataclasses.replace(axis.factors[0], size=size, stride=1),))
