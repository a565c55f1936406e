"""A Gaussian blur along all position axes of an input, whatever its rank."""

from collections.abc import Callable

import tensorflow as tf


def gaussian_blur(x: tf.Tensor, share: float, side: Callable = tf.reduce_max) -> tf.Tensor:
    """Return (N, *positions, C) blurred by a separable Gaussian, with edge values repeated outside.

    The standard deviation is ``share`` of the ``side`` of the input: its longest, or with ``tf.reduce_min`` its
    shortest. With three position axes or more it is that share of each side, since a video has few frames. Weights
    further away than three standard deviations are 0. Memory grows with the size of the input alone, also for a long
    signal.
    """
    sides = tf.shape(x)[1:-1]
    rank, result = x.shape.rank, x
    for axis in range(1, rank - 1):
        size = sides[axis - 1]
        deviation = share * tf.cast(size if rank > 4 else side(sides), tf.float32)
        radius = tf.cast(tf.math.ceil(3 * deviation), tf.int32)
        offsets = tf.cast(tf.range(-radius, radius + 1), tf.float32)
        weights = tf.exp(-0.5 * tf.square(offsets / deviation))
        kernel = (weights / tf.reduce_sum(weights))[:, None, None]
        indices = tf.clip_by_value(tf.range(-radius, size + radius), 0, size - 1)
        order = [*(other for other in range(rank) if other != axis), axis]
        rows = tf.transpose(tf.gather(result, indices, axis=axis), order)
        blurred = tf.nn.conv1d(tf.reshape(rows, [-1, size + 2 * radius, 1]), kernel, 1, "VALID")
        shape = tf.gather(tf.shape(x), order)
        result = tf.transpose(tf.reshape(blurred, shape), sorted(range(rank), key=order.__getitem__))
    return tf.ensure_shape(result, x.shape)
