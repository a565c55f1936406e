"""Compute the scores of an image and of its baselines, for ``evaluate`` and ``evaluate_folder``."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.metrics._fixations import Fixations, as_fixations, map_and_fixations
from kerasal.metrics._maps import as_map
from kerasal.metrics.blur import BASELINES, MeanMap, blur_fixations, center_map
from kerasal.metrics.definitions import Metric
from kerasal.names import unknown_name_message

_OTHERS = 10  # number of other images for the shuffled AUC, as at MIT


@dataclasses.dataclass(frozen=True)
class Scorer:
    """The metrics and baselines to compute for each image, with the options of ``evaluate``."""

    metrics: Mapping[str, Metric]
    baselines: Sequence[str] = ()
    sigma: float | None = None
    resize: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """A dictionary from column to definition, in the order of the table."""
        texts = {}
        for baseline in ("", *self.baselines):
            for column, metric in self.metrics.items():
                text = f"{metric.text}, of {BASELINES[baseline]}" if baseline else metric.text
                if self.sigma is not None and "density" in metric.needs:
                    text += f"; density = fixations blurred by {self.sigma:g} px"
                texts[f"{baseline}_{column}" if baseline else column] = text
        return texts

    def without_others(self) -> "Scorer":
        """Return the scorer without the metrics and baselines that need the fixations of other images."""
        metrics = {column: metric for column, metric in self.metrics.items() if "others" not in metric.needs}
        return dataclasses.replace(self.without_mean(), metrics=metrics)

    def without_mean(self) -> "Scorer":
        """Return the scorer without the baseline ``"mean"``, which needs other images."""
        return dataclasses.replace(self, baselines=[name for name in self.baselines if name != "mean"])

    def score(
        self,
        saliency_map,
        fixations,
        density=None,
        *,
        others: Any = None,
        mean: MeanMap | None = None,
        name: str | None = None,
    ) -> dict[str, float]:
        """Return the scores of an image, a dictionary from column to score.

        ``others`` are the fixations of other images, or a function from the shape of the map to these fixations.
        """
        checked, fixated = map_and_fixations(saliency_map, fixations, self.resize, name)
        inputs = {"fixations": fixated, "baseline": as_map(center_map(checked.shape), "baseline", name)}
        needs = {need for metric in self.metrics.values() for need in metric.needs}
        if "density" in needs:
            if density is None and self.sigma is not None:
                density = blur_fixations(fixated, self.sigma)
            inputs["density"] = as_map(density, "density", name)
        if "others" in needs:
            pool = others(checked.shape) if callable(others) else others
            inputs["others"] = as_fixations(pool, checked.shape, "other_fixations", name)
        row = self._compute(saliency_map if "density" in needs and self.resize else checked, inputs, name)
        for baseline in self.baselines:
            prior = inputs["baseline"]
            if baseline == "mean":
                prior = as_map((mean or MeanMap()).mean_of_others(fixated), "baseline", name)
            row |= {f"{baseline}_{column}": value for column, value in self._compute(prior, inputs, name).items()}
        return row

    def _compute(self, saliency_map, inputs: dict, name: str | None) -> dict[str, float]:
        return {
            column: metric(saliency_map, inputs, resize=self.resize, name=name)
            for column, metric in self.metrics.items()
        }


def check_baselines(baselines: Sequence[str]) -> tuple[str, ...]:
    """Return the baselines as a tuple; raise a ValueError for an unknown name."""
    chosen = (baselines,) if isinstance(baselines, str) else tuple(baselines)
    for name in chosen:
        if name not in BASELINES:
            raise ValueError(unknown_name_message(name, BASELINES, "baseline"))
    return chosen


def sample_other_fixations(
    all_fixations: Sequence[Fixations], position: int, seed: int
) -> Callable[[tuple[int, int]], Fixations]:
    """Return a function that scales the fixations of ten random other images to a shape and unites them.

    ``position`` is the index of the image in ``all_fixations`` to leave out.
    """
    others = np.delete(np.arange(len(all_fixations)), position)
    chosen = np.random.default_rng([seed, position]).choice(others, min(_OTHERS, others.size), replace=False)
    return functools.partial(unite_fixations, [all_fixations[other] for other in chosen])


def unite_fixations(images: Sequence[Fixations], shape: tuple[int, int]) -> Fixations:
    """Scale the fixations of several images to a map of ``shape`` and add their counts."""
    if not images:
        raise ValueError(
            "The shuffled AUC must have the fixations of other images, got a single image. Score at least two images."
        )
    flat, counts = [], []
    for fixated in images:
        y, x = np.divmod(fixated.index.astype(np.int64), fixated.shape[1])
        if fixated.shape != shape:  # the center of the pixel relative to the image size
            y = (2 * y + 1) * shape[0] // (2 * fixated.shape[0])
            x = (2 * x + 1) * shape[1] // (2 * fixated.shape[1])
        flat.append(y * shape[1] + x)
        counts.append(fixated.count)
    index, inverse = np.unique(np.concatenate(flat), return_inverse=True)
    return Fixations(index, np.bincount(inverse, weights=np.concatenate(counts)).astype(np.int64), shape)
