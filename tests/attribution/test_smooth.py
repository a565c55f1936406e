"""``smooth``: the mean of a method's maps over noisy inputs."""

import numpy as np
import pytest

from kerasal import attribution

import keras
from keras import layers as L

SUMMED = {"channel_reduction": "sum"}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 1)), L.Conv2D(3, 3, activation="relu", name="conv"), L.Flatten(), L.Dense(4)]
    )


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)


@pytest.mark.parametrize("statistic", [{}, {"squared": True}, {"variance": True}])
def test_smoothing_the_gradient_is_smoothgrad(statistic, model, images):
    options = {"samples": 6, "noise": 0.2, "seed": 3, **statistic}
    smoothed = attribution.smooth("class_saliency", **options)(model, images, None, **SUMMED)
    expected = attribution.smoothgrad(model, images, **options, **SUMMED)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-4, atol=1e-6)
    assert smoothed.dtype == np.float32


def test_of_a_linear_model_the_maps_stay(images):
    linear = keras.Sequential([keras.Input((6, 6, 1)), L.Flatten(), L.Dense(4)])
    plain = attribution.deeplift(linear, images, 2)
    shares = attribution.smooth("deeplift", samples=100, noise=0.02)(linear, images, 2)
    assert np.abs(shares - plain).max() < 0.05 * np.abs(plain).max()  # the noise has a mean of 0
    assert attribution.smooth("class_saliency", samples=3, variance=True)(linear, images, 2).max() < 1e-9


def test_the_class_is_that_of_the_clean_image(model, images):
    top = np.argmax(model(images), axis=1)
    smoothed = attribution.smooth("class_saliency", samples=3, noise=2.0)
    np.testing.assert_array_equal(smoothed(model, images), smoothed(model, images, top))


@pytest.mark.slow
def test_notes_extra_results_and_held_inputs_are_kept(model, images):
    maps = attribution.smooth(attribution.gradcam, samples=2)(model, images)
    assert maps.layer == "conv"
    result = attribution.smooth("integrated_gradients", samples=2)(model, images, 0, steps=3, return_gap=True)
    assert [part.shape for part in result] == [(3, 6, 6), (3,)]
    token, photo = keras.Input((), dtype="int32", name="token"), keras.Input((6, 6, 1), name="photo")
    scores = L.Flatten()(model(photo)) * L.Embedding(5, 4)(token)
    both = keras.Model({"token": token, "photo": photo}, scores)
    inputs = {"token": np.array([1, 2, 3]), "photo": images}
    found = attribution.smooth("class_saliency", samples=2)(both, inputs, 1)
    assert found["token"] is None
    assert found["photo"].shape == (3, 6, 6)


def test_what_cannot_be_smoothed(model, images):
    with pytest.raises(ValueError, match="Did you mean deeplift"):
        attribution.smooth("deplift")
    with pytest.raises(TypeError, match="method must be the name of an attribution method or a function, got 3"):
        attribution.smooth(3)
    with pytest.raises(ValueError, match="samples must be a positive integer, got 0"):
        attribution.smooth("deeplift", samples=0)
    with pytest.raises(ValueError, match="must not both be True"):
        attribution.smooth("deeplift", squared=True, variance=True)
    with pytest.raises(ValueError, match="noise must be a finite number of at least 0"):
        attribution.smooth("deeplift", noise=-1)
    words = keras.Sequential([keras.Input((4,), dtype="int32"), L.Embedding(5, 3), L.Flatten(), L.Dense(2)])
    with pytest.raises(ValueError, match="all are integers"):
        attribution.smooth("class_saliency")(words, np.ones((1, 4), int), 0, layer="embedding")


def test_a_map_that_is_0_for_some_noisy_copies_is_no_warning():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.ops.relu(keras.ops.sum(inputs, axis=1, keepdims=True)))
    rows = np.array([[1, -1.01], [1, -9]], np.float32)  # the ReLU of the first is active for some noise
    with pytest.warns(
        attribution.ZeroMap, match=r"smooth\(class_saliency\) is 0 everywhere for 1 of 2 images"
    ) as caught:
        maps = attribution.smooth("class_saliency", samples=8, noise=0.1)(model, rows, 0)
    assert maps[0].any() and not maps[1].any()
    assert len(caught) == 1 and caught[0].message.images == [1]


def test_class_indices_have_no_mean(make_model):
    images = np.random.default_rng(0).normal(size=(1, 8, 8, 3))
    with pytest.raises(ValueError, match="occlusion must return numbers that have a mean, got a map of class indices"):
        attribution.smooth("occlusion", samples=2)(make_model("functional"), images, measure="class")
