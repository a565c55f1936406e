"""``maximize``: gradient ascent on the input of a model, from objectives to images."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks
from kerasal import preprocessing as conventions
from kerasal.checks import check_range
from kerasal.hooks.image_shapes import input_layout
from kerasal.hooks.model_inputs import chunk_size
from kerasal.maximization.ascent import Run
from kerasal.maximization.canvas import canvas_shape
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.parameterization import make_parameterization, start_parameters
from kerasal.maximization.peer_objects import managed_callbacks
from kerasal.maximization.recipe import make_objectives, make_recipe
from kerasal.maximization.result import Maximization, tabulate_history, to_pictures
from kerasal.models.image_model import ImageModel
from kerasal.models.recognition import require_preprocessing
from kerasal.objectives.expression import Objective

import keras

RETRY_NOISE_FACTOR = 32.0  # factor of the noise in the second start of units with a zero gradient


def maximize(
    model: "keras.Model | ImageModel",
    objective: int | str | Objective | Callable | Sequence[int | str | Objective | Callable],
    *,
    preset: Literal["simonyan", "tang", "channel", "olah", "smooth"] | None = None,
    parameterization: Literal["pixels", "fourier"] | None = None,
    init: str | np.ndarray | None = None,
    steps: int | None = None,
    step_size: float | None = None,
    regularizers: Sequence[Callable] | None = None,
    transforms: Sequence[Callable] | None = None,
    momentum: float | None = None,
    clip: bool | None = None,
    normalize: Literal["total", "score", "none"] | None = None,
    copies: int = 1,
    diversity: float = 0.0,
    diversity_layer: str | None = None,
    display: Literal["pixels", "contrast", "range"] | None = None,
    preprocessing: str | conventions.Preprocessing | None = None,
    value_range: tuple[float, float] | None = None,
    size: tuple[int, ...] | None = None,
    canvas: Literal["input", "auto"] = "input",
    output: str | int | None = None,
    logits: bool = True,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = False,
    callbacks: Any = None,
) -> Maximization:
    """Return the input images that maximize objectives, computed by gradient ascent.

    A list of objectives is maximized in batches; each image depends only on its own objective. Steps and penalties are
    in gray levels, 1/255 of the pixel range of ``preprocessing``, so that a recipe fits models with any preprocessing.
    The input may also be a signal, a volume, a video or features: pixels are its positions, and gray levels are 1/255
    of ``value_range``.

    Args:
        model: any built Keras model with a single input, or an ``ImageModel``, as ``kerasal.open_model`` returns
            it; it is not changed.
        objective: an objective (``kerasal.objectives``), a class index, the name of a class of an ``ImageModel`` with
            labels, a ``Score`` of tf-keras-vis, or a list of these.
        preset: recipe for the arguments that are None; see ``kerasal.maximization.PRESETS``. By default it is chosen
            from the model: ``"olah"`` (a spectrum, under random transforms) for photos, that is, color images, and gray
            images of more than 96 pixels; ``"smooth"`` (pixels, total variation) for smaller gray images, such as
            digits. It is ``"channel"`` (pixels, 20 steps) with ``parameterization="pixels"`` or ``clip=True`` instead
            of ``"olah"``, for images of other than 1 or 3 channels, and for features (N, F). Signals, volumes and
            videos get ``"smooth"``. ``"simonyan"`` (class model, L2) and ``"tang"`` (class, L1) are published recipes,
            chosen by name. Of a preset, transforms and regularizers that the input has no axes for are left out, such
            as the rotations of ``"olah"`` for signals.
        parameterization: ``"pixels"``, or ``"fourier"`` for the spectrum of the image, scaled by 1 / frequency and in
            decorrelated colors, which a sigmoid keeps in the pixel range 0..255; not for features.
        init: ``"normal"`` for noise of RMS 1 gray level: white noise with ``"pixels"``, noise with the spectrum of
            photos with ``"fourier"``. Units whose gradient is zero are retried with 32 times stronger noise.
            ``"uniform"`` for coarse noise of the full pixel range, ``"zero"`` (a model input of 0; black for a model
            that takes 0..255 or 0..1), ``"mean"`` (middle gray), or an array of model inputs, (H, W, C) or
            (N, H, W, C), such as ``raw`` of an earlier result.
        steps: number of ascent steps, a positive integer.
        step_size: length of a step in gray levels, above 0.
        regularizers: callables from gray levels (N, H, W, C) to penalties (N,), which are subtracted from the score, or
            regularizers of tf-keras-vis, which get gray levels too. One of a class of yours is called in each step and
            for each image.
        transforms: callables from (model inputs, seed) to model inputs, applied in the graph before each forward pass;
            see ``kerasal.maximization.Jitter``, ``Rotation`` and ``Scale``. ``Jitter``, ``Rotate2D`` and ``Scale`` of
            tf-keras-vis stand for these. Any other ``InputModifier`` changes the images themselves before each step,
            outside of the graph, which then runs for one step at a time.
        momentum: share of the previous step that is kept, from 0 to below 1.
        clip: clip the image to the pixel range 0..255 of ``preprocessing`` after each step; for
            ``parameterization="pixels"`` only.
        normalize: which gradient is divided by its RMS: that of score and penalties together (``"total"``), that of the
            score (``"score"``), or none (``"none"``).
        copies: number of images for each objective, from different noise.
        diversity: weight of a penalty on the similarity of the copies: the gradient of the mean cosine similarity of
            their Gram matrices is scaled to this share of the score's gradient and subtracted.
        diversity_layer: layer whose Gram matrices are compared; by default the last layer with a map.
        display: ``"pixels"`` inverts the preprocessing, which adds the mean that it subtracts; ``"contrast"`` scales
            each image to the same contrast around middle gray, so that the mean color is lost; ``"range"`` stretches
            each image from black to white. By default that of the preset, but ``"pixels"`` instead of ``"contrast"``
            for an array as ``init``, whose colors should stay, and ``"contrast"`` for ``"simonyan"`` if 0 is black for
            the model.
        preprocessing: the model's pixel convention, by name, as ``"mean=127,std=128"`` or as a
            ``kerasal.preprocessing.Preprocessing``. By default it is that of the ``ImageModel`` or the zoo model, or it
            is recognized from the model as in ``kerasal.open_model``.
        value_range: (lowest, highest) model input, instead of ``preprocessing``: needed for inputs other than images,
            for example the range of the training data.
        size: (height, width) of the image for a model that takes any size; 224 × 224 by default. One integer per
            position axis of another input; needed if the model leaves one open. For objectives on
            layers below which everything is convolutional, it may differ from the model's input size, but must not be
            smaller than their receptive fields.
        canvas: ``"input"`` for the model's input size, or ``"auto"`` for an image that encloses eight neighboring
            receptive fields in each direction, which is much faster for early layers. ``"auto"`` has no effect on
            objectives on the output or on a neuron, and on inputs other than images or channels first.
        output: name or index of the output that class objectives refer to, for a model with several outputs.
        logits: maximize the logits, before the softmax or sigmoid of the output.
        batch_size: number of images per batch; by default it depends on the size of the image.
        seed: seed of the random start and of the transforms, the same for every objective.
        progress: show a progress bar.
        callbacks: a callback of tf-keras-vis, or a list of them. They are called after each step with the pictures and
            the scores before the step, without gradients, outputs and penalties. All objectives must share a batch.

    Returns:
        A ``Maximization`` with ``images``, ``raw``, ``history``, ``dead`` and ``objectives``. The copies of an
        objective are consecutive.

    Raises:
        NoPreprocessing: a ValueError; ``preprocessing`` is None and is not recognized.
        ValueError: if the model has several inputs, there is no ``value_range`` for an input that is no image, a
            layer, channel, class or choice is unknown, a number is out of range, the start or the size does not fit, or
            an image or a score becomes NaN or infinite.
        TypeError: if an objective, a regularizer, a transform or a callback has another type, or returns one.

    Source: Simonyan et al. 2013, section 2; Tang et al., sections 3.2 and 3.3; Erhan et al. 2009; Olah et al. 2017.
    """
    opened, model = (model, model.keras_model) if isinstance(model, ImageModel) else (None, model)
    objectives = make_objectives(objective, None if opened is None else opened.labels)
    diversifier = Diversity(copies, diversity, diversity_layer)
    layout = input_layout(model)
    if value_range is not None:
        if preprocessing is not None:
            raise ValueError(f"preprocessing must be None with value_range, got {preprocessing!r}. Pass one of them.")
        preprocessing = conventions.from_range(*check_range("value_range", value_range))
    elif not layout.is_image and (preprocessing is not None or opened is None or opened.preprocessing is None):
        given = "" if preprocessing is None else f" and preprocessing={preprocessing!r}, which is for photos,"
        raise ValueError(
            f"value_range must be (lowest, highest) for inputs other than images, got None{given} for {model.name!r}. "
            "Pass the range of the model's inputs, for example that of its training data."
        )
    if preprocessing is None and opened is not None:
        preprocessing = opened.preprocessing
        if preprocessing is None:
            raise conventions.unknown_preprocessing(opened.name, opened.unclear)
    for layer in dict.fromkeys(name for entry in objectives for name in entry.layers):
        hooks.find_layer(model, layer)  # before anything that takes time
    shape = canvas_shape(model, objectives, size, canvas)
    convention = require_preprocessing(model) if preprocessing is None else conventions.get(preprocessing)
    recipe = make_recipe(
        model,
        convention,
        preset,
        parameterization=parameterization,
        init=init,
        steps=steps,
        step_size=step_size,
        regularizers=regularizers,
        transforms=transforms,
        momentum=momentum,
        clip=clip,
        normalize=normalize,
        display=display,
    )
    space, gray_level = make_parameterization(recipe.parameterization, shape, convention, recipe.clip)
    facts: dict[str, Any] = {"space": space, "convention": convention, "gray_level": gray_level, "layout": layout}
    start = start_parameters(recipe.init, len(objectives), copies=copies, seed=seed, **facts)
    objectives = [entry for entry in objectives for _ in range(copies)]

    def to_inputs(images: np.ndarray) -> np.ndarray:
        inputs = images * gray_level
        return inputs[..., 0] if layout.axis is None else np.moveaxis(inputs, -1, layout.axis)

    def draw(images: np.ndarray) -> np.ndarray:
        return to_pictures(images * gray_level, recipe.display, convention) if layout.is_image else to_inputs(images)

    if batch_size is None:
        rows = chunk_size([np.broadcast_to(np.float32(0), (1, *shape))])
        batch_size = max(rows, len(objectives)) if callbacks else rows
    run = Run(model, recipe, space, gray_level, diversifier, layout, output, logits, seed, batch_size, progress)
    told = dict.fromkeys(("optimizer", "gradient_modifier", "unconnected_gradients", "activation_modifiers"))
    told |= {"score": objective, "seed_input": init, "input_range": value_range, "input_modifiers": transforms}
    told |= {"regularizers": regularizers, "steps": recipe.steps, "training": False}  # as tf-keras-vis tells on_begin
    with managed_callbacks(callbacks, **told) as active:
        run = dataclasses.replace(run, callbacks=active, pictures=draw)
        images, scores, dead = _retry_dead_units(run, objectives, start)
    raw = to_inputs(images)
    return Maximization(
        images=draw(images) if layout.is_image else raw,
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
        copies = run.diversity.copies  # copies may depend on each other, so all copies of an objective are retried
        retried = np.flatnonzero(np.repeat(~alive.reshape(-1, copies).all(axis=1), copies))
        stronger = np.where(alive, 1, np.float32(RETRY_NOISE_FACTOR)).reshape(-1, *(1,) * (start.ndim - 1)) * start
        run = dataclasses.replace(run, callbacks=())
        images[retried], scores[retried], alive[retried] = run([objectives[i] for i in retried], stronger[retried])
    return images, scores, np.flatnonzero(~alive)
