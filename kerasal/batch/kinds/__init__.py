"""The kinds of batch jobs: each loads the model of a job once and computes rows of results and pictures of images."""

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
    """Return the sorted names of the methods: ``predict``, ``gaze``, ``localize`` and every attribution method."""
    from kerasal import attribution

    return sorted([*_KINDS, *attribution.list_methods()])


def check_method(name: str) -> None:
    """Check that a method exists.

    Raises:
        ValueError: there is no such method; the error lists the closest names.
    """
    if name not in methods():
        raise ValueError(unknown_name_message(name, methods(), "method"))


def open_kind(job: Job) -> Any:
    """Load the model of a job and return its ``Kind``.

    Raises:
        ValueError: the method, the model or an option does not exist; or the model of a worker is not that of the job.
    """
    load_tensorflow()
    check_method(job.method)
    if job.smoothing is not None and job.method in _KINDS:
        raise ValueError(
            f"smoothing must be None for {job.method}, got {dict(job.smoothing)}. Only maps of attribution methods are "
            "smoothed."
        )
    module, name = _KINDS.get(job.method, ("kerasal.batch.kinds.classifier_kinds", "Attribution"))
    kind = getattr(importlib.import_module(module), name)(job)
    if job.model_digest and kind.job.model_digest != job.model_digest:
        raise ValueError(
            f"The digest of {job.model} must be {job.model_digest[:12]} in every worker, as it was where the batch was "
            f"started, got {kind.job.model_digest[:12]}. Give all workers the same file; save a model with random "
            "weights to a file first."
        )
    return kind
