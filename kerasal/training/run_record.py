"""The file run.json of a training run: every setting, the data, the versions, the machine, the command and the times.

The settings that are compared when a run is resumed are in its checkpoint; this file is for people, for reports and for
the commands that open the trained model. A run that was continued lists each session.
"""

import contextlib
import datetime
import os
import pathlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasal._version import __version__
from kerasal.store import read_json, write_json
from kerasal.training.replicas import Replicas

import keras
import tensorflow as tf

RUN = "run.json"


class RunRecord:
    """The record of a run in ``output``: ``facts``, and the sessions in which it was trained; the chief writes it."""

    def __init__(self, output: pathlib.Path, facts: Mapping[str, Any], command: str, replicas: Replicas):
        self._path, self._facts, self._command, self._replicas = output / RUN, facts, command, replicas

    @contextlib.contextmanager
    def session(self, rows: Sequence[Mapping[str, Any]], epochs: int) -> Iterator[None]:
        """Write the record, and complete it when the session ends; ``rows`` is the growing history of the run.

        A session that trains no epoch, because the run was finished before, is not recorded.
        """
        if not self._replicas.team.chief:
            yield
            return
        sessions: list[dict[str, Any]] = list(read_json(self._path).get("sessions") or ())
        if len(rows) < epochs or not sessions:
            sessions.append(
                {
                    "command": self._command,
                    "first_epoch": len(rows) + 1,
                    "last_epoch": None,
                    "started": _now(),
                    "ended": None,
                    "versions": list_versions(),
                    "machine": describe_machine(self._replicas),
                }
            )
        self._write(sessions)
        try:
            yield
        finally:
            if sessions[-1]["first_epoch"] <= len(rows) and sessions[-1]["last_epoch"] is None:
                sessions[-1] |= {"last_epoch": len(rows), "ended": _now()}
                self._write(sessions)

    def _write(self, sessions: list[dict[str, Any]]) -> None:
        last = sessions[-1]
        times = {"started": sessions[0]["started"], "ended": last["ended"]}
        facts = {key: last[key] for key in ("command", "versions", "machine")}
        write_json(self._path, {**self._facts, **facts, **times, "sessions": sessions})


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute the result."""
    return {
        "kerasal": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def describe_machine(replicas: Replicas) -> dict[str, Any]:
    """Return the system, the number of CPU cores, the GPUs, and how many devices and machines train together."""
    details = (tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU"))
    return {
        "system": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "gpus": [str(detail.get("device_name", "GPU")) for detail in details],
        "strategy": None if replicas.strategy is None else type(replicas.strategy).__name__,
        "devices": replicas.count,
        "machines": replicas.team.size,
    }


def describe_architecture(model: keras.Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's name, numbers of parameters and shapes, and the digest of its architecture in ``settings``."""
    return {
        "name": model.name,
        "parameters": model.count_params(),
        "trainable_parameters": int(sum(np.prod(variable.shape) for variable in model.trainable_weights)),
        "input_shape": model.input_shape,
        "output_shape": model.output_shape,
        "digest": settings["architecture"],
    }


def describe_call(function: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return a Python call as text: numbers, texts and paths as they are, other values by their type."""
    texts = [_describe_value(value) for value in arguments]
    texts += [f"{name}={_describe_value(value)}" for name, value in options.items() if value is not None]
    return f"{function}({', '.join(texts)})"


def _describe_value(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (tuple, list)) and all(isinstance(item, (bool, int, float, str)) for item in value):
        return repr(value)
    return f"<{getattr(value, 'name', None) or type(value).__name__}>"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
