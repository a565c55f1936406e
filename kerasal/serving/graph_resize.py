"""``kerasal.images.resize`` and ``fit_image`` as TensorFlow operations on uint8 images (N, H, W, C) of any size.

As in OpenCV, shrinking averages areas and enlarging interpolates with a cubic kernel (a = -0.75). OpenCV's fixed-point
arithmetic is not reproduced, so that a value may differ by 1 of 255.
"""

from typing import Any, Literal

import tensorflow as tf


def fit_image(images: tf.Tensor, size: Any, mode: Literal["crop", "stretch"]) -> tf.Tensor:
    """Return images of ``size`` = (height, width), from the largest centered crop of that shape or the whole image."""
    return resize(_crop_center(images, size) if mode == "crop" else images, size)


def resize(images: tf.Tensor, size: Any) -> tf.Tensor:
    """Return uint8 images (N, H, W, C) resized to (N, height, width, C)."""
    height, width = size
    shape = tf.shape(images)
    rows, columns = shape[1], shape[2]
    same = (rows == height) & (columns == width)
    smaller = (rows >= height) & (columns >= width)

    def interpolate():  # per axis: area average if it shrinks, cubic interpolation if it grows
        across = tf.einsum("xw,nhwc->nhxc", _weights(columns, width), tf.cast(images, tf.float32))
        return tf.einsum("yh,nhxc->nyxc", _weights(rows, height), across)

    values = tf.cond(
        same,
        lambda: tf.cast(images, tf.float32),
        lambda: tf.cond(
            smaller, lambda: tf.raw_ops.ResizeArea(images=images, size=tf.stack([height, width])), interpolate
        ),
    )
    static = [side if isinstance(side, int) else None for side in (height, width)]
    values.set_shape([images.shape[0], *static, images.shape[3]])
    return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)


def _crop_center(images: tf.Tensor, size: Any) -> tf.Tensor:
    """Return the largest centered crop with the aspect ratio of ``size``."""
    shape = tf.shape(images)
    height, width = (tf.cast(side, tf.float64) for side in size)
    scale = tf.minimum(tf.cast(shape[1], tf.float64) / height, tf.cast(shape[2], tf.float64) / width)
    rows = tf.maximum(1, tf.cast(tf.round(height * scale), tf.int32))
    columns = tf.maximum(1, tf.cast(tf.round(width * scale), tf.int32))
    top, left = (shape[1] - rows) // 2, (shape[2] - columns) // 2
    return images[:, top : top + rows, left : left + columns]


def _weights(old, new) -> tf.Tensor:
    """Return the matrix (new, old) that resizes an axis; beyond the edge the last value is repeated."""
    return tf.cond(old > new, lambda: _area_weights(old, new), lambda: _cubic_weights(old, new))


def _cubic_weights(old, new):
    position = (tf.range(new, dtype=tf.float32) + 0.5) * (tf.cast(old, tf.float32) / tf.cast(new, tf.float32)) - 0.5
    first = tf.floor(position)
    t, a = position - first, -0.75
    outer = [((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a for s in (t, 1 - t)]
    inner = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    pixels = [tf.clip_by_value(tf.cast(first, tf.int32) + offset, 0, old - 1) for offset in (-1, 0, 1, 2)]
    weights = [outer[0], inner[0], inner[1], outer[1]]
    return tf.add_n([weight[:, None] * tf.one_hot(pixel, old) for weight, pixel in zip(weights, pixels, strict=True)])


def _area_weights(old, new):
    scale = tf.cast(old, tf.float64) / tf.cast(new, tf.float64)
    start = tf.cast(tf.range(new), tf.float64)[:, None] * scale
    pixel = tf.cast(tf.range(old), tf.float64)
    covered = tf.minimum(start + scale, pixel + 1) - tf.maximum(start, pixel)
    return tf.cast(tf.maximum(covered, 0) / scale, tf.float32)
