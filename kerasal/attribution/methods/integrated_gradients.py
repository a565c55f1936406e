"""Integrated gradients: the score's change from a baseline to the image, shared out over the pixels."""

from typing import Any

import numpy as np

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, over_points, reduce_channels
from kerasal.checks import check_int, refuse_mask

import tensorflow as tf

# The blurred baseline's standard deviation, as a share of the image's longer side.
_BLUR = 0.05


@method(
    reference="Sundararajan, Taly & Yan 2017, equation 1",
    signed=True,
    if_zero="the image is its own baseline, or nothing between them counts",
)
def integrated_gradients(
    view,
    *,
    steps: int = 50,
    baseline: Any = 0.0,
    return_gap: bool = False,
    channel_reduction: Reduction = "sum",
):
    """Show each pixel's share of the score's change from a baseline: gradients along the line, times its length.

    The integral is the trapezoidal rule with ``steps`` intervals, that is ``steps`` + 1 gradients. A target left open
    is the top class of the image itself.

    Args:
        view: the model, watched.
        steps: number of intervals, from 1 on.
        baseline: where the line starts, in model inputs: a number, an array (H, W, C), or ``"blur"``, the image blurred
            by a Gaussian of 5 % of its longer side.
        return_gap: also return the completeness gap (N,): the sum of the shares minus the score's change, which more
            steps make smaller.
        channel_reduction: ``"sum"`` keeps the shares additive.

    Returns:
        float32 (N, H, W), signed, in units of the score; or a pair of that and the gap.

    Raises:
        ValueError: fewer than one step, or a baseline of the wrong shape.
    """
    check_int("steps", steps)
    view = view.pin()
    starts = [_baseline(baseline, x) for x in view.inputs]
    lengths = [x - start for x, start in zip(view.inputs, starts, strict=True)]

    def between(numbers):
        shares = tf.cast(numbers, tf.float32) / steps
        return [start + _beside(shares, length) * length for start, length in zip(starts, lengths, strict=True)]

    def add(sums, numbers, gradients):
        weights = tf.where((numbers == 0) | (numbers == steps), 0.5, 1.0) / steps
        return [
            total + tf.reduce_sum(_beside(weights, total) * gradient, axis=0)
            for total, gradient in zip(sums, gradients, strict=True)
        ]

    means = over_points(view, steps + 1, between, add, [tf.zeros_like(x) for x in view.inputs])
    shares = [mean * length for mean, length in zip(means, lengths, strict=True)]
    maps = [reduce_channels(share, channel_reduction) for share in shares]
    if not return_gap:
        return maps
    change = view.score() - view.score(starts)
    total = sum(tf.reduce_sum(share, list(range(1, share.shape.rank))) for share in shares)
    return [*maps, total - change]


def _beside(numbers: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Give (m,) numbers the axes (m, 1, …) that stand before those of ``x``."""
    return tf.reshape(numbers, [-1] + [1] * x.shape.rank)


def _baseline(baseline, x: tf.Tensor) -> tf.Tensor:
    if isinstance(baseline, str):
        if baseline == "blur" and x.shape.rank == 4:
            return _blurred(x)
        raise ValueError(f'baseline is a number, an array or, for images, "blur". Received: {baseline!r}.')
    refuse_mask(baseline, "baseline")
    array = np.asarray(baseline, dtype=np.float32)
    inner = tuple(x.shape[1:])
    sizes = zip(array.shape[::-1], inner[::-1], strict=False)
    fits = array.ndim <= len(inner) and all(have in (1, want) or want is None for have, want in sizes)
    if not fits or not np.isfinite(array).all():
        raise ValueError(f"baseline expects finite values of a shape that fits {inner}. Received shape {array.shape}.")
    return tf.zeros_like(x) + array


def _blurred(x: tf.Tensor) -> tf.Tensor:
    """Blur (N, H, W, C) by a separable Gaussian, the edge's values repeated beyond it."""
    deviation = _BLUR * tf.cast(tf.reduce_max(tf.shape(x)[1:3]), tf.float32)
    radius = tf.cast(tf.math.ceil(3 * deviation), tf.int32)
    places = tf.cast(tf.range(-radius, radius + 1), tf.float32)
    weights = tf.exp(-0.5 * tf.square(places / deviation))
    weights = weights / tf.reduce_sum(weights)
    for axis in (1, 2):
        size = tf.shape(x)[axis]
        indices = tf.clip_by_value(tf.range(size)[:, None] + tf.range(-radius, radius + 1)[None, :], 0, size - 1)
        x = tf.reduce_sum(
            tf.gather(x, indices, axis=axis) * tf.reshape(weights, [1] * axis + [1, -1] + [1] * (3 - axis)),
            axis=axis + 1,
        )
    return x
