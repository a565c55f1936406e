"""From a gradient with channels to a map without them."""

from typing import Literal

import tensorflow as tf

Reduction = Literal["max_abs", "mean_abs", "norm", "sum"]

_REDUCTIONS = {
    "max_abs": (lambda x: tf.reduce_max(tf.abs(x), axis=-1), tf.abs),
    "mean_abs": (lambda x: tf.reduce_mean(tf.abs(x), axis=-1), tf.abs),
    "norm": (lambda x: tf.norm(x, axis=-1), tf.abs),
    "sum": (lambda x: tf.reduce_sum(x, axis=-1), tf.identity),
}


def reduce_channels(tensor: tf.Tensor, how: Reduction) -> tf.Tensor:
    """Reduce (N, H, W, C), or more axes, over the last one; (N, H, W) and (N, D) have no channel axis."""
    reduce, pointwise = _REDUCTIONS[how]
    return reduce(tensor) if tensor.shape.rank >= 4 else pointwise(tensor)
