"""``sparseness`` and ``complexity``: how concentrated a map is. They describe maps and do not judge them."""

import numpy as np

from kerasal.attribution.evaluation.metric import metric


@metric(reference="Chalasani et al. 2020, section 3", better="")
def sparseness(maps):
    """Gini index of a map's absolute values: 0 if all are equal, near 1 if few carry the sum.

    A random map of the same values has the same index, so it says nothing about whether a map is right.

    Args:
        maps: float (N, *positions).

    Returns:
        An ``Evaluation`` of values in 0..1, without a verdict; NaN for a map of zeros.

    Raises:
        ValueError: the maps are not finite.
    """
    values = np.sort(np.abs(maps).reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    weights = 2 * np.arange(1, count + 1) - count - 1
    totals = count * values.sum(axis=1)
    return np.divide((values * weights).sum(axis=1), totals, out=np.full(len(maps), np.nan), where=totals > 0)


@metric(reference="Bhatt, Weller & Moura 2020, definition 5", better="")
def complexity(maps):
    """Entropy of a map's absolute values as shares of their sum, in nats: 0 if one position carries all.

    Args:
        maps: float (N, *positions).

    Returns:
        An ``Evaluation`` of values in 0..log(positions), without a verdict; NaN for a map of zeros.

    Raises:
        ValueError: the maps are not finite.
    """
    values = np.abs(maps).reshape(len(maps), -1)
    totals = values.sum(axis=1, keepdims=True)
    shares = np.divide(values, totals, out=np.zeros_like(values), where=totals > 0)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    return np.where(totals[:, 0] > 0, entropy, np.nan)
