"""Areas under the ROC curve with every threshold: the Mann-Whitney statistic and Judd's curve."""

import numpy as np

from kerasal.metrics._fixations import Fixations, FixationsLike, flat_fixations, ground_truth_shape, map_and_fixations
from kerasal.metrics._maps import Map, MapLike, as_map_array, check_finite, describe_argument
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

    It is the Mann-Whitney statistic, corrected for ties: deterministic and invariant to increasing transformations.
    Range 0 to 1, chance .5. Pitfall: it measures only the order of the pixels, so a map that is far too flat or too
    peaked can score well, and a center blob scores high.

    ``negatives`` selects the pixels of the values q: ``"unfixated"``, ``"all"`` (the Tuebingen benchmark), or fixations
    of other images as a map or coordinates (the shuffled AUC of the Tuebingen benchmark). Shared arguments and
    errors: ``kerasal.metrics``.
    """
    if not isinstance(negatives, str):
        return _auc_against_pool(saliency_map, fixations, negatives, duplicates, resize, name)
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    weights = fixated.weights(duplicates)
    positive = checked.values[fixated.index]
    if negatives not in ("unfixated", "all"):
        raise ValueError(f'negatives must be "unfixated", "all" or fixations, got {negatives!r}.')
    if negatives == "unfixated":
        _check_unfixated_pixels(fixated, name)
    above, equal = _compare_with_pixels(checked, positive, fixated if negatives == "unfixated" else None)
    size = checked.values.size - (fixated.index.size if negatives == "unfixated" else 0)
    below = size - above - equal
    return float(np.dot(weights, below + equal / 2) / size)


def _auc_against_pool(
    saliency_map, fixations, negatives, duplicates: bool, resize: str | None, name: str | None
) -> float:
    """Return the area under the ROC curve against fixations of other images, the negatives.

    Only the values at fixations are compared, so the map is checked for NaN and infinity without converting it to a
    ``Map``, which takes longer.
    """
    truth = ground_truth_shape(fixations)
    if isinstance(saliency_map, Map) or resize is not None or truth not in (None, np.shape(saliency_map)[:2]):
        checked, fixations = map_and_fixations(saliency_map, fixations, resize, name)
        values, shape = checked.values, checked.shape
    else:
        array = as_map_array(saliency_map, "saliency_map", name)
        check_finite(array, "saliency_map", name)
        values, shape = array.reshape(-1), array.shape
    index, weight = flat_fixations(fixations, shape, "fixations", name, duplicates)
    pool, share = flat_fixations(negatives, shape, "negatives", name, duplicates)
    positive, negative = values[index], values[pool]
    if share is None:
        if weight is None:
            positive.sort()  # searching ascending values is faster
        negative.sort()
        below, size = negative.searchsorted(positive, "left"), pool.size
        twice = below + negative.searchsorted(positive, "right")
    else:
        below, equal, size = _compare_with_pool(negative, share, positive)
        twice = 2 * below + equal
    if weight is None:
        return float(twice.sum() / (2 * size * index.size))
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
    """Compute Judd's area under the ROC curve, with thresholds at the fixated values (MIT's ``AUC_Judd.m``).

    It is 1 - mean(fp) + fp[n] / 2n, where fp[i] = (#{S >= t[i]} - i) / (N - n) is the false-positive rate at t[i], the
    i-th largest of the n fixated values, and N is the number of pixels.
    Range 0 to 1, chance .5. Pitfall: without jitter, ties lower the score, and a map that is zero almost everywhere can
    score below .5; popular ports add the jitter before normalizing, which reorders maps of small range, or have an
    off-by-one error.

    ``jitter`` returns the exact mean over MIT's random tie-breaking. Shared arguments and errors:
    ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    _check_unfixated_pixels(fixated, name)
    if checked.constant:
        return 0.5
    positive = checked.values[fixated.index]
    size = checked.values.size - fixated.index.size
    if jitter:
        return _expected_judd_area(checked, fixated, positive, fixated.weights(duplicates), size)
    order = np.argsort(-positive, kind="stable")
    above, equal = _count_above_and_equal(checked, positive[order])
    false = (above + equal - np.arange(1, order.size + 1)) / size
    share = fixated.weights(duplicates)[order]
    return float(1 - np.dot(share, false) + np.dot(share, np.diff(false, prepend=0.0)) / 2)


def _expected_judd_area(checked: Map, fixated: Fixations, positive, share, size: int) -> float:
    """Return the mean of Judd's area over all orders of tied pixels.

    It is the Mann-Whitney area plus half of the area between the trapezoids and the steps of the curve, which depends
    on the unfixated pixels that precede each fixated pixel. Among k fixated and c unfixated pixels of equal value, on
    average c k / (k + 1) unfixated pixels precede a fixated pixel of this value, and the remainder precedes the next
    lower value.
    """
    above, equal = _compare_with_pixels(checked, positive, fixated)
    area = np.dot(share, size - above - equal / 2) / size
    levels, group, tied = np.unique(-positive, return_inverse=True, return_counts=True)
    first = np.empty(levels.size, np.int64)
    first[group] = np.arange(positive.size)
    mean_share = np.bincount(group, weights=share) / tied
    higher, level = above[first], equal[first]
    left_over = level / (tied + 1)
    before = np.diff(higher, prepend=0) - np.append(0, level[:-1] - left_over[:-1]) + level - left_over
    return float(area + np.dot(mean_share, before) / (2 * size))


def _check_unfixated_pixels(fixated: Fixations, name: str | None) -> None:
    """Raise a ValueError if every pixel is fixated."""
    if fixated.index.size == fixated.shape[0] * fixated.shape[1]:
        raise ValueError(
            f"{describe_argument('fixations', name)} must leave at least one pixel unfixated, got a map in which all "
            f"{fixated.index.size} are fixated. Pass the fixations, not a density or a mask."
        )


def _count_above_and_equal(checked: Map, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    thresholds, inverse = np.unique(positive, return_inverse=True)
    above, equal = count_above(checked.values, thresholds, checked.low, checked.high)
    return above[inverse], equal[inverse]


def _compare_with_pixels(
    checked: Map, positive: np.ndarray, excluded: Fixations | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of pixels above and equal to each fixated value, without the pixels in ``excluded``."""
    above, equal = _count_above_and_equal(checked, positive)
    if excluded is None:
        return above, equal
    ascending = np.sort(positive)
    not_below = positive.size - np.searchsorted(ascending, positive, side="left")
    higher = positive.size - np.searchsorted(ascending, positive, side="right")
    return above - higher, equal - (not_below - higher)


def _compare_with_pool(
    pool: np.ndarray, share: np.ndarray, positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    order = np.argsort(pool)
    total = np.append(0.0, np.cumsum(share[order]))
    below = total[np.searchsorted(pool[order], positive, side="left")]
    not_above = total[np.searchsorted(pool[order], positive, side="right")]
    return below, not_above - below, total[-1]
