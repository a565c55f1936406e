"""Adapting a model to other data: the gain is real, the layers compute what was fitted, and no gain is an error."""

import numpy as np
import pytest

from kerasal import gaze, open_model
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.gaze import gaze_adaptation
from kerasal.layers import LogDensity

import keras

START = gaze_adaptation._START
VALUES = np.array([1.4, 0.7, 0.8, 0.1, -0.2, 0.2, 0.3, 0.05])


def density_model(shape=(24, 32)):
    """A model whose log-density is the brightness, without weights to train."""
    inputs = keras.Input((*shape, 3))
    tensor = keras.layers.AveragePooling2D(2)(inputs)
    tensor = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1.0), use_bias=False)(tensor)
    tensor = keras.layers.Reshape((shape[0] // 2, shape[1] // 2))(tensor)
    return keras.Model(inputs, LogDensity(name="log_density")(tensor), name="bright")


def make_data(count=24, moved=True, seed=0):
    """Photos with a bright spot, whose fixations are spread around it, and half of them in a corner if ``moved``."""
    random = np.random.default_rng(seed)
    photos, points = [], []
    for _ in range(count):
        y, x = random.integers(4, 20), random.integers(4, 28)
        photo = random.integers(0, 40, (24, 32, 3)).astype(np.uint8)
        photo[y - 3 : y + 4, x - 3 : x + 4] = 200
        spots = random.normal((x, y), 2, (20, 2))
        if moved:
            spots[:10] = random.normal((6, 5), 2, (10, 2))
        photos.append(photo)
        points.append(np.clip(spots, 0, (31, 23)))
    return GazeDataset(photos, points)


@pytest.fixture(scope="module")
def predictor():
    return gaze.Predictor(density_model(), "mean=10/20/30,std=100/110/120")


@pytest.fixture(scope="module")
def adaptation(predictor):
    return gaze.adapt(predictor, make_data())


def test_the_gain_holds_on_other_images(predictor, adaptation):
    assert adaptation.gain["low"] > 0.3 and adaptation.target == "fixations"
    parameters = adaptation.parameters
    assert parameters["amount"] > 0.5 and parameters["center_x"] < -0.15 and parameters["center_y"] < -0.1
    fresh = make_data(seed=1)
    maps, truths, _, _ = gaze_adaptation.read_maps(predictor, fresh)
    values = np.array([parameters[name] for name in gaze_adaptation.PARAMETERS])
    gains = [
        (truth * (gaze_adaptation.adapt_log_density(values_, values) - values_)).sum() / np.log(2)
        for values_, truth in zip(maps, truths, strict=True)
    ]
    assert np.mean(gains) == pytest.approx(adaptation.gain["gain"], rel=0.25)


@pytest.mark.parametrize("convention", ["mean=127,std=128", "torch", "caffe"])
def test_the_model_file_predicts_what_was_fitted(convention, tmp_path):
    predictor = gaze.Predictor(density_model(), convention)
    photo = make_data(1).image(0)
    parameters = dict(zip(gaze_adaptation.PARAMETERS, VALUES, strict=True))
    gaze_adaptation.build_model(predictor, parameters).save(tmp_path / "adapted.keras")
    opened = open_model(tmp_path / "adapted.keras")
    adapted = gaze.Predictor.from_image_model(opened) if opened.preprocessing else None
    assert adapted is not None and adapted.gives_log_density
    raw = next(predictor.raw([photo])).astype(np.float64)
    wanted = np.exp(gaze_adaptation.adapt_log_density(np.log(np.maximum(raw / raw.sum(), 1e-37)), VALUES))
    found = next(adapted.raw([photo]))
    np.testing.assert_allclose(found, wanted / wanted.max(), rtol=1e-3, atol=1e-5)


def test_any_size_stays_any_size():
    inputs = keras.Input((None, None, 3))
    maps = keras.ops.squeeze(keras.layers.Conv2D(1, 8, 8)(inputs), -1)
    predictor = gaze.Predictor(keras.Model(inputs, LogDensity()(maps)), "unit")
    model = gaze_adaptation.build_model(predictor, dict(zip(gaze_adaptation.PARAMETERS, VALUES, strict=True)))
    assert model.input_shape == (None, None, None, 3)
    for shape in ((32, 48), (56, 24)):
        outputs = np.asarray(model(np.zeros((2, *shape, 3), np.float32)))
        assert outputs.shape == (2, shape[0] // 8, shape[1] // 8)
        np.testing.assert_allclose(np.exp(outputs).sum(axis=(1, 2)), 1, rtol=1e-5)


def test_the_maps_of_a_large_model_are_shrunk_for_the_fit(predictor, adaptation, monkeypatch):
    monkeypatch.setattr(gaze_adaptation, "_MOST_CELLS", 8)
    maps, truths, _, factor = gaze_adaptation.read_maps(predictor, make_data(2))
    assert factor == 2 and maps[0].shape == truths[0].shape == (6, 8)
    assert np.exp(maps[0]).sum() == pytest.approx(1) and truths[0].sum() == pytest.approx(1)
    found = gaze.adapt(predictor, make_data())
    assert found.gain["gain"] == pytest.approx(adaptation.gain["gain"], rel=0.2)
    assert found.model.get_layer("adapted_blur").sigma == found.parameters["blur"] >= 0.4  # twice the lowest


def test_without_a_gain_nothing_is_adapted(predictor):
    """A model that is right already: its own densities are the data."""
    data = make_data(12)
    maps = gaze_adaptation.read_maps(predictor, data)[0]
    adapted = [np.exp(values) for values in maps]
    data = GazeDataset([data.image(i) for i in range(12)], densities=adapted)
    with pytest.raises(gaze.NoGain, match=r"got [+-]\d\.\d+ \[.*bits per fixation on 12 images") as error:
        gaze.adapt(predictor, data)
    assert len(error.value.table) == 12


def test_densities_are_fitted_like_fixations(predictor):
    data = make_data(12)
    dense = GazeDataset([data.image(i) for i in range(12)], densities=[np.asarray(data.density(i)) for i in range(12)])
    found = gaze.adapt(predictor, dense)
    assert found.target == "densities" and found.gain["gain"] > 0.3


def test_errors(predictor, seeing):
    with pytest.raises(ValueError, match="at least 10 images to adapt to, got 9"):
        gaze.adapt(predictor, make_data(9))
    with pytest.raises(ValueError, match="must be a model of log-densities"):
        gaze.adapt(gaze.Predictor(seeing), make_data(10))


def test_the_gain_is_that_of_images_left_out(predictor, monkeypatch):
    """Every fold is fitted without its images, and the result with all of them."""
    data, fitted = make_data(11), []
    own = {values.tobytes(): i for i, values in enumerate(gaze_adaptation.read_maps(predictor, data)[0])}

    def fit(maps, truths):
        fitted.append({own[values.tobytes()] for values in maps})
        return VALUES if len(maps) == 11 else np.array([1, 0.3, len(fitted), -0.3, -0.3, 0.2, 0.2, 0.01])

    monkeypatch.setattr(gaze_adaptation, "fit_parameters", fit)
    gains = gaze.adapt(predictor, data).table["gain"].to_numpy()
    assert [len(part) for part in fitted] == [8, 9, 9, 9, 9, 11]
    assert sorted(i for part in fitted[:5] for i in {*range(11)} - part) == list(range(11))
    maps, truths, *_ = gaze_adaptation.read_maps(predictor, data)
    for number, part in enumerate(fitted[:5], 1):
        for i in {*range(11)} - part:
            values = np.array([1, 0.3, number, -0.3, -0.3, 0.2, 0.2, 0.01])
            change = gaze_adaptation.adapt_log_density(maps[i], values) - maps[i]
            assert gains[i] == pytest.approx((truths[i] * change).sum() / np.log(2))
