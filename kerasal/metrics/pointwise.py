"""What a map says at the fixated pixels: normalized scanpath saliency and information gain."""

import math

import numpy as np

from kerasal.metrics._fixations import FixationsLike, map_and_fixations
from kerasal.metrics._maps import Map, MapLike, map_of, subject, undefined
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

    Unbounded, in standard deviations of the map; chance 0, good models 2 to 3. A constant map scores 0. Pitfalls: it
    takes fixations, never a blurred density (against which a public issue got 1.69 for 1.93), and a single sharp peak
    pays.

    ``ddof=1`` divides by N - 1 (Matlab), 0 by N (pysaliency and the Python ports). Shared arguments and errors:
    ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    if ddof not in (0, 1):
        raise ValueError(f"ddof: expected 1 (Matlab) or 0 (pysaliency), received {ddof!r}.")
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
    """Compute the information gain over a baseline map in bits a fixation (Kuemmerer et al. 2015; ``InfoGain.m``).

    The mean over fixations of log2(epsilon + p) - log2(epsilon + b), p and b scaled to 0..1 and then to sum 1.
    Unbounded; 0 = as good as the baseline, below 0 = worse. Pitfall: one fixation on a pixel of value 0 costs up to
    50 bits, so maps with empty regions score far below zero; and the min-max scaling makes even a density a different
    one, so for probabilistic models use ``log_density``.

    ``baseline`` is a map like ``saliency_map``, such as the mean of the other images' fixation densities.
    ``log_density`` takes both as natural log-densities, whose exp sums to 1, as they are (Tuebingen). ``epsilon`` keeps
    the logarithm of other maps finite; where such a map is constant, the gain is NaN with a warning. Shared arguments
    and errors: ``kerasal.metrics``.
    """
    checked, fixated = map_and_fixations(saliency_map, fixations, resize, name)
    base = map_of(baseline, "baseline", name, shape=checked.shape, resize=resize)
    share = fixated.weights(duplicates)
    if log_density:
        _check_log_density(checked, "saliency_map", name)
        _check_log_density(base, "baseline", name)
        difference = checked.values[fixated.index] - base.values[fixated.index]
        return float(np.dot(share, difference) / math.log(2))
    for which, argument in ((checked, "saliency_map"), (base, "baseline")):
        if which.constant:
            return undefined("information_gain", f"{argument} is constant, so it cannot be scaled to 0..1", name)
    gain = np.log2(epsilon + _at(checked, fixated.index)) - np.log2(epsilon + _at(base, fixated.index))
    return float(np.dot(share, gain))


def _at(checked: Map, index: np.ndarray) -> np.ndarray:
    """Return the map's values at ``index`` after scaling it to 0..1 and then to sum 1."""
    return (checked.values[index] - checked.low) / shifted_sum(checked.values, checked.low)


def _check_log_density(checked: Map, argument: str, name: str | None) -> None:
    total = float(np.sum(np.exp(checked.values))) if checked.high < 700 else math.inf
    if not abs(total - 1) < 1e-3:
        raise ValueError(
            f"{subject(argument, name)}: expected natural log-densities, whose exp sums to 1, received a sum of "
            f"{total:.6g}. Subtract the logarithm of that sum, or leave log_density out for a plain map. A resized one "
            "must be normalized again."
        )
