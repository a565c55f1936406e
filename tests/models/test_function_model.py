"""Functions as models: Python's, TensorFlow's and SavedModel signatures, explained by perturbation; bad functions."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.models import from_function

import keras
import tensorflow as tf

INPUTS = np.random.default_rng(0).normal(size=(3, 6, 7, 2)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(6 * 7 * 2, 4)).astype(np.float32)


def linear(x):
    return x.reshape(len(x), -1) @ WEIGHTS


@pytest.fixture(scope="module")
def equal_model():
    model = keras.Sequential([keras.Input((6, 7, 2)), keras.layers.Flatten(), keras.layers.Dense(4, use_bias=False)])
    model.set_weights([WEIGHTS])
    return model


@pytest.fixture(params=["python", "tf.function", "signature", "keras"])
def model(request, equal_model, tmp_path):
    if request.param == "python":
        return from_function(linear, (6, 7, 2))
    if request.param == "tf.function":
        return from_function(tf.function(lambda x: tf.reshape(x, [-1, 84]) @ WEIGHTS), (6, 7, 2))
    if request.param == "keras":
        return from_function(equal_model, (6, 7, 2))
    equal_model.export(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    model = from_function(loaded.signatures["serving_default"], (6, 7, 2))
    model.loaded = loaded  # its variables are collected with it
    return model


@pytest.mark.parametrize(
    ("name", "options"), [("ablation", {"cells": 3}), ("rise", {"samples": 12}), ("occlusion", {})]
)
@pytest.mark.quick(
    "python-rise-options1", "tf.function-ablation-options0", "signature-occlusion-options2", "keras-ablation-options0"
)
def test_a_function_is_explained_as_the_equal_model(name, options, model, equal_model):
    method = getattr(attribution, name)
    expected = method(equal_model, INPUTS, [0, 3, 1], **options)
    maps = method(model, INPUTS, [0, 3, 1], **options)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    top = method(model, INPUTS, **options)
    assert np.abs(top - method(equal_model, INPUTS, **options)).max() < 1e-4 * np.abs(top).max()


def test_a_python_function_has_no_gradient_and_says_so():
    with pytest.raises(ValueError, match="gradient"):
        attribution.class_saliency(from_function(linear, (6, 7, 2)), INPUTS, 0)
    with_gradient = from_function(tf.function(lambda x: tf.reshape(x, [-1, 84]) @ WEIGHTS), (6, 7, 2))
    assert np.abs(attribution.class_saliency(with_gradient, INPUTS, 0)).max() > 0


def test_a_score_per_input_is_enough():
    model = from_function(lambda x: x.sum(axis=(1, 2, 3)), (6, 7, 2))
    drops = attribution.ablation(model, INPUTS, 0, cells=(6, 7))
    np.testing.assert_allclose(drops, INPUTS.sum(axis=3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sum(), r"function must return numbers with a row per input, got shape \(\)"),
        (lambda x: x[:1], r"with a row per input, got shape \(1, 6, 7, 2\)"),
        (lambda x: np.array(["a"] * len(x)), r"function must return numbers"),
        (lambda x: {"a": x, "b": x}, r"function must return one array, got a dictionary of 'a', 'b'"),
    ],
)
def test_other_functions_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        from_function(function, (6, 7, 2))


def test_a_function_that_later_returns_another_number_of_rows_is_refused():
    model = from_function(lambda x: np.zeros((min(len(x), 2), 3)), (6, 7, 2))
    with pytest.raises(Exception, match=r"function must return an array \(3, 3\) for 3 inputs, got \(2, 3\)"):
        model(INPUTS)


def test_a_function_may_write_into_its_argument():
    def double(x):
        x *= 2
        return x.sum(axis=(1, 2, 3))

    drops = attribution.ablation(from_function(double, (6, 7, 2)), INPUTS, 0, cells=(6, 7))
    np.testing.assert_allclose(drops, 2 * INPUTS.sum(axis=3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [4, (None, 4), (), (0, 3)])
def test_another_input_shape_is_refused(shape):
    with pytest.raises(ValueError, match="input_shape must hold positive integers without the batch axis"):
        from_function(linear, shape)
