"""Score a folder of saliency maps against a folder of fixations, into a table; a stopped run goes on."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from kerasal.checks import check_choice, check_int
from kerasal.metrics.score_job import Job, prepare
from kerasal.metrics.score_report import ScoreReport
from kerasal.progress import progress_bar
from kerasal.row_journal import RowJournal, stamps

Definition = Literal["mit", "tuebingen", "salicon", "coursework"]


def evaluate_folder(
    maps: str | os.PathLike,
    fixations: str | os.PathLike,
    densities: str | os.PathLike | None = None,
    *,
    definition: Definition = "mit",
    metrics: Sequence[str] | None = None,
    sigma: float | str | None = None,
    size: tuple[int, int] | None = None,
    resize: Literal["matlab"] | None = None,
    baselines: Sequence[str] | None = None,
    legacy: bool = False,
    seed: int = 0,
    output: str | os.PathLike | None = None,
    processes: int = 1,
    progress: bool = False,
) -> ScoreReport:
    """Score the saliency maps of a folder against fixations: a report with one row per image.

    Maps and fixations find each other by the file's name. An image that cannot be scored has its reason in the column
    ``error``, and the others are scored.

    Args:
        maps: folder of PNG, JPEG or NPY maps, one per image.
        fixations: folder of fixation maps (PNG, NPY), coordinates (CSV: x,y) or .mat, named like the maps; one CSV with
            image,x,y; or OSIE's ``fixations.mat``. Coordinates are 0-based, except in .mat.
        densities: folder of density maps for cc, similarity, kld and emd; or give ``sigma``.
        definition: whose numbers: a preset of ``evaluate``, or the coursework's script.
        metrics: only these of the definition.
        sigma: blur the fixations by so many pixels, or by a name of ``SIGMAS``, where ``densities`` is not given.
        size: (height, width) that coordinates refer to, if not the map's own.
        resize: ``"matlab"`` allows maps of another size than the fixation maps.
        baselines: scored like the maps; None is the center and the mean of the other images.
        legacy: only the coursework's: wrap values outside 0..1 around, as the original run did.
        seed: of the choice of other images for the shuffled AUC.
        output: a .csv file. The report is written there, with a .json and a .png beside it; a run that was stopped goes
            on when it is called again with the same arguments.
        processes: images scored at the same time.
        progress: show a bar.

    Raises:
        ValueError: options that do not fit each other, or no image with both a map and fixations.
        FileNotFoundError: there is no such folder.
        OSError: the report cannot be written.
    """
    check_choice("definition", definition, get_args(Definition))
    check_int("processes", processes)
    if legacy and definition != "coursework":
        raise ValueError(f'legacy belongs to definition="coursework", got definition={definition!r}.')
    job = prepare(
        Path(maps),
        Path(fixations),
        None if densities is None else Path(densities),
        sigma=sigma,
        size=size,
        baselines=baselines,
        definition=definition,
        metrics=None if metrics is None else list(metrics),
        resize=resize,
        legacy=legacy,
        seed=seed,
    )
    items = {name: stamps(job.maps[name], job.densities.get(name)) for name in job.position if name not in job.errors}
    journal = RowJournal(output, {"settings": job.settings, "columns": list(job.definitions)}, items)
    missing = journal.missing
    with journal.adding() as add, progress_bar("Scoring", len(missing), progress) as advance:
        for name, row in _score_all(job, missing, processes):
            add(name, row)
            advance(1)
    rows = journal.rows | {name: {"error": message} for name, message in job.errors.items()}
    notes = job.notes + journal.notes
    notes += [f"Warning: {text}" for name in sorted(rows) for text in rows[name].pop("warnings", [])]
    table = pd.DataFrame.from_dict({name: rows[name] for name in sorted(rows)}, orient="index")
    table.index.name = "image"
    table = table.reindex(columns=[*job.definitions, "error"])
    table.attrs = {"definitions": job.definitions, "seed": seed}
    report = ScoreReport(table, settings=job.settings, notes=notes)
    if output is not None:
        report.write(output)
        journal.remove()
    return report


def _score_all(job: Job, names: list[str], processes: int) -> Iterator[tuple[str, dict[str, Any]]]:
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


_job: Job | None = None


def _start(job: Job) -> None:
    global _job
    _job = job
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: killed, it closes no pool, and workers would wait for its tasks for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _score(name: str) -> dict[str, Any]:
    return _job.score(name)
