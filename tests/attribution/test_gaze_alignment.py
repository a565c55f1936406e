"""Attribution maps as predictions of gaze: at the place where the model saw them, beside what knows no model."""

import numpy as np
import pandas as pd
import pytest

from kerasal import attribution, images, metrics
from kerasal.attribution import alignment_scores, gaze_alignment
from kerasal.datasets import GazeDataset
from kerasal.datasets.gaze_types import Points, Stimulus
from kerasal.models import ImageModel

import keras

SIZE = (48, 72)


def make_data(count=6, observers=3, seed=0, x_range=(20, 52)):
    """Return dark photos with a bright square at which all observers look."""
    random, stimuli = np.random.default_rng(seed), []
    for number in range(count):
        x, y = random.integers(*x_range), random.integers(6, SIZE[0] - 6)
        photo = random.integers(0, 40, (*SIZE, 3)).astype(np.uint8)
        photo[y - 4 : y + 5, x - 4 : x + 5] = 255
        spots = np.clip(random.normal((x, y), 2, (8 * observers, 2)), 0, (SIZE[1] - 1, SIZE[0] - 1)).round()
        points = Points(spots, SIZE, np.repeat(np.arange(observers), 8))
        stimuli.append(Stimulus(f"photo{number}", photo, lambda points=points: points))
    return GazeDataset.from_stimuli(stimuli)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3, activation="relu", padding="same", name="conv")]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    return ImageModel(keras.Sequential(layers, name="tiny"), "none")


def brightness(model, inputs, target=None):
    return inputs.mean(axis=-1)


def flat(model, inputs, target=None):
    return -np.ones(inputs.shape[:3])


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_a_map_is_scored_where_the_model_saw_it(model, fit):
    """The score is that of the map at the place of its part of the photo, computed here step by step."""
    data = make_data(3)
    scores = attribution.alignment(model, data, brightness, fit=fit, blurs=[0], observers=False).scores
    left = {"stretch": 0, "crop": (SIZE[1] - SIZE[0]) // 2}[fit]
    for number, name in enumerate(data.names):
        part = data.image(number)[:, left : SIZE[1] - left]
        values = images.resize(images.resize(part, (24, 24)).astype(float).mean(axis=-1), part.shape[:2])
        fixations = np.asarray(data.fixation_map(number))[:, left : SIZE[1] - left]
        mine = scores[(scores["image"] == name) & (scores["row"] == "map")].iloc[0]
        assert mine["nss"] == pytest.approx(metrics.nss(np.maximum(values, 0), fixations))
        assert mine["auc_judd"] == pytest.approx(metrics.auc_judd(values, fixations, jitter=True), abs=1e-3)
        center = scores[(scores["image"] == name) & (scores["row"] == "center")].iloc[0]
        prior = metrics.center_map(SIZE)[:, left : SIZE[1] - left]  # the center of the whole photo
        assert center["nss"] == pytest.approx(metrics.nss(prior, fixations))


def test_the_place_of_the_square_beats_every_control(model):
    result = attribution.alignment(model, make_data(10), brightness)
    table = result.table()
    assert list(table.index) == [
        *("map", "map × center", "other image", "other image × center", "random map", "random map × center"),
        *("center", "mean map", "one observer", "other observers"),
    ]
    for other in ("center", "mean map", "other image", "random map"):
        assert result.verdict(other) == f"better than {other}"
        assert result.verdict("map", row=other) == "worse than map"
    assert result.verdict("map", row="map") == "not distinguishable from map"
    row = table.loc["map"]
    assert row["minus_center"] == pytest.approx(row["mean"] - table.loc["center", "mean"])
    assert row["minus_center_low"] > 0 and row["low"] < row["mean"] < row["high"]
    assert np.isnan(result.table("cc").loc["other observers", "mean"])
    with pytest.raises(ValueError, match="metric must be defined for 'other observers', got 'cc'"):
        result.verdict("other observers", metric="cc")
    assert result.layer is None and result.method == "brightness" and not result.notes
    assert "other observers" in result._repr_html_()


def test_a_map_without_positive_values_is_constant_and_counted(model):
    result = attribution.alignment(model, make_data(), flat, blurs=[0, 0.05])
    for metric, value in (("nss", 0), ("auc_judd", 0.5), ("cc", 0)):
        table = result.table(metric)
        assert table.loc["map", "mean"] == table.loc["random map", "mean"] == value
        assert table.loc["map × center", "mean"] == value
    assert result.notes == ("6 of 6 maps have no positive value or are constant, and are scored as constant.",)
    assert (
        not attribution.alignment(model, make_data(), flat, sign="absolute", blurs=[0]).table().isna().loc["map"].any()
    )


def test_the_sign(model):
    def negative(model, inputs, target=None):
        return -brightness(model, inputs)

    data = make_data(4)
    nss = {
        name: attribution.alignment(model, data, method, blurs=[0], sign=sign, observers=False)
        .table()
        .loc["map", "mean"]
        for name, method, sign in (
            ("map", brightness, "positive"),
            ("positive part", negative, "positive"),
            ("absolute", negative, "absolute"),
        )
    }
    assert nss["positive part"] == 0 and nss["absolute"] == pytest.approx(nss["map"])


def test_channels_are_reduced_to_the_largest_magnitude(model):
    def per_channel(model, inputs, target=None):
        return np.stack([np.zeros(inputs.shape[:3]), -brightness(model, inputs)], axis=-1)

    data = make_data(3)
    first, second = (
        attribution.alignment(model, data, m, blurs=[0], observers=False) for m in (per_channel, brightness)
    )
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_a_method_with_shuffled_weights_and_the_same_seed(model):
    data, before = make_data(4), model.keras_model.get_weights()
    results = [
        attribution.alignment(model, data, "gradcam", random_weights=True, seed=seed, group=3, layer="conv")
        for seed in (0, 0, 1)
    ]
    assert all(np.array_equal(*pair) for pair in zip(before, model.keras_model.get_weights(), strict=True))
    pd.testing.assert_frame_equal(results[0].scores, results[1].scores)
    nss = [result.scores.set_index(["row", "image"])["nss"] for result in results]
    assert not np.allclose(nss[0]["random weights"], nss[2]["random weights"])
    assert not np.allclose(nss[0]["map"], nss[0]["random weights"])
    assert results[0].layer == "conv"
    assert results[0].verdict() == "too few images (4)"


def test_weights_are_restored_after_an_error(model):
    before, calls = model.keras_model.get_weights(), []

    def fail(keras_model, inputs, target):
        calls.append(np.array(target))
        if len(calls) == 2:
            assert not np.array_equal(keras_model.get_weights()[0], before[0])
            raise ValueError("no map")
        return brightness(keras_model, inputs)

    with pytest.raises(ValueError, match="no map"):
        attribution.alignment(model, make_data(), fail, random_weights=True)
    assert all(np.array_equal(*pair) for pair in zip(before, model.keras_model.get_weights(), strict=True))
    np.testing.assert_array_equal(*calls)  # both explain the classes of the trained model


def test_targets(model):
    received = []

    def method(keras_model, inputs, target):
        received.extend(np.broadcast_to(target, len(inputs)))
        return brightness(keras_model, inputs)

    options = {"blurs": [0], "observers": False, "group": 2}
    attribution.alignment(model, make_data(3), method, [2, 0, 1], **options)
    attribution.alignment(model, make_data(3), method, 1, **options)
    assert received == [2, 0, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="target must have one class index per image, 3, got 2"):
        attribution.alignment(model, make_data(3), method, [0, 1], **options)


def test_data_with_one_observer_have_no_ceiling(model):
    for observers in (0, 1):
        data = make_data(3, max(observers, 1))
        if not observers:
            data.subjects = lambda name: None
        result = attribution.alignment(model, data, brightness, blurs=[0])
        assert "other observers" not in result.table().index
        assert result.notes == (
            "The data have one observer per image or do not tell observers apart, so there is no ceiling.",
        )


def test_errors(model):
    data = make_data(3)
    with pytest.raises(ValueError, match=r"data must have at least 2 images.*got 1"):
        attribution.alignment(model, data.subset([0]), brightness)
    density = GazeDataset([data.image(0)] * 2, densities=[np.ones(SIZE)] * 2)
    with pytest.raises(ValueError, match="data must have fixations on every image, got none, or only a density"):
        attribution.alignment(model, density, brightness)
    with pytest.raises(ValueError, match="data must be a GazeDataset, got str"):
        attribution.alignment(model, "folder", brightness)
    with pytest.raises(ValueError, match="model must be an ImageModel"):
        attribution.alignment(model.keras_model, data, brightness)
    with pytest.raises(ValueError, match=r"blurs must be a finite number in 0..1, got -1"):
        attribution.alignment(model, data, brightness, blurs=[-1])
    with pytest.raises(ValueError, match=r"lambda.*must return finite maps.*got \(3, 2\)"):
        attribution.alignment(model, data, lambda model, inputs, target: np.ones((3, 2)))
    aside = make_data(3, x_range=(4, 6))
    with pytest.raises(ValueError, match=r'fixations in the part that the model receives.*fit="stretch"'):
        attribution.alignment(model, aside, brightness, fit="crop")
    volumes = [keras.Input((4, 4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    with pytest.raises(ValueError, match="model must take images"):
        attribution.alignment(ImageModel(keras.Sequential(volumes)), data, brightness)


def test_a_blur_is_chosen_on_the_other_half():
    """In the first half the narrow blur is better, so the second half is scored with it, and the reverse."""
    names = [f"i{number}" for number in range(6)]
    order = np.random.default_rng(3).permutation(6)
    first = {names[number] for number in order[:3]}
    center = ("center", alignment_scores.UNBLURRED)
    scores = {
        name: {("map", blur): (1.0 + ((name in first) == (blur == 0.0)), 0.5, 0.1) for blur in (0.0, 0.1)}
        | {center: (0.5, 0.5, 0.1)}
        for name in names
    }
    chosen = alignment_scores.choose_blurs(scores, seed=3)
    assert list(chosen["image"]) == names * 2
    maps = chosen[chosen["row"] == "map"].set_index("image")
    assert all(maps.loc[name, "blur"] == (0.1 if name in first else 0.0) for name in names)
    assert (maps["nss"] == 1.0).all()  # never the better score of the own half
    assert chosen[chosen["row"] == "center"]["blur"].isna().all()


def test_the_function_is_not_hidden_by_a_module():
    assert attribution.alignment is gaze_alignment.alignment and attribution.Alignment is gaze_alignment.Alignment
