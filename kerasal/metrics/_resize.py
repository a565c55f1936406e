"""Matlab's ``imresize``, on which the benchmark's numbers depend: bicubic a = -0.5, antialiased, symmetric edges."""

import functools

import numpy as np


def imresize(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a two-dimensional float64 ``array`` to ``shape``; the result can overshoot, also below zero."""
    rows, columns = (_weights(old, new) for old, new in zip(array.shape, shape, strict=True))
    if shape[0] * array.shape[1] <= array.shape[0] * shape[1]:  # the axis that shrinks first leaves less work
        return (rows @ array) @ columns.T
    return rows @ (array @ columns.T)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the Keys kernel with a = -0.5 (Keys 1981, eq. 15)."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@functools.lru_cache(maxsize=16)
def _weights(old: int, new: int) -> np.ndarray:
    """Return the (new, old) matrix that resizes one axis; shrinking widens the kernel by the same factor."""
    scale = min(new / old, 1.0)
    width = 4 / scale
    centre = (np.arange(1, new + 1) - 0.5) * old / new + 0.5
    taps = np.floor(centre - width / 2)[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = scale * _cubic(scale * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    place = (taps.astype(np.int64) - 1) % (2 * old)  # beyond an edge the signal runs backwards
    place = np.where(place < old, place, 2 * old - 1 - place)
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], place), weights)
    matrix.setflags(write=False)
    return matrix
