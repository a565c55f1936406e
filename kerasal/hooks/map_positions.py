"""The positions and channels of a tensor, which put it back into a map (N, *positions, C) of the model's input."""

import dataclasses
import itertools
import math
from typing import Any

from kerasal.hooks.axis_factors import BATCH, CHANNEL, OTHER, Axes, Axis, Factor, map_of

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Positions:
    """Where the positions and the channels of a tensor are: ``to_map`` puts them into (N, *positions, C).

    Attributes:
        axes: the axes of the tensor.
        sources: the position axes of the input that the tensor has, in the order of the input.
        grid: the number of positions along each of them; None for one that is known only at run time.
        channel_axis: the axis of the channels.
    """

    axes: tuple[Axis, ...]
    sources: tuple[tuple[int, int], ...]
    grid: tuple[int | None, ...]
    channel_axis: int
    _padded_grid: tuple[int | None, ...] = ()

    @property
    def is_map(self) -> bool:
        """Whether each position axis has an axis of its own, as in a convolutional map."""
        return all(len(axis.factors) <= 1 and not axis.before for axis in self.axes if axis.positions)

    def to_map(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor with these axes as a map (N, *positions, C) in the order of the input's axes."""
        sizes = [axis.size for axis in self.axes]
        for number, axis in enumerate(self.axes):
            if axis.positions and (axis.before or axis.after):
                size: Any = tf.shape(tensor)[number] if sizes[number] is None else sizes[number]
                tensor = tf.gather(tensor, tf.range(axis.before, size - axis.after), axis=number)
        shape, places = [], []  # the size of each factor, and (order, its sort key)
        for number, axis in enumerate(self.axes):
            if number == self.channel_axis:
                shape.append(sizes[number])
                places.append((2, 0, 0, 0))
                continue
            for factor in axis.factors or (Factor(OTHER, 1),):
                shape.append(-1 if factor.source == BATCH else factor.size)
                place = (1, *factor.source, -factor.stride) if isinstance(factor.source, tuple) else (0, 0, 0, 0)
                places.append(place)
        order = sorted(range(len(places)), key=places.__getitem__)
        if len(shape) != len(self.axes):
            tensor = tf.reshape(tensor, shape)
        if order != list(range(len(order))):
            tensor = tf.transpose(tensor, order)
        if len(shape) != len(self.grid) + 2:
            tensor = tf.reshape(tensor, [-1, *self._padded_grid, sizes[self.channel_axis]])
        for place, source in enumerate(self.sources, start=1):
            factor = next(factor for axis in self.axes for factor in axis.positions if factor.source == source)
            for step in reversed(factor.steps):
                if step[0] == "roll":
                    tensor = tf.roll(tensor, -step[1], place)
                elif step[0] == "flip":
                    tensor = tf.reverse(tensor, [place])
                else:
                    tensor = tf.gather(tensor, tf.range(step[1], tensor.shape[place] - step[2]), axis=place)
        return tensor

    def cover_input(self, maps: tf.Tensor) -> tf.Tensor:
        """Return maps (N, *positions, C) with zeros where the model has cropped the input, up to whole positions."""
        pads = [(0, 0)]
        for size, source in zip(self.grid, self.sources, strict=True):
            low, high = next(f.part for axis in self.axes for f in axis.positions if f.source == source)
            per_input = (size or 0) / (high - low)
            pads.append((round(low * per_input), round((1 - high) * per_input)))
        return tf.pad(maps, [*pads, (0, 0)]) if any(map(any, pads)) else maps


def find_positions(axes: Axes | None) -> Positions | None:
    """Return the positions and channels of a tensor, or None if it has none or they are not known.

    There must be a single axis of channels, and the positions must be complete: all parts of a split axis, in steps
    that fit.
    """
    if axes is None or any(axis is None for axis in axes):
        return None
    known = tuple(axis for axis in axes if axis is not None)
    channels = [number for number, axis in enumerate(known) if axis.has(CHANNEL)]
    if len(channels) != 1:
        return None
    others = [axis for number, axis in enumerate(known) if number != channels[0]]
    if any(not axis.factors and axis.before > 1 for axis in others):
        return None
    factors = [factor for axis in others for factor in axis.factors]
    if any(factor.source == OTHER or isinstance(factor.source, Axis) for factor in factors):
        return None
    sources = sorted({factor.source for factor in factors if isinstance(factor.source, tuple)})
    grid, whole = [], []
    for source in sources:
        parts = sorted((factor for factor in factors if factor.source == source), key=lambda factor: -factor.stride)
        fits = all(a.stride == b.stride * (b.size or 0) for a, b in itertools.pairwise(parts))
        if not fits or len(set(map(map_of, parts))) > 1:
            return None
        size = None if None in [factor.size for factor in parts] else math.prod(factor.size or 0 for factor in parts)
        pads = sum(step[1] + step[2] for step in parts[0].steps if step[0] == "pad")
        grid.append(size if size is None else size - pads)
        whole.append(size)
    return Positions(known, tuple(sources), tuple(grid), channels[0], tuple(whole)) if sources else None
