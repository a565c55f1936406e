"""Recipes of activation maximization: the presets, the default of a model, and the recipe of a run with its arguments.

Comments mark the settings that a paper does not specify.
"""

import dataclasses
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import labels
from kerasal.checks import check_choice, check_int, check_number, is_int
from kerasal.hooks.image_shapes import InputLayout, input_layout
from kerasal.maximization.image_priors import L1, L2, Jitter, Rotation, Scale, TotalVariation
from kerasal.maximization.peer_objects import adapt_priors, is_peer, objectives_of_score
from kerasal.names import unknown_name_message
from kerasal.objectives import class_score
from kerasal.objectives.expression import Objective
from kerasal.preprocessing import Preprocessing

import keras

# Settings of a preset that does not specify them.
DEFAULTS = types.MappingProxyType(
    {"parameterization": "pixels", "transforms": (), "regularizers": (), "momentum": 0.0, "clip": False}
)

PRESETS = types.MappingProxyType(
    {
        # Simonyan, Vedaldi & Zisserman 2013, section 2: from the zero image, S_c - λ‖I‖₂², and the mean that the
        # preprocessing subtracts is added at the end ("pixels"). λ, the step and the number of steps are not in the
        # paper. The gradient of the score is scaled to RMS 1, so that the same λ fits all models. An image keeps
        # 1 - 2λ · step = .96 of its values in each step, and gradients of photo models hardly agree from one step to
        # the next, so their sum has an RMS of 10 / √(1 - .96²) = 36 gray levels, which is well visible.
        "simonyan": {
            "init": "zero",
            "steps": 100,
            "step_size": 10.0,
            "regularizers": (L2(2e-3),),
            "normalize": "score",
            "display": "pixels",
        },
        # Tang, Yao, Jiang & Liu, section 3.3: S_c - α‖I‖₁ with α = .1, step .5, from random normal pixels or the mean
        # of the class's images (init=array). Not in the paper: the number of steps (20, as in section 3.2), and whether
        # the gradient is normalized. Here the gradient of the score is scaled to RMS 1, since a step of .5 times the
        # raw gradient hardly changes a pixel.
        "tang": {
            "init": "normal",
            "steps": 20,
            "step_size": 0.5,
            "regularizers": (L1(0.1),),
            "normalize": "score",
            "display": "contrast",
        },
        # The same paper, section 3.2: the mean of a channel, 20 steps from random normal pixels. Not in the paper: the
        # step size.
        "channel": {
            "init": "normal",
            "steps": 20,
            "step_size": 1.0,
            "regularizers": (),
            "normalize": "total",
            "display": "contrast",
        },
        # Olah, Mordvintsev & Schubert 2017, "Feature Visualization": a spectrum in decorrelated colors, with
        # random shifts, scales and rotations. Not in the paper: the size of these transforms, the number of steps, and
        # the step, which is the gradient scaled to RMS 1 with momentum .9 instead of Adam, about half a gray level.
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
        # This project's own, for gray images of digits, letters or other strokes: the class model of Simonyan et al.
        # with the total variation of Mahendran & Vedaldi 2015 and a random shift of two pixels. The noise has the full
        # range, since the ReLUs of a small model are often all zero for weaker noise.
        "smooth": {
            "init": "uniform",
            "steps": 200,
            "step_size": 2.0,
            "regularizers": (L2(4e-3), TotalVariation(0.05)),
            "transforms": (Jitter(2),),
            "clip": True,
            "normalize": "score",
            "display": "range",
        },
    }
)
"""The published settings of ``maximize`` by name: the options of each that differ from the defaults."""

_SMALL = 96  # pixels of the longer side up to which a gray image is taken for strokes rather than for a photo


def default_preset(model: keras.Model, preprocessing: Preprocessing | None) -> str:
    """Return the name of the preset that ``maximize`` uses for a model if none is named.

    ``"olah"`` for photos: color images of any size, and gray images of more than 96 pixels. ``"smooth"`` for smaller
    gray images, such as digits, and for signals, volumes and videos. ``"channel"`` if ``preprocessing`` is None or the
    images have other channels, since the other two need the range of the pixels, and for features (N, F), which have no
    neighbors.
    """
    layout = input_layout(model)
    if not layout.is_image:
        return "smooth" if layout.is_ordered and preprocessing is not None else "channel"
    height, width, channels = *layout.positions, layout.channels or 3
    if preprocessing is None or channels not in (1, 3):
        return "channel"
    return "olah" if channels == 3 or max(height or 224, width or 224) > _SMALL else "smooth"


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """Settings of a gradient ascent: arguments of ``maximize`` with the same names, with every default filled in."""

    parameterization: str
    init: str | np.ndarray
    steps: int
    step_size: float
    momentum: float
    regularizers: tuple[Callable, ...]
    transforms: tuple[Callable, ...]
    normalize: str
    display: str
    clip: bool
    modifiers: tuple[Callable, ...] = ()  # input modifiers of tf-keras-vis, of ``transforms``


def make_recipe(
    model: keras.Model, preprocessing: Preprocessing | None, preset: str | None, **arguments: Any
) -> Recipe:
    """Return the recipe of a preset, by default that of the model, with the ``arguments`` that are not None replaced.

    Raises:
        ValueError: if the preset or a choice is unknown, or a number is out of range.
        TypeError: if regularizers or transforms are not callable, or take other arguments.
    """
    if preset is not None and preset not in PRESETS:
        raise ValueError(unknown_name_message(preset, PRESETS, "preset"))
    if preset is None:
        preset = "olah" if arguments["parameterization"] == "fourier" else default_preset(model, preprocessing)
        if preset == "olah" and (arguments["parameterization"] == "pixels" or arguments["clip"]):
            preset = "channel"  # the other settings of olah are for a spectrum
    plan = {**DEFAULTS, **PRESETS[preset], **{name: value for name, value in arguments.items() if value is not None}}
    layout = input_layout(model)
    for name in ("transforms", "regularizers"):
        if arguments[name] is None:  # of a preset, those that the input has an order for
            plan[name] = [prior for prior in plan[name] if not _lacks_axes(prior, layout)]
    if arguments["display"] is None:
        plan["display"] = _suit_display(plan, preprocessing)
    check_choice("normalize", plan["normalize"], ("total", "score", "none"))
    check_choice("display", plan["display"], ("pixels", "contrast", "range"))
    check_choice("parameterization", plan["parameterization"], ("pixels", "fourier"))
    for name in ("regularizers", "transforms"):
        plan[name] = adapt_priors(name, plan[name], layout.is_image)
        for prior in plan[name]:
            if _lacks_axes(prior, layout):
                what = f"inputs with {len(layout.positions)} position axes" if layout.is_ordered else "features"
                raise ValueError(
                    f"{name} must suit the input, got {prior!r} for {what}. Rotation needs the two axes of images, and "
                    "the others a position axis with an order."
                )
    if plan["parameterization"] == "fourier" and not layout.is_ordered:
        raise ValueError("parameterization must be 'pixels' for features (N, F), which have no order, got 'fourier'.")
    plan["modifiers"] = tuple(prior for prior in plan["transforms"] if is_peer(prior, "InputModifier"))
    plan["transforms"] = tuple(prior for prior in plan["transforms"] if not is_peer(prior, "InputModifier"))
    check_int("steps", plan["steps"])
    check_number("step_size", plan["step_size"], above=0)
    check_number("momentum", plan["momentum"], minimum=0, below=1)
    return Recipe(**plan)


def _lacks_axes(prior: Callable, layout: InputLayout) -> bool:
    """Return whether a prior of this package is about axes that the input does not have."""
    if isinstance(prior, Rotation):
        return not layout.is_image
    return isinstance(prior, (Jitter, Scale, TotalVariation)) and not layout.is_ordered


def _suit_display(plan: dict[str, Any], preprocessing: Preprocessing | None) -> str:
    """Return the display of a preset for the start of a run.

    ``"contrast"`` would replace the colors of an image that the ascent starts from. ``"pixels"`` would draw half of an
    image that is not limited to the pixel range black if 0 is black for the model, which then subtracts no mean.
    """
    if plan["display"] == "contrast" and not isinstance(plan["init"], str):
        return "pixels"
    unlimited = plan["parameterization"] == "pixels" and not plan["clip"]
    if plan["display"] == "pixels" and unlimited and preprocessing is not None:
        return "pixels" if np.min(preprocessing.value_range()[0]) < 0 else "contrast"
    return plan["display"]


def make_objectives(objective: Any, class_names: Sequence[str] | None = None) -> list[Objective]:
    """Return a list of objectives, each for a single image; an integer is a class index, a text one of ``class_names``.

    A ``Score`` of tf-keras-vis stands for one objective per index or value.

    Raises:
        TypeError: if an entry is neither an objective nor an integer, nor a text if there are ``class_names``.
        ValueError: if an objective is itself for several images, or no class has the name.
    """
    listed: list[Any] = (
        list(objective) if isinstance(objective, (list, tuple, np.ndarray)) and np.ndim(objective) else [objective]
    )
    if class_names is not None:
        listed = [labels.find(entry, class_names) if isinstance(entry, str) else entry for entry in listed]
    listed = [part for entry in listed for part in (objectives_of_score(entry) if is_peer(entry, "Score") else [entry])]
    objectives = [class_score(int(entry)) if is_int(entry) else entry for entry in listed]
    if not objectives or not all(isinstance(entry, Objective) for entry in objectives):
        raise TypeError(
            f"objective must be an objective (kerasal.objectives), a class index, or a list of these, got "
            f"{objective!r}."
        )
    for entry in objectives:
        if entry.batch is not None:
            raise ValueError(
                f"objective must be for a single image, got {entry!r}. Pass a list of objectives for several images."
            )
    return objectives
