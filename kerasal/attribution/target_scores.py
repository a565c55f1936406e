"""Scores of many variants of the same images, through the same machinery as the maps."""

from typing import Any

import numpy as np

from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.state import state_rows
from kerasal.hooks.trace import traced
from kerasal.objectives import top_class
from kerasal.objectives.targets import resolve


def score(
    model, arrays: list[np.ndarray], target: Any, *, output=None, logits: bool = True, batch_size=None
) -> np.ndarray:
    """Return the (N,) scores of conformed inputs; see ``kerasal.attribution`` for the arguments."""
    objective = resolve(target, len(arrays[0]))
    return _run(_scores, model, arrays, objective, output, logits, batch_size)


def fixed_target(model, arrays: list[np.ndarray], target: Any, *, output=None, batch_size=None) -> Any:
    """Return the target, with "each image's top class" replaced by those classes, (N,) int."""
    if target is not None:
        return target
    return _run(_top, model, arrays, top_class(), output, True, batch_size).astype(int)


def _run(function, model, arrays, objective, output, logits, batch_size) -> np.ndarray:
    size = len(arrays[0]) if objective.loops_over_batch else batch_size or state_rows(model) or chunk_size(arrays)
    settings = {"output": output, "logits": logits, "options": {}, "example": arrays if len(arrays) > 1 else None}
    parts = []
    for start in range(0, len(arrays[0]), size):
        chunk = [array[start : start + size] for array in arrays]
        trace = traced(function, model, objective, chunk, **settings)
        trace.check(objective)
        parts.append(trace(chunk, objective.rows(start, start + size))[0])
    return np.concatenate(parts)


def _scores(view):
    return [view.score()[0]]


def _top(view):
    return [view.top_classes(view.predict(view.inputs))]
