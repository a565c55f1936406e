"""The grid of windows that slide over an input, and the values that fill them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.attribution.gaussian_blur import gaussian_blur
from kerasal.checks import check_int, is_int, refuse_mask

import tensorflow as tf

_BLUR_SHARE = 1 / 16  # the blur's standard deviation as a share of the shorter side


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """A grid of windows: along each position axis their side in ``sizes``, and their first positions in ``starts``."""

    sizes: tuple[int, ...]
    starts: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of windows along each axis, such as rows and columns."""
        return tuple(map(len, self.starts))

    @property
    def count(self) -> int:
        """The number of windows."""
        return int(np.prod(self.shape))

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides of the input, to whose end the last window reaches."""
        return tuple(int(start[-1]) + size for start, size in zip(self.starts, self.sizes, strict=True))


def place(sides: Sequence[int], window: Any = None, stride: Any = None, *, ordered: bool = True) -> Windows:
    """Return the grid of windows that covers an input with these ``sides``, each window fully inside it.

    There are ``ceil((side - size) / stride) + 1`` windows along a side; the last window is moved back to the border.
    ``window`` and ``stride`` are an integer or one per axis. By default the window is 1/4 of the shortest side, and the
    stride 1/16 of it; with three axes or more, 1/4 and 1/8 of each side, since the number of windows is a product. For
    an input without order, ``ordered=False``, both are 1.

    Raises:
        ValueError: the window or stride is not positive or not one per axis, or a window is larger than the input.
    """
    shortest = [min(sides)] * len(sides) if len(sides) < 3 else sides
    shares = (4, 16 if len(sides) < 3 else 8)
    sizes, steps = (
        [max(1, side // share) if ordered else 1 for side in shortest]
        if value is None
        else _per_axis(name, value, sides)
        for name, value, share in zip(("window", "stride"), (window, stride), shares, strict=True)
    )
    if any(size > side for size, side in zip(sizes, sides, strict=True)):
        limit = min(sides) if is_int(window) else tuple(sides)
        what = "images" if len(sides) == 2 else "inputs"
        remedy = " Pass a side per axis." if is_int(window) and max(sides) >= window else ""
        raise ValueError(
            f"window must be at most {limit} for {what} of {' × '.join(map(str, sides))} "
            f"{'pixels' if len(sides) == 2 else 'positions'}, got {window}.{remedy}"
        )
    starts = tuple(
        np.minimum(np.arange(-(-(side - size) // step) + 1) * step, side - size)
        for side, size, step in zip(sides, sizes, steps, strict=True)
    )
    return Windows(tuple(sizes), starts)


def _per_axis(name: str, value: Any, sides: Sequence[int]) -> list[int]:
    if np.ndim(value) == 0:
        return [check_int(name, value, none="None")] * len(sides)
    if len(value) != len(sides):
        raise ValueError(
            f"{name} must be an integer or one for each of the {len(sides)} position axes, got {tuple(value)}."
        )
    return [check_int(f"{name}[{axis}]", side) for axis, side in enumerate(value)]


def fill_values(x: tf.Tensor, fill: Any, *, has_channels: bool = True, ordered: bool = True) -> tf.Tensor:
    """Return the values that cover the windows of ``x`` (N, *positions, C), in the same shape.

    Raises:
        ValueError: ``fill`` is not a number, "mean", "blur" or an array that broadcasts to an input without the batch
            axis (and without the last axis if not ``has_channels``); it is not finite; or a blur of features.
    """
    if isinstance(fill, str):
        if fill == "mean":
            return tf.zeros_like(x) + tf.reduce_mean(x, axis=list(range(1, x.shape.rank - 1)), keepdims=True)
        if fill == "blur" and ordered:
            return gaussian_blur(x, _BLUR_SHARE, tf.reduce_min)
        if fill == "blur":
            raise ValueError("fill must not be 'blur' for features (N, F), which have no order. Use 'mean' or numbers.")
        raise ValueError(f'fill must be a number, an array, "mean" or "blur", got {fill!r}.')
    refuse_mask(fill, "fill")
    shape: tuple = tuple(x.shape.as_list()[1 : None if has_channels else -1])
    try:
        values = np.asarray(fill, dtype=np.float32)
        np.broadcast_to(values, shape)
    except (TypeError, ValueError):
        actual = f"shape {fill.shape}" if isinstance(fill, np.ndarray) else repr(fill)
        axes = "(H, W, C) = " if len(shape) == 3 and has_channels else ""
        raise ValueError(
            f'fill must be a number, "mean", "blur" or an array that broadcasts to {axes}{shape}, got {actual}.'
        ) from None
    if not np.isfinite(values).all():
        raise ValueError("fill must have finite values only, got NaN or infinite values.")
    return tf.zeros_like(x) + (values if has_channels else values[..., None])


def occlude(x: tf.Tensor, filling: tf.Tensor, windows: Windows, indices: tf.Tensor) -> tf.Tensor:
    """Return the inputs with each of the windows ``indices`` (K,) filled, (K, N, *positions, C)."""
    inside, axes = tf.ones([], tf.bool), len(windows.sizes)
    places = grid_indices(windows, indices)
    for axis, (size, starts, place_on_axis) in enumerate(zip(windows.sizes, windows.starts, places, strict=True)):
        start = tf.gather(tf.constant(starts), place_on_axis)[:, None]
        position = tf.range(x.shape[axis + 1], dtype=start.dtype)
        covered = (position >= start) & (position < start + size)
        inside &= tf.reshape(covered, [-1, 1, *[1] * axis, x.shape[axis + 1], *[1] * (axes - axis)])
    # In a layout of a single axis of values, as in ``MaskedInput.scores``, which is several times as fast.
    sides: Any = x.shape.as_list()[1:]
    inside = tf.repeat(tf.reshape(inside, [tf.size(indices), 1, -1]), sides[-1], axis=2)
    filling, x = (tf.reshape(tensor, [1, -1, math.prod(sides)]) for tensor in (filling, x))
    return tf.reshape(tf.where(inside, filling, x), [tf.size(indices), -1, *sides])


def grid_indices(windows: Windows, indices: tf.Tensor) -> list[tf.Tensor]:
    """Return the index along each axis of the grid for the windows ``indices`` (K,), which count along the last."""
    places = []
    for length in reversed(windows.shape):
        places.append(tf.math.floormod(indices, length))
        indices = indices // length
    return places[::-1]


def to_pixels(values: np.ndarray, windows: Windows) -> np.ndarray:
    """Return a map with the positions of the input: for each, the mean of the values of the windows that cover it.

    For class indices, which have no mean, it is the value of the window with the nearest center. A position that no
    window covers, because the stride is larger than the window, gets 0.
    """
    if values.dtype.kind == "i":
        nearest = [
            np.abs(np.arange(side)[:, None] - (starts + size / 2 - 0.5)).argmin(axis=1)
            for side, starts, size in zip(windows.sides, windows.starts, windows.sizes, strict=True)
        ]
        return values[np.ix_(*nearest)]
    total, count = values.astype(np.float64), np.ones(values.shape)
    for axis, (side, starts, size) in enumerate(zip(windows.sides, windows.starts, windows.sizes, strict=True)):
        offsets = np.arange(side)[:, None] - starts
        covered = ((offsets >= 0) & (offsets < size)).astype(np.float64)  # (positions, windows)
        total, count = (np.moveaxis(np.tensordot(covered, part, (1, axis)), 0, axis) for part in (total, count))
    return total / np.maximum(count, 1)
