"""The published recipes, and the recipe of one run: a preset and a user's arguments, checked before the start.

What a paper leaves open is decided here and marked so.
"""

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_int, check_number, is_int
from kerasal.maximization.image_priors import L1, L2, Jitter, Rotation, Scale
from kerasal.names import unknown_name_message
from kerasal.objectives import class_score
from kerasal.objectives.expression import Objective

# What a recipe that does not say otherwise does.
DEFAULTS = types.MappingProxyType({"parameterization": "pixels", "transforms": (), "regularizers": (), "momentum": 0.0})

PRESETS = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 2: from the zero image, S_c - λ‖I‖₂², the mean image added at the
        # end (kerasal.preprocessing does; the pictures are stretched in contrast instead). λ, the step and the number
        # of steps are not in the paper. The score's gradient is scaled to RMS 1, so that one λ fits all networks.
        "simonyan": {
            "init": "zero",
            "steps": 200,
            "step_size": 1.0,
            "regularizers": (L2(2e-2),),
            "normalize": "score",
            "display": "contrast",
        },
        # Tang, Yao, Jiang & Liu, section 3.3: S_c - α‖I‖₁ with α = .1, step .5, from random normal pixels or the mean
        # of the class's images (init=array). Open there: the number of steps (20, as in their 3.2), and whether the
        # gradient is normalized: the score's is, to RMS 1, since .5 times the raw gradient hardly moves a pixel.
        "tang": {
            "init": "normal",
            "steps": 20,
            "step_size": 0.5,
            "regularizers": (L1(0.1),),
            "normalize": "score",
            "display": "contrast",
        },
        # The same paper, section 3.2: one channel's mean, 20 steps from random normal pixels. Open there: the step.
        "channel": {
            "init": "normal",
            "steps": 20,
            "step_size": 1.0,
            "regularizers": (),
            "normalize": "total",
            "display": "contrast",
        },
        # Olah, Mordvintsev & Schubert 2017, "Feature Visualization": a spectrum in decorrelated colors, looked at
        # through random shifts, scales and rotations. Decided here: how large those are, the steps, and that instead of
        # Adam's the step is the gradient's, scaled to RMS 1, with momentum .9: about half a gray level per step.
        "olah": {
            "parameterization": "fourier",
            "init": "normal",
            "steps": 250,
            "step_size": 0.06,
            "momentum": 0.9,
            "transforms": (Jitter(16, share=1 / 14), Scale(0.9, 1.1), Rotation(5.0)),
            "normalize": "total",
            "display": "pixels",
        },
    }
)


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
    check_choice("normalize", plan["normalize"], ("total", "score", "none"))
    check_choice("display", plan["display"], ("pixels", "contrast"))
    check_choice("parameterization", plan["parameterization"], ("pixels", "fourier"))
    for name in ("regularizers", "transforms"):
        plan[name] = tuple(plan[name])
        if not all(map(callable, plan[name])):
            raise TypeError(f"{name} is a list of callables (kerasal.maximization). Received: {plan[name]!r}.")
    check_int("steps", plan["steps"])
    check_number("step_size", plan["step_size"], above=0)
    check_number("momentum", plan["momentum"], minimum=0, below=1)
    return Recipe(**plan)


def make_objectives(given: Any) -> list[Objective]:
    """Return objectives as a list, each for one image; a whole number is a class.

    Raises:
        TypeError: neither objectives nor whole numbers.
        ValueError: an objective that is itself for several images.
    """
    listed: list[Any] = list(given) if isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given) else [given]
    objectives = [class_score(int(one)) if is_int(one) else one for one in listed]
    if not objectives or not all(isinstance(one, Objective) for one in objectives):
        raise TypeError(
            f"Expected objectives (kerasal.objectives) or numbers of classes, one or a list. Received: {given!r}."
        )
    for one in objectives:
        if one.batch is not None:
            raise ValueError(f"Each objective of maximize is for one image; give a list of them. Received: {one!r}.")
    return objectives
