"""Sums over whole maps, a block at a time: temporaries of a map's size would cost more than the arithmetic."""

from collections.abc import Callable

import numpy as np

_BLOCK = 1 << 13  # short enough that BLAS starts no threads, which cost more than a dot product
_LONG = 1 << 15  # without BLAS, fewer and longer blocks
_SAFE = 100.0  # a difference of sums may lose so much of its relative precision: 1e-14


def _blockwise(term: Callable, *arrays: np.ndarray, length: int = _BLOCK) -> float:
    """Add up ``term(*blocks, buffer)`` over blocks of one-dimensional ``arrays``."""
    size = arrays[0].size
    buffer = np.empty((2, min(length, size)))
    total = 0.0
    for start in range(0, size, length):
        blocks = [array[start : start + length] for array in arrays]
        total += float(term(*blocks, buffer[:, : blocks[0].size]))
    return total


def _product(first: np.ndarray, second: np.ndarray) -> float:
    """Return the sum of the products, in one thread."""
    return _blockwise(lambda one, two, out: np.dot(one, two), first, second)


def moments(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the sum of the squared deviations from it.

    From the plain sum of squares where that loses no precision, else in a second pass.
    """
    mean = float(values.mean())
    squares = _product(values, values)
    deviations = squares - values.size * mean * mean
    if squares < _SAFE * deviations:
        return mean, deviations

    def squared(block, out):
        centered = np.subtract(block, mean, out=out[0])
        return np.dot(centered, centered)

    return mean, _blockwise(squared, values)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of two arrays, neither of them constant."""
    (mean, squares), (other_mean, other_squares) = moments(first), moments(second)
    scale = float(np.sqrt(squares) * np.sqrt(other_squares))
    offset = first.size * mean * other_mean
    if abs(offset) < _SAFE * scale:
        return (_product(first, second) - offset) / scale

    def product(one, two, out):
        return np.dot(np.subtract(one, mean, out=out[0]), np.subtract(two, other_mean, out=out[1]))

    return _blockwise(product, first, second) / scale


def shifted_sum(values: np.ndarray, shift: float) -> float:
    """Return the sum of ``values - shift``, none of them negative."""
    total = float(values.sum())
    shifted = total - values.size * shift
    if abs(total) < _SAFE * shifted:
        return shifted
    return _blockwise(lambda block, out: np.subtract(block, shift, out=out[0]).sum(), values, length=_LONG)


def overlap(first: np.ndarray, second: np.ndarray, shifts: tuple[float, float], totals: tuple[float, float]) -> float:
    """Return the sum of the smaller of ``(value - shift) / total`` of the two arrays."""
    ratio = totals[1] / totals[0]

    def smaller(one, two, out):
        one = one if shifts[0] == 0 else np.subtract(one, shifts[0], out=out[0])
        two = two if shifts[1] == 0 else np.subtract(two, shifts[1], out=out[1])
        return np.minimum(np.multiply(one, ratio, out=out[0]), two, out=out[0]).sum()

    return _blockwise(smaller, first, second, length=_LONG) / totals[1]


def relative_entropy(truth: np.ndarray, model: np.ndarray, totals: tuple[float, float], epsilon: float) -> float:
    """Return the sum of ``g ln(epsilon + g / (s + epsilon))`` with g, s the arrays over their totals."""

    def term(g, s, out):
        ratio = np.add(np.multiply(s, 1 / totals[1], out=out[1]), epsilon, out=out[1])
        share = np.multiply(g, 1 / totals[0], out=out[0])
        np.divide(share, ratio, out=ratio)
        np.log(np.add(ratio, epsilon, out=ratio), out=ratio)
        return np.dot(share, ratio)

    return _blockwise(term, truth, model)


_BUCKETS = 1 << 14  # their counts (128 KiB) stay in the cache
_PIXELS = 1 << 16  # at a time, so that the temporaries stay there too
_FEW = 4  # so many thresholds are cheaper one by one


def count_above(values: np.ndarray, thresholds: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how many ``values`` are above, and how many equal to, each of the ascending distinct ``thresholds``.

    Every pixel falls into one of 16,384 equal buckets between ``low`` and ``high``; rounding keeps their order, so only
    the pixels that share a bucket with a threshold have to be compared with it. Cost: linear in the pixels.
    """
    if thresholds.size <= _FEW:
        at_least = count_at_least(values, thresholds)
        equal = np.array([np.count_nonzero(values == threshold) for threshold in thresholds], np.int64)
        return at_least - equal, equal
    scale = (_BUCKETS - 1) / (high - low)
    mine = np.ceil((thresholds - low) * scale).astype(np.intp)
    shared = np.zeros(_BUCKETS + 1, bool)  # rounding can lift the highest value by one
    shared[mine] = True
    shared[0] = False  # by the ceiling it holds the smallest value alone, often half the image
    counts = np.zeros(shared.size, np.int64)
    close = []
    buffer = np.empty(min(_PIXELS, values.size))
    bucket = np.empty(buffer.size, np.intp)
    for start in range(0, values.size, _PIXELS):
        block = values[start : start + _PIXELS]
        scaled, place = buffer[: block.size], bucket[: block.size]
        np.subtract(block, low, out=scaled)
        np.multiply(scaled, scale, out=scaled)
        np.copyto(place, np.ceil(scaled, out=scaled), casting="unsafe")
        counts += np.bincount(place, minlength=counts.size)
        close.append(block[shared.take(place)])
    lowest = counts[0]
    counts[shared] = 0
    higher = counts[::-1].cumsum()[::-1] - counts  # pixels in a higher bucket that holds no threshold
    above, equal = _compare(np.concatenate(close), thresholds)
    above += higher[mine]
    if mine[0] == 0:
        equal[0] = lowest
    return above, equal


def count_at_least(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many ``values`` reach each of the few ``thresholds``."""
    counts = np.zeros(thresholds.size, np.int64)
    reached = np.empty(min(_PIXELS, values.size), bool)
    for start in range(0, values.size, _PIXELS):
        block = values[start : start + _PIXELS]
        for which, threshold in enumerate(thresholds):
            counts[which] += np.count_nonzero(np.greater_equal(block, threshold, out=reached[: block.size]))
    return counts


def _compare(values: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.sort(values)  # so few that sorting them is cheaper than a search for each
    below = np.searchsorted(values, thresholds, side="left")
    not_above = np.searchsorted(values, thresholds, side="right")
    return values.size - not_above, not_above - below
