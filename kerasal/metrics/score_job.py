"""The images of a folder that are to be scored: the files, the checked options, and the scores, in some processes."""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasal.archive_check import first_line
from kerasal.digests import digest
from kerasal.fixations.fixation_files import list_fixations
from kerasal.fixations.map_files import list_maps, map_shape, read_map
from kerasal.metrics import coursework_metrics
from kerasal.metrics._fixations import Fixations, fixations_of
from kerasal.metrics.blur import MeanMap, sigma_of
from kerasal.metrics.definitions import PRESETS, computable, resolve
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
            return {"error": first_line(error)}
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
    """Find the files, read all fixations, and check the options before anything is computed."""
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
            value = readers[name]()
            shape = value.shape if value.ndim == 2 and value.shape[1] != 2 else size
            if shape is None:
                shape = (480, 640) if scorer is None else map_shape(map_files[name])
            fixated = fixations_of(value, shape, "fixations", name)
        except _ERRORS as error:
            errors[name] = first_line(error)
            continue
        position[name] = len(everyone)
        everyone.append(fixated)
    spare = [name for name in readers if name not in map_files]
    notes = [f"{len(spare)} images in {fixations} have no map: {abbreviate(spare, 3)}."] if spare else []
    if scorer is not None and len(everyone) == 1:  # what it cannot have is left out, unless asked for by name
        if not settings["metrics"]:
            scorer = scorer.without_others()
            notes += ["A single image has no others, so the shuffled AUC and the baseline mean are left out."]
        elif baselines is None:
            scorer = scorer.without_mean()
            notes += ["A single image has no others, so the baseline mean is left out."]
    settings |= {
        "maps": str(maps),
        "fixations": str(fixations),
        "densities": str(densities or ""),
        "sigma": sigma,
        "size": size,
        "baselines": list(scorer.baselines) if scorer else [],
        "fixations_digest": digest(position, [(one.shape, one.index, one.count) for one in everyone]),
    }
    mean = MeanMap(everyone) if scorer is not None and "mean" in scorer.baselines else None
    return Job(map_files, density_files, everyone, position, errors, scorer, mean, settings, notes)


def _scorer(settings: dict[str, Any], baselines, sigma: float | None, densities: bool) -> Scorer | None:
    metrics = settings["metrics"]
    if settings["definition"] == "coursework":
        for name in metrics or ():
            if name not in coursework_metrics.DEFINITIONS:
                raise ValueError(unknown_name_message(name, coursework_metrics.DEFINITIONS, "metric of the coursework"))
        return None
    available = {"fixations", "baseline", "others"} | ({"density"} if sigma is not None or densities else set())
    if metrics:
        wanted = {name: PRESETS[settings["definition"]].get(name, (name, {})) for name in metrics}
    else:
        wanted = computable(settings["definition"], available)
    chosen = ("center", "mean") if baselines is None else tuple(baselines)
    return Scorer(resolve(wanted, available), check_baselines(chosen), None if densities else sigma, settings["resize"])


def score_all(job: Job, names: list[str], processes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, row) of the images as they are done."""
    if processes == 1 or len(names) < 2:
        yield from ((name, job.score(name)) for name in names)
        return
    threads = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))  # one process per core: threads would only fight
    try:
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(processes, context, initializer=_start, initargs=(job,))
        try:
            futures = {pool.submit(_score, name): name for name in names}
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        for name, value in threads.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


_job: Any = None  # the worker's


def _start(job: Job) -> None:
    global _job
    _job = job
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: killed, it closes no pool, and workers would wait for its tasks for ever."""
    multiprocessing.parent_process().join()  # pyright: ignore[reportOptionalMemberAccess]
    os._exit(1)


def _score(name: str) -> dict[str, Any]:
    return _job.score(name)
