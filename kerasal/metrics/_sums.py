"""Sums over whole maps, computed in blocks because temporaries of a map's size cost more than the arithmetic."""

from collections.abc import Callable

import numpy as np

_BLOCK = 1 << 13  # short enough that BLAS starts no threads, which would be slower
_LONG = 1 << 15  # for sums without BLAS
_SAFE = 100.0  # largest ratio of a sum to a difference of sums: limits the relative error to about 1e-14


def _blockwise(term: Callable, *arrays: np.ndarray, length: int = _BLOCK) -> float:
    """Sum ``term(*blocks, buffer)`` over blocks of the flat ``arrays``."""
    size = arrays[0].size
    buffer = np.empty((2, min(length, size)))
    total = 0.0
    for start in range(0, size, length):
        blocks = [array[start : start + length] for array in arrays]
        total += float(term(*blocks, buffer[:, : blocks[0].size]))
    return total


def _dot(first: np.ndarray, second: np.ndarray) -> float:
    """Return the dot product, computed in a single thread."""
    return _blockwise(lambda a, b, out: np.dot(a, b), first, second)


def moments(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the sum of squared deviations from the mean.

    The sum of squares gives the deviations in a single pass unless that loses precision.
    """
    mean = float(values.mean())
    squares = _dot(values, values)
    deviations = squares - values.size * mean * mean
    if squares < _SAFE * deviations:
        return mean, deviations

    def squared_deviations(block, out):
        centered = np.subtract(block, mean, out=out[0])
        return np.dot(centered, centered)

    return mean, _blockwise(squared_deviations, values)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation of two arrays that are not constant."""
    (mean, squares), (other_mean, other_squares) = moments(first), moments(second)
    scale = float(np.sqrt(squares) * np.sqrt(other_squares))
    offset = first.size * mean * other_mean
    if abs(offset) < _SAFE * scale:
        return (_dot(first, second) - offset) / scale

    def product(a, b, out):
        return np.dot(np.subtract(a, mean, out=out[0]), np.subtract(b, other_mean, out=out[1]))

    return _blockwise(product, first, second) / scale


def shifted_sum(values: np.ndarray, shift: float) -> float:
    """Return the sum of ``values - shift`` for a ``shift`` at or below the minimum."""
    total = float(values.sum())
    shifted = total - values.size * shift
    if abs(total) < _SAFE * shifted:
        return shifted
    return _blockwise(lambda block, out: np.subtract(block, shift, out=out[0]).sum(), values, length=_LONG)


def overlap(first: np.ndarray, second: np.ndarray, shifts: tuple[float, float], totals: tuple[float, float]) -> float:
    """Return the sum of the elementwise minimum of ``(values - shift) / total`` of two arrays."""
    ratio = totals[1] / totals[0]

    def minimum(a, b, out):
        a = a if shifts[0] == 0 else np.subtract(a, shifts[0], out=out[0])
        b = b if shifts[1] == 0 else np.subtract(b, shifts[1], out=out[1])
        return np.minimum(np.multiply(a, ratio, out=out[0]), b, out=out[0]).sum()

    return _blockwise(minimum, first, second, length=_LONG) / totals[1]


def relative_entropy(truth: np.ndarray, model: np.ndarray, totals: tuple[float, float], epsilon: float) -> float:
    """Return the sum of ``g ln(epsilon + g / (s + epsilon))`` where g and s are the arrays divided by their totals."""

    def term(g, s, out):
        ratio = np.add(np.multiply(s, 1 / totals[1], out=out[1]), epsilon, out=out[1])
        share = np.multiply(g, 1 / totals[0], out=out[0])
        np.divide(share, ratio, out=ratio)
        np.log(np.add(ratio, epsilon, out=ratio), out=ratio)
        return np.dot(share, ratio)

    return _blockwise(term, truth, model)


_BUCKETS = 1 << 14  # their counts (128 KiB) stay in the cache
_PIXELS = 1 << 16  # per block, so that temporaries stay in the cache
_FEW = 4  # up to this many thresholds, counting for each separately is faster


def count_above(values: np.ndarray, thresholds: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of ``values`` above and equal to each of the ascending distinct ``thresholds``.

    Pixels are sorted into 16,384 equal buckets between ``low`` and ``high``, which keeps their order. Only pixels that
    share a bucket with a threshold have to be compared with it, so the cost is linear in the number of pixels.
    """
    if thresholds.size <= _FEW:
        at_least = count_at_least(values, thresholds)
        equal = np.array([np.count_nonzero(values == threshold) for threshold in thresholds], np.int64)
        return at_least - equal, equal
    scale = (_BUCKETS - 1) / (high - low)
    buckets = np.ceil((thresholds - low) * scale).astype(np.intp)
    shared = np.zeros(_BUCKETS + 1, bool)  # rounding can put the highest value a bucket too high
    shared[buckets] = True
    shared[0] = False  # due to the ceiling it has only the lowest value, which often fills half the image
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
    higher = counts[::-1].cumsum()[::-1] - counts  # pixels in higher buckets without a threshold
    above, equal = _compare_values(np.concatenate(close), thresholds)
    above += higher[buckets]
    if buckets[0] == 0:
        equal[0] = lowest
    return above, equal


def count_at_least(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the number of ``values`` at or above each threshold, for a few thresholds."""
    counts = np.zeros(thresholds.size, np.int64)
    reached = np.empty(min(_PIXELS, values.size), bool)
    for start in range(0, values.size, _PIXELS):
        block = values[start : start + _PIXELS]
        for index, threshold in enumerate(thresholds):
            counts[index] += np.count_nonzero(np.greater_equal(block, threshold, out=reached[: block.size]))
    return counts


def _compare_values(values: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.sort(values)  # the pixels are few, so sorting them is faster
    below = np.searchsorted(values, thresholds, side="left")
    not_above = np.searchsorted(values, thresholds, side="right")
    return values.size - not_above, not_above - below
