"""A map against a density of fixations: correlation, similarity, Kullback-Leibler divergence, earth mover."""

import functools
import os
import sys

import numpy as np

from kerasal.checks import check_choice, check_int, check_number
from kerasal.metrics._maps import Map, MapLike, check_resize, imresize, map_of, subject, undefined
from kerasal.metrics._sums import correlation, overlap, relative_entropy, shifted_sum

_EPSILON = 2.0**-52
_FRAMEWORKS = {"tensorflow": "TENSORFLOW", "torch": "PYTORCH", "jax": "JAX", "cupy": "CUPY"}


def cc(saliency_map: MapLike, density: MapLike, *, resize: str | None = None, name: str | None = None) -> float:
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
    saliency_map: MapLike,
    density: MapLike,
    *,
    normalization: str = "minmax",
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the histogram intersection of map and density (``similarity.m``): the sum of min(p, q), both of sum 1.

    Range 0 to 1, 1 = the same. Pitfall: it punishes what is missed more than what is too much, and the two
    normalizations differ: MIT scales to 0..1 first, Tuebingen does not.

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
    saliency_map: MapLike,
    density: MapLike,
    *,
    epsilon: float = _EPSILON,
    resize: str | None = None,
    name: str | None = None,
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


def emd(
    saliency_map: MapLike, density: MapLike, *, downsize: int = 32, resize: str | None = None, name: str | None = None
) -> float:
    """Compute the earth mover's distance between map and density (MIT's ``EMD(map, density, 0, downsize)``).

    The Wasserstein-1 distance of the two, shrunk by ``downsize`` and scaled to sum 1, with the distance of two bins
    measured between their centers in bins. 0 = the same, lower is better, at most the diagonal of the shrunk map. The
    only metric here that knows how far off a miss is. Pitfall: it is in bins, so it depends on the image's size and on
    ``downsize``; and bicubic shrinking can leave small negative masses, which are part of the definition: only the
    difference of the two is moved.

    ``downsize`` is the side of a bin in pixels of the map, MIT's 32; a map that shrinks to a single bin is an error.
    NaN with a warning where a map does not add up to more than 0. RuntimeError where the solver fails. Shared arguments
    and errors: ``kerasal.metrics``.
    """
    check_int("downsize", downsize)
    check_resize(resize)
    truth = map_of(density, "density", name)
    # Resized once, from its own size to the bins, as the benchmark does.
    checked = map_of(saliency_map, "saliency_map", name, shape=truth.shape if resize is None else None)
    height, width = (-(-size // int(downsize)) for size in truth.shape)
    shape = (height, width)
    if shape == (1, 1):
        raise ValueError(
            f"{subject('saliency_map', name)}: a map of shape {truth.shape} shrinks to a single bin, in which nothing "
            f"can move. Choose a downsize smaller than {int(downsize)}."
        )
    masses = []
    for which, argument in ((truth, "density"), (checked, "saliency_map")):
        small = imresize(which.values.reshape(which.shape), shape)
        total = float(small.sum())
        if not total > 0:
            return undefined("emd", f"{argument} adds up to {total:.6g}, so it cannot be scaled to sum 1", name)
        masses.append(small / total)
    return _transport(masses[0] - masses[1], subject("saliency_map", name))


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


def _transport(difference: np.ndarray, what: str) -> float:
    """Move what is too much to where it is missing; mass that both have in a bin never moves under a metric."""
    rows, columns = np.indices(difference.shape).reshape(2, -1)
    flat = difference.reshape(-1)
    source, sink = flat > 0, flat < 0
    much, little = flat[source], -flat[sink]
    amount = min(much.sum(), little.sum())  # equal but for rounding
    if amount <= 1e-15:
        return 0.0
    distance = np.hypot(rows[source][:, None] - rows[sink], columns[source][:, None] - columns[sink])
    cost, log = _solver()(much / much.sum(), little / little.sum(), distance, numItermax=2_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"{what}: the transport problem was not solved: {log['warning']}. Use a larger downsize.")
    return float(cost * amount)


@functools.cache
def _solver():
    """Import POT's solver, without every framework that is installed, which POT would import in turn for seconds."""
    names = [f"POT_BACKEND_DISABLE_{name}" for module, name in _FRAMEWORKS.items() if module not in sys.modules]
    added = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        import ot
    finally:
        for name in added:
            del os.environ[name]
    return ot.emd2
