"""Numbers of the path methods: linear models, completeness, and what they refuse."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution.superpixels import superpixels

import keras
import tensorflow as tf
from keras import layers as L


@pytest.fixture(scope="module")
def linear():
    """A linear model of images, and its weights by class, (H, W, C, classes)."""
    model = keras.Sequential([keras.Input((6, 7, 2)), L.Flatten(), L.Dense(3)])
    kernel = np.random.default_rng(0).normal(size=(84, 3)).astype(np.float32)
    model.set_weights([kernel, np.ones(3)])
    return model, kernel.reshape(6, 7, 2, 3)


@pytest.fixture(scope="module")
def curved():
    """A model whose score is the sum of squares of the input, weighted."""
    weights = np.random.default_rng(1).uniform(0.5, 2, (6, 7, 2)).astype(np.float32)
    inputs = keras.Input((6, 7, 2))
    squares = L.Flatten()(inputs * inputs)
    model = keras.Model(inputs, L.Dense(1, use_bias=False)(squares))
    model.set_weights([weights.reshape(-1, 1)])
    return model, weights


@pytest.fixture
def images():
    return np.random.default_rng(2).normal(size=(2, 6, 7, 2)).astype(np.float32)


def blur_by_hand(image, deviation):
    """Blur by sums over all pixels, with zeros outside and weights up to four standard deviations."""
    radius = int(4 * deviation + 0.5)
    total = sum(np.exp(-0.5 * (k / deviation) ** 2) for k in range(-radius, radius + 1))
    result = np.zeros(image.shape)
    for place in np.ndindex(*image.shape[:2]):
        for other in np.ndindex(*image.shape[:2]):
            steps = np.abs(np.subtract(place, other))
            if steps.max() <= radius:
                result[place] += np.exp(-0.5 * (steps**2).sum() / deviation**2) / total**2 * image[other]
    return result


def test_gradient_shap_of_a_linear_model_needs_no_samples_to_be_exact(linear, images):
    model, kernel = linear
    found = attribution.gradient_shap(model, images, 1, samples=3, baselines=0.25)
    np.testing.assert_allclose(found, ((images - 0.25) * kernel[..., 1]).sum(-1), rtol=1e-5, atol=1e-6)


def test_gradient_shap_takes_the_mean_over_baselines(linear, images):
    model, kernel = linear
    stack = np.random.default_rng(3).normal(size=(3, 6, 7, 2)).astype(np.float32)
    found = attribution.gradient_shap(model, images, 2, samples=800, baselines=stack)
    expected = ((images - stack.mean(0)) * kernel[..., 2]).sum(-1)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    noisy = attribution.gradient_shap(model, images, 2, samples=3, baselines=stack, noise=0.5)
    assert np.abs(noisy - attribution.gradient_shap(model, images, 2, samples=3, baselines=stack)).max() > 0.1


def test_gradient_shap_draws_points_all_along_the_way(curved, images):
    """The gradient of x² grows along the way; its mean over uniform points is x."""
    model, weights = curved
    found = attribution.gradient_shap(model, images, 0, samples=1000)
    expected = (weights * images**2).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    again, other = (attribution.gradient_shap(model, images, 0, samples=3, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again, attribution.gradient_shap(model, images, 0, samples=3))
    assert np.abs(again - other).max() > 0


def test_blur_ig_of_a_linear_model_is_what_the_blur_took(linear, images):
    model, kernel = linear
    maps, gap = attribution.blur_ig(model, images, 1, steps=3, max_sigma=1.5, return_gap=True)
    blurred = np.stack([blur_by_hand(image, 1.5) for image in images])
    np.testing.assert_allclose(maps, ((images - blurred) * kernel[..., 1]).sum(-1), rtol=1e-4, atol=1e-5)
    assert np.abs(gap).max() < 1e-5


@pytest.mark.slow
def test_blur_ig_of_a_square_is_complete_with_any_number_of_steps(curved, images):
    """The trapezoidal rule is exact for a gradient that is linear between two points."""
    for steps in (1, 4):
        maps, gap = attribution.blur_ig(curved[0], images, 0, steps=steps, return_gap=True)
        assert np.abs(gap).max() < 1e-5 * np.abs(maps.sum((1, 2))).max()


def test_guided_ig_of_a_linear_model_is_exact(linear, images):
    model, kernel = linear
    for deviation in (0, 0.1, 1):
        maps, gap = attribution.guided_ig(
            model, images, 1, steps=4, baseline=0.25, max_deviation=deviation, return_gap=True
        )
        np.testing.assert_allclose(maps, ((images - 0.25) * kernel[..., 1]).sum(-1), rtol=1e-5, atol=1e-6)
        assert np.abs(gap).max() < 1e-5


def test_guided_ig_is_complete_in_the_limit_and_straight_without_deviation(curved, images):
    model, weights = curved
    gaps = [
        np.abs(attribution.guided_ig(model, images, 0, steps=steps, return_gap=True)[1]).max() for steps in (10, 100)
    ]
    total = (weights * images**2).sum((1, 2, 3))
    assert gaps[1] < 0.12 * gaps[0] < 0.12 * total.max()  # the error of a sum from the left falls with the steps
    straight = attribution.guided_ig(model, images, 0, steps=10, max_deviation=0)
    np.testing.assert_allclose(straight, 0.9 * (weights * images**2).sum(-1), rtol=1e-4)  # 2 · (0 + … + 9) / 100


def test_guided_ig_moves_first_where_the_gradient_is_small():
    """Of x · y from (0, 0) to (1, 1) with y held at a large constant gradient: the path along x first gains nothing."""
    inputs = keras.Input((2,))
    product = inputs[:, :1] * inputs[:, 1:] + 0.1 * inputs[:, 1:]
    model = keras.Model(inputs, product)
    maps = attribution.guided_ig(model, np.ones((1, 2), np.float32), 0, steps=50, fraction=0.5, max_deviation=1.0)
    np.testing.assert_allclose(maps[0], [0, 1.1], atol=0.03)  # x moves while y is 0, then y gains all
    straight = attribution.integrated_gradients(model, np.ones((1, 2), np.float32), 0)
    np.testing.assert_allclose(straight[0], [0.5, 0.6], atol=1e-5)


@pytest.mark.parametrize("least", [4, 20])
def test_xrai_ranks_regions_by_their_mean(least, linear, images):
    """Two segmentations that overlap, worked out by hand: the best region first, then what others add."""
    model, kernel = linear
    halves = np.repeat([[0] * 3 + [1] * 4], 6, axis=0)
    rows = np.repeat(np.arange(6)[:, None], 7, axis=1)
    found = attribution.xrai(model, images, 1, segments=np.stack([halves, rows]), min_pixels=least)
    for image, map_ in zip(images, found, strict=True):
        middle = (image.min() + image.max()) / 2
        shares = ((image - middle) * kernel[..., 1]).max(-1)
        left, expected = np.ones((6, 7), bool), np.zeros((6, 7))
        masks = [halves == k for k in (0, 1)] + [rows == k for k in range(6)]
        while options := [
            (shares[mask & left].mean(), n) for n, mask in enumerate(masks) if (mask & left).sum() >= least
        ]:
            mean, best = max(options)
            expected[masks[best] & left] = mean
            left &= ~masks[best]
        if left.any():
            expected[left] = shares[left].mean()
        np.testing.assert_allclose(map_, expected, rtol=1e-4, atol=1e-5)


def test_superpixels_follow_colors():
    """A disk that no cell fits: with superpixels, hardly any mixes disk and ground."""
    y, x = np.mgrid[:24, :28]
    disk = (y - 11) ** 2 + (x - 15) ** 2 < 49
    photo = np.where(disk[..., None], [1.0, 0.2, 0.1], [0.1, 0.2, 0.9]).astype(np.float32)[None]
    labels = superpixels(tf.constant(photo), 4).numpy()[0].reshape(24, 28)
    mixed = sum(min(disk[labels == n].sum(), (~disk[labels == n]).sum()) for n in np.unique(labels))
    cells = (y * 3 // 24) * 4 + x * 4 // 28
    mixed_cells = sum(min(disk[cells == n].sum(), (~disk[cells == n]).sum()) for n in np.unique(cells))
    assert mixed < 0.25 * mixed_cells
    assert 8 <= len(np.unique(labels)) <= 12


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("gradient_shap", {"samples": 0}, "samples must be a positive integer, got 0"),
        ("gradient_shap", {"noise": -1.0}, "noise must be a finite number of at least 0"),
        ("gradient_shap", {"baselines": np.zeros((2, 5, 7, 2))}, r"shape \(6, 7, 2\), or be a stack"),
        ("gradient_shap", {"baselines": np.zeros((0, 6, 7, 2))}, "baselines must be finite"),
        ("gradient_shap", {"baselines": "blur"}, "baselines must be a number or an array"),
        ("blur_ig", {"steps": 0}, "steps must be a positive integer, got 0"),
        ("blur_ig", {"max_sigma": 0.0}, "max_sigma must be a finite number above 0, or None, got 0"),
        ("guided_ig", {"fraction": 0.0}, "fraction must be a finite number above 0 and at most 1"),
        ("guided_ig", {"max_deviation": 2.0}, r"max_deviation must be a finite number in 0\.\.1"),
        ("guided_ig", {"baseline": np.zeros((5, 7, 2))}, r"input's shape \(6, 7, 2\)"),
        ("xrai", {"segments": np.zeros((6, 8), int)}, r"segments must be integers in the size of the input \(6, 7\)"),
        ("xrai", {"segments": np.zeros((6, 7))}, "got float64"),
        ("xrai", {"cells": (4, 0)}, r"cells\[1\] must be a positive integer, got 0"),
        ("xrai", {"min_pixels": 0}, "min_pixels must be a positive integer, or None, got 0"),
    ],
)
def test_wrong_options(name, options, says, linear, images):
    with pytest.raises(ValueError, match=says):
        getattr(attribution, name)(linear[0], images, 0, **options)


def test_features_have_no_order_to_blur_or_to_segment():
    model = keras.Sequential([keras.Input((5,)), L.Dense(2)])
    with pytest.raises(ValueError, match="must have an order"):
        attribution.blur_ig(model, np.ones((1, 5)), 0)
    with pytest.raises(ValueError, match=r"segments must be integers .* for features"):
        attribution.xrai(model, np.ones((1, 5)), 0)
