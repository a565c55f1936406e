"""Score a folder of saliency maps against a folder of fixations; an interrupted run can be resumed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from kerasal.checks import check_choice, check_int
from kerasal.metrics.score_job import prepare_job, score_all
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
    """Score the saliency maps of a folder against fixations and return a report with one row per image.

    Maps and fixations are matched by file name. For an image that cannot be scored, the column ``error`` has the
    reason, and the remaining images are still scored.

    Args:
        maps: folder of PNG, JPEG or NPY maps, one per image.
        fixations: folder of fixation maps (PNG, NPY), tables of coordinates (CSV with x,y) or .mat files, named like
            the maps; a single CSV file with image,x,y; or OSIE's ``fixations.mat``. Coordinates are 0-based, except in
            .mat files.
        densities: folder of densities for cc, similarity, kld and emd; alternatively set ``sigma``.
        definition: a preset of ``evaluate``, or ``"coursework"`` for the coursework's script.
        metrics: names of the metrics to compute; by default all of the definition.
        sigma: standard deviation in pixels, or a key of ``SIGMAS``, to blur the fixations to densities; ignored if
            ``densities`` are passed.
        size: (height, width) of the images to which coordinates refer; by default the size of the map.
        resize: ``"matlab"`` allows maps whose size differs from that of the fixation maps.
        baselines: baselines to score as well; by default the center and the mean of the other images.
        legacy: wrap values outside 0..1 around, as in the original run of the coursework; only for that definition.
        seed: seed for drawing other images for the shuffled AUC.
        output: path of a .csv file for the report; a .json and a .png file are written beside it. An interrupted run
            resumes if it is called again with the same arguments.
        processes: number of images scored in parallel.
        progress: show a progress bar.

    Returns:
        A ``ScoreReport``.

    Raises:
        ValueError: the options contradict each other, or no image has both a map and fixations.
        FileNotFoundError: a folder does not exist.
        OSError: the report cannot be written.
    """
    check_choice("definition", definition, get_args(Definition))
    check_int("processes", processes)
    if legacy and definition != "coursework":
        raise ValueError(f'legacy must be False unless definition is "coursework", got definition={definition!r}.')
    job = prepare_job(
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
    with journal.open_appender() as add, progress_bar("Scoring", len(missing), progress) as advance:
        for name, row in score_all(job, missing, processes):
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
