"""The preds.pkl of the coursework: what its evaluation script reads, and the scores that follow from it."""

import pickle

import numpy as np
import pytest

from kerasal import gaze
from kerasal.datasets import GazeDataset, open_gaze, write_coursework
from kerasal.metrics import cc
from kerasal.metrics.blur import blur_fixations, gaussian_blur
from kerasal.metrics.coursework_metrics import coursework_scores

import keras

RANDOM = np.random.default_rng(2)


@pytest.fixture
def data(tmp_path):
    images = RANDOM.integers(0, 256, (3, 48, 64, 3)).astype(np.uint8)
    points = RANDOM.uniform(0, (64, 48), (3, 20, 2))
    written = GazeDataset(list(images), list(points), names=["c", "a", "b"])
    return open_gaze(write_coursework(written, tmp_path / "val.pkl", originals=True))


def linear_model(sides=(48, 48)):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.AveragePooling2D(2), keras.layers.Conv2D(1, 3, padding="same", use_bias=False)]
    return keras.Sequential([keras.Input((2 * sides[0], 2 * sides[1], 3)), *layers], name="linear")


def test_the_script_reads_raw_maps_in_the_order_of_the_data(data, tmp_path):
    """The steps of the examiners' script on the file give the scores of the package, wrap-around included."""
    model = linear_model()
    predictor = gaze.Predictor(model)
    path = gaze.write_predictions(predictor, data, tmp_path / "preds.pkl")
    with path.open("rb") as file:
        maps = pickle.load(file)
    assert [(one.dtype, one.shape) for one in maps] == [(np.dtype("float32"), (2304,))] * 3
    inputs = np.stack([data.stimulus(name).small for name in ("c", "a", "b")]).astype(np.float32) / 255
    wanted = np.asarray(model(inputs))[..., 0]
    np.testing.assert_allclose(np.stack(maps).reshape(-1, 48, 48), wanted, atol=1e-6)
    assert wanted.min() < 0  # a linear output, which wraps around
    fixations = np.asarray(data.fixation_map(0, (480, 640)))
    eight_bit = (maps[0].reshape(48, 48) * 255).astype(np.int64).astype(np.uint8)
    columns = ((np.arange(640) + 0.5) * 48 / 640).astype(int)  # Pillow's "nearest"
    enlarged = np.kron(eight_bit, np.ones((10, 1)))[:, columns] / 255
    truth = blur_fixations((fixations > 0).astype(int), 19)
    scores = coursework_scores(maps[0], fixations, fixations, legacy=True)
    assert scores["cc"] == pytest.approx(cc(gaussian_blur(enlarged, 2), truth), abs=1e-3)


def test_maps_that_the_script_cannot_read_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="square maps for the coursework's script, got 24 × 32"):
        gaze.write_predictions(gaze.Predictor(linear_model((24, 32))), data, tmp_path / "preds.pkl")
    assert not (tmp_path / "preds.pkl").exists()


def test_a_missing_image_leaves_no_file(tmp_path):
    """The script pairs maps and images by their order, so no image may be skipped."""
    data = GazeDataset([tmp_path / "gone.png"], [np.array([[1.0, 1.0]])])
    with pytest.raises((ValueError, OSError), match=r"gone"):
        gaze.write_predictions(gaze.Predictor(linear_model()), data, tmp_path / "preds.pkl")
    assert not list(tmp_path.iterdir())
