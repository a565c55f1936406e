"""Densities: SciPy's Gaussian filter, the named widths, and visual angle."""

import numpy as np
import pytest

from kerasal import metrics

ndimage = pytest.importorskip("scipy.ndimage")
POINTS = np.array([[3, 2], [3, 2], [30, 1], [0, 23], [31.7, 23.2]])


@pytest.mark.parametrize("sigma", [0.6, 2, 9.6, 40])
def test_blur_is_the_gaussian_filter(sigma):
    counts = np.zeros((24, 32))
    x, y = np.floor(POINTS).astype(int).T
    np.add.at(counts, (y, x), 1)
    wanted = ndimage.gaussian_filter(counts, sigma)
    np.testing.assert_allclose(metrics.blur_fixations(POINTS, sigma, (24, 32)), wanted, atol=1e-14)
    np.testing.assert_allclose(metrics.blur_fixations(counts, sigma), wanted, atol=1e-14)
    dense = counts + 1  # more fixations than rows: the other way of computing it
    np.testing.assert_allclose(metrics.blur_fixations(dense, sigma), ndimage.gaussian_filter(dense, sigma), atol=1e-12)
    once = ndimage.gaussian_filter((counts > 0).astype(float), sigma)
    np.testing.assert_allclose(metrics.blur_fixations(counts, sigma, duplicates=False), once, atol=1e-14)


def test_named_widths():
    assert metrics.SIGMAS == {"coursework": 19.0, "osie": 24.0}
    shape = (60, 80)
    named = metrics.blur_fixations(POINTS, "osie", shape)
    np.testing.assert_array_equal(named, metrics.blur_fixations(POINTS, 24, shape))


def test_visual_angle():
    # 1 degree at 57.2943 cm is 1 cm
    assert metrics.degrees_to_pixels(1, distance=57.2943, screen_width=40, screen_pixels=800) == pytest.approx(
        20, abs=1e-3
    )
    with pytest.raises(ValueError, match="distance must be a positive number"):
        metrics.degrees_to_pixels(1, distance=0, screen_width=40, screen_pixels=800)


@pytest.mark.parametrize("sigma", [0, -1, np.nan, "blurry"])
def test_no_such_width(sigma):
    with pytest.raises(ValueError, match="sigma must be a positive number of pixels or one of coursework, osie"):
        metrics.blur_fixations(POINTS, sigma, (24, 32))


def test_coordinates_need_a_shape():
    with pytest.raises(ValueError, match="with its shape"):
        metrics.blur_fixations(POINTS, 2)
