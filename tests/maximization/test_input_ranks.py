"""Signals, volumes, videos, features and images channels first are maximized as images channels last are."""

import numpy as np
import pytest

from kerasal import maximize, preprocessing
from kerasal.maximization import PRESETS, Jitter, Rotation, TotalVariation, default_preset, draw_maximized
from kerasal.maximization.parameterization import Fourier
from kerasal.objectives import channel, neuron

import keras
import tensorflow as tf
from keras import layers as L

# The input's shape and the layers that tell its axes, which are linear; the axis of the channels.
KINDS = {
    "features": ((9,), None, list),
    "gray": ((6, 7), None, lambda: [L.Reshape((6, 7, 1)), L.Conv2D(2, 1)]),
    "signal": ((16, 3), 2, lambda: [L.Conv1D(2, 3)]),
    "signal, first": ((3, 16), 1, lambda: [L.Permute((2, 1)), L.Conv1D(2, 3)]),
    "image, first": ((3, 7, 8), 1, lambda: [L.SeparableConv2D(2, 3, data_format="channels_first")]),
    "volume": ((4, 5, 6, 2), 4, lambda: [L.Conv3D(2, 2)]),
    "volume, first": ((2, 4, 5, 6), 1, lambda: [L.Permute((2, 3, 4, 1)), L.Conv3D(2, 2)]),
    "video": ((4, 5, 6, 3), 4, lambda: [L.TimeDistributed(L.Conv2D(2, 2))]),
}


def linear(kind):
    keras.utils.set_random_seed(0)
    shape, axis, front = KINDS[kind]
    model = keras.Sequential([keras.Input(shape), *front(), L.Flatten(), L.Dense(3)])
    x = tf.zeros((1, *shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x)[0, 1]
    return model, axis, tape.gradient(score, x).numpy()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_score_rises_along_its_gradient(kind):
    model, _, gradient = linear(kind)
    result = maximize(model, 1, preset="channel", init="zero", steps=4, step_size=2.0, value_range=(-1, 4))
    gray_level = 5 / 255
    expected = 4 * 2.0 * gray_level * gradient / np.sqrt(np.square(gradient).mean())
    assert result.raw.shape == (1, *model.input_shape[1:])
    np.testing.assert_allclose(result.raw[0], expected, rtol=1e-4, atol=1e-6)
    assert result.dead == []
    again = maximize(model, 1, preset="channel", init=result.raw, steps=1, step_size=2.0, value_range=(-1, 4))
    np.testing.assert_allclose(again.raw[0], expected * 5 / 4, rtol=1e-4, atol=1e-6)
    single = maximize(model, 1, preset="channel", init=result.raw[0], steps=1, step_size=2.0, value_range=(-1, 4))
    np.testing.assert_allclose(single.raw, again.raw, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "preset"), [(kind, None) for kind in KINDS] + [("signal", "olah"), ("volume, first", "olah")]
)
@pytest.mark.quick("features-None", "signal-None", "volume-None")
def test_presets_stay_in_the_range_and_raise_the_score(kind, preset):
    model, _, _ = linear(kind)
    result = maximize(model, [0, 1], preset=preset, steps=20, value_range=(-1, 4), copies=2)
    assert result.raw.shape == (4, *model.input_shape[1:])
    scores = result.history.pivot_table(index=["objective", "copy"], columns="step", values="score")
    chosen = preset or default_preset(model, preprocessing.from_range(-1, 4))
    if chosen != "smooth":  # its penalties may outweigh the score of a linear model
        assert (scores[20] > scores[0]).all()
    if PRESETS[chosen].get("clip") or chosen == "olah":
        assert result.raw.min() >= -1.0001
        assert result.raw.max() <= 4.0001
    if kind in ("gray", "image, first"):
        assert result.images.shape == (4, *(size for size in model.input_shape[1:] if size != 3), 3)
        assert result.images.dtype == np.uint8
    else:
        assert result.images is result.raw
        with pytest.raises(ValueError, match=r"must be of images, got inputs of shape .* Plot maximization\.raw"):
            draw_maximized(result, ["a", "b"])
        assert "4 inputs of" in repr(result)


def test_the_default_preset_suits_the_input():
    convention = preprocessing.from_range(0, 1)
    found = {kind: default_preset(linear(kind)[0], convention) for kind in KINDS}
    assert found == {
        "features": "channel",
        "gray": "smooth",
        "signal": "smooth",
        "signal, first": "smooth",
        "image, first": "olah",
        "volume": "smooth",
        "volume, first": "smooth",
        "video": "smooth",
    }


@pytest.mark.parametrize("preset", ["olah", "smooth"])
@pytest.mark.slow
def test_a_channels_first_model_has_the_images_of_its_channels_last_twin(preset):
    def tower(layout):
        keras.utils.set_random_seed(1)
        shape, options = ((9, 8, 3) if layout == "channels_last" else (3, 9, 8)), {"data_format": layout}
        conv = L.SeparableConv2D(4, 3, activation="relu", name="conv", **options)
        return keras.Sequential(
            [keras.Input(shape), conv, L.MaxPooling2D(**options), L.GlobalAveragePooling2D(**options), L.Dense(3)]
        )

    last, first = tower("channels_last"), tower("channels_first")
    first.set_weights(last.get_weights())
    targets = [channel("conv", 1), neuron("conv", 2, (4, 1)), 2]
    options = {"preset": preset, "steps": 6, "preprocessing": "tf"}
    expected, found = maximize(last, targets, **options), maximize(first, targets, **options)
    np.testing.assert_allclose(found.raw, expected.raw.transpose(0, 3, 1, 2), atol=2e-4)
    assert np.abs(found.images.astype(int) - expected.images.astype(int)).max() <= 1
    np.testing.assert_allclose(found.history["score"], expected.history["score"], rtol=1e-3, atol=1e-4)


def test_total_variation_is_not_taken_across_gray_images():
    model, _, _ = linear("gray")
    options = {"preset": "channel", "steps": 3, "normalize": "score", "value_range": (0, 1)}
    options |= {"regularizers": [TotalVariation(0.3)]}
    together = maximize(model, [0, 1, 2], **options)
    alone = [maximize(model, number, **options).raw[0] for number in range(3)]
    np.testing.assert_allclose(together.raw, alone, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 2), (8, 9, 10, 1)])
def test_noise_of_a_spectrum_has_its_size_and_slope(shape):
    fourier = Fourier(shape)
    random = np.random.default_rng(0)
    levels = fourier.images(tf.constant(np.stack([fourier.noise(random) for _ in range(200)]))).numpy()
    assert levels.shape == (200, *shape)
    assert np.sqrt(np.square(levels).mean()) == pytest.approx(1, abs=0.06)
    power = np.square(np.abs(np.fft.fftn(levels, axes=range(1, len(shape))))).mean(axis=0)[..., 0]
    first, second = (power[(*[0] * (len(shape) - 2), place)] for place in (1, 4))
    assert first > 3 * second
    parameters = tf.constant(fourier.noise(random)[None])
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        total = tf.reduce_sum(tf.square(fourier.images(parameters)))
    found = tape.gradient(total, parameters).numpy()
    scale = 1e-2
    step = random.standard_normal(found.shape).astype(np.float32)
    up, down = (np.square(fourier.images(parameters + sign * scale * step).numpy()).sum() for sign in (1, -1))
    assert (up - down) / (2 * scale) == pytest.approx((found * step).sum(), rel=1e-2)


def test_copies_of_a_signal_are_driven_apart():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((30, 2)), L.Conv1D(6, 5, activation="relu", name="conv"), L.GlobalAveragePooling1D(), L.Dense(2)]
    )
    options = {"preset": "channel", "copies": 3, "steps": 15, "value_range": (-2, 2), "diversity_layer": "conv"}

    def similarity(weight):
        maps = keras.Model(model.inputs[0], model.get_layer("conv").output)(
            maximize(model, 1, diversity=weight, **options).raw
        )
        grams = np.einsum("ntc,ntd->ncd", maps, maps).reshape(3, -1)
        grams /= np.linalg.norm(grams, axis=1, keepdims=True)
        return (grams @ grams.T)[np.triu_indices(3, 1)].mean()

    assert similarity(3.0) < similarity(0.0)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("signal", {}, r"value_range must be \(lowest, highest\) for inputs other than images, got None"),
        (
            "signal",
            {"value_range": (1, 1)},
            r"value_range must be \(lowest, highest\), two finite numbers.*got \(1, 1\)",
        ),
        ("signal", {"value_range": (0, 1), "preprocessing": "tf"}, "preprocessing must be None with value_range"),
        (
            "signal",
            {"value_range": (0, 1), "size": (15,)},
            r"size must be a positive integer per position axis, \(16\)",
        ),
        ("volume", {"value_range": (0, 1), "size": (4, 5)}, r"per position axis, \(4, 5, 6\), .* got \(4, 5\)"),
        ("signal", {"value_range": (0, 1), "transforms": [Rotation(5.0)]}, "transforms must suit the input.*Rotation"),
        ("features", {"value_range": (0, 1), "transforms": [Jitter(1)]}, "transforms must suit the input.*features"),
        ("features", {"value_range": (0, 1), "regularizers": [TotalVariation(1)]}, "regularizers must suit the input"),
        ("features", {"value_range": (0, 1), "preset": "olah"}, r"must be 'pixels' for features \(N, F\)"),
        ("signal, first", {"value_range": (0, 1), "init": np.zeros((16, 3))}, r"shape \(3, 16\) or \(1, 3, 16\)"),
    ],
)
def test_what_does_not_fit_is_named(kind, options, message):
    model, _, _ = linear(kind)
    with pytest.raises(ValueError, match=message):
        maximize(model, 1, steps=1, **options)


def test_a_signal_of_any_length_needs_a_size():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 2)), L.Conv1D(3, 3), L.GlobalMaxPooling1D(), L.Dense(2)])
    with pytest.raises(ValueError, match=r"size must be .* per position axis, \(any\)"):
        maximize(model, 0, steps=1, value_range=(0, 1))
    assert maximize(model, 0, steps=1, value_range=(0, 1), size=(20,)).raw.shape == (1, 20, 2)
