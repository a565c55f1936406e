"""Areas under a ROC curve of few, evenly spaced thresholds: Borji's and the shuffled one, exactly or by random draws.

With the true-positive rates fixed, the trapezoid is linear in the false-positive rates, and every random draw has the
whole pool as its distribution. So the mean over all draws is the trapezoid with the rates of the whole pool. A step
of .1 makes these areas lower than exact ones: never compare the two.
"""

import numpy as np

from kerasal.checks import check_int, check_number
from kerasal.metrics._fixations import FixationsLike, fixations_of, map_and_fixations
from kerasal.metrics._maps import Map, MapLike
from kerasal.metrics._sums import count_above, count_at_least

_FEW = 20  # so many cuts are cheaper one by one


def auc_borji(
    saliency_map: MapLike,
    fixations: FixationsLike,
    *,
    step: float = 0.1,
    splits: int | None = None,
    seed: int = 0,
    duplicates: bool = False,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute Borji's area under the ROC curve (``AUC_Borji.m``) against pixels drawn from the whole image.

    By default the exact expectation of the random procedure; one call of the 100-split original scatters by about .002
    around it. Range 0 to 1, chance .5. Pitfall: thresholds every .1 of the map's range make it lower than an exact AUC
    (.71 against .83 for two groups that scored similar maps), most of all for maps with a few sharp peaks.

    ``step`` is the distance of the thresholds on the map scaled to 0..1; .1 is MIT's, .01 SALICON's. ``splits`` runs
    the random procedure with so many splits (MIT: 100) from ``seed``, instead of its exact mean. Shared arguments and
    errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    _check(step, splits)
    if checked.constant:
        return 0.5
    cuts = thresholds(checked, step)
    hits = _rates(checked.values[fixated.index], fixated.weights(duplicates), cuts)
    if splits is None:
        return float(area(hits, _pixels_at_least(checked, cuts) / checked.values.size))
    draws = int(fixated.count.sum()) if duplicates else fixated.index.size
    chosen = np.random.default_rng(seed).integers(checked.values.size, size=(splits, draws))
    return _mean_area(hits, checked.values[chosen], cuts)


def auc_shuffled(
    saliency_map: MapLike,
    fixations: FixationsLike,
    other_fixations: FixationsLike,
    *,
    step: float = 0.1,
    splits: int | None = None,
    seed: int = 0,
    duplicates: bool = False,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the shuffled area under the ROC curve (``AUC_shuffled.m``) against the fixated pixels of other images.

    As ``auc_borji``, with the pool of negatives where people look in other images, so that a center blob is worth about
    .5. Range 0 to 1, chance .5. Pitfalls: it depends on the choice of the other images (MIT takes ten), it punishes a
    map for a true center bias, and widespread ports are broken: one takes 77 % negative values, one a disc in the
    center.

    ``other_fixations`` is the pool, like ``fixations``; the options are those of ``auc_borji``. Shared arguments and
    errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    pool = fixations_of(other_fixations, checked.shape, "other_fixations", name)
    _check(step, splits)
    if checked.constant:
        return 0.5
    cuts = thresholds(checked, step)
    hits = _rates(checked.values[fixated.index], fixated.weights(duplicates), cuts)
    if splits is None:
        return float(area(hits, _rates(checked.values[pool.index], pool.weights(duplicates), cuts)))
    others = np.repeat(pool.index, pool.count.astype(np.int64)) if duplicates else pool.index
    draws = min(int(fixated.count.sum()) if duplicates else fixated.index.size, others.size)
    random = np.random.default_rng(seed)
    chosen = np.stack([random.choice(others, draws, replace=False) for _ in range(splits)])
    return _mean_area(hits, checked.values[chosen], cuts)


def thresholds(checked: Map, step: float) -> np.ndarray:
    """Return the least values that reach 0, ``step``, 2 ``step`` .. 1 once the map is scaled to 0..1.

    The benchmark compares scaled values. The scaling keeps their order, so there is a least value that passes, and it
    is found here exactly instead of scaling the image.
    """
    wanted = np.arange(int(np.floor(1 / step + 1e-9)) + 1) * step
    wanted = wanted[wanted <= 1.0]
    low, span = checked.low, checked.high - checked.low
    cuts = low + wanted * span
    for _ in range(64):  # rounding leaves the first guess a few representable numbers away
        lower = np.nextafter(cuts, -np.inf)
        too_low, too_high = (cuts - low) / span < wanted, (lower - low) / span >= wanted
        if not (too_low.any() or too_high.any()):
            break
        cuts = np.where(too_low, np.nextafter(cuts, np.inf), np.where(too_high, lower, cuts))
    return np.unique(np.clip(cuts, low, checked.high))


def area(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """Integrate by trapezoids over rates at ascending thresholds along the last axis, from (0, 0) to (1, 1)."""
    ends = [(0, 0)] * (np.ndim(alarms) - 1) + [(1, 1)]
    y = np.pad(hits, (1, 1), constant_values=(1.0, 0.0))
    x = np.pad(alarms, ends, constant_values=0.0)
    x[..., 0] = 1.0
    return np.sum((x[..., :-1] - x[..., 1:]) * (y[:-1] + y[1:]) / 2, axis=-1)


def _rates(values: np.ndarray, share: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the share of ``values`` at or above each cut."""
    bins = np.bincount(np.searchsorted(cuts, values, side="right"), weights=share, minlength=cuts.size + 1)
    return bins[::-1].cumsum()[::-1][1:]


def _pixels_at_least(checked: Map, cuts: np.ndarray) -> np.ndarray:
    if cuts.size > _FEW:
        above, equal = count_above(checked.values, cuts, checked.low, checked.high)
        return above + equal
    # every pixel reaches the lowest cut
    return np.append(checked.values.size, count_at_least(checked.values, cuts[1:]))


def _mean_area(hits: np.ndarray, drawn: np.ndarray, cuts: np.ndarray) -> float:
    """Average the area over splits; ``drawn`` is (splits, draws)."""
    bins = np.searchsorted(cuts, drawn, side="right")
    splits, draws = drawn.shape
    flat = (bins + np.arange(splits)[:, None] * (cuts.size + 1)).reshape(-1)
    counts = np.bincount(flat, minlength=splits * (cuts.size + 1)).reshape(splits, -1)
    return float(np.mean(area(hits, counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:] / draws)))


def _check(step: float, splits: int | None) -> None:
    check_number("step", step, above=0, maximum=1)
    if splits is not None:
        check_int("splits", splits, none="None for the exact mean")
