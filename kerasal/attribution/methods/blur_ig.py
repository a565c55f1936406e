"""Blur integrated gradients: the score's change from a blurred image to the image, divided among the pixels."""

from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, over_points, reduce_channels, sums_channels
from kerasal.checks import check_int, check_number
from kerasal.hooks.positions import move_axis

import tensorflow as tf

# The last blur's standard deviation, as a share of the image's longer side.
_LAST_BLUR = 0.2
# Weights of the kernel further away than so many standard deviations are 0.
_REACH = 4.0


def _refuse_features(view) -> None:
    for number, x in enumerate(view.inputs):
        if not view.layout.is_ordered(number, x):
            raise ValueError(
                "inputs must have an order, as images, signals and volumes have, to be blurred, got features "
                f"{tuple(x.shape[1:-1])}. Use integrated_gradients."
            )


def _check(view) -> None:
    _refuse_features(view)
    view.gradient()


@method(
    family="path",
    passes="{steps} + 1 passes",
    reference="Xu, Venugopalan & Sundararajan 2020, equation 5",
    signed=True,
    has_sign=sums_channels,
    if_zero="the image does not change when it is blurred, or nothing on the path affects the score",
    check=_check,
    question="contribution",
    compared=False,
    trust="Trust the shares if the completeness gap is small; smooth areas get little, because blurring keeps them.",
    with_positions=True,
)
def blur_ig(
    view,
    *,
    steps: int = 50,
    max_sigma: float | None = None,
    return_gap: bool = False,
    channel_reduction: Reduction = "sum",
):
    """Contribution of each pixel to the score's change while the image gets sharp (Xu et al. 2020).

    The gradient is integrated along the path of the image blurred by a Gaussian, from the widest to none, by the
    trapezoidal rule. Beyond its border the image counts as 0, as in the authors' code. Without a target, the top class
    of the image itself is explained.

    Args:
        view: the model and its inputs in the graph.
        steps: number of intervals of the path, whose standard deviations are equally spaced, a positive integer; the
            gradient is taken at steps + 1 points.
        max_sigma: standard deviation in pixels at which the path starts; by default 20 % of the image's longer side.
        return_gap: also return the completeness gap, the sum of the contributions minus the score's change; more
            steps make it smaller.
        channel_reduction: reduction of the contributions over the channels of a pixel: "sum" (signed, so that the
            values still add up), "max_abs" (the largest absolute value), "mean_abs" (the mean absolute value) or
            "norm" (the Euclidean norm).

    Returns:
        float32 (N, H, W), signed with ``channel_reduction="sum"``, in units of the score; with ``return_gap`` a pair
        of that and the gap, float32 (N,).

    Raises:
        ValueError: ``steps`` is not a positive integer, ``max_sigma`` is not a positive number, or the inputs are
            features, which have no order.
    """
    check_int("steps", steps)
    if max_sigma is not None:
        check_number("max_sigma", max_sigma, above=0, none="None")
    _refuse_features(view)
    view = view.pin()

    def blur(x, numbers):
        longest = tf.cast(tf.reduce_max(tf.shape(x)[1:-1]), tf.float64)
        last = _LAST_BLUR * longest if max_sigma is None else tf.constant(max_sigma, tf.float64)
        return _blur(x, last * tf.cast(numbers, tf.float64) / steps)

    def path_points(numbers):
        return [tf.cast(blur(x, numbers), tf.float32) for x in view.inputs]

    def add(sums, numbers, gradients):
        # The trapezoidal rule: a gradient counts for half of the way from the point before to the point after.
        around = tf.clip_by_value(tf.range(numbers[0] - 1, numbers[-1] + 2), 0, steps)
        results = []
        for total, x, gradient in zip(sums, view.inputs, gradients, strict=True):
            path = blur(x, around)
            ways = tf.cast((path[:-2] - path[2:]) / 2, tf.float32)
            results.append(total + tf.reduce_sum(ways * gradient, axis=0))
        return results

    shares = over_points(view, steps + 1, path_points, add, [tf.zeros_like(x) for x in view.inputs])
    maps = [reduce_channels(share, channel_reduction) for share in shares]
    if not return_gap:
        return maps
    last = path_points(tf.constant([steps]))
    ends = [tf.ensure_shape(blurred[0], x.shape) for blurred, x in zip(last, view.inputs, strict=True)]
    total = sum(tf.reduce_sum(share, list(range(1, share.shape.rank))) for share in shares)
    return [*maps, total - (view.score() - view.score(ends))]


def _blur(x: tf.Tensor, deviations: tf.Tensor) -> tf.Tensor:
    """Return (N, *positions, C) blurred by Gaussians, (m, N, *positions, C) float64; outside, the image is 0.

    The differences of neighbors on a path are small, hence float64. Memory grows with the size of the input alone.
    """
    x = tf.cast(x, tf.float64)

    def blur(deviation):
        result = x
        for axis in range(1, x.shape.rank - 1):
            rows = move_axis(result, axis, x.shape.rank - 1)
            size = tf.shape(rows)[-1]
            length = [2 * size]  # the distance of two positions is less than the size, so nothing wraps around
            spectrum = tf.signal.rfft(rows, length) * tf.signal.rfft(_kernel(deviation, size), length)
            blurred = tf.signal.irfft(spectrum, length)[..., :size]
            result = move_axis(blurred, x.shape.rank - 1, axis)
        return tf.where(deviation > 0, result, x)

    return tf.map_fn(blur, deviations, fn_output_signature=tf.TensorSpec(x.shape, tf.float64))


def _kernel(deviation: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return the weights of a Gaussian at the distances 0, 1, …, size, …, 1, float64 (2 · size,)."""
    radius = tf.floor(_REACH * deviation + 0.5)

    def weigh(distances):
        weights = tf.exp(-0.5 * tf.square(distances / tf.maximum(deviation, 1e-12)))
        return tf.where(distances <= radius, weights, 0.0)

    total = 2 * tf.reduce_sum(weigh(tf.range(radius + 1))) - 1
    numbers = tf.cast(tf.range(2 * size), tf.float64)
    return weigh(tf.minimum(numbers, tf.cast(2 * size, tf.float64) - numbers)) / total
