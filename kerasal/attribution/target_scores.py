"""Scores of many variants of the same images, through the same machinery as the maps."""

from typing import Any

import numpy as np

from kerasal.hooks.trace import run_batches
from kerasal.hooks.view import Settings
from kerasal.objectives import top_class
from kerasal.objectives.targets import resolve


def score(
    model, arrays: list[np.ndarray], target: Any, *, output=None, logits: bool = True, batch_size=None
) -> np.ndarray:
    """Return the (N,) scores of conformed inputs; see ``kerasal.attribution`` for the arguments."""
    return _run(_scores, model, arrays, resolve(target, len(arrays[0])), Settings(output, logits), batch_size)


def fixed_target(model, arrays: list[np.ndarray], target: Any, *, output=None, batch_size=None) -> Any:
    """Return the target, with "each image's top class" replaced by those classes, (N,) int."""
    if target is not None:
        return target
    return _run(_top, model, arrays, top_class(), Settings(output), batch_size).astype(int)


def _run(function, model, arrays, objective, settings: Settings, batch_size) -> np.ndarray:
    return run_batches(function, model, arrays, objective, settings, batch_size=batch_size)[0][0]


def _scores(view):
    return [view.score()]


def _top(view):
    return view.pin().parameters
