"""The minimum cut of a grid between two color models, each pixel drawn to one of them and to its neighbors."""

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

# OpenCV's grabCut knows mixtures of exactly five; fewer are five of which some have no weight.
MOST = 5
_ITERATIONS = 10
# Added to a covariance that is nearly singular, in squared gray levels: a seed region of one color has none.
_SPREAD = 1.0


def fit_colors(pixels: np.ndarray, components: int, seed: int) -> np.ndarray:
    """Fit a Gaussian mixture to pixels uint8 (n, 3): k-means, then each cluster's share, mean and full covariance.

    Returns:
        (65,) float64, OpenCV's model: five weights, five means, five covariances.
    """
    found = min(components, len(np.unique(pixels, axis=0)))
    clusters = np.zeros((len(pixels), 1), np.int32)
    if found > 1:  # OpenCV takes a single pixel for three values
        cv2.setRNGSeed(seed)
        stop = (cv2.TERM_CRITERIA_MAX_ITER, _ITERATIONS, 0)
        _, clusters, _ = cv2.kmeans(pixels.astype(np.float32), found, clusters, stop, 1, cv2.KMEANS_PP_CENTERS)
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


GAMMA = 50.0
# Flows are whole numbers: costs are counted in hundredths.
_STEPS = 100
_NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))


def cut_by_color(picture: np.ndarray, foreground: np.ndarray, background: np.ndarray, labels: np.ndarray):
    """Return the cut for U = -log of the color models' densities and γ = 50, by OpenCV: one, the models held fixed.

    ``labels`` are OpenCV's: GC_FGD and GC_BGD are kept, the rest is free.
    """
    models = background[None].copy(), foreground[None].copy()
    found, _, _ = cv2.grabCut(picture, labels.copy(), (0, 0, 0, 0), *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (found == cv2.GC_FGD) | (found == cv2.GC_PR_FGD)


def cut_by_evidence(picture: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return the cut for any evidence U(background) - U(object), (H, W), by SciPy's maximum flow.

    OpenCV takes its U from colors alone; where that is all there is, both give the same mask.
    """
    count = evidence.size
    source, sink = count, count + 1
    one, other, weights = _edges(picture)
    evidence = evidence.ravel()
    drawn, repelled = np.flatnonzero(evidence > 0), np.flatnonzero(evidence < 0)
    rows = np.concatenate([one, other, np.full(drawn.size, source), repelled])
    columns = np.concatenate([other, one, drawn, np.full(repelled.size, sink)])
    values = np.concatenate([weights, weights, evidence[drawn], -evidence[repelled]])
    whole = np.round(np.minimum(values, 1e6) * _STEPS).astype(np.int32)
    capacities = csr_array((whole, (rows, columns)), shape=(count + 2, count + 2))
    left = capacities - maximum_flow(capacities, source, sink, method="dinic").flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:count].reshape(picture.shape[:2])


def _edges(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both ends and the weight of each pair of neighbors."""
    height, width = picture.shape[:2]
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    colors = picture.astype(np.float64)
    ones, others, distances, lengths = [], [], [], []
    for down, right in _NEIGHBORS:
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width + min(0, right))
        ones.append(numbers[here].ravel())
        others.append(numbers[there].ravel())
        distances.append(((colors[here] - colors[there]) ** 2).sum(axis=-1).ravel())
        lengths.append(np.full(ones[-1].size, np.hypot(down, right)))
    distances = np.concatenate(distances)
    mean = distances.mean() if distances.size else 0.0
    beta = 1 / (2 * mean) if mean > 0 else 0.0
    weights = GAMMA * np.exp(-beta * distances) / np.concatenate(lengths)
    return np.concatenate(ones), np.concatenate(others), weights
