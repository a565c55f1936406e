"""``maximize``: objectives in, images out. Plans the run, calls the compiled loop, collects what happened."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import _keras  # noqa: F401
from kerasal import preprocessing as conventions
from kerasal.hooks.inputs import chunk_size
from kerasal.hooks.trace import traced
from kerasal.maximization.ascent import ascend
from kerasal.maximization.display import to_pictures
from kerasal.maximization.presets import PRESETS
from kerasal.maximization.start import input_shape, start_images
from kerasal.naming import closest
from kerasal.objectives.expression import Objective, stack
from kerasal.progress import progress_bar

import keras  # isort: skip

_STRONGER = 32.0  # how much stronger the noise of the second start is, where the first moved nothing
_SEGMENTS = 20  # the loop is compiled; between its segments the progress bar moves and Ctrl-C is heard


@dataclasses.dataclass(frozen=True)
class Maximization:
    """What ``maximize`` found.

    Attributes:
        images: uint8 (N, H, W, 3), made to be looked at.
        raw: float32 (N, H, W, C), the model inputs themselves.
        history: a row for each objective and step: ``objective`` (its description), ``step``, ``score`` before that
            step; the last row of each objective has the final score.
        dead: positions of the objectives whose gradient was zero at every step, so that nothing was learnt of them;
            ``raw`` still holds their start.
        objectives: the objectives, in the order of the images.
    """

    images: np.ndarray
    raw: np.ndarray
    history: pd.DataFrame
    dead: list[int]
    objectives: list[Objective]


def maximize(
    model: keras.Model,
    objective: Objective | Sequence[Objective],
    *,
    preset: Literal["simonyan", "tang", "channel"] | None = None,
    init: str | np.ndarray | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    regularizers: Sequence[Callable] | None = None,
    transforms: Sequence[Callable] = (),
    momentum: float = 0.0,
    clip: bool = False,
    normalize: Literal["total", "score", "none"] | None = None,
    display: Literal["pixels", "contrast"] | None = None,
    preprocessing: str | conventions.Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    output: str | int | None = None,
    logits: bool = True,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Maximization:
    """Find the input images that maximise objectives, by gradient ascent from a chosen start.

    A list of objectives runs as one batch; each image depends on its own objective alone. Steps and penalties are in
    grey levels, 1/255 of the pixel range of ``preprocessing``, so that one recipe fits networks of every convention.

    Args:
        model: any built Keras model with one image input; it is not changed.
        objective: what to maximise, or a list of it (``kerasal.objectives``).
        preset: ``"simonyan"`` (class model), ``"tang"`` (class, L1) or ``"channel"`` (20 steps), see
            ``kerasal.maximization.PRESETS``; arguments given here override it. By default ``"channel"``.
        init: ``"normal"`` (standard normal grey levels; where they move nothing, 32 times as strong), ``"zero"`` (the
            model's zero), ``"mean"`` (middle grey) or an array of model inputs, (H, W, C) or one an objective.
        steps: number of ascent steps, from 1 on.
        step_size: length of a step in grey levels.
        regularizers: callables, grey levels (N, H, W, C) -> (N,), that are subtracted.
        transforms: callables, (model inputs, seed) -> model inputs, applied before the model at every step, in the
            graph; see ``kerasal.maximization.Jitter``.
        momentum: share of the last step that is kept, from 0 to below 1.
        clip: stay, at every step, within the pixel range 0..255 of ``preprocessing``.
        normalize: divide by its RMS the gradient of the whole (``"total"``), of the score alone (``"score"``) or none.
        display: ``"pixels"`` undoes the preprocessing (mean added); ``"contrast"`` stretches each image's contrast.
        preprocessing: the model's pixel convention, by name or as ``kerasal.preprocessing.Preprocessing``.
        size: (height, width) for a model that takes any; 224 × 224 by default.
        output: which output a class objective means, for a model with several.
        logits: leave out the output's softmax or sigmoid.
        batch_size: images in one batch; by default as many as run fastest.
        seed: of the random start and the transforms, the same for every objective.
        progress: show a progress bar.

    Returns:
        A ``Maximization``: ``images``, ``raw``, ``history``, ``dead``.

    Raises:
        ValueError: an unknown layer, channel or class, a bad number, or a start that does not fit.

    Source: Simonyan et al. 2013, section 2; Tang et al., sections 3.2 and 3.3; Erhan et al. 2009.
    """
    objectives = [objective] if not isinstance(objective, (list, tuple)) else list(objective)
    if not objectives or not all(isinstance(one, Objective) for one in objectives):
        raise TypeError(f"Expected objectives (kerasal.objectives), one or a list. Received: {objective!r}.")
    given = {
        "init": init,
        "steps": steps,
        "step_size": step_size,
        "regularizers": regularizers,
        "normalize": normalize,
        "display": display,
    }
    plan = _plan(preset, given)
    _check_numbers(plan, momentum)
    convention = conventions.get(preprocessing) if preprocessing is not None else conventions.get("none")
    shape = input_shape(model, size)
    low, high = convention.value_range()
    grey_level = np.broadcast_to((high - low) / 255.0, shape[-1:]).astype(np.float32)
    start = start_images(plan["init"], len(objectives), shape, convention, seed) / grey_level
    settings = {
        "output": output,
        "logits": logits,
        "options": {
            "regularizers": tuple(plan["regularizers"]),
            "transforms": tuple(transforms),
            "normalize": plan["normalize"],
            "grey_level": grey_level,
            "valid": (low / grey_level, high / grey_level) if clip else None,
        },
        "example": None,
    }
    run = functools.partial(_run, model, objectives, settings, plan, momentum, seed, batch_size, progress)
    images, scores, alive = run(start, range(len(objectives)))
    dead = np.flatnonzero(~alive)
    if isinstance(plan["init"], str) and plan["init"] == "normal" and dead.size:  # faint noise may wake nothing
        images[dead], scores[dead], alive[dead] = run(_STRONGER * start[dead], dead)
    raw = images * grey_level
    return Maximization(
        images=to_pictures(raw, plan["display"], None if preprocessing is None else convention),
        raw=raw,
        history=_history(objectives, scores),
        dead=np.flatnonzero(~alive).tolist(),
        objectives=objectives,
    )


def _run(model, objectives, settings, plan, momentum, seed, batch_size, progress, start, which):
    """Maximise the objectives at the positions ``which`` from ``start``; return images, scores and liveness."""
    chosen = [objectives[i] for i in which]
    images, scores = np.empty_like(start), np.empty((len(chosen), plan["steps"] + 1), np.float32)
    alive = np.zeros(len(chosen), bool)
    groups = _groups(chosen, batch_size or max(1, chunk_size([start])))
    with progress_bar("Maximising", len(groups) * plan["steps"], progress) as advance:
        for group in groups:
            runner = _Runner(model, stack([chosen[i] for i in group]), settings, (plan["step_size"], momentum), seed)
            images[group], scores[group], alive[group] = runner.run(start[group], plan["steps"], advance)
    return images, scores, alive


class _Runner:
    """One batch through the compiled loop, segment by segment."""

    def __init__(self, model, objective, settings, pace, seed):
        self.model, self.objective, self.settings = model, objective, settings
        self.pace, self.seed = pace, seed % 2**24  # what float32 holds exactly

    def run(self, images, steps, advance):
        velocity, scores, alive = np.zeros_like(images), [], np.zeros(len(images), bool)
        done = 0
        while done < steps:
            count = min(max(1, steps // _SEGMENTS), steps - done)
            images, velocity, segment, lives = self._call(images, velocity, count, done)
            scores.append(segment)
            alive |= lives > 0
            done += count
            advance(count)
        _, _, final, _ = self._call(images, velocity, 1, done)  # the score after the last step; its image is not used
        if not np.isfinite(images).all():
            raise ValueError(
                "The images overflowed to NaN or infinity. Take a smaller step_size, or float32 instead of float16."
            )
        return images, np.concatenate([*scores, final], axis=1), alive

    def _call(self, images, velocity, steps, done):
        plan = np.tile(np.float32([steps, *self.pace, done, self.seed]), (len(images), 1))
        chunk = [images, velocity, plan]
        trace = traced(ascend, self.model, self.objective, chunk, declared=False, **self.settings)
        trace.check(self.objective)
        return trace(chunk, list(self.objective.parameters))


def _plan(preset: str | None, given: dict[str, Any]) -> dict[str, Any]:
    if preset is not None and preset not in PRESETS:
        raise ValueError(closest(preset, PRESETS, "preset"))
    plan = {**PRESETS[preset or "channel"], **{name: value for name, value in given.items() if value is not None}}
    for name, choices in (("normalize", ("total", "score", "none")), ("display", ("pixels", "contrast"))):
        if plan[name] not in choices:
            raise ValueError(f"{name} is one of {choices}. Received: {plan[name]!r}.")
    return plan


def _check_numbers(plan: dict[str, Any], momentum: float) -> None:
    steps, step_size = plan["steps"], plan["step_size"]
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"steps is a whole number from 1 on. Received: {steps!r}.")
    if not np.isfinite(step_size) or step_size <= 0:
        raise ValueError(f"step_size is a number of grey levels above 0. Received: {step_size!r}.")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is from 0 to below 1. Received: {momentum!r}.")


def _groups(objectives: list[Objective], batch_size: int) -> list[list[int]]:
    """Put together what one trace can run: objectives of one structure, at most ``batch_size`` at a time."""
    by_structure: dict[tuple, list[int]] = {}
    for i, objective in enumerate(objectives):
        if objective.batch is not None:
            raise ValueError(
                f"Each objective of maximize is for one image; give a list of them. Received: {objective!r}."
            )
        by_structure.setdefault(objective.structure, []).append(i)
    return [same[i : i + batch_size] for same in by_structure.values() for i in range(0, len(same), batch_size)]


def _history(objectives: list[Objective], scores: np.ndarray) -> pd.DataFrame:
    count = scores.shape[1]
    return pd.DataFrame(
        {
            "objective": np.repeat([objective.description for objective in objectives], count),
            "step": np.tile(np.arange(count), len(objectives)),
            "score": scores.ravel(),
        }
    )
