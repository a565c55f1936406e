"""Integrated gradients: the score's change from a baseline to the image, divided among the pixels."""

from typing import Literal

import numpy as np

from kerasal.attribution.baselines import baseline_input
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, expand_like, over_points, reduce_channels, sums_channels
from kerasal.checks import check_int

import tensorflow as tf


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
    baseline: float | tuple[float, ...] | Literal["blur"] | np.ndarray = 0.0,
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
    starts = [baseline_input(baseline, x, number, view.layout) for number, x in enumerate(view.inputs)]
    lengths = [x - start for x, start in zip(view.inputs, starts, strict=True)]

    def path_points(numbers):
        shares = tf.cast(numbers, tf.float32) / steps
        return [start + expand_like(shares, length) * length for start, length in zip(starts, lengths, strict=True)]

    def add(sums, numbers, gradients):
        weights = tf.where((numbers == 0) | (numbers == steps), 0.5, 1.0) / steps
        return [
            total + tf.reduce_sum(expand_like(weights, total) * gradient, axis=0)
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
