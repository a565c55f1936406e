"""One pipeline: any photo, a map that is a density, its logarithm and its peaks."""

import numpy as np
import pytest
from PIL import Image

import kerasal
from kerasal import gaze

import keras

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(16, 16, 3), (1, 1, 3), (100, 4000, 3), (90, 60)])
def test_predict_takes_photographs_of_every_shape(shape):
    found = gaze.predict(RANDOM.integers(0, 256, shape).astype(np.uint8))
    assert found.map.shape == found.log_density.shape == shape[:2]
    assert found.map.max() == 1 and found.map.min() >= 0
    np.testing.assert_allclose(np.exp(found.log_density.astype(float)).sum(), 1, rtol=1e-4)
    x, y, height = found.hotspots.T
    assert height[0] == 1 and (np.diff(height) <= 0).all() and (height >= 0.1).all()
    assert (x > -0.5).all() and (x < shape[1]).all() and (y > -0.5).all() and (y < shape[0]).all()


def test_predict_reads_files_and_names_bad_ones(tmp_path):
    pixels = RANDOM.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(gaze.predict(tmp_path / "photo.png").map, gaze.predict(pixels).map)
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.jpg"):
        gaze.predict(tmp_path / "bad.jpg")
    with pytest.raises(ValueError, match="A photo must be uint8"):
        gaze.predict(pixels / 255)


def test_it_finds_what_stands_out():
    """People look at the one red disc; the center alone would miss it."""
    image = np.full((240, 320, 3), 128, np.uint8)
    rows, columns = np.mgrid[:240, :320]
    image[(rows - 60) ** 2 + (columns - 250) ** 2 < 18**2] = (220, 30, 30)
    x, y, _ = gaze.predict(image).hotspots[0]
    assert abs(x - 250) < 30 and abs(y - 60) < 30


def test_the_map_is_the_density_never_below_the_models_own_lowest():
    found = gaze.predict(RANDOM.integers(0, 256, (120, 160, 3)).astype(np.uint8))
    enlarged = gaze.resize_map(found.cells, (120, 160), "none")
    kept = np.maximum(enlarged, found.cells.min())
    assert (kept > enlarged).any() and found.cells.min() > 0  # the filter falls below every cell
    np.testing.assert_array_equal(found.map, kept / kept.max())
    np.testing.assert_allclose(np.exp(found.log_density - found.log_density.max()), found.map, rtol=1e-5)


def test_the_model_that_ships_may_be_passed_like_any_other():
    photo = RANDOM.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    preprocessing = kerasal.model_spec("gaze").preprocessing
    found = gaze.predict(photo, kerasal.load_model("gaze"), preprocessing=preprocessing)
    np.testing.assert_array_equal(found.map, gaze.predict(photo).map)
    np.testing.assert_array_equal(gaze.predict(photo, kerasal.load_model("gaze")).map, found.map)
    earlier = kerasal.open_model("gaze", weights="kerasal")
    expected = gaze.predict(photo, gaze.Predictor.from_image_model(earlier)).map
    np.testing.assert_array_equal(gaze.predict(photo, earlier).map, expected)
    assert np.abs(expected - found.map).max() > 0.01
    with pytest.raises(ValueError, match=r"left out for an opened model, which has them, got preprocessing='unit'"):
        gaze.predict(photo, earlier, preprocessing="unit")
    many = list(gaze.predict_many([photo, photo[:, :80], photo]))
    np.testing.assert_array_equal(many[1].map, gaze.predict(photo[:, :80]).map)
    small = gaze.predict(photo, size=(64, 96))
    assert small.cells.shape == (8, 12) and small.map.shape == (60, 90)
    with pytest.raises(ValueError, match="must be left out for the bundled model"):
        gaze.predict(photo, preprocessing="unit")


def test_a_map_of_another_model_has_a_log_density_and_peaks_too(seeing, spots):
    found = gaze.predict(spots.image(0), seeing, preprocessing="unit")
    assert found.cells.shape == (12, 12) and seeing.output_shape[1:] == (12, 12)
    np.testing.assert_allclose(np.exp(found.log_density.astype(float)).sum(), 1, rtol=1e-5)
    assert np.isfinite(found.log_density).all() and found.log_density.argmax() == found.map.argmax()
    x, y, height = found.hotspots[0]
    assert height == 1 and spots.image(0)[round(float(y)), round(float(x))].min() > 150


def test_a_map_without_a_positive_value_is_uniform_and_has_no_peak():
    found = gaze.GazePrediction(np.full((4, 6), -1, np.float32), np.zeros((2, 3), np.float32))
    np.testing.assert_allclose(found.log_density, np.full((4, 6), -np.log(24)), rtol=1e-6)
    assert found.hotspots.shape == (0, 3)


def test_the_former_forms_warn_and_give_the_same(seeing, spots):
    photos = [spots.image(0), spots.image(1)]
    with pytest.warns(DeprecationWarning, match="is called gaze.predict_many"):
        maps = list(gaze.predict(seeing, photos, preprocessing="unit", batch_size=1))
    for values, one in zip(maps, gaze.predict_many(photos, seeing, preprocessing="unit"), strict=True):
        np.testing.assert_array_equal(values, one.map)
    with pytest.warns(DeprecationWarning, match=r"zoo\.gaze\.predict is kerasal\.gaze\.predict now"):
        found = kerasal.zoo.gaze.predict(photos[0])
    np.testing.assert_array_equal(found.map, gaze.predict(photos[0]).map)
    with pytest.warns(DeprecationWarning, match=r"zoo\.gaze\.Prediction is kerasal\.gaze\.GazePrediction"):
        assert kerasal.zoo.gaze.Prediction is gaze.GazePrediction
    with pytest.warns(DeprecationWarning, match=r"Predictor\.net is called Predictor\.model"):
        assert gaze.Predictor(seeing).net is seeing


def test_pixels_are_not_scaled_twice(seeing, spots):
    image = keras.Input(seeing.input_shape[1:])
    scaled = keras.Model(image, seeing(keras.layers.Rescaling(1 / 255)(image)))
    expected = gaze.predict(spots.image(0), seeing, preprocessing="unit").map
    np.testing.assert_allclose(gaze.predict(spots.image(0), scaled).map, expected, atol=1e-5)
