"""The cut: seeds as the paper counts them, the square that it must find, both solvers alike, and clear refusals."""

import cv2
import numpy as np
import pytest

from kerasal import localization
from kerasal.localization.graph_cut import cut_by_color, cut_by_evidence, fit_colors, log_density

RANDOM = np.random.default_rng(3)
SQUARE = (20, 12, 44, 40)


def _scene(noise=12):
    """A red square on green, and a map that is strong on a part of it, weak on the rest, and random elsewhere."""
    image = np.empty((64, 72, 3))
    image[:] = (60, 140, 70)
    x_min, y_min, x_max, y_max = SQUARE
    image[y_min:y_max, x_min:x_max] = (190, 60, 50)
    image += RANDOM.normal(0, noise, image.shape)
    saliency = RANDOM.random((64, 72)) * 0.1
    saliency[y_min:y_max, x_min:x_max] += 0.1
    saliency[18:34, 26:40] += 0.5 + 0.5 * RANDOM.random((16, 14))
    return np.clip(image, 0, 255).astype(np.uint8), saliency


def test_seeds_are_five_and_thirty_percent_of_distinct_values():
    values = RANDOM.permutation(10_000).reshape(100, 100).astype(float)
    foreground, background = localization.seeds(values)
    assert foreground.sum() == 500
    assert background.sum() == 3000
    assert values[foreground].min() > values[~foreground].max()
    assert values[background].max() < values[~background].min()


def test_seeds_of_a_map_of_mostly_zeros_are_never_empty():
    values = np.zeros((20, 20))
    values[:4, :4] = 1
    foreground, background = localization.seeds(values, 0.97, 0.3)
    assert (foreground == (values == 1)).all()
    assert (background == (values == 0)).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clamp": True, "foreground": 0.96},
        {"components": 2},
        {"iterations": 3},
        {"prior": 10.0, "blur": 0.02},
        {"resolution": 48},
    ],
    ids=str,
)
def test_a_colored_square_is_found(options):
    image, saliency = _scene()
    mask = localization.graphcut(image, saliency, **options)
    assert mask.dtype == bool
    assert mask.shape == image.shape[:2]
    assert localization.iou(localization.bounding_box(mask), SQUARE) > 0.9


def test_the_largest_part_alone_is_the_object():
    image, saliency = _scene()
    image[50:56, 60:66] = (190, 60, 50)
    saliency[50:56, 60:66] = 0.15
    found = localization.segment(image, saliency)
    assert found.whole[52, 62]
    assert not found.mask[52, 62]


def test_clamped_seeds_stay_and_free_ones_may_change():
    image, saliency = _scene()
    saliency[60:63, 3:6] = 2.0  # a grain on the background, which its color gives away
    free = localization.graphcut(image, saliency)
    kept = localization.segment(image, saliency, clamp=True)
    assert not free[61, 4]
    assert kept.whole[61, 4]


def _one_gaussian(mean, deviation):
    """A color model in OpenCV's layout: one gray Gaussian, four of no weight."""
    model = np.zeros(65)
    model[0], model[5:8], model[20:29] = 1, mean, (deviation**2 * np.eye(3)).ravel()
    return model


@pytest.mark.parametrize("number", range(3))
def test_both_solvers_cut_alike_where_colors_are_all(number):
    """OpenCV's minimum cut and SciPy's maximum flow of the energy in the docstring: an oracle for each other."""
    noise = np.random.default_rng(number).integers(0, 255, (60, 70, 3)).astype(np.float32)
    image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    inner, outer = _one_gaussian(image.mean() + 12, 8.0), _one_gaussian(image.mean() - 12, 8.0)
    free = np.full(image.shape[:2], cv2.GC_PR_BGD, np.uint8)
    evidence = log_density(image, inner) - log_density(image, outer)
    one, other = cut_by_color(image, inner, outer, free), cut_by_evidence(image, evidence)
    assert 0.02 < one.mean() < 0.98
    assert (one != other).mean() < 0.001
    assert (one != (evidence > 0)).mean() > 0.01  # neighbors did change something


def test_log_density_is_the_mixture_formula():
    pixels = RANDOM.integers(0, 255, (300, 3)).astype(np.uint8)
    model = fit_colors(pixels, 2, 0)
    weights, means, covariances = model[:5], model[5:20].reshape(5, 3), model[20:].reshape(5, 3, 3)
    at = pixels[7].astype(float)
    expected = 0.0
    for weight, mean, covariance in zip(weights[:2], means, covariances, strict=False):
        distance = (at - mean) @ np.linalg.inv(covariance) @ (at - mean)
        expected += weight / np.sqrt(np.linalg.det(covariance)) * np.exp(-0.5 * distance)
    assert np.isclose(log_density(pixels, model)[7], np.log(expected))
    assert np.isclose(weights.sum(), 1)


def test_the_prior_bends_the_cut_to_the_map():
    """On an image of noise colors say nothing: with a strong prior the mask is where the map exceeds its level."""
    image = RANDOM.integers(0, 255, (48, 48, 3)).astype(np.uint8)
    y, x = np.mgrid[:48, :48]
    saliency = np.exp(-((x - 20) ** 2 + (y - 26) ** 2) / 200.0)
    mask = localization.graphcut(image, saliency, prior=300.0, color=0.0, level=0.3)
    assert localization.iou(localization.bounding_box(mask), localization.bounding_box(saliency > 0.3)) > 0.9
    assert not localization.graphcut(image, saliency, prior=300.0, color=0.0, level=0.9)[26, 28]


def test_a_cut_that_leaves_nothing_falls_back_on_the_seeds():
    image, _ = _scene(noise=0)
    image[:] = image[0, 0]
    image[0, 0] = 0
    saliency = RANDOM.random(image.shape[:2])
    assert localization.graphcut(image, saliency).any()


def test_a_single_pixel_can_be_a_seed():
    image = np.full((3, 3, 3), 200, np.uint8)
    image[1:, :] = (30, 60, 20)
    saliency = np.arange(9.0).reshape(3, 3)
    mask = localization.graphcut(image, saliency)
    assert mask[2, 2]
    assert not mask[0, 0]


def test_a_prior_of_no_positive_value_is_refused():
    image, saliency = _scene()
    with pytest.raises(ValueError, match="must have positive values with a prior"):
        localization.graphcut(image, saliency - 5, prior=20.0)
    assert localization.graphcut(image, saliency - 5).any()


def test_the_seed_and_the_inputs():
    image, saliency = _scene()
    before = image.copy(), saliency.copy()
    one, other = (localization.graphcut(image, saliency, seed=5) for _ in range(2))
    assert (one == other).all()
    assert (image == before[0]).all()
    assert (saliency == before[1]).all()


def test_bad_maps_and_images_are_refused():
    image, saliency = _scene()
    with pytest.raises(ValueError, match="is 0 everywhere"):
        localization.graphcut(image, np.zeros((64, 72)))
    with pytest.raises(ValueError, match="resize=True"):
        localization.graphcut(image, saliency[:32])
    with pytest.raises(ValueError, match="NaN"):
        localization.graphcut(image, np.where(saliency > 0.5, np.nan, saliency))
    with pytest.raises(ValueError, match="one color"):
        localization.graphcut(np.full_like(image, 90), saliency)
    with pytest.raises(ValueError, match="not model inputs"):
        localization.graphcut(image / 255, saliency)
    with pytest.raises(ValueError, match="Reduce its channels"):
        localization.graphcut(image, np.stack([saliency] * 3, axis=-1))
    with pytest.raises(ValueError, match="quantiles"):
        localization.graphcut(image, saliency, foreground=0.2)
    with pytest.raises(ValueError, match="components"):
        localization.graphcut(image, saliency, components=6)


def test_one_color_is_no_obstacle_to_the_prior():
    _, saliency = _scene()
    mask = localization.graphcut(np.full((64, 72, 3), 90, np.uint8), saliency, prior=20.0)
    assert mask[26, 33]
    assert not mask[5, 60]


def test_a_map_of_another_size_is_resized_when_asked():
    image, saliency = _scene()
    small = cv2.resize(saliency, (36, 32), interpolation=cv2.INTER_AREA)
    mask = localization.graphcut(image, small, resize=True)
    assert mask.shape == (64, 72)
    assert localization.iou(localization.bounding_box(mask), SQUARE) > 0.9


def test_threshold_component_and_box():
    values = np.zeros((10, 12))
    values[2:5, 3:9] = 1.0
    values[8, 1] = 0.6
    mask = localization.threshold(values, 0.5)
    assert mask.sum() == 19
    assert localization.bounding_box(mask) == (1, 2, 9, 9)
    assert localization.bounding_box(localization.largest_component(mask)) == (3, 2, 9, 5)
    assert localization.threshold(values, 0.9, of="quantile").sum() <= 18
    diagonal = np.eye(4, dtype=bool)
    assert (localization.largest_component(diagonal) == diagonal).all()  # 8-connected
    with pytest.raises(ValueError, match="everywhere"):
        localization.threshold(np.ones((4, 4)))
    with pytest.raises(ValueError, match="empty"):
        localization.bounding_box(np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match=r"must be bool \(H, W\)"):
        localization.bounding_box(values)
