"""Vanilla saliency and SmoothGrad, as tf-keras-vis computes them."""

from typing import Any

import numpy as np
from tf_keras_vis.utils import get_num_of_steps_allowed

from kerasal.checks import check_number, is_int
from kerasal.compat.tf_keras_vis.visualization import (
    ModelVisualization,
    check_gradients,
    mean_scores,
    modify_result,
    normalize,
)

import tensorflow as tf


class Saliency(ModelVisualization):
    """The gradient of a score by the input (Simonyan et al. 2013), also averaged over noise (Smilkov et al. 2017)."""

    def __call__(
        self,
        score,
        seed_input,
        smooth_samples=0,
        smooth_noise=0.20,
        keepdims=False,
        gradient_modifier=lambda grads: tf.abs(grads),
        training=False,
        normalize_map=True,
        unconnected_gradients=tf.UnconnectedGradients.NONE,
    ) -> Any:
        """Return the map of each input, (N, *positions), in 0..1; a list if ``seed_input`` is a list.

        Args:
            score: a ``Score`` of tf-keras-vis or a function from an output (N, …) to scores of the images, N of them;
                a list or dictionary for several outputs.
            seed_input: the inputs, with or without the batch axis; a list or dictionary for several inputs.
            smooth_samples: number of noisy samples to average over; 0 for none. The noise comes from ``numpy.random``.
            smooth_noise: standard deviation of the noise relative to the range of each input.
            keepdims: keep the channels; by default the map is their largest value.
            gradient_modifier: function of the gradient of each sample, or None.
            training: run the model in training mode. Its weights and statistics stay unchanged.
            normalize_map: scale each map to 0..1.
            unconnected_gradients: the gradient by an input on which the score does not depend; NONE is an error.

        Raises:
            ValueError: a score is no function, their number or the shapes do not fit, or the score has no gradient.
        """
        if not is_int(smooth_samples):
            raise ValueError(f"smooth_samples must be an integer, got {smooth_samples!r}.")
        if smooth_samples > 0:
            check_number("smooth_noise", smooth_noise, minimum=0)
        functions, inputs = self._scores(score), self._inputs(seed_input)
        options = (functions, gradient_modifier, training, unconnected_gradients)
        with self._compiled.restored_seeds():
            if smooth_samples > 0:
                count = get_num_of_steps_allowed(smooth_samples)
                noisy = [_add_noise(x, count, smooth_noise) for x in inputs]
                maps: list[Any] = [0.0] * len(inputs)
                for number in range(count):
                    gradients = self._gradients([x[number] for x in noisy], *options)
                    maps = [total + gradient for total, gradient in zip(maps, gradients, strict=True)]
                maps = [total / count for total in maps]
            else:
                maps = self._gradients(inputs, *options)
        maps = [np.asarray(x) for x in maps]
        if not keepdims:
            maps = [x.max(axis=-1) for x in maps]
        if normalize_map:
            maps = [normalize(x) for x in maps]
        if keepdims:  # tensors, as there
            maps = [tf.convert_to_tensor(x) for x in maps]
        return self._unwrap(maps, seed_input)

    def _gradients(self, inputs, functions, gradient_modifier, training, unconnected_gradients) -> list:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            values = mean_scores(functions, self._compiled.outputs(inputs, training))
        gradients = tape.gradient(values, inputs, unconnected_gradients=unconnected_gradients)
        check_gradients(gradients, "every input")
        return [modify_result(gradient_modifier, gradient, "gradient_modifier") for gradient in gradients]


def _add_noise(x: tf.Tensor, count: int, noise: float) -> tf.Tensor:
    """Return ``count`` noisy copies of inputs, (count, N, …), drawn from numpy.random in the order of tf-keras-vis."""
    axes = list(range(1, x.shape.rank))
    scale = noise * (tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True))
    shape: Any = (count, *x.shape)
    draws = np.random.standard_normal(shape)  # noqa: NPY002  (the generator of tf-keras-vis)
    return x[None] + tf.cast(draws * np.asarray(scale, np.float64), x.dtype)  # rounded once, as there
