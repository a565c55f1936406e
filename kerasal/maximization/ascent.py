"""The compiled loop: a number of ascent steps on a batch of images, in the graph."""

from collections.abc import Callable

import numpy as np

from kerasal import hooks
from kerasal.hooks.view import View
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.parameterization import Fourier, Pixels

import tensorflow as tf


def ascend(
    view: View,
    *,
    parameterization: Pixels | Fourier,
    regularizers: tuple[Callable, ...],
    transforms: tuple[Callable, ...],
    normalize: str,
    grey_level: np.ndarray,
    diversity: Diversity | None,
) -> list[tf.Tensor]:
    """Take some steps uphill; the state comes in as ``view.inputs`` and goes out as the result.

    In: parameters (K, ...), velocity of the same shape, and a row each image with [steps, step size, momentum, number
    of the first step, seed]. Out: parameters, velocity, their images in grey levels (K, H, W, C), scores before each
    step (K, steps), and whether the gradient was ever non-zero (K,).

    ``grey_level`` is how much of the model's input one grey level (1/255 of the pixel range) is, one a channel.
    """
    parameters, velocity, plan = view.inputs
    steps, step_size, momentum = tf.cast(plan[0, 0], tf.int32), plan[0, 1], plan[0, 2]
    first, seed = tf.cast(plan[0, 3], tf.int32), tf.cast(plan[0, 4], tf.int32)
    scale = tf.constant(grey_level, tf.float32)
    layer = _compared(view, diversity, parameterization.images(parameters) * scale)

    def body(step, parameters, velocity, scores, alive):
        with tf.GradientTape(watch_accessed_variables=False) as drawing:
            drawing.watch(parameters)
            images = parameterization.images(parameters)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(images)
            inputs = images * scale
            for number, transform in enumerate(transforms):
                inputs = transform(inputs, tf.stack([seed, (first + step) * len(transforms) + number]))
            run = view.run([inputs], taps=layer)
            score = view.score(run)
            overlap = diversity.overlap(view.layout.last(layer[0], run.layers[layer[0]])) if layer else None
        (gradient,) = hooks.differentiate(tape, score, [images])
        alive = alive | (tf.reshape(_rms(gradient), [-1]) > 0)
        if layer:
            (push,) = hooks.differentiate(tape, overlap, [images])  # as long as the weight says
            gradient -= diversity.weight * _rms(gradient) * tf.math.divide_no_nan(push, _rms(push))
        gradient = _regularized(gradient, images, regularizers, normalize)
        gradient = drawing.gradient(images, parameters, output_gradients=gradient)
        if normalize == "total":
            gradient = tf.math.divide_no_nan(gradient, _rms(gradient))
        velocity = momentum * velocity + gradient
        parameters = parameterization.held(parameters + step_size * velocity)
        return step + 1, parameters, velocity, scores.write(step, score), alive

    scores = tf.TensorArray(tf.float32, size=steps, element_shape=[None])
    alive = tf.zeros(tf.shape(parameters)[:1], tf.bool)
    state = (0, parameters, velocity, scores, alive)
    shapes = ([], parameters.shape, velocity.shape, None, [None])
    _, parameters, velocity, scores, alive = tf.while_loop(
        lambda step, *_: step < steps, body, state, shape_invariants=tuple(map(tf.TensorShape, shapes))
    )
    images = parameterization.images(parameters)
    return [parameters, velocity, images, tf.transpose(scores.stack()), tf.cast(alive, tf.float32)]


def _compared(view: View, diversity: Diversity | None, inputs: tf.Tensor) -> list[str]:
    """Return the layer at which copies are compared, or nothing."""
    if diversity is None or not diversity.weight:
        return []
    return [diversity.layer or hooks.last_map(view, [inputs])]


def _regularized(gradient: tf.Tensor, images: tf.Tensor, regularizers: tuple, normalize: str) -> tf.Tensor:
    if normalize == "score":
        gradient = tf.math.divide_no_nan(gradient, _rms(gradient))
    for regularizer in regularizers:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            penalty = regularizer(images)
        gradient -= tape.gradient(penalty, images)
    return gradient


def _rms(tensor: tf.Tensor) -> tf.Tensor:
    """Return the root mean square of each image, its largest value taken out first so that tiny ones do not vanish."""
    axes = list(range(1, tensor.shape.rank))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes, keepdims=True)
    ratio = tf.math.divide_no_nan(tensor, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(ratio), axis=axes, keepdims=True))
