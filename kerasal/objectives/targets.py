"""What a user may give as a target, turned into an objective: ``target, number of images -> Objective``."""

import types
import weakref
from typing import Any

from kerasal.objectives import class_score, top_class
from kerasal.objectives.expression import Objective, stack

_EXPECTED = (
    "A target is None (each image's top class), an int, one int an image, an objective (kerasal.objectives), or a "
    "function of the output that returns (N,) scores. Received: {!r}."
)


def resolve(target: Any, images: int) -> Objective:
    """Turn a user's target into an objective: None, int, one int or objective an image, objective, or callable."""
    if target is None:
        return top_class()
    if isinstance(target, Objective):
        objective = target
    elif isinstance(target, (str, bytes, float, bool)):
        raise TypeError(_EXPECTED.format(target))
    elif isinstance(target, (list, tuple)) and target and all(isinstance(one, Objective) for one in target):
        objective = stack(target)
    elif callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return Objective(("callable", HeldFunction(target)), (), name)
    else:
        objective = class_score(target)
    if objective.batch not in (None, images):
        raise ValueError(f"Expected one target an image, {images}. Received {objective.batch}: {target!r}.")
    return objective


class HeldFunction:
    """A user's callable, compared by identity and held weakly, so that no cache keeps alive what it closes over."""

    def __init__(self, function):
        self._identity = id(function)
        try:
            if isinstance(function, types.MethodType):  # a new object at every look at it
                self._identity = hash((id(function.__self__), id(function.__func__)))
                self._reference = weakref.WeakMethod(function)
            else:
                self._reference = weakref.ref(function)
        except TypeError:  # some built-in callables take no weak reference
            self._reference = lambda: function

    @property
    def loops_over_batch(self) -> bool:
        return type(self()).__module__.startswith("tf_keras_vis")

    def __call__(self):
        return self._reference()

    def __hash__(self):
        return self._identity

    def __eq__(self, other):
        mine, others = self(), other() if isinstance(other, HeldFunction) else None
        if isinstance(mine, types.MethodType) and isinstance(others, types.MethodType):
            return mine.__self__ is others.__self__ and mine.__func__ is others.__func__
        return mine is not None and mine is others
