"""Count the pixels above a few thresholds exactly, without sorting the image."""

import numpy as np

_BUCKETS = 1 << 14  # their counts (128 KiB) stay in the cache
_BLOCK = 1 << 16  # pixels at a time, so that the temporaries stay there too
_FEW = 4  # so many thresholds are cheaper one by one


def count_above(values: np.ndarray, thresholds: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how many ``values`` are above, and how many equal to, each of the ascending distinct ``thresholds``.

    Every pixel falls into one of 16,384 equal buckets between ``low`` and ``high``; rounding keeps their order, so only
    the pixels that share a bucket with a threshold have to be compared with it. Cost: linear in the pixels.

    Args:
        values: float64 in one dimension, within ``low`` and ``high``.
        thresholds: float64, ascending, distinct, within ``low`` and ``high``.
        low: the smallest value.
        high: the largest value.
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
    buffer = np.empty(min(_BLOCK, values.size))
    bucket = np.empty(buffer.size, np.intp)
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
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
    reached = np.empty(min(_BLOCK, values.size), bool)
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        for which, threshold in enumerate(thresholds):
            counts[which] += np.count_nonzero(np.greater_equal(block, threshold, out=reached[: block.size]))
    return counts


def _compare(values: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.sort(values)  # so few that sorting them is cheaper than a search for each
    below = np.searchsorted(values, thresholds, side="left")
    not_above = np.searchsorted(values, thresholds, side="right")
    return values.size - not_above, not_above - below
