"""Score images one after the other, or several at a time in processes of their own."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Iterator
from typing import Any, Protocol


class Scoring(Protocol):
    """What is scored: a name gives a row."""

    def score(self, name: str) -> dict[str, Any]:
        """Return the row of one image."""


def score_all(job: Scoring, names: list[str], processes: int) -> Iterator[tuple[str, dict[str, Any]]]:
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


_job: Scoring | None = None


def _start(job: Scoring) -> None:
    global _job
    _job = job
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the parent is gone: killed, it closes no pool, and workers would wait for its tasks for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _score(name: str) -> dict[str, Any]:
    return _job.score(name)
