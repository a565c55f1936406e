"""The earth mover's distance."""

import functools
import os
import sys

import numpy as np

from kerasal.checks import check_int
from kerasal.metrics._maps import check_resize, imresize, map_of, subject, undefined

_FRAMEWORKS = {"tensorflow": "TENSORFLOW", "torch": "PYTORCH", "jax": "JAX", "cupy": "CUPY"}


def emd(saliency_map, density, *, downsize: int = 32, resize: str | None = None, name: str | None = None) -> float:
    """Compute the earth mover's distance between map and density (MIT's ``EMD(map, density, 0, downsize)``).

    The Wasserstein-1 distance of the two, shrunk by ``downsize`` and scaled to sum 1, with the distance of two bins
    measured between their centres in bins. 0 = the same, lower is better, at most the diagonal of the shrunk map. The
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
