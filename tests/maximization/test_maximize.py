"""Activation maximization: where it must end, what it reports, and that batches, seeds and presets do as they say."""

import re

import numpy as np
import pytest

import kerasal
from kerasal.hooks import trace
from kerasal.maximization import L1, L2, PRESETS, Jitter, TotalVariation, default_preset
from kerasal.objectives import channel, class_score, neuron

import keras


@pytest.fixture(scope="module")
def linear():
    """S = w · x on 3 × 4 × 3 images, two classes; the weights as (3, 4, 3, 2)."""
    model = keras.Sequential(
        [keras.Input((3, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    weights = np.random.default_rng(0).normal(size=(36, 2)).astype(np.float32)
    model.layers[-1].set_weights([weights, np.zeros(2, np.float32)])
    return model, weights.reshape(3, 4, 3, 2)


def test_the_class_model_of_a_linear_model_is_its_weights_over_two_lambda(linear):
    """Simonyan et al., section 2: S - λ‖I‖² = w·I - λI·I has its maximum at w / 2λ."""
    model, weights = linear
    found = kerasal.maximize(
        model,
        class_score(1),
        preset="simonyan",
        regularizers=[L2(0.1)],
        normalize="none",
        steps=100,
        step_size=2.0,
        preprocessing="none",
    )
    np.testing.assert_allclose(found.raw[0], weights[..., 1] / 0.2, rtol=1e-4)


def test_an_l1_penalty_shrinks_an_image_that_nothing_holds(linear):
    model, _ = linear
    start = np.random.default_rng(1).normal(size=(3, 4, 3)).astype(np.float32) * 10
    nothing = 0 * class_score(0)
    found = kerasal.maximize(
        model,
        nothing,
        init=start,
        regularizers=[L1(0.1)],
        normalize="none",
        steps=20,
        step_size=1.0,
        preset="channel",
        preprocessing="none",
    )
    np.testing.assert_allclose(found.raw[0], start - 2 * np.sign(start) * (np.abs(start) > 2), atol=2.01)
    assert np.abs(found.raw).sum() < 0.9 * np.abs(start).sum()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_small_steps_only_go_up(preset, make_model):
    start = np.random.default_rng(2).normal(size=(8, 8, 3)).astype(np.float32)
    found = kerasal.maximize(
        make_model("functional"),
        class_score(2),
        preset=preset,
        init=start,
        regularizers=(),
        transforms=(),
        momentum=0,
        steps=15,
        step_size=0.005,
        preprocessing="none",
    )
    scores = found.history["score"].to_numpy()
    assert len(scores) == 16
    assert (np.diff(scores) > 0).all()


def test_history_ends_with_the_score_of_the_image(make_model):
    model = make_model("functional")
    found = kerasal.maximize(
        model, [class_score(1), class_score(4)], logits=False, steps=5, preset="channel", preprocessing="none"
    )
    last = found.history.groupby("objective", sort=False)["score"].last().to_numpy()
    np.testing.assert_allclose(last, model(found.raw, training=False).numpy()[[0, 1], [1, 4]], rtol=1e-4, atol=1e-6)
    assert found.history.columns.tolist() == ["objective", "step", "score"]
    assert found.history["objective"].unique().tolist() == ["class 1", "class 4"]


def test_a_batch_gives_what_each_gives_alone(make_model):
    model = make_model("nested")
    objectives = [channel("conv1", 3), class_score(2), channel("conv1", 0), 2 * channel("conv2", 1) - class_score(0)]
    together = kerasal.maximize(model, objectives, steps=4, batch_size=2, preset="channel", preprocessing="none")
    for i, objective in enumerate(objectives):
        alone = kerasal.maximize(model, objective, steps=4, preset="channel", preprocessing="none")
        np.testing.assert_allclose(together.raw[i], alone.raw[0], rtol=1e-4, atol=1e-5)


def test_all_channels_share_one_trace(make_model):
    model = make_model("functional")
    for start in (0, 2):
        kerasal.maximize(
            model, [channel("conv1", start + i) for i in range(2)], steps=3, preset="channel", preprocessing="none"
        )
    assert len(trace.traces(model)) == 1


def test_seeds(make_model):
    model = make_model("functional")

    def run(seed):
        return kerasal.maximize(
            model, class_score(1), steps=25, transforms=[Jitter(2)], seed=seed, preset="channel", preprocessing="none"
        ).raw

    np.testing.assert_array_equal(run(3), run(3))
    assert np.abs(run(3) - run(4)).max() > 1e-3


def test_tiny_gradients_count_as_much_as_large_ones(make_model):
    def run(scale):
        model = make_model("functional")
        dense = model.get_layer("predictions")
        dense.kernel.assign(dense.kernel * scale)
        found = kerasal.maximize(model, class_score(1), steps=5, preset="channel", preprocessing="none")
        assert not found.dead
        return found.raw

    np.testing.assert_allclose(run(1e-30), run(1.0), rtol=1e-3, atol=1e-3)


def test_dead_channels_are_reported_and_not_drawn_over(make_model):
    model = make_model("functional")
    conv = model.get_layer("conv1")
    conv.bias.assign([0, -1e6, 0, -1e6])
    found = kerasal.maximize(
        model, [channel("conv1", i) for i in range(4)], steps=5, preset="channel", preprocessing="none"
    )
    assert found.dead == [1, 3]
    alone = kerasal.maximize(model, channel("conv1", 1), steps=5, preset="channel", preprocessing="none")
    np.testing.assert_array_equal(found.raw[1], alone.raw[0])
    np.testing.assert_array_equal(found.raw[1], found.raw[3])  # still the start
    assert np.abs(found.raw[0] - found.raw[1]).max() > 1


@pytest.mark.slow
def test_starts(linear):
    model, _ = linear
    still = {"steps": 1, "step_size": 1e-6}
    mean = kerasal.maximize(model, class_score(0), init="mean", preprocessing="unit", **still)
    np.testing.assert_allclose(mean.raw, 0.5, atol=1e-5)
    assert (
        np.abs(
            kerasal.maximize(
                model, class_score(0), init="zero", **{"preset": "channel", "preprocessing": "none", **still}
            ).raw
        ).max()
        < 1e-5
    )
    noise = kerasal.maximize(model, class_score(0), init="normal", preprocessing="tf", **still).raw
    assert noise.std() == pytest.approx(2 / 255, rel=0.4)
    two = np.stack([np.full((3, 4, 3), 1.0), np.full((3, 4, 3), 2.0)])
    np.testing.assert_allclose(
        kerasal.maximize(
            model, [class_score(0)] * 2, init=two, **{"preset": "channel", "preprocessing": "none", **still}
        ).raw,
        two,
        atol=1e-4,
    )


def test_a_step_is_in_gray_levels_whatever_the_convention(linear):
    model, _ = linear
    for name, unit in (("none", 1.0), ("unit", 1 / 255), ("tf", 2 / 255)):
        settings = {"preset": "channel", "init": "zero", "steps": 1, "step_size": 3.0}
        found = kerasal.maximize(model, class_score(0), preprocessing=name, **settings)
        assert np.sqrt((found.raw**2).mean()) == pytest.approx(3 * unit, rel=1e-4)


def test_clip_keeps_pixels_possible(linear):
    model, _ = linear
    found = kerasal.maximize(model, class_score(0), clip=True, preprocessing="tf", steps=50, step_size=50.0)
    assert found.raw.min() == -1
    assert found.raw.max() == 1


@pytest.mark.slow
def test_pictures_are_visible_and_uint8(make_model):
    for display in ("pixels", "contrast"):
        found = kerasal.maximize(
            make_model("functional"), class_score(1), display=display, preprocessing="caffe", step_size=5.0
        )
        assert found.images.dtype == np.uint8
        assert found.images.shape == (1, 8, 8, 3)
        assert found.images.std() > 10
    pixels = kerasal.preprocessing.get("caffe").invert(found.raw)
    centered = (pixels - pixels.mean((1, 2), keepdims=True))[0]
    assert np.corrcoef(centered.ravel(), found.images[0].ravel())[0, 1] > 0.95


def test_the_mean_is_added_to_class_models(make_model):
    """Simonyan et al., section 2: the ascent starts from 0, and the mean image is added to the result."""
    model = make_model("functional")
    found = kerasal.maximize(model, class_score(1), preset="simonyan", preprocessing="caffe", steps=40)
    pixels = kerasal.preprocessing.get("caffe").invert(found.raw)
    np.testing.assert_array_equal(found.images, np.clip(np.round(pixels), 0, 255).astype(np.uint8))
    none = kerasal.maximize(model, class_score(1), preset="simonyan", preprocessing="unit", steps=40)
    assert found.images.mean() > 90 and abs(none.images.mean() - 127.5) < 10, "0 is black: the contrast is drawn"


@pytest.mark.parametrize("preset", ["tang", "channel"])
def test_an_image_to_start_from_keeps_its_colors(preset, make_model):
    start = kerasal.preprocessing.get("caffe").apply(np.full((8, 8, 3), (116, 98, 78), np.uint8))
    options = {"preset": preset, "preprocessing": "caffe", "steps": 2}
    found = kerasal.maximize(make_model("functional"), class_score(1), init=start, **options)
    assert np.abs(found.images.mean(axis=(0, 1, 2)) - (116, 98, 78)).max() < 4
    drawn = kerasal.maximize(make_model("functional"), class_score(1), init=start, display="contrast", **options)
    assert np.abs(drawn.images.mean(axis=(0, 1, 2)) - 127.5).max() < 4
    noise = kerasal.maximize(make_model("functional"), class_score(1), **options)
    assert noise.images.std() > 25, "noise of a few gray levels is drawn in more contrast"


def test_total_variation_makes_smoother_images(make_model):
    model = make_model("functional")

    def roughness(**options):
        raw = kerasal.maximize(
            model, class_score(1), normalize="score", **{"preset": "channel", "preprocessing": "none", **options}
        ).raw
        return np.abs(np.diff(raw, axis=1)).mean() / raw.std()

    assert roughness(regularizers=[TotalVariation(0.3)]) < 0.8 * roughness()


def test_models_of_any_size():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, activation="relu", name="conv")(inputs))
    assert kerasal.maximize(
        model, channel("conv", 0), steps=1, size=(20, 30), preset="channel", preprocessing="none"
    ).raw.shape == (
        1,
        20,
        30,
        3,
    )
    assert kerasal.maximize(
        model, neuron("conv", 0, (3, 1)), steps=1, preset="channel", preprocessing="none"
    ).raw.shape == (
        1,
        224,
        224,
        3,
    )


@pytest.mark.parametrize(
    ("objective", "options", "error", "says"),
    [
        (class_score(6), {}, ValueError, "There are 6 classes"),
        (channel("conv1", 9), {}, ValueError, "There are 4 channels"),
        (channel("conv9", 0), {}, ValueError, "Did you mean"),
        (class_score(0), {"steps": 0}, ValueError, "steps must be a positive integer, got"),
        (class_score(0), {"steps": 2.5}, ValueError, "steps must be a positive integer, got"),
        (class_score(0), {"step_size": -1}, ValueError, "step_size must be a finite number above 0, got -1"),
        (
            class_score(0),
            {"momentum": 1.0},
            ValueError,
            r"momentum must be a finite number of at least 0 and below 1, got 1\.0",
        ),
        (class_score(0), {"preset": "simonian"}, ValueError, "Did you mean simonyan"),
        (class_score(0), {"init": "zeros"}, ValueError, "init must be"),
        (class_score(0), {"init": np.zeros((2, 2, 3))}, ValueError, r"shape \(8, 8, 3\)"),
        (class_score(0), {"size": (9, 9)}, ValueError, r"\(8, 8\)"),
        (class_score(0), {"normalize": "all"}, ValueError, "normalize must be one of"),
        (class_score(0), {"preprocessing": "cafe"}, ValueError, "Did you mean caffe"),
        (
            class_score(0),
            {"parameterization": "wavelets"},
            ValueError,
            "must be one of pixels, fourier, got 'wavelets'",
        ),
        (class_score(0), {"parameterization": "fourier", "clip": True}, ValueError, "clip must be False"),
        (class_score(0), {"transforms": [3]}, TypeError, "transforms must be a list of callables"),
        (class_score([0, 1]), {}, ValueError, "Pass a list"),
        (-1, {}, ValueError, "must be at least 0"),
        ([], {}, TypeError, "objective must be an objective"),
        ("3", {}, TypeError, "objective must be an objective"),
        (True, {}, TypeError, "objective must be an objective"),
    ],
)
def test_wrong_arguments(objective, options, error, says, make_model):
    with pytest.raises(error, match=says):
        kerasal.maximize(
            make_model("functional"), objective, **{"preset": "channel", "preprocessing": "none", **options}
        )


def test_a_whole_number_is_a_class(linear):
    model, _ = linear
    found = kerasal.maximize(model, [0, np.int64(1), class_score(1)], steps=3, preset="channel", preprocessing="none")
    assert [one.description for one in found.objectives] == ["class 0", "class 1", "class 1"]
    np.testing.assert_array_equal(found.raw[1], found.raw[2])
    np.testing.assert_array_equal(
        kerasal.maximize(model, 1, steps=3, preset="channel", preprocessing="none").raw[0], found.raw[1]
    )
    np.testing.assert_array_equal(
        kerasal.maximize(model, np.array([0, 1]), steps=3, preset="channel", preprocessing="none").raw, found.raw[:2]
    )


def test_what_became_nan_is_named(make_model):
    model = make_model("functional")
    model.get_layer("predictions").bias.assign([0, 0, np.nan, 0, 0, np.nan])
    with pytest.raises(ValueError, match=r"^class 2 and 1 more: .*between steps 0 and 1"):
        kerasal.maximize(model, [1, 2, 3, 5], steps=3, batch_size=4, preset="channel", preprocessing="none")


def test_the_result_says_in_a_line_what_it_is(linear):
    found = kerasal.maximize(linear[0], [0, 1], steps=3, preset="channel", preprocessing="none")
    assert re.fullmatch(r"Maximization\(2 images of 3 × 4, 3 steps, scores .* to .*, 0 dead\)", repr(found))


def test_regularizers_mean_the_same_for_every_parameterization(linear):
    """An L2 penalty in gray levels holds the class model at w / 2λ however the image is made."""
    model, weights = linear
    found = kerasal.maximize(
        model,
        1,
        parameterization="fourier",
        init="zero",
        regularizers=[L2(0.1)],
        transforms=(),
        normalize="none",
        momentum=0,
        steps=3000,
        step_size=0.5,
        preprocessing="mean=127.5,std=1",  # black and white are far away
    )
    np.testing.assert_allclose(found.raw[0], weights[..., 1] / 0.2, rtol=0.05, atol=0.05)


def test_the_model_is_as_before(make_model):
    model = make_model("nested")
    before = [weight.numpy().copy() for weight in model.weights]
    kerasal.maximize(model, channel("conv1", 1), steps=2, preset="channel", preprocessing="none")
    assert all("call" not in vars(layer) for _, layer in kerasal.hooks.layers(model))
    for new, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)


@pytest.mark.parametrize(
    ("shape", "preprocessing", "expected"),
    [
        ((64, 64, 3), "unit", "olah"),
        ((28, 28, 1), "unit", "smooth"),
        ((28, 28), "unit", "smooth"),
        ((128, 64, 1), "unit", "olah"),
        ((None, None, 1), "unit", "olah"),
        ((64, 64, 3), None, "channel"),
        ((64, 64, 5), "unit", "channel"),
    ],
)
def test_the_default_preset_suits_the_images(shape, preprocessing, expected):
    model = keras.Sequential([keras.Input(shape), keras.layers.Activation("relu")])
    convention = preprocessing and kerasal.preprocessing.get(preprocessing)
    assert default_preset(model, convention) == expected


@pytest.mark.slow
def test_the_default_is_the_preset_of_the_model(make_model):
    model = make_model("functional")

    def run(**options):
        return kerasal.maximize(model, class_score(1), steps=3, preprocessing="unit", **options).raw

    np.testing.assert_array_equal(run(), run(preset="olah"))
    assert np.abs(run() - run(preset="channel")).max() > 1e-3
    np.testing.assert_array_equal(run(clip=True), run(preset="channel", clip=True))  # olah cannot be clipped
    np.testing.assert_array_equal(run(parameterization="pixels"), run(preset="channel"))


def test_smooth_starts_in_the_whole_range_and_ends_from_black_to_white(make_model):
    found = kerasal.maximize(make_model("functional"), [0, 1], preset="smooth", steps=2, preprocessing="tf", copies=2)
    assert found.raw.min() >= -1 and found.raw.max() <= 1 and found.raw.std() > 0.2
    assert (found.images.min(axis=(1, 2, 3)) == 0).all() and (found.images.max(axis=(1, 2, 3)) == 255).all()
    assert np.abs(found.raw[0] - found.raw[1]).max() > 0.1  # copies start from different noise


@pytest.mark.slow
def test_uniform_noise_starts_a_spectrum_too(make_model):
    options = {"init": "uniform", "steps": 1, "step_size": 1e-9, "preprocessing": "unit"}
    first, second = (
        kerasal.maximize(make_model("functional"), 0, preset=name, **options).raw for name in ("olah", "channel")
    )
    np.testing.assert_allclose(first, np.clip(second, 1 / 256, 255 / 256), atol=0.01)


def test_a_class_of_an_opened_model_is_named(make_model):
    model = make_model("nested")
    names = [f"kind {index}" for index in range(6)]
    opened = kerasal.open_model(model, preprocessing="unit", labels=names)
    options = {"preset": "simonyan", "steps": 2}
    by_name = kerasal.maximize(opened, ["kind 2", 1], **options)
    by_number = kerasal.maximize(opened, [2, 1], **options)
    np.testing.assert_array_equal(by_name.raw, by_number.raw)
    with pytest.raises(ValueError, match="kind 2"):
        kerasal.maximize(opened, "kind2", **options)
    with pytest.raises(ValueError, match="must be an index for a model without class names"):
        kerasal.maximize(kerasal.open_model(model, preprocessing="unit"), "kind 2", **options)
    with pytest.raises(TypeError, match="a class index"):
        kerasal.maximize(model, "kind 2", preprocessing="unit", **options)
