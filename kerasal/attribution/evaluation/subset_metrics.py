"""Metrics of random subsets of regions: does a map's sum over removed regions tell how much the score drops?

``mu_fidelity`` and ``infidelity`` read the same subsets, and ``sensitivity_n`` those of several sizes. They are scored
once for all maps.
"""

from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from kerasal.attribution.evaluation.metric import metric
from kerasal.attribution.evaluation.scorer import check_samples, subset_size
from kerasal.attribution.perturbation.partition import Regions


@metric(reference="Bhatt, Weller & Moura 2020, definition 3", better="higher")
def mu_fidelity(
    scorer,
    maps,
    *,
    share: float = 0.2,
    samples: int = 200,
    cells: int | tuple[int, ...] | None = None,
    fill: Any = 0.0,
    correlation: Literal["pearson", "spearman"] = "pearson",
    seed: int = 0,
):
    """Correlation between the map's sum over a random subset of regions and the drop of the score without it.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), signed where the map has a sign.
        share: share of the regions in a subset, above 0 and below 1.
        samples: number of subsets, the same for all images and maps; at least 3.
        cells: number of cells of the grid of regions along each side, or a tuple with one per axis. By default 7 × 7 in
            an image, 24 in a signal, 4 per side in a volume; features and tokens are regions of their own.
        fill: values that replace removed regions, as for ``deletion``.
        correlation: "pearson", as in the paper, or "spearman", of ranks.
        seed: seed of the subsets.

    Returns:
        An ``Evaluation`` of values in -1..1: 0 for a map that is equal in all regions, NaN if no subset changes the
        score.

    Raises:
        ValueError: ``share``, ``samples``, ``cells`` or ``fill`` is out of range, or the maps do not fit.
    """
    regions = scorer.regions(cells)
    size = subset_size(share, regions.count)
    removed, drops = scorer.subset_drops(regions, size, check_samples(samples), scorer.fill(fill), seed)
    return _correlate(_sums(maps, regions) @ removed.T, drops.T, correlation)


@metric(reference="Ancona et al. 2018, section 4", better="higher")
def sensitivity_n(
    scorer,
    maps,
    *,
    shares: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7),
    samples: int = 100,
    cells: int | tuple[int, ...] | None = None,
    fill: Any = 0.0,
    seed: int = 0,
):
    """Correlation between the map's sum over n removed regions and the drop of the score, mean over several n.

    A method that satisfies "sensitivity-n" for all n has a correlation of 1, as gradient × input has for a linear
    model.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), signed where the map has a sign.
        shares: the numbers of removed regions, as shares of all, each above 0 and below 1.
        samples: number of subsets of each size, at least 3.
        cells: regions, as for ``mu_fidelity``.
        fill: values that replace removed regions, as for ``deletion``.
        seed: seed of the subsets.

    Returns:
        An ``Evaluation`` of values in -1..1; ``details["correlations"]`` holds those of each n, (N, len(shares)).

    Raises:
        ValueError: an option is out of range, or the maps do not fit.
    """
    if not np.size(shares):
        raise ValueError("shares must hold at least one number above 0 and below 1, got none.")
    regions, filling = scorer.regions(cells), scorer.fill(fill)
    columns = []
    for share in np.atleast_1d(shares).tolist():
        size = subset_size(share, regions.count, "shares")
        removed, drops = scorer.subset_drops(regions, size, check_samples(samples), filling, seed)
        columns.append(_correlate(_sums(maps, regions) @ removed.T, drops.T, "pearson"))
    correlations = np.stack(columns, axis=1)
    return correlations.mean(axis=1), {"correlations": correlations}


@metric(reference="Yeh et al. 2019, definition 2.1", better="lower")
def infidelity(
    scorer,
    maps,
    *,
    share: float = 0.2,
    samples: int = 200,
    cells: int | tuple[int, ...] | None = None,
    fill: Any = 0.0,
    scale: bool = True,
    seed: int = 0,
):
    """Mean squared error of the map's sum over a random subset of regions as a guess of the score's drop without it.

    The perturbation of the definition removes a subset of regions, so maps are contributions to the score, such as
    gradient × input, and not gradients.

    Args:
        scorer: the model's scores of changed inputs.
        maps: float (N, *positions), signed where the map has a sign.
        share: share of the regions in a subset, above 0 and below 1.
        samples: number of subsets, the same for all images and maps; at least 3.
        cells: regions, as for ``mu_fidelity``.
        fill: values that replace removed regions, as for ``deletion``.
        scale: multiply each map by the factor with the least error first, so that maps in other units than the score
            can be compared.
        seed: seed of the subsets.

    Returns:
        An ``Evaluation`` of values from 0, in squared units of the score.

    Raises:
        ValueError: an option is out of range, or the maps do not fit.
    """
    regions = scorer.regions(cells)
    size = subset_size(share, regions.count)
    removed, drops = scorer.subset_drops(regions, size, check_samples(samples), scorer.fill(fill), seed)
    sums, drops = _sums(maps, regions) @ removed.T, drops.T
    if scale:
        squares = (sums**2).sum(axis=1, keepdims=True)
        factors = np.divide((sums * drops).sum(axis=1, keepdims=True), squares, where=squares > 0, out=squares * 0)
        sums = factors * sums
    return ((sums - drops) ** 2).mean(axis=1)


def _sums(maps: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the sums of maps in each region, (N, regions)."""
    flat = regions.labels.ravel()
    return np.stack([np.bincount(flat, values.ravel(), regions.count) for values in maps])


def _correlate(sums: np.ndarray, drops: np.ndarray, kind: str) -> np.ndarray:
    """Return the correlations of rows (N, samples): 0 for equal sums, NaN for equal drops."""
    if kind == "spearman":
        sums, drops = rankdata(sums, axis=1), rankdata(drops, axis=1)
    centered = [part - part.mean(axis=1, keepdims=True) for part in (sums, drops)]
    sizes = [np.sqrt((part**2).sum(axis=1)) for part in centered]
    # A sum of equal values differs from another in its last bits, which is no variation.
    known = [
        size > 1e-10 * np.abs(part).max(axis=1, initial=0) for size, part in zip(sizes, (sums, drops), strict=True)
    ]
    product = (centered[0] * centered[1]).sum(axis=1)
    scale = np.where(known[0] & known[1], sizes[0] * sizes[1], 1)
    return np.where(known[1], np.where(known[0], product / scale, 0.0), np.nan)
