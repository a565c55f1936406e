import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import kerasal
from kerasal import gaze, images, preprocessing
from kerasal.gaze import predictor as gaze_predictor
from kerasal.layers import LogDensity

import keras


def test_predict_any_size_in_batches_equals_one_by_one(seeing, spots):
    photographs = [spots.image(i) for i in range(5)]
    found = [one.map for one in gaze.predict_many(photographs, seeing, preprocessing="unit", batch_size=2)]
    assert [one.shape for one in found] == [photograph.shape[:2] for photograph in photographs]
    assert all(one.dtype == np.float32 and 0 <= one.min() < one.max() <= 1 for one in found)
    predictor = gaze.Predictor(seeing)
    for photograph, value in zip(photographs, found, strict=True):
        np.testing.assert_array_equal(gaze.predict(photograph, predictor).map, value)
        y, x = np.unravel_index(value.argmax(), value.shape)
        assert photograph[y, x].min() > 150  # it looks where the spot is


def test_an_assumed_preprocessing_is_a_warning(seeing, spots):
    with pytest.warns(UserWarning, match=r"preprocessing of 'seeing' is unknown: pixels are scaled to 0\.\.1"):
        assumed = gaze.predict(spots.image(0), seeing).map
    np.testing.assert_array_equal(gaze.predict(spots.image(0), seeing, preprocessing="unit").map, assumed)
    opened = kerasal.open_model(seeing)
    with pytest.warns(UserWarning, match="preprocessing of 'seeing' is unknown"):
        gaze.Predictor.from_image_model(opened)
    gaze.Predictor.from_image_model(kerasal.open_model(seeing, preprocessing="unit"))


def test_the_three_ways_to_finish():
    raw = np.random.default_rng(0).normal(0.5, 0.5, (12, 12)).astype(np.float32)
    shape = (30, 40)

    def enlarged(values):
        return np.asarray(Image.fromarray(values).resize((40, 30), Image.Resampling.BICUBIC))

    eight = (np.clip(raw.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    examiners = gaussian_filter(enlarged(eight) / 255, 2)
    np.testing.assert_allclose(gaze.resize_map(raw, shape), examiners, atol=1e-6)
    pan = enlarged(gaussian_filter(raw.astype(np.float64), 3 * 12 / 48).astype(np.float32))
    np.testing.assert_allclose(gaze.resize_map(raw, shape, "pan"), pan, atol=1e-5)
    np.testing.assert_array_equal(gaze.resize_map(raw, shape, "none"), enlarged(raw))


def test_a_net_trained_on_minus_one_to_one_is_brought_to_zero_to_one(seeing, spots):
    image = spots.image(0)
    unit, pm1 = (next(gaze.Predictor(seeing, target_range=one).raw([image])) for one in ("unit", "pm1"))
    np.testing.assert_allclose(pm1, (unit + 1) / 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["unit", "caffe", "tf", "torch"])
def test_preprocessing_in_the_graph_is_the_one_outside(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)
    convention = preprocessing.get(name)
    np.testing.assert_allclose(
        gaze_predictor.preprocess(pixels, convention), convention.apply(pixels), rtol=1e-6, atol=1e-6
    )


def test_every_shape_of_a_map():
    layers = keras.layers
    flat = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(16)])
    plane = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(16), layers.Reshape((2, 8))])
    channel = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(1, 3, padding="same", strides=2)])
    assert gaze_predictor.find_map_size(flat) == (4, 4)
    assert gaze_predictor.find_map_size(plane) == (2, 8)
    assert gaze_predictor.find_map_size(channel, (8, 12)) == (4, 6)
    image = np.zeros((5, 7, 3), np.uint8)
    assert next(gaze.Predictor(channel, size=(8, 12)).raw([image])).shape == (4, 6)
    with pytest.raises(ValueError, match=r"the size of .*, 8 x 8"):
        gaze.Predictor(flat, size=(9, 9))


def test_what_cannot_be_finished():
    with pytest.raises(ValueError, match="got 1 NaN or infinite values"):
        gaze.resize_map(np.array([[0, np.nan], [0, 0]], np.float32), (4, 4))
    with pytest.raises(ValueError, match="postprocess must be one of examiners, pan, none"):
        gaze.resize_map(np.zeros((2, 2), np.float32), (4, 4), "smooth")
    with pytest.raises(ValueError, match="target_range"):
        gaze.Predictor(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)]), target_range="pm")


def test_a_net_for_any_size_sees_each_photograph_in_its_proportions_and_keeps_their_order():
    inputs = keras.Input((None, None, 3))
    tensor = keras.layers.Conv2D(1, 3, strides=16, padding="same")(inputs)[..., 0]
    predictor = gaze.Predictor(keras.Model(inputs, LogDensity()(tensor)))
    random = np.random.default_rng(0)
    shapes = [(30, 40), (30, 40), (80, 20), (30, 40), (5, 400)]
    photographs = [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    together = list(predictor.raw(photographs, batch_size=2))
    assert [one.shape for one in together] == [(15, 20), (15, 20), (35, 8), (15, 20), (5, 80)]
    for photograph, found in zip(photographs, together, strict=True):
        np.testing.assert_allclose(next(predictor.raw([photograph])), found, rtol=1e-5)


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (64, 128), (50, 90), (90, 50)])
def test_strided_convolutions_sample_photos_of_any_shape_at_the_same_places(shape):
    """Each of five strided convolutions samples other places on even than on odd sides."""
    inputs = tensor = keras.Input((None, None, 2))
    center = np.zeros((3, 3, 2, 2), np.float32)
    center[1, 1] = np.eye(2)
    for _ in range(5):
        layer = keras.layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False)
        tensor = layer(tensor)
        layer.set_weights([center])
    model = keras.Model(inputs, tensor)

    def sampled(size):
        places = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
        return np.asarray(model(places[None].astype(np.float32)))[0]

    size = images.size_like(shape, (112, 160))
    np.testing.assert_array_equal(sampled(size)[0, 0], sampled((112, 160))[0, 0])
    assert not np.array_equal(sampled((size[0] + 16, size[1] + 16))[0, 0], sampled((112, 160))[0, 0])


def test_the_size_of_a_model_is_that_of_its_last_layer():
    inputs = keras.Input((None, None, 3))
    tensor = keras.layers.Conv2D(1, 3, strides=16, padding="same")(inputs)[..., 0]
    predictor = gaze.Predictor(keras.Model(inputs, LogDensity((336, 448))(tensor)))
    assert predictor.image_size == (336, 448)
    assert next(predictor.raw([np.zeros((30, 40, 3), np.uint8)])).shape == (21, 28)
    assert next(predictor.raw([np.zeros((40, 30, 3), np.uint8)])).shape == (29, 22)


@pytest.mark.parametrize("change", [lambda i: i / 255, lambda i: i > 9, lambda i: i.astype(int), lambda i: i[..., :2]])
def test_what_is_no_photograph_is_refused_with_a_remedy(change, seeing, spots):
    photographs = [spots.image(0), change(spots.image(1))]
    with pytest.raises(ValueError, match=r"A photo must be uint8 \(H, W, 3\), got .*\. [A-Z]"):
        list(gaze.predict_many(photographs, seeing, preprocessing="unit"))
