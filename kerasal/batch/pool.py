"""A pool of Ray actors that compute shards, each with the model loaded once, and limits on the threads of a process.

The number of threads, or a GPU, changes the order of sums and with it the last bits of results. An actor that dies is
restarted.
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

_RETRIES = 3  # repetitions of a shard whose worker dies
_OBJECTS = 100 * 2**20  # bytes of Ray's object store, which holds only records; images and maps are in files


def hide_gpu(threads: int | None) -> None:
    """Hide GPUs from TensorFlow if ``threads`` is set; it has no effect once TensorFlow is loaded."""
    if threads is not None and "tensorflow" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def limit_threads(threads: int | None) -> None:
    """Limit TensorFlow to the CPU and this number of threads; None changes nothing.

    Raises:
        RuntimeError: TensorFlow is already running with another number of threads.
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
            f"threads must be set before TensorFlow computes anything in this process, got {threads}. Another number "
            "of threads changes the last bits of results. Use workers=1, which starts a new process, run the batch "
            "first, or use threads=None."
        ) from error


class Worker:
    """A Ray actor that loads the model of a job and computes shards."""

    def __init__(self, job: Job, out: pathlib.Path):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        hide_gpu(job.threads)
        self.job, self.out, self.kind = job, out, None

    def load(self) -> int:
        """Load the model; return the process ID."""
        if self.kind is None:
            from kerasal.batch.kinds import open_kind

            limit_threads(self.job.threads)
            self.kind = open_kind(self.job)
        return os.getpid()

    def compute(self, shard: Shard) -> dict[str, Any]:
        """Compute a shard and return its record; a restarted actor loads the model first."""
        self.load()
        return make_shard(self.kind, self.out, shard)


def compute_shards(
    job: Job, out: pathlib.Path, shards: Iterable[Shard], workers: int, address: str | None
) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """Yield each shard with its record, in the order of completion.

    Raises:
        RuntimeError: every worker that computed a shard died.
        ConnectionError: there is no cluster at ``address``, or the cluster stopped.
        Exception: the exception of a worker.
    """
    ray = need_ray()
    with _cluster(ray, workers, address):
        # A worker that died is always restarted; its shard is repeated _RETRIES times.
        actor_class = ray.remote(Worker).options(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)
        actors = [actor_class.remote(job, out) for _ in range(workers)]
        try:
            yield from _distribute(ray, actors, deque(shards))
        finally:
            for actor in actors:
                ray.kill(actor)  # pyright: ignore[reportArgumentType]


def need_ray() -> Any:
    """Import Ray, with its usage statistics disabled, and return it.

    Raises:
        ImportError: Ray is not installed; the error says how to install it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without this setting, Ray warns that it will stop hiding GPUs from workers with num_gpus=0. Workers hide them.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            'workers requires Ray. Install it with python -m pip install "kerasal[batch]", or use workers=0 to run in '
            "this process."
        ) from error
    return ray


def _distribute(ray, actors: list, waiting: deque) -> Iterator[tuple[Shard, dict[str, Any]]]:
    """Send each worker that has loaded the model a shard at a time; yield shards and records as they complete."""
    running = {actor.load.remote(): (actor, None) for actor in actors}
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        actor, shard = running.pop(ready)
        result = _get(ray, ready, shard)
        if shard is not None:
            yield shard, result
        if waiting:
            next_shard = waiting.popleft()
            running[actor.compute.remote(next_shard)] = (actor, next_shard)
        elif not any(shard is not None for _, shard in running.values()):
            return  # the other workers are still loading the model, and no shard is left for them


def _get(ray, reference, shard: Shard | None) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error)) from None
    except ray.exceptions.RayError as error:
        if not any(node["Alive"] for node in ray.nodes()):
            raise ConnectionError(
                "The Ray cluster has stopped. Finished results are kept; run the same batch again to continue."
            ) from error
        task = (
            "loading the model"
            if shard is None
            else f"on the images {shard.sources[0].name} … {shard.sources[-1].name}"
        )
        raise RuntimeError(
            f"Workers died {_RETRIES + 1} times {task}. Check that there is enough memory. Finished results are kept. "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from error


@contextlib.contextmanager
def _cluster(ray, workers: int, address: str | None) -> Iterator[None]:
    """Use the connected cluster or that at ``address``, or start a local one and stop it at the end."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        ray.init(address, **quiet)
    else:
        ray.init(
            "local",  # ignore the cluster in RAY_ADDRESS
            num_cpus=workers,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_OBJECTS,
            _node_ip_address="127.0.0.1",
            **quiet,
        )
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        if cpus < workers:
            raise ValueError(f"workers must be at most {cpus}, the number of CPUs of the Ray cluster, got {workers}.")
        yield
    finally:
        ray.shutdown()
