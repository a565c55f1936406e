"""Score one image, its map and the baselines; ``evaluate`` and ``kerasal score`` share this."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kerasal.metrics._fixations import Fixations, fixations_of, map_and_fixations
from kerasal.metrics._maps import Map, map_of
from kerasal.metrics.baselines import BASELINES, MeanMap, center_map
from kerasal.metrics.blur import blur_fixations
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
        found = {column: metric.text for column, metric in self.metrics.items()}
        for baseline in self.baselines:
            found |= {
                f"{baseline}_{column}": f"{metric.text}, of {BASELINES[baseline]}"
                for column, metric in self.metrics.items()
            }
        if self.sigma is not None:
            blurred = {column for column, metric in self.metrics.items() if "density" in metric.needs}
            for column in found:
                if column.split("_", 1)[-1] in blurred or column in blurred:
                    found[column] += f"; density = fixations blurred by {self.sigma:g} px"
        return found

    def without_others(self) -> "Scorer":
        """Return what can be computed of a single image: nothing that needs the fixations of other images."""
        metrics = {column: metric for column, metric in self.metrics.items() if "others" not in metric.needs}
        return dataclasses.replace(self, metrics=metrics).without_mean()

    def without_mean(self) -> "Scorer":
        """Return the same without the baseline of the other images' mean."""
        return dataclasses.replace(self, baselines=[name for name in self.baselines if name != "mean"])

    def score(
        self,
        saliency_map,
        fixations,
        density=None,
        *,
        others: Callable[[tuple[int, int]], np.ndarray | Fixations] | None = None,
        mean: MeanMap | None = None,
        name: str | None = None,
    ) -> dict[str, float]:
        """Return column -> value for one image; ``others`` makes the pool of other fixations for a map's shape.

        Raises:
            ValueError: bad input; the message names the argument and the image.
        """
        checked, fixated = map_and_fixations(saliency_map, fixations, self.resize, name)
        given = {"fixations": fixated, "baseline": map_of(center_map(checked.shape), "baseline", name)}
        needs = {need for metric in self.metrics.values() for need in metric.needs}
        if "density" in needs:
            blurred = blur_fixations(fixated, self.sigma) if density is None else density
            given["density"] = map_of(blurred, "density", name)
        if "others" in needs:
            given["others"] = fixations_of(others(checked.shape), checked.shape, "other_fixations", name)
        row = self._values(saliency_map if "density" in needs and self.resize else checked, given, name)
        for baseline in self.baselines:
            prior = given["baseline"] if baseline == "center" else self._mean(mean, fixated, name)
            row |= {f"{baseline}_{column}": value for column, value in self._values(prior, given, name).items()}
        return row

    def _values(self, saliency_map, given: dict, name: str | None) -> dict[str, float]:
        return {
            column: metric(saliency_map, given, resize=self.resize, name=name)
            for column, metric in self.metrics.items()
        }

    @staticmethod
    def _mean(mean: MeanMap, fixated: Fixations, name: str | None) -> Map:
        return map_of(mean.without(fixated), "baseline", name)


def check_baselines(baselines: Sequence[str]) -> tuple[str, ...]:
    """Return the baselines as a tuple.

    Raises:
        ValueError: an unknown one.
    """
    given = (baselines,) if isinstance(baselines, str) else tuple(baselines)
    for name in given:
        if name not in BASELINES:
            raise ValueError(unknown_name_message(name, BASELINES, "baseline"))
    return given


def pool_of(everyone: Sequence[Fixations], own: int, seed: int, count: int = _OTHERS) -> Callable:
    """Return a function from a shape to the fixated pixels of ``count`` random other images, scaled to that shape."""
    others = np.delete(np.arange(len(everyone)), own)
    chosen = np.random.default_rng([seed, own]).choice(others, min(count, others.size), replace=False)

    def pool(shape: tuple[int, int]) -> Fixations:
        return unite_fixations([everyone[which] for which in chosen], shape)

    return pool


def unite_fixations(several: Sequence[Fixations], shape: tuple[int, int]) -> Fixations:
    """Return the fixations of several images as one set on a map of ``shape``, counts added."""
    if not several:
        raise ValueError("other_fixations: the shuffled AUC of a single image needs the fixations of other images.")
    flat, counts = [], []
    for fixated in several:
        y, x = np.divmod(fixated.index.astype(np.int64), fixated.shape[1])
        if fixated.shape != shape:  # the centre of the pixel, in fractions of the image
            y = (2 * y + 1) * shape[0] // (2 * fixated.shape[0])
            x = (2 * x + 1) * shape[1] // (2 * fixated.shape[1])
        flat.append(y * shape[1] + x)
        counts.append(fixated.count)
    index, which = np.unique(np.concatenate(flat), return_inverse=True)
    return Fixations(index, np.bincount(which, weights=np.concatenate(counts)).astype(np.int64), shape)
