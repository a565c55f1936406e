"""The processes that train a model together, one per machine: connecting, exchanging facts, detecting lost processes.

TensorFlow's coordination service notices within about ten seconds that a process is lost, and ends the operations that
wait for it with an error; ``explain_lost_workers`` adds the remedy to the message.

The environment variable TF_CONFIG of TensorFlow contains the cluster of all processes and the task of this process. It
is read and checked before anything waits::

    {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}

All processes get the same cluster, and each a different task. The chief is the task ``chief`` if the cluster has
one, and the first worker otherwise.
"""

import contextlib
import dataclasses
import functools
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasal.checks import is_int

import tensorflow as tf

_MESSAGE_BYTES = 4096  # of JSON, per exchange
_TEXT_LENGTH = 900  # characters of a text in a message
_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The ``addresses`` (host:port) of all processes, the chief's first, and the ``index`` of this process."""

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this process is the chief, which writes the files."""
        return self.index == 0


def parse_cluster(text: str | None) -> Cluster:
    """Return the cluster that a value of TF_CONFIG describes.

    Raises:
        ValueError: the value is missing or is not JSON, contains jobs other than chief and worker, an address twice or
            without a port, or a task that is not in the cluster.
    """
    if not text:
        raise ValueError(
            f"{VARIABLE} must be set in the environment of every process to train on several machines. "
            f"Example: {VARIABLE}='{_EXAMPLE}', with index 1 on the second machine."
        )
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _config_error(f"be JSON ({error})", text) from None
    if not isinstance(config, dict) or not all(isinstance(config.get(key), dict) for key in ("cluster", "task")):
        raise _config_error('contain the objects "cluster" and "task"', text)
    cluster, task = config["cluster"], config["task"]
    _check_cluster(cluster, text)
    job, index = task.get("type"), task.get("index")
    if job not in cluster:
        raise _config_error(f"have a task type that is one of {', '.join(sorted(cluster))}, not {job!r}", text)
    if not is_int(index) or not 0 <= index < len(cluster[job]):
        raise _config_error(f"have a {job} index that is an integer in 0..{len(cluster[job]) - 1}, not {index!r}", text)
    before = len(cluster.get("chief", ())) if job == "worker" else 0
    return Cluster((*cluster.get("chief", ()), *cluster.get("worker", ())), before + index)


def _check_cluster(cluster: dict[str, Any], text: str) -> None:
    for job, addresses in cluster.items():
        if job not in ("chief", "worker"):
            raise _config_error(f"have a cluster of only chief and worker, not {job!r}", text)
        if not isinstance(addresses, list) or not all(_is_address(address) for address in addresses):
            raise _config_error(f"have a list of addresses HOST:PORT as {job}, not {addresses!r}", text)
    if len(cluster.get("chief", ())) > 1:
        raise _config_error("have a single chief", text)
    everyone = [address for addresses in cluster.values() for address in addresses]
    if not everyone:
        raise _config_error("have a cluster that is not empty", text)
    if len(set(everyone)) < len(everyone):
        raise _config_error("have different addresses for all processes", text)


def _is_address(text: Any) -> bool:
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)


def _config_error(requirement: str, text: str) -> ValueError:
    shortened = text if len(text) <= 200 else f"{text[:200]}…"
    return ValueError(f"{VARIABLE} must {requirement}, got {shortened}. Example: {_EXAMPLE}")


class SingleProcess:
    """The counterpart of ``Team`` for a training in a single process."""

    strategy, chief, size = None, True, 1

    def exchange(self, facts: Mapping[str, Any]) -> list[dict]:
        """Return the facts in a list, as ``Team.exchange`` does."""
        return [dict(facts)]

    def exchange_or_raise(self, error: Exception | None, **facts: Any) -> list[dict]:
        """Raise the error, or return the facts of this only process in a list if the error is ``None``."""
        if error:
            raise error
        return [facts]

    @contextlib.contextmanager
    def explain_lost_workers(self) -> Iterator[None]:
        """Do nothing: there are no other processes."""
        yield


class Team:
    """The processes of a cluster under ``tf.distribute.MultiWorkerMirroredStrategy``; each process creates a ``Team``.

    The constructor waits until all processes are connected.

    Raises:
        RuntimeError: TensorFlow has already been used in this process.
        ConnectionError: not all processes connected.
    """

    def __init__(self, cluster: Cluster):
        self.cluster, self.chief, self.size = cluster, cluster.chief, len(cluster.addresses)
        with _default_interrupts():
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except RuntimeError as error:
                raise RuntimeError(
                    "Workers must be connected before TensorFlow is used. Call kerasal.training.join_workers() at the "
                    "beginning of the program, before a model is created."
                ) from error
            except tf.errors.OpError as error:
                others = ", ".join(self._name(i) for i in range(self.size) if i != cluster.index)
                raise ConnectionError(
                    f"Not all workers connected ({_reason(error)}). Expected: {others}. Start all of them, each with a "
                    f"different task in {VARIABLE}, at addresses that the other machines can reach."
                ) from error

    def exchange(self, facts: Mapping[str, Any]) -> list[dict]:
        """Return the facts of all processes, the chief's first; every process must call this with its facts."""
        short = {key: value[:_TEXT_LENGTH] if isinstance(value, str) else value for key, value in facts.items()}
        message = json.dumps(short, ensure_ascii=False).encode()
        if len(message) > _MESSAGE_BYTES:
            raise ValueError(f"facts must be at most {_MESSAGE_BYTES} bytes of JSON, got {len(message)}.")
        messages = np.zeros((self.size, _MESSAGE_BYTES), np.int32)
        messages[self.cluster.index, : len(message)] = list(message)
        devices = self.strategy.num_replicas_in_sync // self.size

        def replica_messages(context):  # only the first device of this process contributes to the sum
            return tf.constant(messages if context.replica_id_in_sync_group % devices == 0 else np.zeros_like(messages))

        total = self._sum(self.strategy.experimental_distribute_values_from_function(replica_messages))
        return [json.loads(bytes(row[row > 0].astype(np.uint8))) for row in total.numpy()]

    @contextlib.contextmanager
    def explain_lost_workers(self) -> Iterator[None]:
        """Convert TensorFlow's error for a lost process to a ConnectionError that says how to resume."""
        try:
            yield
        except _LOST_WORKER as error:
            raise ConnectionError(
                f"A worker was lost or cannot be reached ({_reason(error)}). Check its output, and run the same "
                f"training on all {self.size} workers again: it resumes after the last saved epoch."
            ) from error

    def exchange_or_raise(self, error: Exception | None, **facts: Any) -> list[dict]:
        """Return the facts of all processes; if any process has an error, raise it in every process."""
        messages = self.exchange({"error": str(error) if error else "", **facts})
        if error:
            raise error
        for index, message in enumerate(messages):
            if message["error"]:
                raise ValueError(f"{self._name(index)} stopped: {message['error']}")
        return messages

    def _name(self, index: int) -> str:
        return f"{'The chief' if index == 0 else f'Worker {index}'} ({self.cluster.addresses[index]})"

    @functools.cached_property
    def _sum(self):
        def sum_on_replica(values):
            # "+ 0" copies the values to the device.
            return tf.distribute.get_replica_context().all_reduce("SUM", values + 0)

        def sum_on_all(values):
            return self.strategy.experimental_local_results(self.strategy.run(sum_on_replica, (values,)))[0]

        return tf.function(sum_on_all, autograph=False)


@functools.cache
def join_workers() -> Team:
    """Connect to the other processes that TF_CONFIG lists; call it before TensorFlow is used for anything.

    Returns:
        The team. Every call returns the same object, because a process belongs to a single cluster.

    Raises:
        ValueError: TF_CONFIG is missing or malformed.
        RuntimeError: TensorFlow has already been used in this process.
        ConnectionError: not all processes connected.
    """
    return Team(parse_cluster(os.environ.get(VARIABLE)))


def _reason(error: Exception) -> str:
    """Return the message of a TensorFlow error without the graph's traceback before it and the advice after it."""
    text = str(error).split("Collective ops is aborted by: ")[-1].split("Graph execution error:")[-1]
    for advice in ("The tasks have crashed", "Additional GRPC error", "The error could be from"):
        text = text.split(advice)[0]
    return " ".join(text.split())[:300] or type(error).__name__


@contextlib.contextmanager
def _default_interrupts() -> Iterator[None]:
    """Let Ctrl-C end the process at once: while TensorFlow waits for the others, Python handles no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
