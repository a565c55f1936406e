"""The grid of windows that slide over an image, and what is put into them."""

import dataclasses
from typing import Any

import numpy as np

from kerasal.checks import check_int, refuse_mask
from kerasal.hooks.operations import map_sizes

import tensorflow as tf

_BLUR_SHARE = 16  # the blur's sigma is the image's shorter side divided by this


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Squares of ``size`` pixels over (height, width): ``tops`` (rows,) and ``lefts`` (columns,), row by row."""

    size: int
    tops: np.ndarray
    lefts: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return len(self.tops), len(self.lefts)

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.tops) * len(self.lefts)


def place(height: int, width: int, size: int | None, stride: int | None) -> Windows:
    """Place windows all over an image, each fully inside; the last one of a row is moved back to the border.

    ``ceil((side - size) / stride) + 1`` stand along a side. By default size = height / 4 and stride = height / 16.

    Raises:
        ValueError: a size or stride that is no whole number from 1 on, or a window larger than the image.
    """
    size = max(1, min(height, width) // 4 if size is None else check_int("window", size, none="None"))
    stride = max(1, min(height, width) // 16 if stride is None else check_int("stride", stride, none="None"))
    if size > min(height, width):
        raise ValueError(
            f"window must fit into the image: expected at most {min(height, width)} for images of {height} × {width}. "
            f"Received: {size}."
        )
    tops, lefts = (
        np.minimum(np.arange(-(-(side - size) // stride) + 1) * stride, side - size) for side in (height, width)
    )
    return Windows(size, tops, lefts)


def filled(images: tf.Tensor, fill: Any) -> tf.Tensor:
    """Return what the windows show instead of the ``images`` (N, H, W, C), in the same shape.

    Raises:
        ValueError: no number, "mean", "blur" or array that broadcasts to (H, W, C), or one that is not finite.
    """
    if isinstance(fill, str):
        if fill == "mean":
            return tf.zeros_like(images) + tf.reduce_mean(images, axis=[1, 2], keepdims=True)
        if fill == "blur":
            return _blurred(images)
        raise ValueError(f'fill is a number, an array, "mean" or "blur". Received: {fill!r}.')
    refuse_mask(fill, "fill")
    shape = map_sizes(images)
    try:
        values = np.asarray(fill, dtype=np.float32)
        np.broadcast_to(values, shape)
    except (TypeError, ValueError):
        received = f"shape {np.shape(fill)}" if isinstance(fill, (np.ndarray, list, tuple)) else repr(fill)
        raise ValueError(
            f'fill is a number, "mean", "blur", or an array that broadcasts to (H, W, C) = {shape}. '
            f"Received: {received}."
        ) from None
    if not np.isfinite(values).all():
        raise ValueError("fill holds NaN or infinite values. Expected finite numbers.")
    return tf.zeros_like(images) + values


def occluded(images: tf.Tensor, filling: tf.Tensor, windows: Windows, chosen: tf.Tensor) -> tf.Tensor:
    """Return the images with each of the ``chosen`` windows filled, (K, N, H, W, C)."""
    columns = windows.shape[1]
    height, width = images.shape[1:3]
    top = tf.gather(tf.constant(windows.tops), chosen // columns)[:, None]
    left = tf.gather(tf.constant(windows.lefts), tf.math.floormod(chosen, columns))[:, None]
    y, x = tf.range(height, dtype=top.dtype), tf.range(width, dtype=top.dtype)
    inside_y, inside_x = (y >= top) & (y < top + windows.size), (x >= left) & (x < left + windows.size)
    inside = inside_y[:, None, :, None, None] & inside_x[:, None, None, :, None]
    return tf.where(inside, filling[None], images[None])


def to_pixels(values: np.ndarray, windows: Windows) -> np.ndarray:
    """Give each pixel the mean of the values (rows, columns) of the windows that cover it: (H, W).

    Class numbers have no mean: each pixel gets that of the window whose center is nearest. A pixel that no window
    covers, where the stride is larger than the window, gets 0.
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


def _blurred(images: tf.Tensor) -> tf.Tensor:
    """Blur each channel by a Gaussian, edges repeated, one axis after the other."""
    height, width, _ = map_sizes(images)
    sigma = min(height, width) / _BLUR_SHARE
    for side, equation in ((height, "nhwc,yh->nywc"), (width, "nhwc,xw->nhxc")):
        reach = int(np.ceil(3 * sigma))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        kernel = (kernel / kernel.sum()).astype(np.float32)
        # As a matrix, since the edge is repeated further than tf.pad can mirror a small image.
        matrix = np.zeros((side, side), np.float32)
        for offset, weight in zip(range(-reach, reach + 1), kernel, strict=True):
            matrix[np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)] += weight
        images = tf.einsum(equation, images, matrix)
    return images
