"""Which process of a training on several machines this one is: TF_CONFIG, read and checked before anything waits.

The variable is TensorFlow's own, a JSON object such as::

    {"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type": "worker", "index": 0}}

Every process gets the same cluster and a task of its own. The chief is the task ``chief`` if there is one, else the
first worker.
"""

import dataclasses
import json
from typing import Any

from kerasal.checks import is_int

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


def cluster_of(text: str | None) -> Cluster:
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
