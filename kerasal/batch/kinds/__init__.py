"""What can be run over many images: a kind opens the model once and makes rows and pictures of photographs."""

import importlib
from typing import Any

from kerasal.batch.batch_job import Job
from kerasal.names import unknown_name_message
from kerasal.process import load_tensorflow

_KINDS = {
    "predict": ("kerasal.batch.kinds.classifier_kinds", "Prediction"),
    "gaze": ("kerasal.batch.kinds.gaze_kind", "Gaze"),
    "localize": ("kerasal.batch.kinds.classifier_kinds", "Localization"),
}


def methods() -> list[str]:
    """List everything that a batch can run, sorted."""
    from kerasal import attribution

    return sorted([*_KINDS, *attribution.list_methods()])


def check_method(name: str) -> None:
    """Refuse a method that there is not.

    Raises:
        ValueError: the closest are listed.
    """
    if name not in methods():
        raise ValueError(unknown_name_message(name, methods(), "method"))


def open_kind(job: Job) -> Any:
    """Load the model of a job and return its ``Kind``.

    Raises:
        ValueError: no such method, model or option; or, in a worker, another model than the job's.
    """
    load_tensorflow()
    check_method(job.method)
    module, name = _KINDS.get(job.method, ("kerasal.batch.kinds.classifier_kinds", "Attribution"))
    kind = getattr(importlib.import_module(module), name)(job)
    if job.model_sha and kind.job.model_sha != job.model_sha:
        raise ValueError(
            f"The model {job.model} is another one in a worker ({kind.job.model_sha[:12]}) than where the batch was "
            f"started ({job.model_sha[:12]}). Workers need the same file; save a net with random weights to one first."
        )
    return kind
