"""The grid of windows that slide over an image, and the values that fill them."""

import dataclasses
from typing import Any

import numpy as np

from kerasal.checks import check_int, refuse_mask
from kerasal.hooks.operations import map_sizes

import tensorflow as tf

_BLUR_SHARE = 16  # the blur's sigma is the image's shorter side divided by this


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """A grid of square windows with side ``size``, top edges ``tops`` (rows,) and left edges ``lefts`` (columns,)."""

    size: int
    tops: np.ndarray
    lefts: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns of the grid."""
        return len(self.tops), len(self.lefts)

    @property
    def count(self) -> int:
        """The number of windows."""
        return len(self.tops) * len(self.lefts)


def place(height: int, width: int, size: int | None, stride: int | None) -> Windows:
    """Return the grid of windows that covers an image, each window fully inside it.

    There are ``ceil((side - size) / stride) + 1`` windows along a side; the last window is moved back to the border. By
    default the size is 1/4 and the stride 1/16 of the shorter side.

    Raises:
        ValueError: the size or stride is not a positive integer, or a window is larger than the image.
    """
    size = max(1, min(height, width) // 4 if size is None else check_int("window", size, none="None"))
    stride = max(1, min(height, width) // 16 if stride is None else check_int("stride", stride, none="None"))
    if size > min(height, width):
        raise ValueError(
            f"window must be at most {min(height, width)} for images of {height} × {width} pixels, got {size}."
        )
    tops, lefts = (
        np.minimum(np.arange(-(-(side - size) // stride) + 1) * stride, side - size) for side in (height, width)
    )
    return Windows(size, tops, lefts)


def fill_values(images: tf.Tensor, fill: Any) -> tf.Tensor:
    """Return the values that cover the windows of ``images`` (N, H, W, C), in the same shape.

    Raises:
        ValueError: ``fill`` is not a number, "mean", "blur" or an array that broadcasts to (H, W, C); or not finite.
    """
    if isinstance(fill, str):
        if fill == "mean":
            return tf.zeros_like(images) + tf.reduce_mean(images, axis=[1, 2], keepdims=True)
        if fill == "blur":
            return _blur(images)
        raise ValueError(f'fill must be a number, an array, "mean" or "blur", got {fill!r}.')
    refuse_mask(fill, "fill")
    shape = map_sizes(images)
    try:
        values = np.asarray(fill, dtype=np.float32)
        np.broadcast_to(values, shape)
    except (TypeError, ValueError):
        actual = f"shape {np.shape(fill)}" if isinstance(fill, (np.ndarray, list, tuple)) else repr(fill)
        raise ValueError(
            f'fill must be a number, "mean", "blur" or an array that broadcasts to (H, W, C) = {shape}, got {actual}.'
        ) from None
    if not np.isfinite(values).all():
        raise ValueError("fill must have finite values only, got NaN or infinite values.")
    return tf.zeros_like(images) + values


def occlude(images: tf.Tensor, filling: tf.Tensor, windows: Windows, indices: tf.Tensor) -> tf.Tensor:
    """Return the images with each of the windows ``indices`` (K,) filled, (K, N, H, W, C)."""
    columns = windows.shape[1]
    height, width = images.shape[1:3]
    top = tf.gather(tf.constant(windows.tops), indices // columns)[:, None]
    left = tf.gather(tf.constant(windows.lefts), tf.math.floormod(indices, columns))[:, None]
    y, x = tf.range(height, dtype=top.dtype), tf.range(width, dtype=top.dtype)
    inside_y, inside_x = (y >= top) & (y < top + windows.size), (x >= left) & (x < left + windows.size)
    inside = inside_y[:, None, :, None, None] & inside_x[:, None, None, :, None]
    return tf.where(inside, filling[None], images[None])


def to_pixels(values: np.ndarray, windows: Windows) -> np.ndarray:
    """Return an (H, W) map: for each pixel, the mean of the values (rows, columns) of the windows that cover it.

    For class indices, which have no mean, it is the value of the window with the nearest center. A pixel that no
    window covers, because the stride is larger than the window, gets 0.
    """
    height, width = windows.tops[-1] + windows.size, windows.lefts[-1] + windows.size
    if values.dtype.kind == "i":
        rows, columns = (
            np.abs(np.arange(side)[:, None] - (starts + windows.size / 2 - 0.5)).argmin(axis=1)
            for side, starts in ((height, windows.tops), (width, windows.lefts))
        )
        return values[rows[:, None], columns]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for row, top in enumerate(windows.tops):
        for column, left in enumerate(windows.lefts):
            covered = np.s_[top : top + windows.size, left : left + windows.size]
            total[covered] += values[row, column]
            count[covered] += 1
    return total / np.maximum(count, 1)


def _blur(images: tf.Tensor) -> tf.Tensor:
    """Return the images blurred by a separable Gaussian, with edge values repeated outside the image."""
    height, width, _ = map_sizes(images)
    sigma = min(height, width) / _BLUR_SHARE
    for side, equation in ((height, "nhwc,yh->nywc"), (width, "nhwc,xw->nhxc")):
        radius = int(np.ceil(3 * sigma))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        kernel = (kernel / kernel.sum()).astype(np.float32)
        # A matrix, because the edge may have to be repeated further than tf.pad can pad a small image.
        matrix = np.zeros((side, side), np.float32)
        for offset, weight in zip(range(-radius, radius + 1), kernel, strict=True):
            matrix[np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)] += weight
        images = tf.einsum(equation, images, matrix)
    return images
