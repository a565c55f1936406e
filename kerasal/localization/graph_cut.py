"""Minimum cuts of the pixel grid of an image between an object and a background model of its colors."""

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

# OpenCV's grabCut takes mixtures of exactly five components; unused ones have the weight 0.
COMPONENTS = 5
_ITERATIONS = 10
# Added to nearly singular covariances, in squared gray levels: seeds of a single color have no variance.
_ADDED_VARIANCE = 1.0


def fit_colors(pixels: np.ndarray, components: int, seed: int) -> np.ndarray:
    """Return a Gaussian mixture fitted to pixels, uint8 (n, 3): k-means, then the moments of each cluster.

    Returns:
        The model in the format of OpenCV, float64 (65,): five weights, five means, five full covariances.
    """
    count = min(components, len(np.unique(pixels, axis=0)))
    clusters = np.zeros((len(pixels), 1), np.int32)
    if count > 1:  # OpenCV mistakes a single pixel for three values
        cv2.setRNGSeed(seed)
        stop = (cv2.TERM_CRITERIA_MAX_ITER, _ITERATIONS, 0)
        _, clusters, _ = cv2.kmeans(pixels.astype(np.float32), count, clusters, stop, 1, cv2.KMEANS_PP_CENTERS)
    weights, means, covariances = (
        np.zeros(COMPONENTS),
        np.zeros((COMPONENTS, 3)),
        np.zeros((COMPONENTS, 3, 3)),
    )
    for number in range(count):
        members = pixels[clusters[:, 0] == number].astype(np.float64)
        if not len(members):
            continue
        weights[number], means[number] = len(members) / len(pixels), members.mean(axis=0)
        covariance = np.cov(members.T, bias=True)
        nearly_singular = np.linalg.eigvalsh(covariance)[0] < _ADDED_VARIANCE
        covariances[number] = covariance + (_ADDED_VARIANCE * np.eye(3) if nearly_singular else 0)
    return np.concatenate([weights, means.ravel(), covariances.ravel()])


def log_density(pixels: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return the log-density of a mixture at pixels (..., 3), up to the constant that all Gaussians share."""
    weights, means = model[:COMPONENTS], model[COMPONENTS : 4 * COMPONENTS].reshape(COMPONENTS, 3)
    covariances = model[4 * COMPONENTS :].reshape(COMPONENTS, 3, 3)
    used = np.flatnonzero(weights)
    points = pixels.reshape(-1, 1, 3).astype(np.float64) - means[used]
    inverses = np.linalg.inv(covariances[used])
    distances = np.einsum("nki,kij,nkj->nk", points, inverses, points, optimize=True)
    exponents = np.log(weights[used]) - 0.5 * np.linalg.slogdet(covariances[used])[1] - 0.5 * distances
    highest = exponents.max(axis=1)
    return (highest + np.log(np.exp(exponents - highest[:, None]).sum(axis=1))).reshape(pixels.shape[:-1])


GAMMA = 50.0
# SciPy's flows are integers, so costs are rounded to hundredths.
_STEPS_PER_UNIT = 100
_NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))


def cut_by_color(image: np.ndarray, foreground: np.ndarray, background: np.ndarray, labels: np.ndarray):
    """Return the object's mask, bool (H, W), of a minimum cut by the color models: GrabCut with γ = 50.

    The cost U of a pixel is its -log density in the model of its side. OpenCV makes a single cut and does not fit the
    models again. ``labels`` are OpenCV's mask: pixels labeled GC_FGD or GC_BGD keep their side.
    """
    models = background[None].copy(), foreground[None].copy()
    result, _, _ = cv2.grabCut(image, labels.copy(), (0, 0, 0, 0), *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (result == cv2.GC_FGD) | (result == cv2.GC_PR_FGD)


def cut_by_evidence(image: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return the object's mask, bool (H, W), of a minimum cut by the ``evidence`` of each pixel for the object, (H, W).

    The evidence is the cost U of a pixel in the background minus its cost in the object. The cut is computed by SciPy's
    maximum flow. If the evidence is that of the colors alone, the mask is the same as that of ``cut_by_color``.
    """
    count = evidence.size
    source, sink = count, count + 1
    first, second, weights = _edges(image)
    evidence = evidence.ravel()
    positive, negative = np.flatnonzero(evidence > 0), np.flatnonzero(evidence < 0)
    rows = np.concatenate([first, second, np.full(positive.size, source), negative])
    columns = np.concatenate([second, first, positive, np.full(negative.size, sink)])
    values = np.concatenate([weights, weights, evidence[positive], -evidence[negative]])
    costs = np.round(np.minimum(values, 1e6) * _STEPS_PER_UNIT).astype(np.int32)
    capacities = csr_array((costs, (rows, columns)), shape=(count + 2, count + 2))
    residual = capacities - maximum_flow(capacities, source, sink, method="dinic").flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return reached[:count].reshape(image.shape[:2])


def _edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the numbers of the two pixels and the weight of each pair of neighbors."""
    height, width = image.shape[:2]
    numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
    colors = image.astype(np.float64)
    firsts, seconds, distances, lengths = [], [], [], []
    for down, right in _NEIGHBORS:
        first = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        second = slice(down, height), slice(max(0, right), width + min(0, right))
        firsts.append(numbers[first].ravel())
        seconds.append(numbers[second].ravel())
        distances.append(((colors[first] - colors[second]) ** 2).sum(axis=-1).ravel())
        lengths.append(np.full(firsts[-1].size, np.hypot(down, right)))
    distances = np.concatenate(distances)
    mean = distances.mean() if distances.size else 0.0
    beta = 1 / (2 * mean) if mean > 0 else 0.0
    weights = GAMMA * np.exp(-beta * distances) / np.concatenate(lengths)
    return np.concatenate(firsts), np.concatenate(seconds), weights
