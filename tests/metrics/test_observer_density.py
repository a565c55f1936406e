"""The density of the other observers, against a slow version of it, and the reliability, against a simulation."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from kerasal import metrics
from kerasal.metrics import observer_density
from kerasal.metrics.observer_density import MIXTURES, Mixture

SHAPE = (30, 40)


def make_points(observers=4, each=6, seed=0):
    random = np.random.default_rng(seed)
    points = np.clip(random.normal((26, 12), (6, 4), (observers * each, 2)), 0, (39, 29))
    return points, np.repeat(np.arange(observers), each)


def slow_density(points, mixture):
    counts = np.zeros(SHAPE)
    for x, y in points.astype(int):
        counts[y, x] += 1 / len(points)
    kernels = gaussian_filter(counts, mixture.sigma * SHAPE[1], mode="reflect", truncate=4)
    center = metrics.center_map(SHAPE)
    share = 1 - mixture.center - mixture.uniform
    return share * kernels + mixture.center * center / center.sum() + mixture.uniform / center.size


def test_the_density_is_that_of_a_gaussian_filter():
    points, _ = make_points()
    mixture = Mixture(0.05, 0.2, 0.03)
    density = observer_density.predict_density(points, SHAPE, mixture)
    np.testing.assert_allclose(density, slow_density(points, mixture), atol=1e-15)
    assert density.sum() == pytest.approx(1) and density.min() >= 0.03 / density.size


def test_each_observer_is_predicted_by_the_others():
    points, subjects = make_points()
    mixture = Mixture(0.04, 0.1, 0.01)
    found = list(observer_density.left_out_densities(points, subjects, SHAPE, mixture))
    assert len(found) == 4
    for observer, (own, density) in enumerate(found):
        np.testing.assert_array_equal(own, subjects == observer)
        np.testing.assert_allclose(density, slow_density(points[subjects != observer], mixture), atol=1e-15)


def test_the_likelihoods_are_those_of_the_densities():
    points, subjects = make_points()
    found = observer_density.score_mixtures(points, subjects, SHAPE)
    for number in (0, 17, 101, len(MIXTURES) - 1):
        wanted = []
        for observer in range(4):
            density = slow_density(points[subjects != observer], MIXTURES[number])
            x, y = points[subjects == observer].astype(int).T
            wanted.append(np.log(density[y, x] * density.size).mean())
        assert found[number] == pytest.approx(np.mean(wanted))


def test_the_reliability_is_the_correlation_with_the_truth():
    """Observers are drawn from a known density, whose blurred version is the best prediction of their blurred maps."""
    random = np.random.default_rng(0)
    y, x = np.indices(SHAPE)
    truth = np.exp(-((x - 12) ** 2 + (y - 9) ** 2) / 30) + 0.6 * np.exp(-((x - 29) ** 2 + (y - 20) ** 2) / 50) + 0.1
    truth /= truth.sum()
    best = gaussian_filter(truth, 0.05 * SHAPE[1], mode="reflect")
    reliabilities, correlations = [], []
    for _ in range(40):
        drawn = random.choice(truth.size, 8 * 15, p=truth.ravel())
        points, subjects = np.stack([drawn % SHAPE[1], drawn // SHAPE[1]], axis=1), np.repeat(np.arange(8), 15)
        reliabilities.append(observer_density.reliability(points, subjects, SHAPE, 0.05))
        correlations.append(metrics.cc(best, metrics.blur_fixations(points, 0.05 * SHAPE[1], SHAPE)))
    assert np.mean(correlations) < 0.95
    assert np.mean(reliabilities) == pytest.approx(np.mean(correlations), abs=0.015)


@pytest.mark.parametrize("count", [8, 200], ids=["from pairs of fixations", "from maps of observers"])
def test_the_reliability_follows_from_the_covariance_of_the_observers(count):
    random = np.random.default_rng(count)
    subjects = np.arange(count) % 4
    points = random.normal((20, 15), 4, (count, 2)).clip(0, 29)
    maps = [metrics.blur_fixations(points[subjects == one], 0.05 * SHAPE[1], SHAPE).ravel() for one in range(4)]
    covariance = np.cov(maps, bias=True)
    variance = np.trace(covariance) / 4
    shared = (covariance.sum() / 4 - variance) / 3
    expected = np.sqrt(shared * 4 / (variance + 3 * shared))
    assert observer_density.reliability(points, subjects, SHAPE, 0.05) == pytest.approx(expected, rel=1e-3)


def test_observers_who_share_nothing_have_no_reliability():
    points = np.array([[2, 2], [36, 2], [2, 26], [36, 26]])
    assert observer_density.reliability(points, np.arange(4), SHAPE, 0.03) == 0
