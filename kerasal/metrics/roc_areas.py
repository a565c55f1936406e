"""Areas under the ROC curve that use every threshold: the Mann-Whitney statistic and Judd's curve."""

import numpy as np

from kerasal.metrics._fixations import Fixations, FixationsLike, flat_fixations, ground_truth_shape, map_and_fixations
from kerasal.metrics._maps import Map, MapLike, array_of, check_finite, subject
from kerasal.metrics._sums import count_above


def auc(
    saliency_map: MapLike,
    fixations: FixationsLike,
    *,
    negatives: str | FixationsLike = "unfixated",
    duplicates: bool = False,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the exact area under the ROC curve: the mean of P(s > q) + P(s = q) / 2 over fixated values s.

    The Mann-Whitney statistic, corrected for ties, so it is deterministic and any monotone change of the map leaves it
    alone. Range 0 to 1, chance .5. Pitfall: it asks only for the order, so a map can be far too flat or too peaked and
    still score well, and a center blob scores high.

    ``negatives`` says where q comes from: ``"unfixated"`` pixels, ``"all"`` pixels (the Tuebingen benchmark), or
    fixations of other images, as a map or as coordinates (the Tuebingen benchmark's shuffled AUC). Shared arguments and
    errors: ``kerasal.metrics``.
    """
    if not isinstance(negatives, str):
        return _auc_of_pool(saliency_map, fixations, negatives, duplicates, resize, name)
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    weights = fixated.weights(duplicates)
    positive = checked.values[fixated.index]
    if negatives not in ("unfixated", "all"):
        raise ValueError(f'negatives: expected "unfixated", "all" or fixations, received {negatives!r}.')
    if negatives == "unfixated":
        _check_unfixated(fixated, name)
    above, equal = _against_pixels(checked, positive, fixated if negatives == "unfixated" else None)
    size = checked.values.size - (fixated.index.size if negatives == "unfixated" else 0)
    below = size - above - equal
    return float(np.dot(weights, below + equal / 2) / size)


def _auc_of_pool(saliency_map, fixations, negatives, duplicates: bool, resize: str | None, name: str | None) -> float:
    """The area against a pool looks at few pixels, so the map's range is not needed: one pass, for NaN and inf."""
    truth = ground_truth_shape(fixations)
    if isinstance(saliency_map, Map) or resize is not None or truth not in (None, np.shape(saliency_map)[:2]):
        checked, fixations = map_and_fixations(saliency_map, fixations, resize, name)
        values, shape = checked.values, checked.shape
    else:
        array = array_of(saliency_map, "saliency_map", name)
        check_finite(array, "saliency_map", name)
        values, shape = array.reshape(-1), array.shape
    mine, weight = flat_fixations(fixations, shape, "fixations", name, duplicates)
    pool, share = flat_fixations(negatives, shape, "negatives", name, duplicates)
    positive, negative = values[mine], values[pool]
    if share is None:
        if weight is None:
            positive.sort()  # ascending needles keep the search in the cache
        negative.sort()
        below, size = negative.searchsorted(positive, "left"), pool.size
        twice = below + negative.searchsorted(positive, "right")
    else:
        below, equal, size = _against_pool(negative, share, positive)
        twice = 2 * below + equal
    if weight is None:
        return float(twice.sum() / (2 * size * mine.size))
    return float(np.dot(weight, twice) / (2 * size * weight.sum()))


def auc_judd(
    saliency_map: MapLike,
    fixations: FixationsLike,
    *,
    jitter: bool = False,
    duplicates: bool = False,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute Judd's area under the ROC curve, with thresholds at the fixated values (``AUC_Judd.m``).

    1 - mean(fp) + fp[n] / 2n with fp[i] = (#{S >= t[i]} - i) / (N - n) and t the fixated values, highest first. Range
    0 to 1, chance .5. Pitfall: without jitter a tie counts against the map (a map that is zero almost everywhere can
    fall below .5), and popular ports add the jitter before normalizing, which reorders maps of small range, or are
    off by one.

    ``jitter`` returns the exact expectation over MIT's random breaking of ties. Shared arguments and errors:
    ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    _check_unfixated(fixated, name)
    if checked.constant:
        return 0.5
    positive = checked.values[fixated.index]
    size = checked.values.size - fixated.index.size
    if jitter:
        return _judd_expected(checked, fixated, positive, fixated.weights(duplicates), size)
    order = np.argsort(-positive, kind="stable")
    above, equal = _above_and_equal(checked, positive[order])
    false = (above + equal - np.arange(1, order.size + 1)) / size
    share = fixated.weights(duplicates)[order]
    return float(1 - np.dot(share, false) + np.dot(share, np.diff(false, prepend=0.0)) / 2)


def _judd_expected(checked: Map, fixated: Fixations, positive, share, size: int) -> float:
    """Return the mean over all orders of tied pixels.

    The Mann-Whitney area, plus half of what the curve's straight pieces add to its steps: the unfixated pixels passed
    before a fixated one. Among k fixated and c unfixated pixels of one value, c k / (k + 1) of these come before one of
    the k, and the rest before the next lower one.
    """
    above, equal = _against_pixels(checked, positive, fixated)
    area = np.dot(share, size - above - equal / 2) / size
    levels, group, tied = np.unique(-positive, return_inverse=True, return_counts=True)
    first = np.empty(levels.size, np.int64)
    first[group] = np.arange(positive.size)
    mean_share = np.bincount(group, weights=share) / tied
    higher, level = above[first], equal[first]
    left_over = level / (tied + 1)
    before = np.diff(higher, prepend=0) - np.append(0, level[:-1] - left_over[:-1]) + level - left_over
    return float(area + np.dot(mean_share, before) / (2 * size))


def _check_unfixated(fixated: Fixations, name: str | None) -> None:
    """Refuse a map in which no pixel is left without a fixation."""
    if fixated.index.size == fixated.shape[0] * fixated.shape[1]:
        raise ValueError(
            f"{subject('fixations', name)}: expected at least one pixel without a fixation, received a map in which "
            f"all {fixated.index.size} are fixated. Pass the fixations, not a density or a mask."
        )


def _above_and_equal(checked: Map, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    thresholds, which = np.unique(positive, return_inverse=True)
    above, equal = count_above(checked.values, thresholds, checked.low, checked.high)
    return above[which], equal[which]


def _against_pixels(checked: Map, positive: np.ndarray, without: Fixations | None) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels, or those ``without`` a fixation, above and equal to each fixated value."""
    above, equal = _above_and_equal(checked, positive)
    if without is None:
        return above, equal
    ascending = np.sort(positive)
    not_below = positive.size - np.searchsorted(ascending, positive, side="left")
    higher = positive.size - np.searchsorted(ascending, positive, side="right")
    return above - higher, equal - (not_below - higher)


def _against_pool(pool: np.ndarray, share: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    order = np.argsort(pool)
    total = np.append(0.0, np.cumsum(share[order]))
    below = total[np.searchsorted(pool[order], positive, side="left")]
    not_above = total[np.searchsorted(pool[order], positive, side="right")]
    return below, not_above - below, total[-1]
