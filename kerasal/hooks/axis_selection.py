"""The axes of tensors after operations that cut, pad, join or roll along an axis."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.hooks.axis_factors import BATCH, CHANNEL, Axes, Axis, Factor, channel, combine, padded, plain, unpadded
from kerasal.hooks.shape_values import ShapeValues

import tensorflow as tf


def select_outputs(op: tf.Operation, inputs: list, shapes: ShapeValues) -> list | None:
    """Return the axes after operations that cut, pad, join or roll a tensor along an axis."""
    first: Any = inputs[0] if inputs else None
    value = shapes.require
    if op.type in ("Pad", "PadV2", "MirrorPad"):
        pads = value(op.inputs[1])
        return [tuple(_pad(axis, int(low), int(high)) for axis, (low, high) in zip(first, pads, strict=True))]
    if op.type == "Slice":
        starts = value(op.inputs[1])
        counts = [None if size == -1 else int(size) for size in value(op.inputs[2])]
        ends = [
            size if count is None else int(start) + count
            for start, count, size in zip(starts, counts, shapes.sizes(op.inputs[0]), strict=True)
        ]
        return [
            tuple(
                None if end is None else crop(axis, int(start), end)
                for axis, start, end in zip(first, starts, ends, strict=True)
            )
        ]
    if op.type in ("Split", "SplitV"):
        values, place = (inputs[1], op.inputs[0]) if op.type == "Split" else (first, op.inputs[2])
        return _split(op, values, int(value(place)) % len(values))
    if op.type == "StridedSlice":
        return [_strided_slice(op, first, shapes)]
    if op.type in ("ConcatV2", "Pack"):
        return [_join(op, inputs, shapes)]
    if op.type == "Unpack":
        axis = op.get_attr("axis") % len(first)
        return [first[:axis] + first[axis + 1 :]]
    if op.type == "Tile":
        times = value(op.inputs[1])
        return [tuple(axis if time == 1 else None for axis, time in zip(first, times, strict=True))]
    if op.type == "ReverseV2":
        places = {int(axis) % len(first) for axis in value(op.inputs[1]).reshape(-1)}
        return [tuple(flipped(axis) if place in places else axis for place, axis in enumerate(first))]
    if op.type == "Roll":
        return [_roll(first, value(op.inputs[1]), value(op.inputs[2]))]
    if op.type == "GatherV2" and first is not None and not op.get_attr("batch_dims"):
        axis = int(value(op.inputs[2])) % len(first)
        return [_gather(op, first, axis)]
    return None


def _gather(op, axes: Axes, axis: int) -> Axes:
    indices = tf.get_static_value(op.inputs[1])
    if indices is None or np.ndim(indices) > 1:
        return (*axes[:axis], *[None] * op.inputs[1].shape.rank, *axes[axis + 1 :])
    if np.ndim(indices) == 0:
        return axes[:axis] + axes[axis + 1 :]
    start, count = int(indices[0]) if len(indices) else 0, len(indices)
    in_order = np.array_equal(indices, np.arange(start, start + count))
    return (*axes[:axis], crop(axes[axis], start, start + count) if in_order else None, *axes[axis + 1 :])


def _pad(axis: Axis | None, low: int, high: int) -> Axis | None:
    if axis is None or not (low or high):
        return axis
    if not axis.factors:
        return Axis(before=axis.before + low + high)
    return dataclasses.replace(axis, before=axis.before + low, after=axis.after + high)


def _split(op, axes: Axes, place: int) -> list[Axes]:
    results, start = [], 0
    for output in op.outputs:
        size = output.shape[place]
        part = None if size is None else crop(axes[place], start, start + size)
        start += size or 0
        results.append((*axes[:place], part, *axes[place + 1 :]))
    return results


def _join(op, inputs, shapes: ShapeValues) -> Axes:
    tensors = op.inputs[:-1] if op.type == "ConcatV2" else op.inputs
    known = [axes for axes in inputs if axes is not None]
    rank = len(known[0])
    if op.type == "Pack":
        place = op.get_attr("axis") % (rank + 1)
        shared = [combine([axes[axis] for axes in known]) for axis in range(rank)]
        return (*shared[:place], plain(len(tensors)), *shared[place:])
    place = int(shapes.require(op.inputs[-1])) % rank
    full = [
        axes if axes is not None else tuple(map(plain, shapes.sizes(tensor)))
        for tensor, axes in zip(tensors, inputs, strict=False)
    ]
    joined = concatenate([axes[place] for axes in full], [shapes.sizes(tensor)[place] for tensor in tensors])
    return tuple(joined if axis == place else combine([axes[axis] for axes in known]) for axis in range(rank))


def _roll(axes: Axes, shifts: np.ndarray, places: np.ndarray) -> Axes:
    result = list(axes)
    for shift, place in zip(shifts.reshape(-1), places.reshape(-1), strict=True):
        axis = result[place % len(axes)]
        if axis is None or not axis.positions:
            continue
        result[place % len(axes)] = rolled(axis, int(shift))
    return tuple(result)


def _strided_slice(op, axes: Axes, shapes: ShapeValues) -> Axes:
    """Return the axes after ``x[…]``."""
    begin, end, steps = (shapes.partial(tensor) or [] for tensor in op.inputs[1:4])
    masks = {name: op.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    sizes = shapes.sizes(op.inputs[0])
    result, axis, count = [], 0, len(begin)
    for place in range(count):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            rest = count - place - 1 - bin(masks["new_axis"] >> (place + 1)).count("1")
            result += axes[axis : len(axes) - rest]
            axis = len(axes) - rest
            continue
        if masks["new_axis"] & bit:
            result.append(plain(1))
            continue
        if not masks["shrink_axis"] & bit:
            if steps[place] == -1 and masks["begin"] & masks["end"] & bit:
                result.append(flipped(axes[axis]))
                axis += 1
                continue
            start = 0 if masks["begin"] & bit else begin[place]
            stop = sizes[axis] if masks["end"] & bit else end[place]
            result.append(_slice(axes[axis], start, stop, steps[place], sizes[axis]))
        axis += 1
    return (*result, *axes[axis:])


def _slice(axis: Axis | None, start: int | None, stop: int | None, step: int | None, size: int | None) -> Axis | None:
    if (start, step, stop) == (0, 1, size):
        return axis
    if start is None or stop is None or step is None or size is None or step < 1:
        return None
    start, stop, step = slice(start, stop, step).indices(size)
    return crop(axis, start, stop, step)


def concatenate(axes: Sequence[Axis | None], sizes: Sequence[int | None]) -> Axis | None:
    """Return the axis along which tensors are concatenated."""
    if any(axis is None for axis in axes):
        return None
    known = [axis for axis in axes if axis is not None]
    if any(axis.has(BATCH) for axis in known):
        return known[0] if len(known) == 1 else None
    if any(axis.has(CHANNEL) for axis in known):
        return None if None in sizes else channel(sum(size or 0 for size in sizes))
    places = [place for place, axis in enumerate(known) if axis.factors]
    if len(places) > 1 or None in sizes:
        return None
    if not places:
        return plain(sum(size or 0 for size in sizes))
    (place,) = places
    before, after = (sum(size or 0 for size in part) for part in (sizes[:place], sizes[place + 1 :]))
    axis = known[place]
    return dataclasses.replace(axis, before=axis.before + before, after=axis.after + after)


def crop(axis: Axis | None, start: int, stop: int, step: int = 1) -> Axis | None:
    """Return the axis of the entries from ``start`` to ``stop``."""
    if axis is None or axis.size is None:
        return None
    count = max(0, math.ceil((stop - start) / step))
    if (start, stop, step) == (0, axis.size, 1):
        return axis
    if not axis.positions:
        return channel(count) if axis.has(CHANNEL) else plain(count) if not axis.factors else None
    end = axis.size - axis.after  # of the positions
    if stop <= axis.before or start >= end:
        return plain(count)
    if step == 1 and start <= axis.before and stop >= end:
        return Axis(axis.factors, axis.before - start, stop - end)
    factor, *others = axis.factors
    if others or factor.steps or factor.stride != 1:
        return None
    first, last = max(start, axis.before), min(stop, end)
    if step > 1:  # every second position, for example
        if axis.before or axis.after:
            return None
        first -= start % step  # an entry stands for its step, so that x[:, 1::2] covers what x[:, ::2] covers
        return Axis((_part_of(factor, first, min(first + count * step, end), count),))
    inner = _part_of(factor, first - axis.before, last - axis.before, last - first)
    return Axis((inner,), first - start, stop - last)


def _part_of(factor: Factor, start: int, stop: int, count: int) -> Factor:
    """Return ``count`` positions of a factor between ``start`` and ``stop``, as that part of the input's axis."""
    low, high = factor.part
    length = (high - low) / (factor.size or 1)
    return dataclasses.replace(factor, size=count, part=(low + start * length, low + stop * length))


def flipped(axis: Axis | None) -> Axis | None:
    """Return an axis in reverse order, or None if it consists of several factors."""
    if axis is None or not axis.positions:
        return axis
    factor = padded(axis)
    if factor is None:
        return None
    steps = factor.steps[:-1] if factor.steps and factor.steps[-1] == ("flip",) else (*factor.steps, ("flip",))
    return unpadded(Axis((dataclasses.replace(factor, steps=steps),)))


def rolled(axis: Axis, shift: int) -> Axis | None:
    """Return an axis of positions after a roll, or None if it consists of several factors."""
    factor = padded(axis)
    if factor is None or not factor.size:
        return None
    steps = factor.steps
    if steps and steps[-1][0] == "roll":
        shift, steps = shift + steps[-1][1], steps[:-1]
    steps = (*steps, ("roll", shift)) if shift % factor.size else steps
    return unpadded(Axis((dataclasses.replace(factor, steps=steps),)))
