"""Gradient ascent: the compiled loop of steps for a batch of images, and its runs for all objectives."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.hooks.image_shapes import InputLayout
from kerasal.hooks.layout import Layout
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings, View
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.eager_calls import raise_original
from kerasal.maximization.parameterization import Fourier, Pixels
from kerasal.maximization.peer_objects import call_back, modify_inputs
from kerasal.maximization.recipe import Recipe
from kerasal.maximization.user_calls import naming_changed_sizes, penalty_gradient, transform_inputs
from kerasal.objectives.expression import Objective, stack
from kerasal.progress import progress_bar

import tensorflow as tf


def ascent_options(
    recipe: Recipe,
    parameterization: Pixels | Fourier,
    gray_level: np.ndarray,
    diversity: Diversity,
    layout: InputLayout,
) -> dict[str, Any]:
    """Return the keyword arguments of ``ascend``."""
    shared = {name: getattr(recipe, name) for name in ("regularizers", "transforms", "normalize")}
    facts = {"parameterization": parameterization, "gray_level": gray_level, "diversity": diversity}
    return {**facts, "layout": layout, **shared}


def model_layout(layout: InputLayout) -> Layout:
    """Return the layout by which a view hands images channels last to a model."""
    return Layout() if layout.is_last else Layout([layout.axis], check=False)


def ascend(
    view: View,
    *,
    parameterization: Pixels | Fourier,
    regularizers: tuple[Callable, ...],
    transforms: tuple[Callable, ...],
    normalize: str,
    gray_level: np.ndarray,
    diversity: Diversity,
    layout: InputLayout,
) -> list[tf.Tensor]:
    """Take steps of gradient ascent, with the state in ``view.inputs``, and return the new state.

    The inputs are the parameters (K, ...), the velocity of the same shape, and a row per image with (steps, step size,
    momentum, number of the first step, seed). The outputs are parameters, velocity, images in gray levels (K, H, W, C),
    channels last whatever the ``layout`` of the model, scores before each step (K, steps), and whether the gradient was
    non-zero at any step (K,).

    ``gray_level`` (C,) is the change of the model's input for a gray level, which is 1/255 of the pixel range.
    """
    parameters, velocity, plan = view.inputs
    view = dataclasses.replace(view, layout=model_layout(layout))
    steps, step_size, momentum = tf.cast(plan[0, 0], tf.int32), plan[0, 1], plan[0, 2]
    first, seed = tf.cast(plan[0, 3], tf.int32), tf.cast(plan[0, 4], tf.int32)
    scale = tf.constant(gray_level, tf.float32)
    layer = None
    if diversity.weight:
        layer = diversity.layer or hooks.default_layer(view, [parameterization.images(parameters) * scale])

    def body(step, parameters, velocity, scores, alive):
        with tf.GradientTape(watch_accessed_variables=False) as image_tape:
            image_tape.watch(parameters)
            images = parameterization.images(parameters)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(images)
            inputs = images * scale
            for number, transform in enumerate(transforms):
                draw = tf.stack([seed, (first + step) * len(transforms) + number])
                inputs = transform_inputs(transform, inputs, draw)
            with naming_changed_sizes(images, inputs):
                run = view.run([inputs], taps=[layer] if layer else [])
            score = view.score(run)
            overlap = diversity.overlap(view.layout.last(layer, run.layers[layer])) if layer else score
        (gradient,) = hooks.differentiate(tape, score, [images])
        alive = alive | (tf.reshape(_rms(gradient), [-1]) > 0)
        if layer:
            (push,) = hooks.differentiate(tape, overlap, [images])  # scaled to the length that the weight sets
            gradient -= diversity.weight * _rms(gradient) * tf.math.divide_no_nan(push, _rms(push))
        if normalize == "score":
            gradient = tf.math.divide_no_nan(gradient, _rms(gradient))
        for regularizer in regularizers:
            gradient -= penalty_gradient(regularizer, images)
        gradient = image_tape.gradient(images, parameters, gradient)  # pyright: ignore[reportArgumentType, reportCallIssue]
        if normalize == "total":
            gradient = tf.math.divide_no_nan(gradient, _rms(gradient))
        velocity = momentum * velocity + gradient
        parameters = parameterization.constrain(parameters + step_size * velocity)
        return step + 1, parameters, velocity, scores.write(step, score), alive

    scores = tf.TensorArray(tf.float32, size=steps, element_shape=[None])
    alive = tf.zeros(tf.shape(parameters)[:1], tf.bool)
    state = (0, parameters, velocity, scores, alive)
    shapes: list[Any] = [[], parameters.shape, velocity.shape, None, [None]]
    _, parameters, velocity, scores, alive = tf.while_loop(
        lambda step, *_: step < steps, body, state, shape_invariants=tuple(map(tf.TensorShape, shapes))
    )
    images = parameterization.images(parameters)
    return [parameters, velocity, images, tf.transpose(scores.stack()), tf.cast(alive, tf.float32)]


def _rms(tensor: tf.Tensor) -> tf.Tensor:
    """Return the root mean square of each image, divided by its maximum first to avoid underflow."""
    axes = list(range(1, tensor.shape.rank))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes, keepdims=True)
    ratio = tf.math.divide_no_nan(tensor, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(ratio), axis=axes, keepdims=True))


# The compiled loop returns after each segment, to update the progress bar and to react to Ctrl-C.
_SEGMENTS = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """An ascent of many objectives in batches that share a model, a recipe and settings."""

    model: Any
    recipe: Recipe
    parameterization: Pixels | Fourier
    gray_level: np.ndarray
    diversity: Diversity
    layout: InputLayout
    output: str | int | None
    logits: bool
    seed: int
    batch_size: int
    progress: bool
    callbacks: Sequence[Callable] = ()
    pictures: Callable[[np.ndarray], np.ndarray] = np.asarray

    def __call__(self, objectives: Sequence[Objective], start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ascend from ``start``; return images, scores (N, steps + 1), and whether the gradient was ever non-zero."""
        results: list = [None] * len(objectives)
        groups = _group_objectives(objectives, self.diversity.copies, self.batch_size)
        if self.callbacks and len(groups) > 1:
            raise ValueError(
                f"callbacks must be None for objectives that are maximized in {len(groups)} groups. Pass them one at a "
                "time, or a larger batch_size."
            )
        with progress_bar("Maximizing", len(groups) * self.recipe.steps, self.progress) as advance:
            for group in groups:
                rows = self._ascend_group([objectives[i] for i in group], start[group], advance)
                for i, *row in zip(group, *rows, strict=True):
                    results[i] = row
        images, scores, alive = map(np.stack, zip(*results, strict=True))
        return images, scores, alive

    def _ascend_group(self, objectives: list[Objective], parameters: np.ndarray, advance: Callable[[int], None]):
        objective, steps = stack(objectives), self.recipe.steps
        velocity, scores, alive = np.zeros_like(parameters), [], np.zeros(len(parameters), bool)
        done = 0
        while done < steps:
            count = min(max(1, steps // _SEGMENTS), steps - done)
            if self.callbacks or self.recipe.modifiers:
                count = 1
            parameters = self._modify(parameters)
            parameters, velocity, images, segment, segment_alive = self._call(
                objective, parameters, velocity, count, done
            )
            scores.append(segment)
            _check_finite(objectives, images, segment, done)
            if self.callbacks:
                call_back(self.callbacks, done, self.pictures(images), segment[:, -1])
            alive |= segment_alive > 0
            done += count
            advance(count)
        final = self._call(objective, parameters, velocity, 1, done)[3]  # needed only for the score after the last step
        return images, np.concatenate([*scores, final], axis=1), alive

    def _modify(self, parameters: np.ndarray) -> np.ndarray:
        """Return the parameters of the images after the input modifiers of tf-keras-vis."""
        if not self.recipe.modifiers:
            return parameters
        inputs = self.parameterization.images(tf.constant(parameters)).numpy() * self.gray_level
        modified = modify_inputs(self.recipe.modifiers, inputs)
        start = self.parameterization.start(modified / self.gray_level).astype(np.float32)
        return self.parameterization.constrain(tf.constant(start)).numpy()

    def _call(self, objective, parameters, velocity, steps, done):
        row = np.array([steps, self.recipe.step_size, self.recipe.momentum, done, self.seed % 2**24], np.float32)
        chunk = [parameters, velocity, np.tile(row, (len(parameters), 1))]
        settings = Settings(self.output, self.logits, any_size=not objective.needs_output)
        options = ascent_options(self.recipe, self.parameterization, self.gray_level, self.diversity, self.layout)
        trace = cached_trace(ascend, self.model, chunk, objective, settings, options, declared=False)
        trace.check(objective)
        try:
            return trace(chunk, list(objective.parameters))
        except tf.errors.OpError as error:
            raise_original(error)


def _check_finite(objectives: Sequence[Objective], images: np.ndarray, scores: np.ndarray, done: int) -> None:
    invalid = ~(np.isfinite(images).reshape(len(images), -1).all(axis=1) & np.isfinite(scores).all(axis=1))
    if invalid.any():
        rows = np.flatnonzero(invalid)
        raise ValueError(
            f"{objectives[rows[0]]!r}"
            + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
            + f": the score or the image became NaN or infinite between steps {done} and {done + scores.shape[1]}. "
            "Use a smaller step_size, or float32 instead of float16. If it happens at step 0, check the weights of the "
            "model."
        )


def _group_objectives(objectives: Sequence[Objective], copies: int, batch_size: int) -> list[list[int]]:
    """Return groups of indices: objectives with the same structure, all copies of each, at most ``batch_size``.

    A group can share a trace; it exceeds ``batch_size`` only if the copies of an objective do.
    """
    by_structure: dict[tuple, list[int]] = {}
    for i, objective in enumerate(objectives):
        by_structure.setdefault(objective.structure, []).append(i)
    size = max(1, batch_size // copies) * copies
    return [members[i : i + size] for members in by_structure.values() for i in range(0, len(members), size)]
