"""Guided integrated gradients: integrated gradients along a path that avoids pixels of large gradients."""

from typing import Literal

import numpy as np

from kerasal.attribution.baselines import baseline_input
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import Reduction, reduce_channels, sums_channels
from kerasal.checks import check_int, check_number

import tensorflow as tf

# Relative and absolute: a path closer to its length than this has arrived.
_CLOSE = 1e-9


@method(
    family="path",
    passes="{steps} passes",
    reference="Kapishnikov et al. 2021, algorithm 1; anchors: section 3.4",
    signed=True,
    has_sign=sums_channels,
    if_zero="the image equals its baseline, or nothing on the path between them affects the score",
    question="contribution",
    compared=False,
    trust="Trust its places over integrated_gradients where that is noisy, but not its sum; see the gap.",
    at_layer=True,
)
def guided_ig(
    view,
    *,
    steps: int = 50,
    baseline: float | tuple[float, ...] | Literal["blur"] | np.ndarray = 0.0,
    fraction: float = 0.25,
    max_deviation: float = 0.02,
    return_gap: bool = False,
    channel_reduction: Reduction = "sum",
    layer: str | None = None,
):
    """Contribution of each pixel to the score's change from a baseline, with less noise (Kapishnikov et al. 2021).

    Each step moves the values whose gradient is smallest toward the image, so that the path avoids directions in which
    the score changes fast for reasons that have nothing to do with the image. Without a target, the top class of the
    image itself is explained.

    Args:
        view: the model and its inputs in the graph.
        steps: number of steps of the path, each with one gradient, a positive integer.
        baseline: model input at which the path starts: a number, an array that broadcasts to an image (H, W, C),
            channels last, a signal (T, C), a volume (D, H, W, C) or features (F,), or "blur" for the image blurred by
            a Gaussian whose standard deviation is 5 % of its longer side, or in a volume of each side (not for
            features, which have no order).
        fraction: share of the values that move at once, above 0 and at most 1.
        max_deviation: how far a value may be ahead of or behind the straight path, as a share of its way, in 0..1; at 0
            the path is that of integrated gradients.
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
        ValueError: ``steps`` is not a positive integer, ``fraction`` or ``max_deviation`` is out of range, or
            ``baseline`` does not fit the inputs or is not finite.
    """
    check_int("steps", steps)
    check_number("fraction", fraction, above=0, maximum=1)
    check_number("max_deviation", max_deviation, minimum=0, maximum=1)
    view = view.pin()
    starts = [baseline_input(baseline, x, number, view.layout) for number, x in enumerate(view.inputs)]
    start, end = _join(starts), _join(view.inputs)
    length = tf.reduce_sum(tf.abs(end - start), axis=1, keepdims=True)

    def body(step, x, shares):
        gradient = _join(view.gradient(_split(tf.cast(x, tf.float32), view.inputs)))
        share = tf.cast(step + 1, tf.float64) / tf.constant(steps, tf.float64)
        low, high = tf.maximum(share - max_deviation, 0.0), tf.minimum(share + max_deviation, 1.0)
        way = end - start
        progress = tf.where(way != 0, tf.math.divide_no_nan(x - start, way), high)
        caught_up = tf.where(progress < low, start + way * low, x)
        left = length * (1 - share)
        moved = _move(caught_up, start + way * high, end, left, tf.abs(gradient), fraction)
        return step + 1, moved, shares + (moved - x) * gradient

    state = (0, start, tf.zeros_like(start))
    _, _, shares = tf.while_loop(lambda step, *_: step < steps, body, state, parallel_iterations=1)
    parts = _split(tf.cast(shares, tf.float32), view.inputs)
    maps = [reduce_channels(part, channel_reduction) for part in parts]
    if not return_gap:
        return maps
    change = view.score() - view.score(starts)
    return [*maps, tf.cast(tf.reduce_sum(shares, axis=1), tf.float32) - change]


def _move(x, goal, end, left, cost, fraction: float) -> tf.Tensor:
    """Return the points ``x`` (N, values) moved toward ``goal`` until their distance to ``end`` is ``left`` (N, 1).

    The values of lowest ``cost`` move first, a ``fraction`` of all at once; those at their goal cost infinitely much.
    """
    infinity = tf.constant(float("inf"), tf.float64)
    place = tf.cast(fraction * tf.cast(tf.shape(x)[1] - 1, tf.float64), tf.int32)

    def body(x, arrived):
        current = tf.where(x == goal, infinity, cost)
        limit = tf.sort(current, axis=1)[:, place, None]
        chosen = (current <= limit) & (current < infinity)
        distance = tf.reduce_sum(tf.abs(x - end), axis=1, keepdims=True)
        room = tf.reduce_sum(tf.where(chosen, tf.abs(x - goal), tf.zeros_like(x)), axis=1, keepdims=True)
        close = tf.abs(distance - left) <= _CLOSE * tf.maximum(tf.maximum(left, distance), 1)
        share = tf.where(room > 0, (distance - left) / tf.where(room > 0, room, tf.ones_like(room)), infinity)
        moved = tf.where(share > 1, goal, x + (goal - x) * tf.clip_by_value(share, 0.0, 1.0))
        stuck = ~tf.reduce_any(chosen, axis=1, keepdims=True)
        result = tf.where(chosen & ~arrived & ~close, moved, x)
        return result, arrived | close | (share <= 1) | stuck

    arrived = tf.zeros_like(left, tf.bool)
    x, _ = tf.while_loop(lambda _, arrived: ~tf.reduce_all(arrived), body, (x, arrived), parallel_iterations=1)
    return x


def _join(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Return tensors (N, …) as one (N, values), float64: the path consists of many small steps."""
    rows = tf.shape(tensors[0])[0]
    return tf.concat([tf.cast(tf.reshape(x, [rows, -1]), tf.float64) for x in tensors], axis=1)


def _split(values: tf.Tensor, like: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the tensors that were joined, in the shapes of ``like``."""
    sizes = [tf.reduce_prod(tf.shape(x)[1:]) for x in like]
    parts = tf.split(values, sizes, axis=1) if len(like) > 1 else [values]
    return [tf.ensure_shape(tf.reshape(part, tf.shape(x)), x.shape) for part, x in zip(parts, like, strict=True)]
