"""What ``kerasal score`` is asked for: the files found, the options checked, and the score of one image."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from kerasal.datasets.fixation_files import list_fixations
from kerasal.datasets.map_files import list_maps, map_shape, read_map
from kerasal.digests import digest
from kerasal.metrics import coursework_metrics
from kerasal.metrics._fixations import Fixations, fixations_of
from kerasal.metrics.baselines import MeanMap
from kerasal.metrics.blur import sigma_of
from kerasal.metrics.definitions import PRESETS, resolve
from kerasal.metrics.image_scorer import Scorer, check_baselines, pool_of
from kerasal.names import unknown_name_message

_OWN_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)


@dataclasses.dataclass
class Job:
    """Everything needed to score one image after the other."""

    maps: dict[str, Path]
    densities: dict[str, Path]
    everyone: list[Fixations]
    position: dict[str, int]
    errors: dict[str, str]
    scorer: Scorer | None  # None: the coursework script
    mean: MeanMap | None
    settings: dict[str, Any]
    notes: list[str]

    @property
    def definitions(self) -> dict[str, str]:
        """Column -> definition."""
        if self.scorer is not None:
            return self.scorer.columns
        columns = self.settings["metrics"] or coursework_metrics.DEFINITIONS
        legacy = "; legacy: values wrapped, nearest pixel" if self.settings["legacy"] else ""
        return {column: coursework_metrics.DEFINITIONS[column] + legacy for column in columns}

    def score(self, name: str) -> dict[str, Any]:
        """Return the row of one image: its values, or why there are none under ``error``."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                values = self._values(name)
        except _OWN_ERRORS as error:
            return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}
        return {**values, "error": None, "warnings": [str(warning.message) for warning in caught]}

    def _values(self, name: str) -> dict[str, float]:
        position = self.position[name]
        fixated = self.everyone[position]
        prediction = read_map(self.maps[name])
        others = pool_of(self.everyone, position, self.settings["seed"])
        if self.scorer is not None:
            density = read_map(self.densities[name]) if self.densities else None
            return self.scorer.score(prediction, fixated, density, others=others, mean=self.mean, name=name)
        pool = others(fixated.shape)
        values = coursework_metrics.coursework_scores(
            prediction, fixated, pool, legacy=self.settings["legacy"], name=name
        )
        return {column: values[column] for column in self.definitions}


def prepare(maps: Path, fixations: Path, *, densities: Path | None, size, baselines, **settings) -> Job:
    """Find the files, read all fixations, and check the options before anything is computed.

    Raises:
        ValueError: options that do not fit, or no image with both a map and fixations.
    """
    found_maps, found_fixations = list_maps(maps), list_fixations(fixations)
    found_densities = list_maps(densities) if densities is not None else {}
    sigma = None if settings["sigma"] is None else sigma_of(_number_or_name(settings["sigma"]))
    scorer = _scorer(settings, baselines, sigma, bool(found_densities))
    names = [name for name in found_maps if name in found_fixations]
    if not names:
        raise ValueError(
            f"No map in {maps} has fixations of the same name in {fixations}: "
            f"maps are called {_some(found_maps)}, fixations "
            f"{_some(found_fixations)}."
        )
    errors = {
        name: f"there are no fixations of this name in {fixations}"
        for name in found_maps
        if name not in found_fixations
    }
    errors |= {
        name: f"there is no density of this name in {densities}"
        for name in names
        if densities and name not in found_densities
    }
    everyone, position = [], {}
    for name in names:
        try:
            fixated = _read(name, found_maps[name], found_fixations[name], size, scorer is None)
        except _OWN_ERRORS as error:
            errors[name] = str(error).splitlines()[0]
            continue
        position[name] = len(everyone)
        everyone.append(fixated)
    spare = [name for name in found_fixations if name not in found_maps]
    notes = [f"{len(spare)} images in {fixations} have no map: {_some(spare)}."] if spare else []
    if scorer is not None and len(everyone) == 1 and not settings["metrics"]:
        scorer = scorer.without_others()
        notes.append("A single image has no others, so the shuffled AUC and the baseline mean are left out.")
    elif scorer is not None and len(everyone) == 1 and not baselines and "mean" in scorer.baselines:
        scorer = dataclasses.replace(scorer, baselines=[name for name in scorer.baselines if name != "mean"])
        notes.append("A single image has no others, so the baseline mean is left out.")
    mean = _mean(scorer, everyone)
    settings |= {
        "maps": str(maps),
        "fixations": str(fixations),
        "densities": str(densities or ""),
        "sigma": sigma,
        "size": size,
    }
    fixated = [(one.shape, one.index, one.count) for one in everyone]
    settings |= {"baselines": list(scorer.baselines) if scorer else [], "fixations_digest": digest(position, fixated)}
    return Job(found_maps, found_densities, everyone, position, errors, scorer, mean, settings, notes)


def _scorer(settings: dict, baselines, sigma: float | None, densities: bool) -> Scorer | None:
    metrics = settings["metrics"]
    if settings["definition"] == "coursework":
        for name in metrics or ():
            if name not in coursework_metrics.DEFINITIONS:
                raise ValueError(unknown_name_message(name, coursework_metrics.DEFINITIONS, "metric of the coursework"))
        return None
    available = {"fixations", "baseline", "others"} | ({"density"} if sigma is not None or densities else set())
    preset = PRESETS[settings["definition"]]
    if metrics:
        wanted = {name: preset.get(name, (name, {})) for name in metrics}
    else:
        wanted = {
            c: v for c, v in preset.items() if available >= set(resolve([v[0]], {*available, "density"})[v[0]].needs)
        }
    chosen = ("center", "mean") if not baselines else () if baselines == ["none"] else tuple(baselines)
    return Scorer(resolve(wanted, available), check_baselines(chosen), None if densities else sigma, settings["resize"])


def _mean(scorer: Scorer | None, everyone: list[Fixations]) -> MeanMap | None:
    if scorer is None or "mean" not in scorer.baselines:
        return None
    mean = MeanMap()
    for fixated in everyone:
        mean.add(fixated)
    return mean


def _read(name: str, file: Path, reader, size, coursework_sized: bool) -> Fixations:
    value = reader()
    shape = value.shape if value.ndim == 2 and value.shape[1] != 2 else size
    if shape is None:
        shape = (480, 640) if coursework_sized else map_shape(file)
    return fixations_of(value, shape, "fixations", name)


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _some(names) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" .. {names[-1]}" if len(names) > 3 else "")
