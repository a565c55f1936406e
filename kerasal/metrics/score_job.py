"""Prepare the scoring of a folder of images, and score them in parallel processes."""

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
from kerasal.metrics._fixations import Fixations, as_fixations
from kerasal.metrics.blur import MeanMap, sigma_in_pixels
from kerasal.metrics.definitions import PRESETS, computable_metrics, resolve_metrics
from kerasal.metrics.image_scorer import Scorer, check_baselines, sample_other_fixations
from kerasal.names import abbreviate, unknown_name_message

_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)


@dataclasses.dataclass
class Job:
    """The images to score, with their fixations and the options."""

    maps: dict[str, Path]
    densities: dict[str, Path]
    all_fixations: list[Fixations]
    position: dict[str, int]
    errors: dict[str, str]
    scorer: Scorer | None  # None for the definition "coursework"
    mean: MeanMap | None
    settings: dict[str, Any]
    notes: list[str]

    @property
    def definitions(self) -> dict[str, str]:
        """A dictionary from column to definition."""
        if self.scorer is not None:
            return self.scorer.columns
        columns = self.settings["metrics"] or coursework_metrics.DEFINITIONS
        legacy = "; legacy: values wrapped, nearest pixel" if self.settings["legacy"] else ""
        return {column: coursework_metrics.DEFINITIONS[column] + legacy for column in columns}

    def score(self, name: str) -> dict[str, Any]:
        """Return the row of an image: its scores, or the reason why there are none in ``error``."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                values = self._compute(name)
        except _ERRORS as error:
            return {"error": first_line(error)}
        return {**values, "error": None, "warnings": [str(warning.message) for warning in caught]}

    def _compute(self, name: str) -> dict[str, float]:
        position = self.position[name]
        fixated = self.all_fixations[position]
        prediction = read_map(self.maps[name])
        others = sample_other_fixations(self.all_fixations, position, self.settings["seed"])
        if self.scorer is not None:
            density = read_map(self.densities[name]) if self.densities else None
            return self.scorer.score(prediction, fixated, density, others=others, mean=self.mean, name=name)
        pool = others(fixated.shape)
        values = coursework_metrics.coursework_scores(
            prediction, fixated, pool, legacy=self.settings["legacy"], name=name
        )
        return {column: values[column] for column in self.definitions}


def prepare_job(maps: Path, fixations: Path, densities: Path | None, *, sigma, size, baselines, **settings) -> Job:
    """Find the files, read all fixations, check the options, and return the ``Job``."""
    map_files, readers = list_maps(maps), list_fixations(fixations)
    density_files = list_maps(densities) if densities is not None else {}
    sigma = None if sigma is None else sigma_in_pixels(sigma)
    scorer = _make_scorer(settings, baselines, sigma, bool(density_files))
    names = [name for name in map_files if name in readers]
    if not names:
        raise ValueError(
            f"maps and fixations must have names in common, got maps {abbreviate(map_files, 3)} in {maps} and "
            f"fixations {abbreviate(readers, 3)} in {fixations}. Rename the files."
        )
    errors = {name: f"there are no fixations of this name in {fixations}" for name in map_files if name not in readers}
    errors |= {
        name: f"there is no density of this name in {densities}"
        for name in names
        if densities and name not in density_files
    }
    all_fixations, position = [], {}
    for name in names:
        try:
            value = readers[name]()
            shape = value.shape if value.ndim == 2 and value.shape[1] != 2 else size
            if shape is None:
                shape = (480, 640) if scorer is None else map_shape(map_files[name])
            fixated = as_fixations(value, shape, "fixations", name)
        except _ERRORS as error:
            errors[name] = first_line(error)
            continue
        position[name] = len(all_fixations)
        all_fixations.append(fixated)
    spare = [name for name in readers if name not in map_files]
    notes = [f"{len(spare)} images in {fixations} have no map: {abbreviate(spare, 3)}."] if spare else []
    if scorer is not None and len(all_fixations) == 1:  # scores that need other images are left out, unless requested
        if not settings["metrics"]:
            scorer = scorer.without_others()
            notes += ["The shuffled AUC and the baseline mean need several images, so they are left out."]
        elif baselines is None:
            scorer = scorer.without_mean()
            notes += ["The baseline mean needs several images, so it is left out."]
    settings |= {
        "maps": str(maps),
        "fixations": str(fixations),
        "densities": str(densities or ""),
        "sigma": sigma,
        "size": size,
        "baselines": list(scorer.baselines) if scorer else [],
        "fixations_digest": digest(position, [(f.shape, f.index, f.count) for f in all_fixations]),
    }
    mean = MeanMap(all_fixations) if scorer is not None and "mean" in scorer.baselines else None
    return Job(map_files, density_files, all_fixations, position, errors, scorer, mean, settings, notes)


def _make_scorer(settings: dict[str, Any], baselines, sigma: float | None, densities: bool) -> Scorer | None:
    metrics = settings["metrics"]
    if settings["definition"] == "coursework":
        for name in metrics or ():
            if name not in coursework_metrics.DEFINITIONS:
                raise ValueError(unknown_name_message(name, coursework_metrics.DEFINITIONS, "metric of the coursework"))
        return None
    available = {"fixations", "baseline", "others"} | ({"density"} if sigma is not None or densities else set())
    if metrics:
        selected = {name: PRESETS[settings["definition"]].get(name, (name, {})) for name in metrics}
    else:
        selected = computable_metrics(settings["definition"], available)
    chosen = ("center", "mean") if baselines is None else tuple(baselines)
    return Scorer(
        resolve_metrics(selected, available), check_baselines(chosen), None if densities else sigma, settings["resize"]
    )


def score_all(job: Job, names: list[str], processes: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the row of each image, in the order of completion."""
    if processes == 1 or len(names) < 2:
        yield from ((name, job.score(name)) for name in names)
        return
    threads = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))  # with a process per core, threads would slow each other down
    try:
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(processes, context, initializer=_start_worker, initargs=(job,))
        try:
            futures = {pool.submit(_score_in_worker, name): name for name in names}
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        for name, value in threads.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


_job: Any = None  # set in each worker process


def _start_worker(job: Job) -> None:
    global _job
    _job = job
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends. A killed parent closes no pool, so the workers would wait forever."""
    multiprocessing.parent_process().join()  # pyright: ignore[reportOptionalMemberAccess]
    os._exit(1)


def _score_in_worker(name: str) -> dict[str, Any]:
    return _job.score(name)
