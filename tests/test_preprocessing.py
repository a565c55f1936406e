"""The pixel conventions against keras.applications, their inverses, and their spelling."""

import numpy as np
import pytest

from kerasal import preprocessing

import keras

NAMES = sorted(preprocessing.CONVENTIONS)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["caffe", "tf", "torch"])
def test_keras_applications_does_the_same(name, pixels):
    theirs = keras.applications.imagenet_utils.preprocess_input(pixels.astype(np.float32), mode=name)
    np.testing.assert_allclose(preprocessing.get(name).apply(pixels), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*NAMES, "mean=127,std=128", "mean=10/20/30,std=2/3/4,bgr"])
def test_inverse_and_range(name, pixels):
    convention = preprocessing.get(name)
    before = pixels.copy()
    inputs = convention.apply(pixels)
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_allclose(convention.invert(inputs), pixels, atol=1e-3)
    low, high = convention.value_range()
    np.testing.assert_allclose(convention.apply(np.zeros((1, 1, 3)))[0, 0], np.broadcast_to(low, 3), atol=1e-5)
    np.testing.assert_allclose(convention.apply(np.full((1, 1, 3), 255))[0, 0], np.broadcast_to(high, 3), atol=1e-5)


def test_float_arrays_are_copied_too():
    pixels = np.ones((2, 2, 3), np.float32)
    preprocessing.get("none").apply(pixels)[:] = 7
    assert (pixels == 1).all()


def test_caffe_is_bgr():
    assert preprocessing.get("caffe").apply(np.uint8([[[255, 0, 0]]]))[0, 0].tolist() == pytest.approx(
        [-103.939, -116.779, 131.32]
    )


def test_one_channel():
    gray = np.full((1, 2, 2, 1), 255, np.uint8)
    assert preprocessing.get("unit").apply(gray).max() == 1
    with pytest.raises(ValueError, match=r"shape \(\.\.\., height, width, 3\)"):
        preprocessing.get("caffe").apply(gray)


@pytest.mark.parametrize("wrong", ["cafe", "mean=a", "mean=1/2,std=1", "std=0", "mean=nan", "average=3", "", None])
def test_wrong_names_are_refused(wrong):
    with pytest.raises(ValueError, match="mean=127,std=128"):
        preprocessing.get(wrong)


def test_the_closest_name_is_offered():
    with pytest.raises(ValueError, match="Did you mean caffe"):
        preprocessing.get("cafe")


@pytest.mark.parametrize("dtype", [bool, complex, "U1", object])
def test_pixels_are_numbers(dtype):
    """A mask of True and False became a picture of 0 and 1, which is black."""
    with pytest.raises(ValueError, match=r"images must be numbers in 0\.\.255, got"):
        preprocessing.get("unit").apply(np.ones((4, 4, 3), dtype))
