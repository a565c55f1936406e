"""Pixels and spectra: each is its own inverse, and an ascent on a spectrum goes where the mathematics says."""

import numpy as np
import pytest

import kerasal
from kerasal import images, preprocessing
from kerasal.maximization.parameterization import COLOR_COVARIANCE, Fourier, make_parameterization

import keras
import tensorflow as tf


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((8, 6, 3), None),
        ((8, 6, 3), "caffe"),
        ((7, 9, 3), "tf"),
        ((6, 5, 1), "tf"),
        ((5, 8, 1), "unit"),
        ((9, 2), "tf"),
        ((3, 4, 5, 2), "tf"),
        ((3, 4, 6, 3), None),
        ((4, 4, 2), None),
    ],
)
def test_a_spectrum_turns_back_into_its_image(shape, name):
    convention = None if name is None else preprocessing.get(name)
    fourier, gray_level = make_parameterization("fourier", shape, convention, clip=False)
    low, high = (preprocessing.get("none") if convention is None else convention).value_range()
    share = np.random.default_rng(0).uniform(0.1, 0.9, (2, *shape))
    wanted = (low + share * (high - low)) / gray_level
    np.testing.assert_allclose(fourier.images(tf.constant(fourier.start(wanted))), wanted, atol=0.01)


def test_noise_has_the_size_the_spectrum_and_the_colors_of_photographs():
    fourier = Fourier((64, 48, 3))
    random = np.random.default_rng(0)
    levels = fourier.images(tf.constant(np.stack([fourier.noise(random) for _ in range(200)]))).numpy()
    assert np.sqrt(np.square(levels).mean()) == pytest.approx(1, abs=0.05)
    covariance = np.einsum("nhwc,nhwd->cd", levels, levels) / levels[..., 0].size
    wanted = 3 * np.array(COLOR_COVARIANCE) / np.trace(COLOR_COVARIANCE)
    np.testing.assert_allclose(covariance, wanted, atol=0.1)
    power = np.square(np.abs(np.fft.fft(levels.sum(axis=3), axis=1))).mean(axis=(0, 2))
    assert power[1] > 3 * power[4] > 9 * power[16]
    other = Fourier((64, 48, 3), bgr=True)
    noise = tf.constant(fourier.noise(random)[None])
    np.testing.assert_allclose(other.images(noise)[..., ::-1], fourier.images(noise), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_colors_are_those_of_real_photographs(data_folder):
    paths = sorted((data_folder / "imagenet1000" / "images").iterdir())[::5]
    pixels = [images.read(path).reshape(-1, 3) / 255 for path in paths]
    mean = np.mean([one.mean(axis=0) for one in pixels], axis=0)
    found = np.mean([one.T @ one / len(one) for one in pixels], axis=0) - np.outer(mean, mean)
    np.testing.assert_allclose(found, COLOR_COVARIANCE, rtol=0.15)


@pytest.fixture(scope="module")
def linear():
    model = keras.Sequential([keras.Input((5, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    weights = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    model.layers[-1].set_weights([weights, np.zeros(2, np.float32)])
    return model, weights


def test_a_step_on_the_spectrum_is_the_gradient_through_the_spectrum_and_back(linear):
    """With image = A·p the step from p = 0 is along Aᵀw, and so the image along A·Aᵀ·w."""
    model, weights = linear
    fourier = Fourier((5, 4, 3))
    count = 2 * 3 * 5 * 3
    basis = np.eye(count, dtype=np.float32).reshape(count, 2, 3, 5, 3)
    matrix = fourier.images(tf.constant(basis)).numpy().reshape(count, 60).T
    wanted = matrix @ matrix.T @ weights[:, 1]
    found = kerasal.maximize(
        model,
        1,
        parameterization="fourier",
        init="zero",
        steps=1,
        step_size=0.5,
        momentum=0,
        transforms=(),
        normalize="total",
        preprocessing="mean=127.5,std=1",  # p = 0 is in the middle of the range
    ).raw.ravel()
    np.testing.assert_allclose(found / np.linalg.norm(found), wanted / np.linalg.norm(wanted), atol=1e-4)
    step = np.linalg.norm(matrix.T @ weights[:, 1]) / np.sqrt(count)  # what brings the step to RMS 1
    np.testing.assert_allclose(found, 0.5 * wanted / step, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("convention", ["caffe", "unit", "torch"])
@pytest.mark.quick("unit")
def test_a_spectrum_never_leaves_the_pixel_range(linear, convention):
    found = kerasal.maximize(
        linear[0], [0, 1], parameterization="fourier", preprocessing=convention, steps=60, step_size=20.0, transforms=()
    )
    low, high = preprocessing.get(convention).value_range()
    assert (found.raw >= low - 1e-3).all()
    assert (found.raw <= high + 1e-3).all()
    assert np.ptp(preprocessing.get(convention).invert(found.raw)) > 250  # and it uses it
    assert found.history.groupby("objective")["score"].apply(lambda s: s.iloc[-1] > s.iloc[0]).all()


def test_an_earlier_result_goes_on(linear):
    options = {"parameterization": "fourier", "preprocessing": "tf", "momentum": 0, "transforms": (), "step_size": 5.0}
    whole = kerasal.maximize(linear[0], 1, steps=6, **options)
    half = kerasal.maximize(linear[0], 1, steps=3, **options)
    rest = kerasal.maximize(linear[0], 1, steps=3, init=half.raw, **options)
    np.testing.assert_allclose(rest.raw, whole.raw, atol=2e-3)


@pytest.mark.slow
def test_gray_images_and_images_without_a_channel_axis():
    for shape in ((6, 5, 1), (6, 5)):
        model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(2)])
        found = kerasal.maximize(model, 0, preset="olah", steps=3, preprocessing="unit")
        assert found.raw.shape == (1, *shape)
        assert found.images.shape == (1, 6, 5, 3)


@pytest.mark.slow
def test_a_real_net_sees_the_class_in_the_fourier_image(data_folder):
    model = kerasal.load_model(data_folder / "models" / "squeezenet_v1_1_imagenet_q8.keras")
    found = kerasal.maximize(model, [9, 1], preset="olah", steps=40, preprocessing="caffe")
    pictures = preprocessing.get("caffe").apply(found.images)
    assert (model(pictures, training=False).numpy()[[0, 1], [9, 1]] > 0.9).all()
