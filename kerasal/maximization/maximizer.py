"""``maximize``: objectives in, images out. Decides what is run, has it run, and collects what happened."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import preprocessing as conventions
from kerasal.hooks.model_inputs import chunk_size
from kerasal.maximization.ascent import Diversity, Run
from kerasal.maximization.canvas import canvas_shape
from kerasal.maximization.parameterization import make_parameterization, start_parameters
from kerasal.maximization.recipe import make_objectives, make_recipe
from kerasal.maximization.result import Maximization, tabulate_history, to_pictures
from kerasal.objectives.expression import Objective

import keras

STRONGER = 32.0  # how much stronger the noise of the second start is, where the first moved nothing


def maximize(
    model: keras.Model,
    objective: int | Objective | Sequence[int | Objective],
    *,
    preset: Literal["simonyan", "tang", "channel", "olah"] | None = None,
    parameterization: Literal["pixels", "fourier"] | None = None,
    init: str | np.ndarray | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    regularizers: Sequence[Callable] | None = None,
    transforms: Sequence[Callable] | None = None,
    momentum: float | None = None,
    clip: bool = False,
    normalize: Literal["total", "score", "none"] | None = None,
    copies: int = 1,
    diversity: float = 0.0,
    diversity_layer: str | None = None,
    display: Literal["pixels", "contrast"] | None = None,
    preprocessing: str | conventions.Preprocessing | None = None,
    size: tuple[int, int] | None = None,
    canvas: Literal["input", "auto"] = "input",
    output: str | int | None = None,
    logits: bool = True,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Maximization:
    """Find the input images that maximize objectives, by gradient ascent from a chosen start.

    A list of objectives runs as one batch; each image depends on its own objective alone. Steps and penalties are in
    gray levels, 1/255 of the pixel range of ``preprocessing``, so that one recipe fits networks of every convention.

    Args:
        model: any built Keras model with one image input; it is not changed.
        objective: what to maximize, or a list of it (``kerasal.objectives``); a whole number is a class.
        preset: ``"simonyan"`` (class model), ``"tang"`` (class, L1), ``"channel"`` (20 steps) or ``"olah"`` (Fourier,
            250 steps), see ``kerasal.maximization.PRESETS``; arguments given here override it. By default
            ``"channel"``, and ``"olah"`` with ``parameterization="fourier"``.
        parameterization: ``"pixels"``, or ``"fourier"``: the ascent is on the image's spectrum over 1 / frequency, in
            colors that vary independently in photographs; a sigmoid keeps the image in the pixel range 0..255 of
            ``preprocessing``, or nothing does where that is not given.
        init: ``"normal"`` (noise of RMS 1 gray level, white or with a photograph's spectrum; where it moves nothing, 32
            times as strong), ``"zero"`` (the model's zero), ``"mean"`` (middle gray) or an array of model inputs,
            (H, W, C) or one per image: the ``raw`` of an earlier result goes on from there.
        steps: number of ascent steps, positive.
        step_size: length of a step in gray levels.
        regularizers: callables, gray levels (N, H, W, C) -> (N,), that are subtracted.
        transforms: callables, (model inputs, seed) -> model inputs, applied before the model at every step, in the
            graph; see ``kerasal.maximization.Jitter``, ``Rotation`` and ``Scale``.
        momentum: share of the last step that is kept, from 0 to below 1.
        clip: stay, at every step, within the pixel range 0..255 of ``preprocessing``; for pixels.
        normalize: divide by its RMS the gradient of the whole (``"total"``), of the score alone (``"score"``) or none.
        copies: images for each objective, from different noise.
        diversity: how strongly the copies of an objective are driven apart, in shares of the score's gradient: that of
            the mean cosine similarity of their Gram matrices is subtracted.
        diversity_layer: the layer whose Gram matrices are compared; by default the last one with a map.
        display: ``"pixels"`` undoes the preprocessing (mean added); ``"contrast"`` stretches each image's contrast.
        preprocessing: the model's pixel convention, by name or as ``kerasal.preprocessing.Preprocessing``.
        size: (height, width) for a model that takes any, 224 × 224 by default; or, for objectives about layers below
            which all is convolution, instead of the model's own, and no smaller than their receptive field.
        canvas: ``"input"``, the size that the model takes; or ``"auto"``, for such layers only as large as eight
            receptive fields of neighboring units, which is much faster low in a net.
        output: which output a class objective means, for a model with several.
        logits: leave out the output's softmax or sigmoid.
        batch_size: images in one batch; by default as many as run fastest.
        seed: of the random start and the transforms, the same for every objective.
        progress: show a progress bar.

    Returns:
        A ``Maximization``: ``images``, ``raw``, ``history``, ``dead``; copies of an objective one after the other.

    Raises:
        ValueError: an unknown layer, channel or class, a bad number, a start or size that does not fit, or an image
            that became NaN.

    Source: Simonyan et al. 2013, section 2; Tang et al., sections 3.2 and 3.3; Erhan et al. 2009; Olah et al. 2017.
    """
    objectives = make_objectives(objective)
    diversifier = Diversity(copies, diversity, diversity_layer)
    recipe = make_recipe(
        preset,
        parameterization=parameterization,
        init=init,
        steps=steps,
        step_size=step_size,
        regularizers=regularizers,
        transforms=transforms,
        momentum=momentum,
        normalize=normalize,
        display=display,
    )
    convention = None if preprocessing is None else conventions.get(preprocessing)
    shape = canvas_shape(model, objectives, size, canvas)
    space, gray_level = make_parameterization(recipe.parameterization, shape, convention, clip)
    facts: dict[str, Any] = {"space": space, "convention": convention, "gray_level": gray_level, "seed": seed}
    start = start_parameters(recipe.init, len(objectives), copies=copies, **facts)
    objectives = [one for one in objectives for _ in range(copies)]
    batch_size = batch_size or chunk_size([np.broadcast_to(np.float32(0), (1, *shape))])
    run = Run(model, recipe, space, gray_level, diversifier, output, logits, seed, batch_size, progress)
    images, scores, dead = _retry_dead_units(run, objectives, start)
    raw = images * gray_level
    return Maximization(
        images=to_pictures(raw, recipe.display, convention),
        raw=raw,
        history=tabulate_history(objectives, scores, copies),
        dead=dead.tolist(),
        objectives=objectives,
    )


def _retry_dead_units(
    run: Run, objectives: list[Objective], start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ascend; retry units whose gradient was zero from 32 times stronger noise. Return images, scores, dead units."""
    images, scores, alive = run(objectives, start)
    if isinstance(run.recipe.init, str) and run.recipe.init == "normal" and not alive.all():
        copies = run.diversity.copies  # they may look at each other, so all of an objective's are run again
        again = np.flatnonzero(np.repeat(~alive.reshape(-1, copies).all(axis=1), copies))
        stronger = np.where(alive, 1, np.float32(STRONGER)).reshape(-1, *(1,) * (start.ndim - 1)) * start
        images[again], scores[again], alive[again] = run([objectives[i] for i in again], stronger[again])
    return images, scores, np.flatnonzero(~alive)
