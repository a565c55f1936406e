"""Metrics of a map against a fixation density: correlation, similarity, KL divergence and earth mover's distance."""

import functools
import os
import sys

import numpy as np

from kerasal.checks import check_choice, check_int, check_number
from kerasal.metrics._maps import (
    Map,
    MapLike,
    as_map,
    check_resize,
    describe_argument,
    imresize,
    imresize_by,
    warn_of_nan,
)
from kerasal.metrics._sums import correlation, overlap, relative_entropy, shifted_sum

_EPSILON = 2.0**-52
_FRAMEWORKS = {"tensorflow": "TENSORFLOW", "torch": "PYTORCH", "jax": "JAX", "cupy": "CUPY"}


def cc(saliency_map: MapLike, density: MapLike, *, resize: str | None = None, name: str | None = None) -> float:
    """Compute Pearson's correlation of a map with the density of fixations (MIT's ``CC.m``).

    Range -1 to 1, chance 0; invariant to a positive scale and an offset of either map. Pitfall: it depends on the blur
    of the density, so report its sigma, and it is symmetric: a false peak costs as much as a missed one.

    Returns NaN with a warning if a map is constant. Shared arguments and errors: ``kerasal.metrics``.
    """
    checked, truth = _check_pair(saliency_map, density, resize, name)
    for array, argument in ((checked, "saliency_map"), (truth, "density")):
        if array.constant:
            return warn_of_nan("cc", f"{argument} is constant", name)
    return min(1.0, max(-1.0, correlation(checked.values, truth.values)))


def similarity(
    saliency_map: MapLike,
    density: MapLike,
    *,
    normalization: str = "minmax",
    resize: str | None = None,
    name: str | None = None,
) -> float:
    """Compute the histogram intersection of a map and a density (MIT's ``similarity.m``): the sum of min(p, q).

    p and q are the map and the density scaled to sum 1. Range 0 to 1, 1 for equal maps. Pitfall: it penalizes missed
    mass more than excess mass, and the normalizations differ: MIT scales to 0..1 first, Tuebingen does not.

    ``normalization`` is ``"minmax"``, to 0..1 and then to sum 1 (MIT), or ``"sum"``, only to sum 1 (Tuebingen), which
    requires non-negative values. Returns NaN with a warning if a map is constant (``"minmax"``) or all zero
    (``"sum"``). Shared arguments and errors: ``kerasal.metrics``.
    """
    check_choice("normalization", normalization, ("minmax", "sum"))
    checked, truth = _check_pair(saliency_map, density, resize, name)
    for array, argument in ((checked, "saliency_map"), (truth, "density")):
        if normalization == "minmax" and array.constant:
            return warn_of_nan("similarity", f"{argument} is constant, so it cannot be scaled to 0..1", name)
        if normalization == "sum":
            _check_not_negative(array, argument, name)
            if array.high == 0:
                return warn_of_nan("similarity", f"{argument} is zero everywhere", name)
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
    """Compute the Kullback-Leibler divergence of a map from the density in nats (MIT's ``KLdiv.m``).

    It is the sum of g ln(epsilon + g / (s + epsilon)) with the density g and the map s, both scaled to sum 1. Range 0
    (equal maps) to infinity; lower is better. Pitfall: where the map is 0 and the density is not, epsilon determines
    the score: pysaliency's default of 1e-20 gives about 10 more than MIT's 2**-52 on sparse maps. Compare scores only
    at the same epsilon.

    Map and density must be non-negative, also after resizing. Returns NaN with a warning if either is all zero. Shared
    arguments and errors: ``kerasal.metrics``.
    """
    check_number("epsilon", epsilon, above=0, below=1)
    checked, truth = _check_pair(saliency_map, density, resize, name)
    for array, argument in ((checked, "saliency_map"), (truth, "density")):
        _check_not_negative(array, argument, name)
        if array.high == 0:
            return warn_of_nan("kld", f"{argument} is zero everywhere", name)
    totals = float(truth.values.sum()), float(checked.values.sum())
    return relative_entropy(truth.values, checked.values, totals, epsilon)


def emd(
    saliency_map: MapLike, density: MapLike, *, downsize: int = 32, resize: str | None = None, name: str | None = None
) -> float:
    """Compute the earth mover's distance between a map and a density (MIT's ``EMD(map, density, 0, downsize)``).

    It is the Wasserstein-1 distance of the two, shrunk by ``downsize`` and scaled to sum 1, with distances between bin
    centers in units of bins. Range 0 (equal maps) to the diagonal of the shrunk map; lower is better. It is the only
    metric here that measures how far the predicted mass is from the density. Pitfall: it depends on the image size and
    on ``downsize``. Bicubic shrinking can leave small negative values, so the cost is computed from the difference of
    the two maps. The density is resized by the factor 1 / ``downsize`` and the map to the resulting number of bins, as
    at MIT: if ``downsize`` does not divide the height and width, these differ, and the EMD of a map and itself is not 0
    (.095 for the center Gaussian of 600 x 800 pixels at 32).

    ``downsize`` is the side of a bin in pixels, 32 at MIT; ValueError if the map shrinks to a single bin. Returns NaN
    with a warning if the sum of a map is not positive. RuntimeError if the solver fails. Shared arguments and
    errors: ``kerasal.metrics``.
    """
    check_int("downsize", downsize)
    check_resize(resize)
    truth = as_map(density, "density", name)
    # As in the benchmark, the map is resized only once, from its original size to the bins.
    checked = as_map(saliency_map, "saliency_map", name, shape=truth.shape if resize is None else None)
    small = imresize_by(truth.values.reshape(truth.shape), 1 / int(downsize))
    if small.shape == (1, 1):
        raise ValueError(
            f"{describe_argument('saliency_map', name)} must shrink to more than a single bin, got shape "
            f"{truth.shape}. Choose a downsize smaller than {int(downsize)}."
        )
    masses = []
    bins = {"density": small, "saliency_map": imresize(checked.values.reshape(checked.shape), small.shape)}
    for argument, values in bins.items():
        total = float(values.sum())
        if not total > 0:
            return warn_of_nan("emd", f"{argument} has the sum {total:.6g}, so it cannot be scaled to sum 1", name)
        masses.append(values / total)
    return _transport_cost(masses[0] - masses[1], describe_argument("saliency_map", name))


def _check_not_negative(array: Map, argument: str, name: str | None) -> None:
    if array.low < 0:
        raise ValueError(
            f"{describe_argument(argument, name)} must be non-negative (also after resizing), got {array.low:.6g}. "
            "Clip or shift the map, or take exp of a log-density."
        )


def _check_pair(saliency_map, density, resize: str | None, name: str | None) -> tuple[Map, Map]:
    check_resize(resize)
    truth = as_map(density, "density", name)
    return as_map(saliency_map, "saliency_map", name, shape=truth.shape, resize=resize), truth


def _transport_cost(difference: np.ndarray, argument: str) -> float:
    """Return the cost of moving the positive part of ``difference`` onto its negative part."""
    rows, columns = np.indices(difference.shape).reshape(2, -1)
    flat = difference.reshape(-1)
    source, sink = flat > 0, flat < 0
    excess, deficit = flat[source], -flat[sink]
    amount = min(excess.sum(), deficit.sum())  # equal except for rounding
    if amount <= 1e-15:
        return 0.0
    distance = np.hypot(rows[source][:, None] - rows[sink], columns[source][:, None] - columns[sink])
    cost, log = _load_solver()(excess / excess.sum(), deficit / deficit.sum(), distance, numItermax=2_000_000, log=True)
    if log["warning"] is not None:
        raise RuntimeError(
            f"{argument}: the transport problem was not solved: {log['warning']}. Use a larger downsize."
        )
    return float(cost * amount)


@functools.cache
def _load_solver():
    """Return the solver of POT, imported without TensorFlow and other frameworks, whose import would take seconds."""
    names = [f"POT_BACKEND_DISABLE_{name}" for module, name in _FRAMEWORKS.items() if module not in sys.modules]
    added = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        import ot
    finally:
        for name in added:
            del os.environ[name]
    return ot.emd2
