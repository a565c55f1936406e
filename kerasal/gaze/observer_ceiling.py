"""The ceiling of gaze prediction: how well the other observers of an image predict each observer."""

import dataclasses
from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kerasal.datasets.gaze_dataset import SIGMA, GazeDataset
from kerasal.datasets.gaze_types import Points, Shape
from kerasal.metrics.blur import center_map
from kerasal.metrics.definitions import METRICS, Metric
from kerasal.metrics.observer_density import (
    MIXTURES,
    Mixture,
    left_out_densities,
    predict_density,
    reliability,
    score_mixtures,
)
from kerasal.metrics.summary import summarize, summarize_ratio
from kerasal.progress import progress_bar

GAIN = "information gain over the center density in bits per fixation: log-densities, every fixation counts (Tuebingen)"
_POINTWISE = ("nss", "auc", "auc_judd")
"""Metrics whose values do not depend on how many observers are predicted."""
_TRUTH = ", of the density that the other observers predict, at the fixations of each"


class NoCeiling(ValueError):
    """The data do not have two observers per image whose fixations can be told apart."""


@dataclasses.dataclass(frozen=True)
class Ceiling:
    """The result of ``ceiling``.

    Attributes:
        table: one row per image; see ``ceiling`` for the columns. Images with one observer have NaN.
        definitions: a dictionary from column to what it is.
        data: the data set.
    """

    table: pd.DataFrame
    definitions: dict[str, str]
    data: GazeDataset

    @property
    def summary(self) -> pd.DataFrame:
        """The mean, standard error and bootstrap interval of each column."""
        return summarize(self.table)

    def mixture(self, name: str) -> Mixture:
        """Return the mixture of an image, which was chosen on the other images."""
        sigma, center, uniform = self.table.loc[name, ["sigma", "center", "uniform"]].astype(float)
        return Mixture(sigma, center, uniform)

    def density(self, name: str) -> np.ndarray:
        """Return the density of all observers of an image, float64 (H, W), positive, with sum 1.

        It predicts an observer who is not among them. It contains all fixations, so do not score it at these.
        """
        points = self.data.points(name)
        if points is None:
            raise NoCeiling(f"Image {name!r} must have fixations, got only a density.")
        return predict_density(points.xy, _shape(points), self.mixture(name))


def ceiling(data: GazeDataset, *, progress: bool = False) -> Ceiling:
    """Return how well the observers of each image predict one another, the ceiling of a prediction from the image.

    Each observer is left out in turn. The fixations of the others become a density: Gaussian kernels, mixed with the
    center baseline and a uniform map so that nothing is 0. It is scored at the fixations of the observer left out, and
    the scores are means over all fixations of the image. Width and shares are those with the highest likelihood of
    observers left out on the other images of ``data``; of a single image, on this image.

    A model can be better: with few observers, their density is a rough estimate.

    Args:
        data: a ``GazeDataset`` that tells observers apart.
        progress: whether to show a progress bar.

    Returns:
        ``Ceiling``. Its table has the columns

        * ``information_gain``: over the center density, in bits per fixation;
        * ``nss`` and ``auc_judd`` by the definitions of the MIT benchmark;
        * ``cc``: the expected correlation of the blurred fixations of these observers (3 % of the width) with those of
          infinitely many, the highest CC that a map can be expected to reach;
        * ``observers`` and ``fixations``, their numbers;
        * ``sigma``, the width of the kernels as a share of the image's width, and the shares ``center`` and
          ``uniform``.

    Raises:
        NoCeiling: a ValueError; no image has two observers, or they cannot be told apart.
        ValueError: fixations cannot be read.

    Source: the gold standard of Kümmerer et al. 2015, "Information-theoretic model comparison unifies saliency
    metrics".
    """
    metrics = {name: METRICS[name] for name in ("nss", "auc_judd")}
    return score_ceiling(data, metrics, progress=progress)


def score_ceiling(
    data: GazeDataset, metrics: Mapping[str, Metric], sigma: float | None = None, *, progress: bool = False
) -> Ceiling:
    """Return the ceiling by other definitions of the metrics; those that depend on the number of observers are skipped.

    ``sigma`` is the width of the blur for ``cc`` in pixels. The other arguments and the errors are those of
    ``ceiling``.
    """
    points = {name: data.points(name) for name in data.names}
    usable = {name: found for name, found in points.items() if found is not None and _count_observers(found) > 1}
    if not usable:
        raise NoCeiling(_describe_lack(points))
    chosen = {column: metric for column, metric in metrics.items() if column in _POINTWISE}
    rows = {}
    with progress_bar("Ceiling", 2 * len(usable), progress) as advance:
        likelihoods = []
        for found in usable.values():
            likelihoods.append(score_mixtures(found.xy, np.asarray(found.subject), _shape(found)))
            advance(1)
        for (name, found), mixture in zip(usable.items(), _choose_mixtures(np.stack(likelihoods)), strict=True):
            rows[name] = _score_image(found, mixture, chosen, sigma, name)
            advance(1)
    definitions = {column: metric.text + _TRUTH for column, metric in chosen.items()}
    definitions = {"information_gain": GAIN + _TRUTH, **definitions}
    blur = "3 % of the width" if sigma is None else f"{sigma:g} px"
    definitions["cc"] = f"expected CC of these observers' fixations, blurred by {blur}, with those of infinitely many"
    columns = [*definitions, "observers", "fixations", "sigma", "center", "uniform"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).reindex(data.names)
    table.index.name = "image"
    return Ceiling(table, definitions, data)


def measure_gain(log_density: np.ndarray, points: Points) -> float:
    """Return the information gain of a log-density (H, W) over the center density, in bits per fixation."""
    return float((_at(log_density, points) - _at(_log_center(log_density.shape), points)).mean() / np.log(2))


def explained_share(gains: ArrayLike, ceilings: ArrayLike) -> dict[str, float]:
    """Return the mean gain of a model as a share of that of the ceiling, with its interval, and both means, in bits.

    ``gains`` and ``ceilings`` have one value per image; only images with both count. The share is NaN if the observers
    predict one another no better than the center does.
    """
    values = np.stack([np.asarray(gains, float), np.asarray(ceilings, float)])
    gain, ceiling = values[:, np.isfinite(values).all(axis=0)]
    share, low, high = summarize_ratio(gain, ceiling)
    means = [float(part.mean()) if len(part) else float("nan") for part in (gain, ceiling)]
    return {"share": share, "low": low, "high": high, "gain": means[0], "ceiling": means[1], "images": len(gain)}


def describe_explained(explained: Mapping[str, float]) -> str:
    """Return a sentence with the result of ``explained_share``."""
    bits = f"{explained['gain']:.2f} of {explained['ceiling']:.2f} bits per fixation above the center"
    if np.isnan(explained["share"]):
        return f"The share of explainable information is undefined: {bits}."
    return (
        f"The model explains {explained['share']:.0%} [{explained['low']:.0%}, {explained['high']:.0%}] of the "
        f"information that other observers have about an observer: {bits}."
    )


def _score_image(
    points: Points, mixture: Mixture, metrics: Mapping[str, Metric], sigma: float | None, name: str
) -> dict[str, float]:
    subjects, shape = np.asarray(points.subject), _shape(points)
    gain, scores = 0.0, dict.fromkeys(metrics, 0.0)
    for own, density in left_out_densities(points.xy, subjects, shape, mixture):
        left_out = Points(points.xy[own])
        share = own.sum() / len(own)
        gain += share * measure_gain(np.log(density), left_out)
        for column, metric in metrics.items():
            scores[column] += share * metric(density, {"fixations": left_out.xy}, resize=None, name=name)
    return {
        "information_gain": gain,
        **scores,
        "cc": reliability(points.xy, subjects, shape, SIGMA if sigma is None else sigma / shape[1]),
        "observers": _count_observers(points),
        "fixations": len(points.xy),
        **dataclasses.asdict(mixture),
    }


def _choose_mixtures(likelihoods: np.ndarray) -> list[Mixture]:
    """Return for each image the mixture with the highest mean log-likelihood (images, mixtures) on the other images."""
    totals = likelihoods.sum(axis=0) - (likelihoods if len(likelihoods) > 1 else 0 * likelihoods)
    return [MIXTURES[number] for number in totals.argmax(axis=1)]


def _shape(points: Points) -> Shape:
    """Return the size (H, W) of the image of points that a data set returned."""
    return cast(Shape, points.frame)


def _count_observers(points: Points) -> int:
    return 0 if points.subject is None else len(np.unique(points.subject))


def _describe_lack(points: Mapping[str, Points | None]) -> str:
    known = [found for found in points.values() if found is not None]
    if not known:
        lack = "only densities"
    elif all(found.subject is None for found in known):
        lack = "fixations without observers"
    else:
        lack = "one observer per image"
    return (
        f"A ceiling must have the fixations of at least two observers of an image, got {lack}. Give the data the "
        "observer of each fixation, such as the column subject of fixations.csv."
    )


def _log_center(shape: tuple[int, ...]) -> np.ndarray:
    center = center_map((shape[0], shape[1]))
    return np.log(center / center.sum())


def _at(values: np.ndarray, points: Points) -> np.ndarray:
    x, y = np.minimum(points.xy.astype(int), np.array(values.shape[1::-1]) - 1).T
    return values[y, x]
