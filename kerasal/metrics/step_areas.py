"""Areas under a ROC curve with evenly spaced thresholds: AUC-Borji and shuffled AUC, exact or with random draws.

For fixed true-positive rates, the area is linear in the false-positive rates, and every random draw has the
distribution of the whole pool of negatives. So the mean over all draws is the area with the false-positive rates of the
whole pool. With a step of .1 these areas are lower than those with every threshold, so the two are not comparable.
"""

import numpy as np

from kerasal.checks import check_int, check_number
from kerasal.metrics._fixations import FixationsLike, as_fixations, map_and_fixations
from kerasal.metrics._maps import Map, MapLike
from kerasal.metrics._sums import count_above, count_at_least

_FEW = 20  # up to this many thresholds, counting for each separately is faster


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
    """Compute Borji's area under the ROC curve (MIT's ``AUC_Borji.m``) against random pixels of the whole image.

    By default this is the exact mean over the random draws; the original with 100 splits deviates from it by about
    .002. Range 0 to 1, chance .5. Pitfall: thresholds every .1 of the map's range give a lower score than an exact AUC
    (.71 and .83 in the reports of two groups on similar maps), most of all for maps with a few sharp peaks.

    ``step`` is the distance between thresholds on the map scaled to 0..1: .1 at MIT, .01 for SALICON. ``splits`` is the
    number of random draws to average (100 at MIT), with ``seed``; None computes the exact mean. Shared arguments and
    errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    _check_options(step, splits)
    if checked.constant:
        return 0.5
    cuts = thresholds(checked, step)
    hits = _rates(checked.values[fixated.index], fixated.weights(duplicates), cuts)
    if splits is None:
        return float(curve_area(hits, _count_pixels_at_least(checked, cuts) / checked.values.size))
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
    """Compute the shuffled area under the ROC curve, whose negatives are fixated pixels of other images.

    It is computed like ``auc_borji`` (MIT's ``AUC_shuffled.m``). With these negatives a center blob scores about .5.
    Range 0 to 1, chance .5. Pitfalls: it depends on the choice of the other images (ten at MIT), it penalizes a correct
    center bias, and some widespread ports are wrong: they draw 77 % negative values, or from a disc in the center.

    ``other_fixations`` are fixations of other images in the same format as ``fixations``. ``auc_borji`` describes the
    other options. Shared arguments and errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    pool = as_fixations(other_fixations, checked.shape, "other_fixations", name)
    _check_options(step, splits)
    if checked.constant:
        return 0.5
    cuts = thresholds(checked, step)
    hits = _rates(checked.values[fixated.index], fixated.weights(duplicates), cuts)
    if splits is None:
        return float(curve_area(hits, _rates(checked.values[pool.index], pool.weights(duplicates), cuts)))
    others = np.repeat(pool.index, pool.count.astype(np.int64)) if duplicates else pool.index
    draws = min(int(fixated.count.sum()) if duplicates else fixated.index.size, others.size)
    random = np.random.default_rng(seed)
    chosen = np.stack([random.choice(others, draws, replace=False) for _ in range(splits)])
    return _mean_area(hits, checked.values[chosen], cuts)


def thresholds(checked: Map, step: float) -> np.ndarray:
    """Return the lowest unscaled values that reach 0, ``step``, 2 ``step`` .. 1 when the map is scaled to 0..1.

    The benchmark compares scaled values with the thresholds. Computing the equivalent unscaled thresholds exactly is
    cheaper than scaling the map.
    """
    levels = np.arange(int(np.floor(1 / step + 1e-9)) + 1) * step
    levels = levels[levels <= 1.0]
    low, span = checked.low, checked.high - checked.low
    cuts = low + levels * span
    for _ in range(64):  # rounding leaves the estimate a few representable numbers off
        lower = np.nextafter(cuts, -np.inf)
        too_low, too_high = (cuts - low) / span < levels, (lower - low) / span >= levels
        if not (too_low.any() or too_high.any()):
            break
        cuts = np.where(too_low, np.nextafter(cuts, np.inf), np.where(too_high, lower, cuts))
    return np.unique(np.clip(cuts, low, checked.high))


def curve_area(hits: np.ndarray, alarms: np.ndarray) -> np.ndarray:
    """Return the area under ROC curves through (0, 0) and (1, 1), given the rates at ascending thresholds."""
    ends = [(0, 0)] * (np.ndim(alarms) - 1) + [(1, 1)]
    y = np.pad(hits, (1, 1), constant_values=(1.0, 0.0))
    x = np.pad(alarms, ends, constant_values=0.0)
    x[..., 0] = 1.0
    return np.sum((x[..., :-1] - x[..., 1:]) * (y[:-1] + y[1:]) / 2, axis=-1)


def _rates(values: np.ndarray, share: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the share of ``values``, weighted by ``share``, at or above each of the thresholds ``cuts``."""
    bins = np.bincount(np.searchsorted(cuts, values, side="right"), weights=share, minlength=cuts.size + 1)
    return bins[::-1].cumsum()[::-1][1:]


def _count_pixels_at_least(checked: Map, cuts: np.ndarray) -> np.ndarray:
    if cuts.size > _FEW:
        above, equal = count_above(checked.values, cuts, checked.low, checked.high)
        return above + equal
    # every pixel reaches the lowest cut
    return np.append(checked.values.size, count_at_least(checked.values, cuts[1:]))


def _mean_area(hits: np.ndarray, drawn: np.ndarray, cuts: np.ndarray) -> float:
    """Return the mean area over splits; ``drawn`` has the values (splits, draws) of the negatives."""
    bins = np.searchsorted(cuts, drawn, side="right")
    splits, draws = drawn.shape
    flat = (bins + np.arange(splits)[:, None] * (cuts.size + 1)).reshape(-1)
    counts = np.bincount(flat, minlength=splits * (cuts.size + 1)).reshape(splits, -1)
    return float(np.mean(curve_area(hits, counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:] / draws)))


def _check_options(step: float, splits: int | None) -> None:
    check_number("step", step, above=0, maximum=1)
    if splits is not None:
        check_int("splits", splits, none="None for the exact mean")
