"""Superpixels in a graph: regions of similar color that lie close together (SLIC, Achanta et al. 2012).

They are computed for inputs of any rank by TensorFlow alone, so that a method that needs them can be saved.
"""

import itertools
from typing import Any

from kerasal.attribution.gaussian_blur import gaussian_blur

import tensorflow as tf

# The weight of a distance of one cell, beside a difference of the whole range of an image's values. Achanta et al. use
# 10 for colors in 0..100; larger cells hold more texture, which would tear them apart.
_COMPACTNESS = 0.2
# The image is blurred first by a Gaussian with this standard deviation, as a share of a cell.
_BLUR = 0.15
_ROUNDS = 5


def superpixels(x: tf.Tensor, cells: int) -> tf.Tensor:
    """Return the number of the superpixel of each position of (N, *positions, C), int32 (N, positions).

    They start as a grid with ``cells`` along the longest side and cells about as wide along the others. In each of five
    rounds, every position joins the most similar of the superpixels that began in its cell and the cells around it, by
    the distance of the mean colors and of the centers. Colors are relative to the range of the image's values. A
    superpixel need not be connected, and may be empty.
    """
    rank = x.shape.rank - 2
    sides = tf.shape(x)[1:-1]
    width = tf.maximum(tf.cast(tf.reduce_max(sides), tf.float32) / cells, 1.0)
    counts = tf.maximum(tf.cast(tf.round(tf.cast(sides, tf.float32) / width), tf.int32), 1)
    grids = tf.meshgrid(*(tf.range(sides[axis]) for axis in range(rank)), indexing="ij")
    places = tf.stack([tf.reshape(grid, [-1]) for grid in grids], axis=1)
    home = places * counts // sides
    x, axes = gaussian_blur(x, _BLUR / cells), list(range(1, x.shape.rank))
    low = tf.reduce_min(x, axes, keepdims=True)
    span = tf.reduce_max(x, axes, keepdims=True) - low
    colors = tf.reshape(tf.math.divide_no_nan(x - low, span), [tf.shape(x)[0], -1, tf.shape(x)[-1]])
    near = _COMPACTNESS * tf.cast(places, tf.float32) / width
    values = tf.concat([colors, near + tf.zeros([tf.shape(x)[0], 1, 1])], axis=-1)
    # The cell itself comes first, so that it wins a draw.
    offsets = tf.constant(list(itertools.product((0, -1, 1), repeat=rank)))
    candidates = _number(tf.clip_by_value(home + offsets[:, None], 0, counts - 1), counts)
    regions = tf.reduce_prod(counts)

    def assign(number, labels, centers):
        """Return the next number, the most similar region of each position and the mean values of the regions."""
        centers = _means(values, labels, regions, centers)

        def compare(place, best, labels):
            distance = tf.reduce_sum(tf.square(values - tf.gather(centers, candidates[place], axis=1)), axis=-1)
            nearer = tf.where(distance < best, candidates[place], labels)
            return place + 1, tf.minimum(distance, best), nearer

        state: Any = (0, tf.fill(tf.shape(labels), float("inf")), labels)
        _, _, labels = tf.while_loop(lambda place, *_: place < 3**rank, compare, state)
        return number + 1, labels, centers

    rows = tf.shape(x)[0]
    labels = tf.zeros(tf.shape(values)[:2], tf.int32) + candidates[0]
    centers = tf.zeros([rows, regions, values.shape[-1] or 1])
    state: Any = (0, labels, centers)
    return tf.while_loop(lambda number, *_: number < _ROUNDS, assign, state)[1]


def _number(cells: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Return the numbers of cells (…, rank) in a grid of ``counts``, in row-major order."""
    return tf.reduce_sum(cells * tf.math.cumprod(counts, exclusive=True, reverse=True), axis=-1)


def _means(values: tf.Tensor, labels: tf.Tensor, regions: tf.Tensor, empty: tf.Tensor) -> tf.Tensor:
    """Return the mean value of each region (N, regions, D); that of ``empty`` for a region without positions."""
    rows = tf.shape(values)[0]
    flat = tf.reshape(labels + tf.range(rows)[:, None] * regions, [-1])
    sums = tf.math.unsorted_segment_sum(tf.reshape(values, [-1, tf.shape(values)[-1]]), flat, rows * regions)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(flat, tf.float32), flat, rows * regions)[:, None]
    means = tf.where(sizes > 0, tf.math.divide_no_nan(sums, sizes), tf.reshape(empty, tf.shape(sums)))
    return tf.reshape(means, tf.shape(empty))
