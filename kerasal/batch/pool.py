"""Who computes: this process held to some threads, or a pool of Ray actors, each with the model loaded once.

Another number of threads takes sums in another order, and a GPU does too, which changes their last bits. The pool
outlives the death of any of its actors.
"""

import contextlib
import os
import pathlib
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from kerasal.batch.batch_job import Job
from kerasal.batch.shard import Shard, make_shard

_RETRIES = 3  # a shard that has killed its worker so often, and once more, is given up
_OBJECTS = 100 * 2**20  # bytes; records alone go through Ray's store, images and maps through files


def hide_gpu(threads: int | None) -> None:
    """Keep TensorFlow from a GPU where a number of threads is to compute; before it is loaded."""
    if threads is not None and "tensorflow" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def limit_threads(threads: int | None) -> None:
    """Let TensorFlow compute with so many threads, on the CPU; None leaves it as it is.

    Raises:
        RuntimeError: it has already computed with another number.
    """
    if threads is None:
        return
    import tensorflow as tf

    config = tf.config
    try:
        config.set_visible_devices([], "GPU")
        config.threading.set_intra_op_parallelism_threads(threads)
        config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow has computed in this process already, so it can no longer be held to {threads} thread"
            f"{'s' if threads > 1 else ''}, and other threads change the last bits of results. Use workers=1, which "
            "has a process of its own, or run the batch first, or say threads=None."
        ) from error


class Worker:
    """What runs in an actor's process."""

    def __init__(self, job: Job, out: pathlib.Path):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        hide_gpu(job.threads)
        self.job, self.out, self.kind = job, out, None

    def begin(self) -> int:
        """Load the model; return the number of the process."""
        if self.kind is None:
            from kerasal.batch.kinds import open_kind

            limit_threads(self.job.threads)
            self.kind = open_kind(self.job)
        return os.getpid()

    def make(self, shard: Shard) -> dict[str, Any]:
        """Make a shard; an actor that was started again loads the model first."""
        self.begin()
        return make_shard(self.kind, self.out, shard)


def make_all(
    job: Job, out: pathlib.Path, shards: Iterable[Shard], workers: int, address: str | None
) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """Yield each shard with its record, in the order in which they are done.

    Raises:
        RuntimeError: a shard has killed every worker that tried it.
        ConnectionError: there is no cluster at ``address``.
        Exception: what a worker says, as it would be raised here.
    """
    ray = need_ray()
    with _cluster(ray, workers, address):
        # A dead worker is started again as often as it takes, and what it was at is repeated a few times.
        actor = ray.remote(Worker).options(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)
        actors = [actor.remote(job, out) for _ in range(workers)]
        try:
            yield from _distribute(ray, actors, deque(shards))
        finally:
            for one in actors:
                ray.kill(one)  # pyright: ignore[reportArgumentType]


def need_ray() -> Any:
    """Import Ray, which then reports nothing to anybody.

    Raises:
        ImportError: it is not installed; the error says how to install it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would warn that it is about to change whether workers without a GPU can see one; they see to that themselves.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            'Workers need Ray: python -m pip install "kerasal[batch]". Without --workers (workers=0) the batch runs in '
            "this process."
        ) from error
    return ray


def _distribute(ray, actors: list, waiting: deque) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """Give every worker one shard at a time, from when it has loaded the model."""
    running = {actor.begin.remote(): (actor, None) for actor in actors}
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        actor, shard = running.pop(ready)
        result = _get(ray, ready, shard)
        if shard is not None:
            yield shard, result
        if waiting:
            following = waiting.popleft()
            running[actor.make.remote(following)] = (actor, following)
        elif not any(shard is not None for _, shard in running.values()):
            return  # a worker that has not even begun is not waited for


def _get(ray, reference, shard: Shard | None) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error)) from None
    except ray.exceptions.RayError as error:
        if not any(node["Alive"] for node in ray.nodes()):
            raise ConnectionError("Ray's node is gone. What is done is kept; the same command goes on.") from error
        at = "loading the model" if shard is None else f"the images {shard.sources[0].name} … {shard.sources[-1].name}"
        raise RuntimeError(
            f"Workers died {_RETRIES + 1} times at {at}; is there enough memory? What is done is kept. "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from error


@contextlib.contextmanager
def _cluster(ray, workers: int, address: str | None) -> Iterator[None]:
    """Use the cluster that is connected, or at ``address``, or start one on this machine and end it afterwards."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        ray.init(address, **quiet)
    else:
        ray.init(
            "local",  # whatever cluster RAY_ADDRESS names
            num_cpus=workers,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_OBJECTS,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
    try:
        there = int(ray.cluster_resources().get("CPU", 0))
        if there < workers:
            raise ValueError(f"The Ray cluster has {there} CPUs, one for each worker. Received: {workers} workers.")
        yield
    finally:
        ray.shutdown()
