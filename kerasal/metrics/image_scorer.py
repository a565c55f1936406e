"""Score one image, its map and the baselines; ``evaluate`` and ``kerasal score`` share this."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.metrics._fixations import Fixations, fixations_of, map_and_fixations
from kerasal.metrics._maps import map_of
from kerasal.metrics.blur import BASELINES, MeanMap, blur_fixations, center_map
from kerasal.metrics.definitions import Metric
from kerasal.names import unknown_name_message

_OTHERS = 10  # images whose fixations make the pool of the shuffled AUC, as at MIT


@dataclasses.dataclass(frozen=True)
class Scorer:
    """What ``evaluate`` computes for each image; see there."""

    metrics: Mapping[str, Metric]
    baselines: Sequence[str] = ()
    sigma: float | None = None
    resize: str | None = None

    @property
    def columns(self) -> dict[str, str]:
        """Column -> definition, in the table's order."""
        texts = {}
        for baseline in ("", *self.baselines):
            for column, metric in self.metrics.items():
                text = f"{metric.text}, of {BASELINES[baseline]}" if baseline else metric.text
                if self.sigma is not None and "density" in metric.needs:
                    text += f"; density = fixations blurred by {self.sigma:g} px"
                texts[f"{baseline}_{column}" if baseline else column] = text
        return texts

    def without_others(self) -> "Scorer":
        """Return what can be computed of a single image: nothing that needs the fixations of other images."""
        metrics = {column: metric for column, metric in self.metrics.items() if "others" not in metric.needs}
        return dataclasses.replace(self.without_mean(), metrics=metrics)

    def without_mean(self) -> "Scorer":
        """Return the scorer without the baseline that is the mean of other images."""
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
        """Return column -> value for one image; ``others`` is the pool of other fixations, or makes one of a shape."""
        checked, fixated = map_and_fixations(saliency_map, fixations, self.resize, name)
        given = {"fixations": fixated, "baseline": map_of(center_map(checked.shape), "baseline", name)}
        needs = {need for metric in self.metrics.values() for need in metric.needs}
        if "density" in needs:
            if density is None and self.sigma is not None:
                density = blur_fixations(fixated, self.sigma)
            given["density"] = map_of(density, "density", name)
        if "others" in needs:
            pool = others(checked.shape) if callable(others) else others
            given["others"] = fixations_of(pool, checked.shape, "other_fixations", name)
        row = self._values(saliency_map if "density" in needs and self.resize else checked, given, name)
        for baseline in self.baselines:
            prior = given["baseline"]
            if baseline == "mean":
                prior = map_of((mean or MeanMap()).without(fixated), "baseline", name)
            row |= {f"{baseline}_{column}": value for column, value in self._values(prior, given, name).items()}
        return row

    def _values(self, saliency_map, given: dict, name: str | None) -> dict[str, float]:
        return {
            column: metric(saliency_map, given, resize=self.resize, name=name)
            for column, metric in self.metrics.items()
        }


def check_baselines(baselines: Sequence[str]) -> tuple[str, ...]:
    """Return the baselines as a tuple; refuse unknown ones."""
    given = (baselines,) if isinstance(baselines, str) else tuple(baselines)
    for name in given:
        if name not in BASELINES:
            raise ValueError(unknown_name_message(name, BASELINES, "baseline"))
    return given


def pool_of(everyone: Sequence[Fixations], own: int, seed: int) -> Callable[[tuple[int, int]], Fixations]:
    """Return a function from a shape to the fixated pixels of ten random other images, scaled to that shape."""
    others = np.delete(np.arange(len(everyone)), own)
    chosen = np.random.default_rng([seed, own]).choice(others, min(_OTHERS, others.size), replace=False)
    return functools.partial(unite_fixations, [everyone[which] for which in chosen])


def unite_fixations(several: Sequence[Fixations], shape: tuple[int, int]) -> Fixations:
    """Return the fixations of several images as one set on a map of ``shape``, counts added."""
    if not several:
        raise ValueError("other_fixations: the shuffled AUC of a single image needs the fixations of other images.")
    flat, counts = [], []
    for fixated in several:
        y, x = np.divmod(fixated.index.astype(np.int64), fixated.shape[1])
        if fixated.shape != shape:  # the center of the pixel, in fractions of the image
            y = (2 * y + 1) * shape[0] // (2 * fixated.shape[0])
            x = (2 * x + 1) * shape[1] // (2 * fixated.shape[1])
        flat.append(y * shape[1] + x)
        counts.append(fixated.count)
    index, which = np.unique(np.concatenate(flat), return_inverse=True)
    return Fixations(index, np.bincount(which, weights=np.concatenate(counts)).astype(np.int64), shape)
