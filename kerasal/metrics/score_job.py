"""The images of a folder that are to be scored: the files, the options checked, and the score of one image."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from kerasal.digests import digest
from kerasal.fixations.fixation_files import list_fixations
from kerasal.fixations.map_files import list_maps, map_shape, read_map
from kerasal.metrics import coursework_metrics
from kerasal.metrics._fixations import Fixations, fixations_of
from kerasal.metrics.baselines import MeanMap
from kerasal.metrics.blur import sigma_of
from kerasal.metrics.definitions import PRESETS, resolve
from kerasal.metrics.image_scorer import Scorer, check_baselines, pool_of
from kerasal.names import abbreviate, unknown_name_message

_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)


@dataclasses.dataclass
class Job:
    """The images to be scored, with all that one of them needs."""

    maps: dict[str, Path]
    densities: dict[str, Path]
    everyone: list[Fixations]
    position: dict[str, int]
    errors: dict[str, str]
    scorer: Scorer | None  # None: the coursework's script
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
        except _ERRORS as error:
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


def prepare(maps: Path, fixations: Path, densities: Path | None, *, sigma, size, baselines, **settings) -> Job:
    """Find the files, read all fixations, and check the options before anything is computed.

    Raises:
        ValueError: options that do not fit, or no image with both a map and fixations.
    """
    map_files, readers = list_maps(maps), list_fixations(fixations)
    density_files = list_maps(densities) if densities is not None else {}
    sigma = None if sigma is None else sigma_of(sigma)
    scorer = _scorer(settings, baselines, sigma, bool(density_files))
    names = [name for name in map_files if name in readers]
    if not names:
        raise ValueError(
            f"No map in {maps} has fixations of the same name in {fixations}: maps are called "
            f"{abbreviate(map_files, 3)}, fixations {abbreviate(readers, 3)}."
        )
    errors = {name: f"there are no fixations of this name in {fixations}" for name in map_files if name not in readers}
    errors |= {
        name: f"there is no density of this name in {densities}"
        for name in names
        if densities and name not in density_files
    }
    everyone, position = [], {}
    for name in names:
        try:
            fixated = _read(name, map_files[name], readers[name], size, scorer is None)
        except _ERRORS as error:
            errors[name] = str(error).splitlines()[0]
            continue
        position[name] = len(everyone)
        everyone.append(fixated)
    spare = [name for name in readers if name not in map_files]
    notes = [f"{len(spare)} images in {fixations} have no map: {abbreviate(spare, 3)}."] if spare else []
    if scorer is not None and len(everyone) == 1:
        scorer, note = _without_others(scorer, settings["metrics"], baselines)
        notes += note
    settings |= {
        "maps": str(maps),
        "fixations": str(fixations),
        "densities": str(densities or ""),
        "sigma": sigma,
        "size": size,
        "baselines": list(scorer.baselines) if scorer else [],
        "fixations_digest": digest(position, [(one.shape, one.index, one.count) for one in everyone]),
    }
    mean = _mean(scorer, everyone)
    return Job(map_files, density_files, everyone, position, errors, scorer, mean, settings, notes)


def _without_others(scorer: Scorer, metrics, baselines) -> tuple[Scorer, list[str]]:
    """Leave out what a single image cannot have, unless it was asked for by name."""
    if not metrics:
        left_out = "A single image has no others, so the shuffled AUC and the baseline mean are left out."
        return scorer.without_others(), [left_out]
    if baselines is None and "mean" in scorer.baselines:
        return scorer.without_mean(), ["A single image has no others, so the baseline mean is left out."]
    return scorer, []


def _scorer(settings: dict[str, Any], baselines, sigma: float | None, densities: bool) -> Scorer | None:
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
            column: value
            for column, value in preset.items()
            if available >= set(resolve([value[0]], {*available, "density"})[value[0]].needs)
        }
    chosen = ("center", "mean") if baselines is None else tuple(baselines)
    return Scorer(resolve(wanted, available), check_baselines(chosen), None if densities else sigma, settings["resize"])


def _mean(scorer: Scorer | None, everyone: list[Fixations]) -> MeanMap | None:
    if scorer is None or "mean" not in scorer.baselines:
        return None
    return MeanMap(everyone)


def _read(name: str, file: Path, reader, size, coursework_sized: bool) -> Fixations:
    value = reader()
    shape = value.shape if value.ndim == 2 and value.shape[1] != 2 else size
    if shape is None:
        shape = (480, 640) if coursework_sized else map_shape(file)
    return fixations_of(value, shape, "fixations", name)
