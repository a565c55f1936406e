"""The work behind ``kerasal score``: score each image in one or several processes, and keep a journal."""

import concurrent.futures
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from kerasal.cli.score_job import Job
from kerasal.cli.score_journal import continued, journal_of, resume, stamps


def run(job: Job, output: Path, processes: int) -> pd.DataFrame:
    """Score every image that the journal of an interrupted run does not have; return a table with ``error``."""
    journal = journal_of(output)
    todo = {name: stamps(job.maps[name], job.densities.get(name)) for name in job.position if name not in job.errors}
    header = json.dumps({"settings": job.settings, "columns": list(job.definitions)}, sort_keys=True)
    rows = resume(journal, header, todo)
    missing = [name for name in todo if name not in rows]
    if rows:
        job.notes.append(f"{len(rows)} images were taken over from the interrupted run.")
    with continued(journal, header, bool(rows)) as file:
        for name, row in _progress(_results(job, missing, processes), len(missing)):
            rows[name] = row
            file.write(json.dumps({"image": name, "stamp": todo[name], "row": row}) + "\n")
            file.flush()
    rows |= {name: {"error": message} for name, message in job.errors.items()}
    for name in sorted(rows):
        job.notes += [f"Warning: {text}" for text in rows[name].pop("warnings", [])]
    table = pd.DataFrame.from_dict({name: rows[name] for name in sorted(rows)}, orient="index")
    table.index.name = "image"
    return table.reindex(columns=[*job.definitions, "error"])


def _results(job: Job, names: list[str], processes: int) -> Iterator[tuple[str, dict]]:
    if processes == 1 or len(names) < 2:
        yield from ((name, job.score(name)) for name in names)
        return
    threads = {name: os.environ.get(name) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(threads, "1"))  # a process a core: threads would only fight
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


def _score(name: str) -> dict:
    return _job.score(name)


def _progress(results: Iterator, total: int) -> Iterator:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(results, "Scoring", total=total, console=console, disable=not console.is_terminal or total == 0)
