"""The density of fixations that some observers predict for another: Gaussian kernels, a center and a uniform floor.

This is the gold standard of Kümmerer et al. 2015, "Information-theoretic model comparison unifies saliency metrics"
(PNAS 112), as in pysaliency: kernels at the fixations of the other observers, mixed with a center and a uniform density
so that no position has the density 0. Here the center is the center baseline of ``kerasal.metrics``.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from kerasal.metrics.blur import blur_matrix, center_map

BANDWIDTHS = (0.01, 0.0125, 0.016, 0.02, 0.025, 0.032, 0.04, 0.05, 0.063, 0.08, 0.1)
CENTERS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
UNIFORMS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """The width of the Gaussian kernels as a share of the image's width, and the shares of center and uniform map."""

    sigma: float
    center: float
    uniform: float


MIXTURES = tuple(Mixture(*values) for values in itertools.product(BANDWIDTHS, CENTERS, UNIFORMS))
"""The mixtures among which cross-validation chooses."""


def predict_density(points: np.ndarray, shape: tuple[int, int], mixture: Mixture) -> np.ndarray:
    """Return the density that fixations (n, 2) predict for another observer, float64 (H, W), positive, with sum 1."""
    rows, columns = _kernels(points, shape, mixture.sigma)
    return _mix(rows @ columns.T / len(points), mixture)


def _mix(kernels: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return the mixture of a density (H, W) with the center and the uniform density."""
    center = center_map(kernels.shape)
    share = 1 - mixture.center - mixture.uniform
    return share * kernels + mixture.center * center / center.sum() + mixture.uniform / center.size


def left_out_densities(
    points: np.ndarray, subjects: np.ndarray, shape: tuple[int, int], mixture: Mixture
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each observer which fixations are theirs, bool (n,), and the density that the others predict."""
    rows, columns = _kernels(points, shape, mixture.sigma)
    total = rows @ columns.T
    for observer in np.unique(subjects):
        own = subjects == observer
        others = np.maximum(total - rows[:, own] @ columns[:, own].T, 0)  # rounding can leave less than 0
        yield own, _mix(others / (~own).sum(), mixture)


def score_mixtures(points: np.ndarray, subjects: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return for each of ``MIXTURES`` the mean log-likelihood of the fixations under the density of other observers.

    The unit is nats per fixation above the uniform density, so that images of different sizes can be averaged.
    """
    x, y = _pixels(points, shape)
    center = center_map(shape)
    at_center = (center[y, x] * (center.size / center.sum()))[None, None]
    others = subjects[:, None] != subjects
    shares, floors = (np.array(values)[:, None] for values in (CENTERS, UNIFORMS))
    scores = []
    for sigma in BANDWIDTHS:
        rows, columns = _kernels(points, shape, sigma)
        pairs = rows[y] * columns[x] * others
        kernels = center.size * pairs.sum(axis=1) / others.sum(axis=1)
        floor = floors[None]
        share = shares[:, None]
        densities = (1 - share - floor) * kernels + share * at_center + floor
        scores.append(np.log(densities).mean(axis=-1))
    return np.stack(scores).reshape(-1)


def reliability(points: np.ndarray, subjects: np.ndarray, shape: tuple[int, int], sigma: float) -> float:
    """Return the correlation that the blurred fixations of all observers are expected to have with the true density.

    The true density is the mean of blurred fixations over infinitely many such observers. Its variance over pixels is
    the mean covariance c of the maps of two observers, so the correlation with the map of n observers, whose variance
    has the mean v, is √(n c / (v + (n − 1) c)), the root of Cronbach's alpha. No map can be expected to have a higher
    CC with the density of these observers. ``sigma`` is the width of the blur as a share of the image's width.
    """
    rows, columns = _kernels(points, shape, sigma)
    names, observer = np.unique(subjects, return_inverse=True)
    member = np.eye(len(names))[observer]
    sums = rows.sum(axis=0) * columns.sum(axis=0) @ member
    pixels = shape[0] * shape[1]
    if len(points) ** 2 * sum(shape) < pixels * (len(points) + len(names) ** 2):
        products = member.T @ ((rows.T @ rows) * (columns.T @ columns)) @ member
    else:  # of many fixations, the maps of the observers cost less than the pairs of fixations
        maps = np.stack([(rows[:, own] @ columns[:, own].T).ravel() for own in member.T == 1])
        products = maps @ maps.T
    covariance = products / pixels - np.outer(sums, sums) / pixels**2
    variance = float(np.trace(covariance)) / len(names)
    shared = (float(covariance.sum()) / len(names) - variance) / (len(names) - 1)
    return float(np.sqrt(max(shared, 0.0) * len(names) / (variance + (len(names) - 1) * max(shared, 0.0))))


def _pixels(points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.minimum(np.asarray(points).astype(int), np.array(shape[::-1]) - 1).T
    return x, y


def _kernels(points: np.ndarray, shape: tuple[int, int], sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussian kernels at points along the rows (H, n) and the columns (W, n), with sums of 1."""
    x, y = _pixels(points, shape)
    width = sigma * shape[1]
    return blur_matrix(shape[0], width, y), blur_matrix(shape[1], width, x)
