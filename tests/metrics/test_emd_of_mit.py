"""``emd`` at sizes that ``downsize`` does not divide, against MIT's EMD.m written out slowly.

EMD.m resizes the fixation map by the factor 1 / downsize and the saliency map to the resulting size. The references
here use loops over Matlab's formula for ``imresize`` and a general linear program, and nothing of kerasal.
"""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from kerasal import metrics


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resize_axis(array, size, scale):
    """Resize the first axis: output pixel x lies at u = x / scale + (1 - 1 / scale) / 2, counted from 1."""
    length = len(array)
    result = np.zeros((size, *array.shape[1:]))
    for x in range(1, size + 1):
        u, total = x / scale + 0.5 * (1 - 1 / scale), 0.0
        for position in range(math.floor(u - 2 / scale) - 1, math.ceil(u + 2 / scale) + 2):
            weight = cubic(scale * (u - position))
            index = position
            while not 1 <= index <= length:  # symmetric edges
                index = 1 - index if index < 1 else 2 * length + 1 - index
            result[x - 1] += weight * array[index - 1]
            total += weight
        result[x - 1] /= total
    return result


def resize(array, shape, scales):
    return resize_axis(resize_axis(array, shape[0], scales[0]).T, shape[1], scales[1]).T


def transport(first, second):
    """Return the cost of the cheapest transport between two equal masses with signs, by linear programming."""
    difference = (first - second).reshape(-1)
    places = np.argwhere(np.ones(first.shape))
    source, sink = np.flatnonzero(difference > 0), np.flatnonzero(difference < 0)
    cost = np.linalg.norm(places[source][:, None] - places[sink], axis=-1)
    rows = scipy.sparse.kron(scipy.sparse.eye(len(source)), np.ones((1, len(sink))))
    columns = scipy.sparse.kron(np.ones((1, len(source))), scipy.sparse.eye(len(sink)))
    moved = np.concatenate([difference[source], -difference[sink]])
    # the last condition follows from the others, and rounding errors would contradict it
    conditions = scipy.sparse.vstack([rows, columns]).tocsr()[:-1]
    result = scipy.optimize.linprog(cost.reshape(-1), A_eq=conditions, b_eq=moved[:-1], method="highs-ds")
    assert result.success, result.message
    return result.fun


def emd_of_mit(saliency, density, downsize):
    shape = tuple(math.ceil(size / downsize) for size in density.shape)
    first = resize(density, shape, (1 / downsize, 1 / downsize))
    second = resize(saliency, shape, [new / old for new, old in zip(shape, saliency.shape, strict=True)])
    return transport(first / first.sum(), second / second.sum())


def random_maps(shape, seed=0):
    random = np.random.default_rng(seed)
    points = random.uniform(0, 1, (30, 2)) * (shape[1] - 1, shape[0] - 1)
    other = random.uniform(0, 1, (20, 2)) ** 2 * (shape[1] - 1, shape[0] - 1)
    sigma = shape[0] / 25
    return metrics.blur_fixations(other, sigma, shape), metrics.blur_fixations(points, sigma, shape)


@pytest.mark.parametrize(("shape", "downsize"), [((150, 200), 8), ((600, 800), 32), ((250, 333), 32), ((120, 160), 8)])
def test_two_resizes_as_at_mit(shape, downsize):
    saliency, density = random_maps(shape)
    assert metrics.emd(saliency, density, downsize=downsize) == pytest.approx(
        emd_of_mit(saliency, density, downsize), abs=1e-6
    )


def test_a_map_of_another_size_is_resized_once():
    saliency, _ = random_maps((75, 100), seed=1)
    density = random_maps((150, 200))[1]
    assert metrics.emd(saliency, density, downsize=8, resize="matlab") == pytest.approx(
        emd_of_mit(saliency, density, 8), abs=1e-6
    )


def test_a_map_and_itself():
    saliency, _ = random_maps((96, 128))
    assert metrics.emd(saliency, saliency, downsize=32) == 0
    gaussian = metrics.center_map((600, 800))
    assert metrics.emd(gaussian, gaussian, downsize=32) == pytest.approx(emd_of_mit(gaussian, gaussian, 32), abs=1e-6)
    assert metrics.emd(gaussian, gaussian, downsize=32) == pytest.approx(0.094, abs=0.001)
