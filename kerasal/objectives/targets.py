"""Conversion of a user's target to an objective: ``target, number of images -> Objective``."""

from typing import Any

from kerasal.objectives import class_score, top_class
from kerasal.objectives.expression import Objective, stack
from kerasal.objectives.function_reference import FunctionReference

_EXPECTED = (
    "target must be None (each image's top class), a class index, a class index per image, an objective "
    "(kerasal.objectives), or a function of the output that returns (N,) scores, got {!r}."
)


def resolve(target: Any, images: int) -> Objective:
    """Return the objective of a target for a batch of ``images`` images.

    Raises:
        TypeError: the target is neither None, an index, an objective, a sequence of these, nor a callable.
        ValueError: the number of targets differs from the number of images.
    """
    if target is None:
        return top_class()
    if isinstance(target, Objective):
        objective = target
    elif isinstance(target, str):
        raise TypeError(
            f"target must be a class index, got {target!r}. A name needs labels: open the model with kerasal.open_model"
            f"(model, labels=[…]) and call kerasal.explain(model, photo, target={target!r}), or pass the index, "
            f"labels.index({target!r})."
        )
    elif isinstance(target, (bytes, float, bool)):
        raise TypeError(_EXPECTED.format(target))
    elif isinstance(target, (list, tuple)) and target and all(isinstance(item, Objective) for item in target):
        objective = stack(target)
    elif callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return Objective(("callable", FunctionReference(target)), (), name)
    else:
        objective = class_score(target)
    if objective.batch not in (None, images):
        raise ValueError(f"target must have one entry per image, {images}, got {objective.batch}: {target!r}.")
    return objective
