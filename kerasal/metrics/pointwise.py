"""Metrics of the values at fixated pixels: normalized scanpath saliency and information gain."""

import math

import numpy as np

from kerasal.metrics._fixations import FixationsLike, map_and_fixations
from kerasal.metrics._maps import Map, MapLike, as_map, describe_argument, warn_of_nan
from kerasal.metrics._sums import moments, shifted_sum

_EPSILON = 2.0**-52


def nss(
    saliency_map: MapLike,
    fixations: FixationsLike,
    *,
    ddof: int = 1,
    duplicates: bool = False,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the normalized scanpath saliency: the mean of (S - mean) / std at the fixations (Peters et al. 2005).

    It is unbounded, in standard deviations of the map; chance 0, good models 2 to 3. A constant map scores 0. Pitfalls:
    with a blurred density instead of fixations it is wrong (a public issue reports 1.69 instead of 1.93), and it favors
    a single sharp peak.

    ``ddof`` is 1 for a standard deviation with N - 1 (Matlab), or 0 for N (pysaliency and the Python ports). Shared
    arguments and errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 1 (Matlab) or 0 (pysaliency), got {ddof!r}.")
    if checked.constant:
        return 0.0
    mean, squares = moments(checked.values)
    std = math.sqrt(squares / (checked.values.size - ddof))
    return float(np.dot(fixated.weights(duplicates), checked.values[fixated.index] - mean) / std)


def information_gain(
    saliency_map: MapLike,
    fixations: FixationsLike,
    baseline: MapLike,
    *,
    log_density: bool = False,
    duplicates: bool = False,
    epsilon: float = _EPSILON,
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the information gain over a baseline map in bits per fixation (Kuemmerer et al. 2015).

    It is the mean over fixations of log2(epsilon + p) - log2(epsilon + b), where p and b are the map and the baseline
    scaled to 0..1 and then to sum 1 (MIT's ``InfoGain.m``). It is unbounded; 0 for a map as good as the baseline,
    negative for a worse map. Pitfalls: a fixation on a pixel of value 0 costs up to 50 bits, so maps with empty regions
    score far below zero; the min-max scaling also changes a density, so use ``log_density`` for probabilistic models.

    ``baseline`` is a map like ``saliency_map``, such as the mean of the other images' fixation densities.
    ``log_density`` declares both to be natural log-densities, whose exp sums to 1, which are not scaled (Tuebingen).
    ``epsilon`` keeps the logarithm finite for other maps. Returns NaN with a warning if such a map is constant. Shared
    arguments and errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    base = as_map(baseline, "baseline", name, shape=checked.shape, resize=resize)
    share = fixated.weights(duplicates)
    if log_density:
        _check_log_density(checked, "saliency_map", name)
        _check_log_density(base, "baseline", name)
        difference = checked.values[fixated.index] - base.values[fixated.index]
        return float(np.dot(share, difference) / math.log(2))
    for checked_map, argument in ((checked, "saliency_map"), (base, "baseline")):
        if checked_map.constant:
            return warn_of_nan("information_gain", f"{argument} is constant, so it cannot be scaled to 0..1", name)
    gain = np.log2(epsilon + _normalized_values(checked, fixated.index)) - np.log2(
        epsilon + _normalized_values(base, fixated.index)
    )
    return float(np.dot(share, gain))


def _normalized_values(checked: Map, index: np.ndarray) -> np.ndarray:
    """Return the values at ``index`` of a map that is scaled to 0..1 and then to sum 1."""
    return (checked.values[index] - checked.low) / shifted_sum(checked.values, checked.low)


def _check_log_density(checked: Map, argument: str, name: str | None) -> None:
    total = float(np.sum(np.exp(checked.values))) if checked.high < 700 else math.inf
    if not abs(total - 1) < 1e-3:
        raise ValueError(
            f"{describe_argument(argument, name)} must be a natural log-density, whose exp sums to 1, got a sum of "
            f"{total:.6g}. Subtract the logarithm of that sum, or leave log_density out for other maps. A resized "
            "log-density must be normalized again."
        )
