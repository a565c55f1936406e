"""A map against a density of fixations: correlation, similarity and the Kullback-Leibler divergence."""

from kerasal.checks import check_choice, check_number
from kerasal.metrics._maps import Map, check_resize, map_of, subject, undefined
from kerasal.metrics._sums import correlation, overlap, relative_entropy, shifted_sum

_EPSILON = 2.0**-52


def cc(saliency_map, density, *, resize: str | None = None, name: str | None = None) -> float:
    """Compute Pearson's correlation of the map with the density of fixations (``CC.m``).

    Range -1 to 1, 0 = unrelated; any rising affine change of either leaves it alone. Pitfall: it depends on the blur
    of the density (name the sigma with the number), and it is symmetric: a false peak costs as much as a missed one.

    NaN with a warning where one of the two is constant. Shared arguments and errors: ``kerasal.metrics``.
    """
    checked, truth = _pair(saliency_map, density, resize, name)
    for which, argument in ((checked, "saliency_map"), (truth, "density")):
        if which.constant:
            return undefined("cc", f"{argument} is constant", name)
    return min(1.0, max(-1.0, correlation(checked.values, truth.values)))


def similarity(
    saliency_map, density, *, normalization: str = "minmax", resize: str | None = None, name: str | None = None
) -> float:
    """Compute the histogram intersection of map and density (``similarity.m``): the sum of min(p, q), both of sum 1.

    Range 0 to 1, 1 = the same. Pitfall: it punishes what is missed more than what is too much, and the two
    normalisations differ: MIT scales to 0..1 first, Tuebingen does not.

    ``normalization`` is ``"minmax"`` to 0..1 and then to sum 1 (MIT), or ``"sum"`` alone (Tuebingen), which needs
    values of at least 0. NaN with a warning where one of the two is constant (``"minmax"``) or zero everywhere
    (``"sum"``). Shared arguments and errors: ``kerasal.metrics``.
    """
    check_choice("normalization", normalization, ("minmax", "sum"))
    checked, truth = _pair(saliency_map, density, resize, name)
    for which, argument in ((checked, "saliency_map"), (truth, "density")):
        if normalization == "minmax" and which.constant:
            return undefined("similarity", f"{argument} is constant, so it cannot be scaled to 0..1", name)
        if normalization == "sum":
            _check_not_negative(which, argument, name)
            if which.high == 0:
                return undefined("similarity", f"{argument} is zero everywhere", name)
    shifts = (checked.low, truth.low) if normalization == "minmax" else (0.0, 0.0)
    totals = shifted_sum(checked.values, shifts[0]), shifted_sum(truth.values, shifts[1])
    return min(1.0, overlap(checked.values, truth.values, shifts, totals))


def kld(
    saliency_map, density, *, epsilon: float = _EPSILON, resize: str | None = None, name: str | None = None
) -> float:
    """Compute the Kullback-Leibler divergence of the map from the density in nats (``KLdiv.m``).

    The sum of g ln(epsilon + g / (s + epsilon)), g the density and s the map, both of sum 1. 0 = the same, no upper
    bound, lower is better. Pitfall: where the map is 0 and the density is not, epsilon decides: pysaliency's default of
    1e-20 gives about 10 more than MIT's 2**-52 on sparse maps. Never compare across epsilons.

    Map and density must be at least 0, a resized map too; NaN with a warning where one is zero everywhere. Shared
    arguments and errors: ``kerasal.metrics``.
    """
    check_number("epsilon", epsilon, above=0, below=1)
    checked, truth = _pair(saliency_map, density, resize, name)
    for which, argument in ((checked, "saliency_map"), (truth, "density")):
        _check_not_negative(which, argument, name)
        if which.high == 0:
            return undefined("kld", f"{argument} is zero everywhere", name)
    totals = float(truth.values.sum()), float(checked.values.sum())
    return relative_entropy(truth.values, checked.values, totals, epsilon)


def _check_not_negative(which: Map, argument: str, name: str | None) -> None:
    if which.low < 0:
        raise ValueError(
            f"{subject(argument, name)}: expected values of at least 0 (after resizing too), received {which.low:.6g}. "
            "Clip or shift the map, or take exp of a log-density."
        )


def _pair(saliency_map, density, resize: str | None, name: str | None) -> tuple[Map, Map]:
    check_resize(resize)
    truth = map_of(density, "density", name)
    return map_of(saliency_map, "saliency_map", name, shape=truth.shape, resize=resize), truth
