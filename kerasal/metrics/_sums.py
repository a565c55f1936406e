"""Sums over whole maps, a block at a time: temporaries of a map's size would cost more than the arithmetic."""

from collections.abc import Callable

import numpy as np

_BLOCK = 1 << 13  # short enough that BLAS starts no threads, which cost more than a dot product


def _blockwise(term: Callable, *arrays: np.ndarray) -> float:
    """Add up ``term(*blocks, out=buffer)`` over blocks of one-dimensional ``arrays``."""
    size = arrays[0].size
    buffer = np.empty((2, min(_BLOCK, size)))
    total = 0.0
    for start in range(0, size, _BLOCK):
        blocks = [array[start : start + _BLOCK] for array in arrays]
        total += float(term(*blocks, buffer[:, : blocks[0].size]))
    return total


def moments(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the sum of the squared deviations from it, in two passes."""
    mean = float(values.mean())

    def squared(block, out):
        centred = np.subtract(block, mean, out=out[0])
        return np.dot(centred, centred)

    return mean, _blockwise(squared, values)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of two arrays, neither of them constant."""
    means = float(first.mean()), float(second.mean())
    squares = np.zeros(2)

    def product(one, two, out):
        one, two = np.subtract(one, means[0], out=out[0]), np.subtract(two, means[1], out=out[1])
        squares[:] += np.dot(one, one), np.dot(two, two)
        return np.dot(one, two)

    covariance = _blockwise(product, first, second)
    return covariance / float(np.sqrt(squares[0]) * np.sqrt(squares[1]))


def shifted_sum(values: np.ndarray, shift: float) -> float:
    """Return the sum of ``values - shift``."""
    return (
        float(values.sum())
        if shift == 0
        else _blockwise(lambda block, out: np.subtract(block, shift, out=out[0]).sum(), values)
    )


def overlap(first: np.ndarray, second: np.ndarray, shifts: tuple[float, float], totals: tuple[float, float]) -> float:
    """Return the sum of the smaller of ``(value - shift) / total`` of the two arrays."""

    def smaller(one, two, out):
        for block, row, shift, total in zip((one, two), out, shifts, totals, strict=True):
            np.multiply(np.subtract(block, shift, out=row), 1 / total, out=row)
        return np.minimum(out[0], out[1], out=out[0]).sum()

    return _blockwise(smaller, first, second)


def relative_entropy(truth: np.ndarray, model: np.ndarray, totals: tuple[float, float], epsilon: float) -> float:
    """Return the sum of ``g ln(epsilon + g / (s + epsilon))`` with g, s the arrays over their totals."""

    def term(g, s, out):
        ratio = np.add(np.multiply(s, 1 / totals[1], out=out[1]), epsilon, out=out[1])
        share = np.multiply(g, 1 / totals[0], out=out[0])
        np.divide(share, ratio, out=ratio)
        np.log(np.add(ratio, epsilon, out=ratio), out=ratio)
        return np.dot(share, ratio)

    return _blockwise(term, truth, model)
