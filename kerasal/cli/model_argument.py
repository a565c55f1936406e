"""Opening the MODEL argument of a command as an ``ImageModel``, with remarks on assumptions; and its top classes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kerasal.cli import options
from kerasal.cli.flags import name_flags, running_flags
from kerasal.cli.session import remark, results
from kerasal.process import load_tensorflow

Load = functools.partial[Any]
"""A function without arguments that opens the model of a command and returns the ``ImageModel``."""


def with_model(*names: str) -> Callable:
    """Return a decorator that adds MODEL and these of its options to a command, whose ``load()`` opens the model."""
    group = {"model": (options.Model, inspect.Parameter.empty), **options.model_options(*names)}
    return options.with_options("load", group, lambda model, **values: functools.partial(open_model, model, **values))


def open_model(source: str, *, model_option: list[str] | None = None, quiet: bool = False, **settings: Any):
    """Return ``kerasal.open_model`` of the MODEL argument; print its assumptions on the error stream unless quiet."""
    zoo_options = options.read_options(model_option)
    load_tensorflow()
    from kerasal import models

    model = models.open_model(source, options=zoo_options, **settings)
    if quiet:
        return model
    for note in model.notes:
        remark(name_flags(note, running_flags.get() or {}))
    overriding = [f"--{name}" for name in ("labels", "preprocessing") if name in settings and not settings[name]]
    if model.notes and overriding and not (model.task or model.untrained):
        remark(f"Use {' and '.join(overriding)} if that is wrong.")
    return model


def print_top_classes(model, inputs, count: int = 5, title: str = "") -> list[dict[str, Any]]:
    """Print a model's top classes for one input; return their rows, none if the model is no classifier."""
    import numpy as np
    from rich.table import Table

    if model.class_count < 2:
        return []
    scores = model.outputs(inputs)[0]
    probable = scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2
    kind = "probability" if probable else "score"
    order = np.argsort(-scores, kind="stable")[:count]
    rows = [{"class": model.label(index), "number": int(index), kind: float(scores[index])} for index in order]
    table = Table(*rows[0], title=title or None)
    for name, number, score in (row.values() for row in rows):
        table.add_row(name, str(number), f"{score:.1%}" if probable else f"{score:.3g}")
    results().print(table)
    return rows
