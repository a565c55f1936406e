"""Hessian × tensor beside finite differences of the gradient, and what has no second derivative."""

import numpy as np
import pytest

from kerasal.hooks.second_derivatives import differentiate_twice, whole_variances
from kerasal.hooks.taps import NoGradient

import keras
import tensorflow as tf

layers = keras.layers
X = np.random.default_rng(0).normal(size=(2, 5, 6))


def derivatives(function, whole=True):
    """The gradient at X and the product of the Hessian with X."""

    @tf.function(autograph=False)
    def run(x):
        if not whole:
            return differentiate_twice(function(x), x)
        with whole_variances():
            scores = function(x)
        return differentiate_twice(scores, x)

    return [value.numpy() for value in run(tf.constant(X))]


def by_differences(function):
    """The derivative of the gradient along X."""

    def gradient(x):
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            scores = function(x)
        return tape.gradient(scores, x).numpy()

    step = 1e-5
    return (gradient(X + step * X) - gradient(X - step * X)) / (2 * step)


def make(*parts):
    model = keras.Sequential([keras.Input(X.shape[1:], dtype="float64"), *parts])
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return lambda x: tf.reduce_sum(tf.tanh(model(x)), axis=(1, 2))


@pytest.mark.parametrize("kind", [layers.LayerNormalization, layers.GroupNormalization])
@pytest.mark.quick("LayerNormalization")
def test_the_variance_of_a_normalization_is_differentiated_twice(kind):
    """tf.nn.moments stops the gradient of its mean, which is exact for the first derivative only."""
    options = {"groups": 2} if kind is layers.GroupNormalization else {}
    function = make(kind(dtype="float64", **options))
    expected = by_differences(function)
    np.testing.assert_allclose(derivatives(function)[1], expected, rtol=1e-5, atol=1e-7)
    assert np.abs(derivatives(function, whole=False)[1] - expected).max() > 1e-2 * np.abs(expected).max()


def test_other_stopped_gradients_stay_stopped():
    function = lambda x: tf.reduce_sum(x**2 * tf.stop_gradient(x), axis=(1, 2))  # noqa: E731
    gradient, product = derivatives(function)
    np.testing.assert_allclose(gradient, 2 * X**2)
    np.testing.assert_allclose(product, 2 * X**2)  # 4 · X² if the gradient passed


def test_a_linear_score_has_no_curvature():
    gradient, product = derivatives(lambda x: tf.reduce_sum(3 * x, axis=(1, 2)))
    assert (gradient == 3).all() and not product.any()


def test_what_cannot_be_differentiated_is_refused():
    with pytest.raises(NoGradient):
        derivatives(lambda x: tf.zeros(2, tf.float64))
    with pytest.raises(ValueError, match=r"none for an operation of the model: No gradient .*LRNGrad.* Use gradcam"):
        derivatives(lambda x: tf.reduce_sum(tf.nn.lrn(tf.cast(x, tf.float32)[..., None]), axis=(1, 2, 3)))
