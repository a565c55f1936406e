"""The main pattern of a map's channels: their first singular vector, and how strong it is at each position."""

import math
from typing import Any

import tensorflow as tf


def project_on_pattern(maps: tf.Tensor, reference: tf.Tensor, center: bool) -> tf.Tensor:
    """Return the projection of the channels at each position on the first right singular vector, (N, *positions).

    A singular vector has no sign of its own. It gets the sign with which the projection, before it is centered, agrees
    with ``reference``: the sum over positions of their product is not negative.

    Args:
        maps: float32 (N, *positions, C), the positions as rows and the channels as columns of a matrix.
        reference: (N, *positions), large where the pattern should be positive.
        center: subtract from each channel its mean over positions first, so that the vector is the first principal
            component.
    """
    sizes: Any = maps.shape[1:].as_list()
    # Products lose half of the digits, which float32 does not have to spare.
    rows = tf.cast(tf.reshape(maps, [tf.shape(maps)[0], -1, sizes[-1]]), tf.float64)
    centered = rows - tf.reduce_mean(rows, axis=1, keepdims=True) if center else rows
    vectors = _first_right_vectors(centered, None not in sizes and math.prod(sizes[:-1]) <= sizes[-1])
    agreement = tf.reduce_sum(
        tf.einsum("npc,nc->np", rows, vectors) * tf.reshape(tf.cast(reference, tf.float64), tf.shape(rows)[:2]), axis=1
    )
    signs = tf.where(agreement < 0, -tf.ones_like(agreement), tf.ones_like(agreement))
    projection = tf.einsum("npc,nc,n->np", centered, vectors, signs)
    return tf.cast(tf.reshape(projection, tf.shape(maps)[:-1]), maps.dtype)


def _first_right_vectors(rows: tf.Tensor, is_wide: bool) -> tf.Tensor:
    """Return the right singular vector of the largest singular value of each matrix, (N, P, C) -> (N, C), or 0.

    ``is_wide`` tells that the matrices have fewer rows than columns.
    """
    if not is_wide:
        _, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_a=True))
        return vectors[..., -1]
    _, left = tf.linalg.eigh(tf.matmul(rows, rows, transpose_b=True))  # the smaller product of the two
    vectors = tf.einsum("npc,np->nc", rows, left[..., -1])
    return tf.math.divide_no_nan(vectors, tf.norm(vectors, axis=-1, keepdims=True))
