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
        above = [np.count_nonzero(values > threshold) for threshold in thresholds]
        equal = [np.count_nonzero(values == threshold) for threshold in thresholds]
        return np.array(above, np.int64), np.array(equal, np.int64)
    scale = (_BUCKETS - 1) / (high - low)
    mine = ((thresholds - low) * scale).astype(np.intp)
    shared = np.zeros(_BUCKETS, bool)
    shared[mine] = True
    counts = np.zeros(_BUCKETS, np.int64)
    close = []
    buffer = np.empty(min(_BLOCK, values.size))
    bucket = np.empty(buffer.size, np.intp)
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        scaled, place = buffer[: block.size], bucket[: block.size]
        np.subtract(block, low, out=scaled)
        np.multiply(scaled, scale, out=scaled)
        np.copyto(place, scaled, casting="unsafe")
        counts += np.bincount(place, minlength=_BUCKETS)
        close.append(block[shared.take(place)])
    counts[shared] = 0
    higher = counts[::-1].cumsum()[::-1]  # pixels in this bucket or a higher one that holds no threshold
    above, equal = _compare(np.concatenate(close), thresholds)
    return above + higher[mine], equal


def _compare(values: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = np.sort(values)  # so few that sorting them is cheaper than a search for each
    below = np.searchsorted(values, thresholds, side="left")
    not_above = np.searchsorted(values, thresholds, side="right")
    return values.size - not_above, not_above - below
