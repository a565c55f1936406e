"""``kerasal.images.resize`` and ``fit_image``, in the graph: uint8 (N, H, W, C) of any size to a size.

Areas are averaged along a side that shrinks, and cubic interpolation (a = -0.75) enlarges, as OpenCV does it; its
fixed-point arithmetic is not repeated, so that a value may differ by one of 255.
"""

from typing import Any, Literal

import tensorflow as tf


def fit_image(images: tf.Tensor, size: Any, mode: Literal["crop", "stretch"]) -> tf.Tensor:
    """Bring images to ``size``, (height, width): their largest centered part of that shape, or all, stretched."""
    return resize(_cut_center(images, size) if mode == "crop" else images, size)


def resize(images: tf.Tensor, size: Any) -> tf.Tensor:
    """Resize uint8 (N, H, W, C) to uint8 (N, height, width, C)."""
    height, width = size
    shape = tf.shape(images)
    rows, columns = shape[1], shape[2]
    same = (rows == height) & (columns == width)
    smaller = (rows >= height) & (columns >= width)

    def interpolate():  # each axis by a matrix: areas averaged where it shrinks, cubic where it grows
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


def _cut_center(images: tf.Tensor, size: Any) -> tf.Tensor:
    """Cut out the largest centered part of the proportions of ``size``."""
    shape = tf.shape(images)
    height, width = (tf.cast(side, tf.float64) for side in size)
    scale = tf.minimum(tf.cast(shape[1], tf.float64) / height, tf.cast(shape[2], tf.float64) / width)
    rows = tf.maximum(1, tf.cast(tf.round(height * scale), tf.int32))
    columns = tf.maximum(1, tf.cast(tf.round(width * scale), tf.int32))
    top, left = (shape[1] - rows) // 2, (shape[2] - columns) // 2
    return images[:, top : top + rows, left : left + columns]


def _weights(have, want) -> tf.Tensor:
    """Return the matrix (want, have) that resizes an axis; beyond the edge its last value is repeated."""
    return tf.cond(have > want, lambda: _area(have, want), lambda: _cubic(have, want))


def _cubic(have, want):
    place = (tf.range(want, dtype=tf.float32) + 0.5) * (tf.cast(have, tf.float32) / tf.cast(want, tf.float32)) - 0.5
    first = tf.floor(place)
    t, a = place - first, -0.75
    outer = [((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a for s in (t, 1 - t)]
    inner = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    places = [tf.clip_by_value(tf.cast(first, tf.int32) + number, 0, have - 1) for number in (-1, 0, 1, 2)]
    weights = [outer[0], inner[0], inner[1], outer[1]]
    return tf.add_n([one[:, None] * tf.one_hot(at, have) for one, at in zip(weights, places, strict=True)])


def _area(have, want):
    scale = tf.cast(have, tf.float64) / tf.cast(want, tf.float64)
    start = tf.cast(tf.range(want), tf.float64)[:, None] * scale
    pixel = tf.cast(tf.range(have), tf.float64)
    covered = tf.minimum(start + scale, pixel + 1) - tf.maximum(start, pixel)
    return tf.cast(tf.maximum(covered, 0) / scale, tf.float32)
