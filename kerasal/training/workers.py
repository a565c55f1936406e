"""The processes that train one net together, one a machine: how they meet, tell each other things, and miss each other.

TensorFlow's coordination service notices within some ten seconds that a process is gone, and ends what the others wait
for with an error; ``explain_lost_workers`` says what that means.

Which process this one is, TensorFlow's own variable TF_CONFIG says, which is read and checked before anything waits::

    {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}

Every process gets the same cluster and a task of its own. The chief is the task ``chief`` if there is one, else the
first worker.
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

_LETTER = 4096  # bytes of JSON that a process can tell the others at once
_TEXT = 900  # letters of a message in it
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The ``addresses`` (host:port) of all processes, the chief's first, and the ``index`` of this one among them."""

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0


def parse_cluster(text: str | None) -> Cluster:
    """Read the value of TF_CONFIG.

    Raises:
        ValueError: it is missing or no JSON, names other jobs than chief and worker, an address twice or without a
            port, or a task that is not in the cluster.
    """
    if not text:
        raise ValueError(
            f"Training on several machines needs {VARIABLE} in the environment of every process, such as "
            f"{VARIABLE}='{_EXAMPLE}', with index 1 on the second machine. It is not set."
        )
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(f"it is no JSON ({error})", text) from None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("cluster", "task")):
        raise _malformed('it must hold the objects "cluster" and "task"', text)
    cluster, task = found["cluster"], found["task"]
    _check_cluster(cluster, text)
    job, index = task.get("type"), task.get("index")
    if job not in cluster:
        raise _malformed(f"the type of the task is one of {', '.join(sorted(cluster))}, received {job!r}", text)
    if not is_int(index) or not 0 <= index < len(cluster[job]):
        raise _malformed(f"the index of a {job} is a number in 0..{len(cluster[job]) - 1}, received {index!r}", text)
    before = len(cluster.get("chief", ())) if job == "worker" else 0
    return Cluster((*cluster.get("chief", ()), *cluster.get("worker", ())), before + index)


def _check_cluster(cluster: dict[str, Any], text: str) -> None:
    for job, addresses in cluster.items():
        if job not in ("chief", "worker"):
            raise _malformed(f"a cluster has a chief and workers, received {job!r}", text)
        if not isinstance(addresses, list) or not all(_is_address(one) for one in addresses):
            raise _malformed(f"{job} is a list of addresses HOST:PORT, received {addresses!r}", text)
    if len(cluster.get("chief", ())) > 1:
        raise _malformed("there is one chief", text)
    together = [address for addresses in cluster.values() for address in addresses]
    if not together:
        raise _malformed("the cluster is empty", text)
    if len(set(together)) < len(together):
        raise _malformed("each process has an address of its own", text)


def _is_address(text: Any) -> bool:
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)


def _malformed(reason: str, text: str) -> ValueError:
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    return ValueError(f"{VARIABLE} cannot be used: {reason}. Received: {shown} Expected, for example: {_EXAMPLE}")


class SingleProcess:
    """What there is of ``Team`` for the only process of a training."""

    strategy, chief, size = None, True, 1

    def exchange(self, facts: Mapping[str, Any]) -> list[dict]:
        """Return the facts of all processes."""
        return [dict(facts)]

    def exchange_or_raise(self, error: Exception | None, **facts: Any) -> list[dict]:
        """Return the facts of all processes, or raise what went wrong."""
        if error:
            raise error
        return [facts]

    @contextlib.contextmanager
    def explain_lost_workers(self) -> Iterator[None]:
        """Do nothing: nobody can be missed."""
        yield


class Team:
    """The processes of a cluster under ``tf.distribute.MultiWorkerMirroredStrategy``; each of them makes one.

    Making it waits until all have come.

    Raises:
        RuntimeError: TensorFlow has computed something before.
        ConnectionError: the others did not come.
    """

    def __init__(self, cluster: Cluster):
        self.cluster, self.chief, self.size = cluster, cluster.chief, len(cluster.addresses)
        with _stoppable():
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except RuntimeError as error:
                raise RuntimeError(
                    "Workers must meet before TensorFlow computes anything: call kerasal.training.join_workers() at "
                    "the beginning of the program, before a model is made."
                ) from error
            except tf.errors.OpError as error:
                others = ", ".join(self._name(i) for i in range(self.size) if i != cluster.index)
                raise ConnectionError(
                    f"Not all workers came ({_reason(error)}). Expected: {others}. Start all of them, each with "
                    f"its own task in {VARIABLE}, on addresses that the others can reach."
                ) from error

    def exchange(self, facts: Mapping[str, Any]) -> list[dict]:
        """Tell the others some facts, and return those of all, the chief's first; every process must call it."""
        short = {key: value[:_TEXT] if isinstance(value, str) else value for key, value in facts.items()}
        letter = json.dumps(short, ensure_ascii=False).encode()
        if len(letter) > _LETTER:
            raise ValueError(f"A process can tell the others {_LETTER} bytes at once. Received: {len(letter)}.")
        letters = np.zeros((self.size, _LETTER), np.int32)
        letters[self.cluster.index, : len(letter)] = list(letter)
        devices = self.strategy.num_replicas_in_sync // self.size

        def mine(context):  # one of this process's devices speaks for it
            return tf.constant(letters if context.replica_id_in_sync_group % devices == 0 else np.zeros_like(letters))

        total = self._sum(self.strategy.experimental_distribute_values_from_function(mine))
        return [json.loads(bytes(row[row > 0].astype(np.uint8))) for row in total.numpy()]

    @contextlib.contextmanager
    def explain_lost_workers(self) -> Iterator[None]:
        """Turn the error that ends the waiting for a lost process into one that says how to go on."""
        try:
            yield
        except _GONE as error:
            raise ConnectionError(
                f"A worker is gone, or cannot be reached ({_reason(error)}). Look at what it said, and start the "
                f"same on all {self.size} workers again: they go on from the last epoch that was kept."
            ) from error

    def exchange_or_raise(self, error: Exception | None, **facts: Any) -> list[dict]:
        """Exchange facts where every process is well; else raise, in each of them, what went wrong in one."""
        told = self.exchange({"error": str(error) if error else "", **facts})
        if error:
            raise error
        for index, one in enumerate(told):
            if one["error"]:
                raise ValueError(f"{self._name(index)} stopped: {one['error']}")
        return told

    def _name(self, index: int) -> str:
        return f"{'The chief' if index == 0 else f'Worker {index}'} ({self.cluster.addresses[index]})"

    @functools.cached_property
    def _sum(self):
        def of_replica(values):
            return tf.distribute.get_replica_context().all_reduce("SUM", values + 0)  # "+ 0": placed on its device

        def of_all(values):
            return self.strategy.experimental_local_results(self.strategy.run(of_replica, (values,)))[0]

        return tf.function(of_all, autograph=False)


@functools.cache
def join_workers() -> Team:
    """Meet the other processes that TF_CONFIG names; to be called before TensorFlow computes anything.

    Returns:
        The team, the same one for every call: a process is in one cluster as long as it lives.

    Raises:
        ValueError: TF_CONFIG is missing or malformed.
        RuntimeError: called too late.
        ConnectionError: the others did not come.
    """
    return Team(parse_cluster(os.environ.get(VARIABLE)))


def _reason(error: Exception) -> str:
    """Return what TensorFlow says, without the traceback of its graph before it and the advice after it."""
    text = str(error).split("Collective ops is aborted by: ")[-1].split("Graph execution error:")[-1]
    for advice in ("The tasks have crashed", "Additional GRPC error", "The error could be from"):
        text = text.split(advice)[0]
    return " ".join(text.split())[:300] or type(error).__name__


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C end the process at once: TensorFlow waits for the others without looking at signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
