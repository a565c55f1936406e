"""The compiled loop: a number of ascent steps on a batch of images, in the graph."""

from collections.abc import Callable

import numpy as np

from kerasal import (
    _keras,  # noqa: F401
    hooks,
)
from kerasal.hooks.view import View

import tensorflow as tf  # isort: skip


def ascend(
    view: View,
    *,
    regularizers: tuple[Callable, ...],
    transforms: tuple[Callable, ...],
    normalize: str,
    grey_level: np.ndarray,
    valid: tuple[np.ndarray, np.ndarray] | None,
) -> list[tf.Tensor]:
    """Take some steps uphill; the state comes in as ``view.inputs`` and goes out as the result.

    In: images in grey levels (K, H, W, C), velocity of the same shape, and a row each image with [steps, step size,
    momentum, number of the first step, seed]. Out: images, velocity, scores before each step (K, steps), and whether
    the gradient was ever non-zero (K,).

    ``grey_level`` is how much of the model's input one grey level (1/255 of the pixel range) is, one a channel.
    ``valid`` is the lowest and the highest grey level of a real photograph, to stay between them, or None.
    """
    images, velocity, plan = view.inputs
    steps, step_size, momentum = tf.cast(plan[0, 0], tf.int32), plan[0, 1], plan[0, 2]
    first, seed = tf.cast(plan[0, 3], tf.int32), tf.cast(plan[0, 4], tf.int32)
    scale = tf.constant(grey_level, tf.float32)
    axes = list(range(1, images.shape.rank))

    def body(step, images, velocity, scores, alive):
        inputs = images * scale
        for transform in transforms:
            inputs = transform(inputs, tf.stack([seed, first + step]))
        score, _ = view.score([inputs])
        (gradient,) = hooks.gradients(score, [images])
        size = _rms(gradient, axes)
        scores = scores.write(step, score)
        alive = alive | (tf.reshape(size, [-1]) > 0)
        if normalize == "score":
            gradient = tf.math.divide_no_nan(gradient, size)
        for regularizer in regularizers:
            gradient -= tf.gradients(regularizer(images), [images])[0]
        if normalize == "total":
            gradient = tf.math.divide_no_nan(gradient, _rms(gradient, axes))
        velocity = momentum * velocity + gradient
        images = images + step_size * velocity
        if valid is not None:
            images = tf.clip_by_value(images, *valid)
        return step + 1, images, velocity, scores, alive

    scores = tf.TensorArray(tf.float32, size=steps, element_shape=[None])
    alive = tf.zeros(tf.shape(images)[:1], tf.bool)
    _, images, velocity, scores, alive = tf.while_loop(
        lambda step, *_: step < steps,
        body,
        (0, images, velocity, scores, alive),
        shape_invariants=(
            tf.TensorShape([]),
            images.shape,
            velocity.shape,
            tf.TensorShape(None),
            tf.TensorShape([None]),
        ),
    )
    return [images, velocity, tf.transpose(scores.stack()), tf.cast(alive, tf.float32)]


def _rms(tensor: tf.Tensor, axes: list[int]) -> tf.Tensor:
    """Return the root mean square of each image, its largest value taken out first so that tiny ones do not vanish."""
    largest = tf.reduce_max(tf.abs(tensor), axis=axes, keepdims=True)
    ratio = tf.math.divide_no_nan(tensor, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(ratio), axis=axes, keepdims=True))
