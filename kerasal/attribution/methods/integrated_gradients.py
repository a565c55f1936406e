"""Integrated gradients: the score's change from a baseline to the image, divided among the pixels."""

from typing import Any

import numpy as np

from kerasal.attribution.gaussian_blur import gaussian_blur
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, over_points, reduce_channels, sums_channels
from kerasal.checks import check_int, refuse_mask
from kerasal.hooks.layout import Layout

import tensorflow as tf

# The blurred baseline's standard deviation, as a share of the image's longer side.
_BLUR = 0.05


@method(
    reference="Sundararajan, Taly & Yan 2017, equation 1",
    family="path",
    passes="{steps} + 1 passes",
    signed=True,
    has_sign=sums_channels,
    if_zero="the image equals its baseline, or nothing on the path between them affects the score",
    question="contribution",
    trust="Trust the shares if the completeness gap is small; they depend on the baseline image.",
    at_layer=True,
)
def integrated_gradients(
    view,
    *,
    steps: int = 50,
    baseline: Any = 0.0,
    return_gap: bool = False,
    channel_reduction: Reduction = "sum",
    layer: str | None = None,
):
    """Contribution of each pixel to the score's change from a baseline image (Sundararajan, Taly & Yan 2017).

    The gradient is integrated along the straight path from the baseline to the image by the trapezoidal rule, and
    multiplied by the difference of the two. Without a target, the top class of the image itself is explained.

    Args:
        view: the model and its inputs in the graph.
        steps: number of intervals of the path, a positive integer; the gradient is taken at steps + 1 points.
        baseline: model input at which the path starts: a number, an array that broadcasts to an image (H, W, C),
            channels last, a signal (T, C), a volume (D, H, W, C) or features (F,), or "blur" for the image blurred by
            a Gaussian whose standard deviation is 5 % of its longer side, or in a volume of each side (not for
            features, which have no order).
        return_gap: also return the completeness gap, the sum of the contributions minus the score's change; more
            steps make it smaller.
        channel_reduction: reduction of the contributions over the channels of a pixel: "sum" (signed, so that the
            values still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or
            "norm" (the Euclidean norm).
        layer: name or path of a layer to attribute to in place of the inputs, such as the embedding of tokens; the map
            then has the positions of the layer's output, one value per token. By default the inputs are explained.

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score; with ``return_gap`` a pair
        of that and the gap, float32 (N,).

    Raises:
        ValueError: ``steps`` is not a positive integer, or ``baseline`` does not fit the inputs or is not finite.
    """
    check_int("steps", steps)
    view = view.pin()
    starts = [_baseline(baseline, x, number, view.layout) for number, x in enumerate(view.inputs)]
    lengths = [x - start for x, start in zip(view.inputs, starts, strict=True)]

    def path_points(numbers):
        shares = tf.cast(numbers, tf.float32) / steps
        return [start + _expand_like(shares, length) * length for start, length in zip(starts, lengths, strict=True)]

    def add(sums, numbers, gradients):
        weights = tf.where((numbers == 0) | (numbers == steps), 0.5, 1.0) / steps
        return [
            total + tf.reduce_sum(_expand_like(weights, total) * gradient, axis=0)
            for total, gradient in zip(sums, gradients, strict=True)
        ]

    means = over_points(view, steps + 1, path_points, add, [tf.zeros_like(x) for x in view.inputs])
    shares = [mean * length for mean, length in zip(means, lengths, strict=True)]
    maps = [reduce_channels(share, channel_reduction) for share in shares]
    if not return_gap:
        return maps
    change = view.score() - view.score(starts)
    total = sum(tf.reduce_sum(share, list(range(1, share.shape.rank))) for share in shares)
    return [*maps, total - change]


def _expand_like(numbers: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Reshape (m,) numbers to (m, 1, …), so that they broadcast against (m, *x.shape)."""
    return tf.reshape(numbers, [-1] + [1] * x.shape.rank)


def _baseline(baseline, x: tf.Tensor, number: int, layout: Layout) -> tf.Tensor:
    """Return the start of the path of input ``number``, which the method sees as ``x`` (N, *positions, C)."""
    has_channels = layout.has_channels(number)
    if isinstance(baseline, str):
        if baseline == "blur" and layout.is_ordered(number, x):
            return gaussian_blur(x, _BLUR)
        raise ValueError(
            'baseline must be a number, an array or, for inputs with an order such as images and signals, "blur", got '
            f"{baseline!r} for an input {tuple(x.shape[1:] if has_channels else x.shape[1:-1])}."
        )
    refuse_mask(baseline, "baseline")
    array = np.asarray(baseline, dtype=np.float32)
    shape = tuple(x.shape[1:] if has_channels else x.shape[1:-1])
    sizes = zip(array.shape[::-1], shape[::-1], strict=False)
    fits = array.ndim <= len(shape) and all(actual in (1, needed) or needed is None for actual, needed in sizes)
    bad = np.count_nonzero(~np.isfinite(array))
    if not fits or bad:
        raise ValueError(
            f"baseline must be finite and broadcast to the input's shape {shape}, got shape {array.shape} with {bad} "
            "non-finite values."
        )
    return tf.zeros_like(x) + layout.align_array(array, number)
