"""From the MODEL argument to an ``ImageModel``: what was assumed is printed, and so are the model's top classes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kerasal.cli import options
from kerasal.cli.session import remark, results
from kerasal.process import load_tensorflow

Load = functools.partial[Any]
"""What ``loading`` gives a command: called, it returns the ``ImageModel``; it holds what was given."""


def loading(*names: str) -> Callable:
    """Let a command have MODEL and the options of these names, with which its parameter ``load``, called, opens it."""
    group = {"model": (options.Model, inspect.Parameter.empty), **options.opening(*names)}
    return options.taking("load", group, lambda model, **given: functools.partial(open_model, model, **given))


_HINTS = {
    "Class names:": " --labels FILE for others.",
    "Preprocessing:": " --preprocessing sets it.",
}


def open_model(source: str, *, net_option: list[str] | None = None, **given: Any):
    """Return ``kerasal.open_model`` of what MODEL names, and say on the error stream what had to be assumed."""
    zoo_options = options.options_of(net_option)
    load_tensorflow()
    from kerasal import models

    model = models.open_model(source, options=zoo_options, **given)
    for note in model.notes:
        hint = next((hint for beginning, hint in _HINTS.items() if note.startswith(beginning)), "")
        remark(note + hint)
    return model


def print_top_classes(model, inputs, count: int = 5) -> str | None:
    """Print a model's top classes for one input; return the first, or None if the model is no classifier."""
    import numpy as np
    from rich.table import Table

    if model.class_count < 2:
        return None
    scores = model.outputs(inputs)[0]
    probable = scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2
    table = Table("class", "number", "probability" if probable else "score")
    order = np.argsort(-scores, kind="stable")[:count]
    for index in order:
        table.add_row(model.label(index), str(index), f"{scores[index]:.1%}" if probable else f"{scores[index]:.3g}")
    results().print(table)
    return model.label(int(order[0]))
