"""Colour models: mixtures of at most five Gaussians, fitted as GrabCut does, laid out as OpenCV wants them."""

import cv2
import numpy as np

# OpenCV's grabCut knows mixtures of exactly five; fewer are five of which some have no weight.
MOST = 5
_ITERATIONS = 10
# Added to a covariance that is nearly singular, in squared grey levels: a seed region of one colour has none.
_SPREAD = 1.0


def fit_colours(pixels: np.ndarray, components: int, seed: int) -> np.ndarray:
    """Fit a Gaussian mixture to pixels uint8 (n, 3): k-means, then each cluster's share, mean and full covariance.

    Returns:
        (65,) float64, OpenCV's model: five weights, five means, five covariances.
    """
    found = min(components, len(np.unique(pixels, axis=0)))
    clusters = np.zeros((len(pixels), 1), np.int32)
    if found > 1:  # OpenCV takes a single pixel for three values
        cv2.setRNGSeed(seed)
        stop = (cv2.TERM_CRITERIA_MAX_ITER, _ITERATIONS, 0)
        _, clusters, _ = cv2.kmeans(pixels.astype(np.float32), found, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    weights, means, covariances = np.zeros(MOST), np.zeros((MOST, 3)), np.zeros((MOST, 3, 3))
    for number in range(found):
        mine = pixels[clusters[:, 0] == number].astype(np.float64)
        if not len(mine):
            continue
        weights[number], means[number] = len(mine) / len(pixels), mine.mean(axis=0)
        covariance = np.cov(mine.T, bias=True)
        nearly_flat = np.linalg.eigvalsh(covariance)[0] < _SPREAD
        covariances[number] = covariance + (_SPREAD * np.eye(3) if nearly_flat else 0)
    return np.concatenate([weights, means.ravel(), covariances.ravel()])


def log_density(pixels: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return the log of a mixture's density at pixels (..., 3), up to the constant that all Gaussians share."""
    weights, means = model[:MOST], model[MOST : 4 * MOST].reshape(MOST, 3)
    covariances = model[4 * MOST :].reshape(MOST, 3, 3)
    used = np.flatnonzero(weights)
    points = pixels.reshape(-1, 1, 3).astype(np.float64) - means[used]
    inverses = np.linalg.inv(covariances[used])
    distances = np.einsum("nki,kij,nkj->nk", points, inverses, points, optimize=True)
    exponents = np.log(weights[used]) - 0.5 * np.linalg.slogdet(covariances[used])[1] - 0.5 * distances
    highest = exponents.max(axis=1)
    return (highest + np.log(np.exp(exponents - highest[:, None]).sum(axis=1))).reshape(pixels.shape[:-1])
