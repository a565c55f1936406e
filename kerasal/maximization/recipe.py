"""From a preset and a user's arguments to the recipe of one run, checked before anything is computed."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_int, is_int
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.parameterization import PARAMETERIZATIONS
from kerasal.maximization.presets import DEFAULTS, PRESETS
from kerasal.names import unknown_name_message
from kerasal.objectives import class_score
from kerasal.objectives.expression import Objective

_CHOICES = {
    "normalize": ("total", "score", "none"),
    "display": ("pixels", "contrast"),
    "parameterization": PARAMETERIZATIONS,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """How an image is ascended: the arguments of ``maximize`` of the same names, all decided."""

    parameterization: str
    init: str | np.ndarray
    steps: int
    step_size: float
    momentum: float
    regularizers: tuple[Callable, ...]
    transforms: tuple[Callable, ...]
    normalize: str
    display: str


def make_recipe(preset: str | None, **given: Any) -> Recipe:
    """Fill in, from a preset, what the user has not given.

    Raises:
        ValueError: an unknown preset or choice (those that there are, are listed), or a bad number.
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(unknown_name_message(preset, PRESETS, "preset"))
    basis = PRESETS[preset or ("olah" if given["parameterization"] == "fourier" else "channel")]
    plan = {**DEFAULTS, **basis, **{name: value for name, value in given.items() if value is not None}}
    for name, choices in _CHOICES.items():
        check_choice(name, plan[name], choices)
    for name in ("regularizers", "transforms"):
        plan[name] = tuple(plan[name])
        if not all(map(callable, plan[name])):
            raise TypeError(f"{name} is a list of callables (kerasal.maximization). Received: {plan[name]!r}.")
    _check_numbers(**{name: plan[name] for name in ("steps", "step_size", "momentum")})
    return Recipe(**plan)


def make_objectives(given: Any) -> list[Objective]:
    """Return objectives as a list, each for one image; a whole number is a class.

    Raises:
        TypeError: neither objectives nor whole numbers.
        ValueError: an objective that is itself for several images.
    """
    listed = list(given) if isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given) != 0 else [given]
    objectives = [class_score(int(one)) if is_int(one) else one for one in listed]
    if not objectives or not all(isinstance(one, Objective) for one in objectives):
        raise TypeError(
            f"Expected objectives (kerasal.objectives) or numbers of classes, one or a list. Received: {given!r}."
        )
    for one in objectives:
        if one.batch is not None:
            raise ValueError(f"Each objective of maximize is for one image; give a list of them. Received: {one!r}.")
    return objectives


def make_diversity(copies: int, weight: float, layer: str | None) -> Diversity:
    """Check what the user wants of copies.

    Raises:
        ValueError: no copies, a weight that is negative or has nothing to act on.
    """
    check_int("copies", copies)
    if not 0 <= weight < np.inf:
        raise ValueError(f"diversity is a number from 0 on. Received: {weight!r}.")
    if copies == 1 and (weight or layer):
        raise ValueError("diversity keeps the copies of one objective apart, and there is one; say copies=4.")
    return Diversity(int(copies), float(weight), layer)


def _check_numbers(steps: int, step_size: float, momentum: float) -> None:
    check_int("steps", steps)
    if not np.isfinite(step_size) or step_size <= 0:
        raise ValueError(f"step_size is a number of gray levels above 0. Received: {step_size!r}.")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is from 0 to below 1. Received: {momentum!r}.")
