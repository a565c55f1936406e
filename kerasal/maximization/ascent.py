"""Ascent: the compiled loop of steps on a batch of images, and all objectives sent through it in batches."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.checks import check_int, check_number
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings, View
from kerasal.maximization.parameterization import Fourier, Pixels
from kerasal.maximization.recipe import Recipe
from kerasal.objectives.expression import Objective, stack
from kerasal.progress import progress_bar

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How strongly ``copies`` of each objective's image are driven apart.

    ``weight`` is the length of the push away from the other copies, relative to the objective's own gradient. ``layer``
    is where they are compared; None is the last map of the model.

    Raises:
        ValueError: no copies, a weight that is negative or has nothing to act on.
    """

    copies: int
    weight: float = 0.0
    layer: str | None = None

    def __post_init__(self):
        check_int("copies", self.copies)
        check_number("diversity", self.weight, minimum=0)
        if self.copies == 1 and (self.weight or self.layer):
            raise ValueError("diversity keeps the copies of one objective apart, and there is one; say copies=4.")

    def overlap(self, maps: Any) -> tf.Tensor:
        """Return (N,), the mean cosine similarity of each copy's Gram matrix with those of the other copies, -1..1.

        ``maps`` (N, h, w, C) holds the copies of an objective one after the other. G = Σ over positions of a aᵀ.

        Raises:
            ValueError: the layer has no map.

        Source: Olah et al. 2017, appendix, "Diversity".
        """
        if maps.shape.rank != 4:
            raise ValueError(
                f"diversity compares maps (N, h, w, C). Received a layer with output {maps.shape}; name a "
                "convolutional one with diversity_layer=."
            )
        channels = maps.shape.as_list()[3] or 0
        flat = tf.reshape(tf.cast(maps, tf.float32), [tf.shape(maps)[0], -1, channels])
        grams = tf.matmul(flat, flat, transpose_a=True)
        grams = tf.math.l2_normalize(tf.reshape(grams, [-1, self.copies, channels**2]), axis=2)
        alike = tf.matmul(grams, grams, transpose_b=True)
        others = tf.reduce_sum(alike, axis=2) - tf.linalg.diag_part(alike)
        return tf.reshape(others / (self.copies - 1), [-1])


def ascent_options(
    recipe: Recipe, parameterization: Pixels | Fourier, gray_level: np.ndarray, diversity: Diversity
) -> dict[str, Any]:
    """Return the options of ``ascend``."""
    shared = {name: getattr(recipe, name) for name in ("regularizers", "transforms", "normalize")}
    return {"parameterization": parameterization, "gray_level": gray_level, "diversity": diversity, **shared}


def ascend(
    view: View,
    *,
    parameterization: Pixels | Fourier,
    regularizers: tuple[Callable, ...],
    transforms: tuple[Callable, ...],
    normalize: str,
    gray_level: np.ndarray,
    diversity: Diversity,
) -> list[tf.Tensor]:
    """Take some steps uphill; the state comes in as ``view.inputs`` and goes out as the result.

    In: parameters (K, ...), velocity of the same shape, and a row each image with [steps, step size, momentum, number
    of the first step, seed]. Out: parameters, velocity, their images in gray levels (K, H, W, C), scores before each
    step (K, steps), and whether the gradient was ever non-zero (K,).

    ``gray_level`` is how much of the model's input one gray level (1/255 of the pixel range) is, one per channel.
    """
    parameters, velocity, plan = view.inputs
    steps, step_size, momentum = tf.cast(plan[0, 0], tf.int32), plan[0, 1], plan[0, 2]
    first, seed = tf.cast(plan[0, 3], tf.int32), tf.cast(plan[0, 4], tf.int32)
    scale = tf.constant(gray_level, tf.float32)
    layer = None
    if diversity.weight:
        layer = diversity.layer or hooks.last_map(view, [parameterization.images(parameters) * scale])

    def body(step, parameters, velocity, scores, alive):
        with tf.GradientTape(watch_accessed_variables=False) as drawing:
            drawing.watch(parameters)
            images = parameterization.images(parameters)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(images)
            inputs = images * scale
            for number, transform in enumerate(transforms):
                inputs = transform(inputs, tf.stack([seed, (first + step) * len(transforms) + number]))
            run = view.run([inputs], taps=[layer] if layer else [])
            score = view.score(run)
            overlap = diversity.overlap(view.layout.last(layer, run.layers[layer])) if layer else score
        (gradient,) = hooks.differentiate(tape, score, [images])
        alive = alive | (tf.reshape(_rms(gradient), [-1]) > 0)
        if layer:
            (push,) = hooks.differentiate(tape, overlap, [images])  # as long as the weight says
            gradient -= diversity.weight * _rms(gradient) * tf.math.divide_no_nan(push, _rms(push))
        if normalize == "score":
            gradient = tf.math.divide_no_nan(gradient, _rms(gradient))
        for regularizer in regularizers:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                penalty = regularizer(images)
            gradient -= tape.gradient(penalty, images)  # pyright: ignore[reportOperatorIssue]
        gradient = drawing.gradient(images, parameters, gradient)  # pyright: ignore[reportArgumentType, reportCallIssue]
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
    """Return the root mean square of each image, its largest value taken out first so that tiny ones do not vanish."""
    axes = list(range(1, tensor.shape.rank))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes, keepdims=True)
    ratio = tf.math.divide_no_nan(tensor, largest)
    return largest * tf.sqrt(tf.reduce_mean(tf.square(ratio), axis=axes, keepdims=True))


# The loop is compiled; between its segments the progress bar moves and Ctrl-C is heard.
_SEGMENTS = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What all batches of one call share."""

    model: Any
    recipe: Recipe
    parameterization: Pixels | Fourier
    gray_level: np.ndarray
    diversity: Diversity
    output: str | int | None
    logits: bool
    seed: int
    batch_size: int
    progress: bool

    def __call__(self, objectives: Sequence[Objective], start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ascend each objective from its parameters ``start``; return images, scores (N, steps + 1) and liveness."""
        found: list = [None] * len(objectives)
        groups = _groups(objectives, self.diversity.copies, self.batch_size)
        with progress_bar("Maximizing", len(groups) * self.recipe.steps, self.progress) as advance:
            for group in groups:
                rows = self._ascend_group([objectives[i] for i in group], start[group], advance)
                for i, *row in zip(group, *rows, strict=True):
                    found[i] = row
        images, scores, alive = map(np.stack, zip(*found, strict=True))
        return images, scores, alive

    def _ascend_group(self, objectives: list[Objective], parameters: np.ndarray, advance: Callable[[int], None]):
        objective, steps = stack(objectives), self.recipe.steps
        velocity, scores, alive = np.zeros_like(parameters), [], np.zeros(len(parameters), bool)
        done = 0
        while done < steps:
            count = min(max(1, steps // _SEGMENTS), steps - done)
            parameters, velocity, images, segment, lives = self._call(objective, parameters, velocity, count, done)
            scores.append(segment)
            _check_finite(objectives, images, segment, done)
            alive |= lives > 0
            done += count
            advance(count)
        final = self._call(objective, parameters, velocity, 1, done)[3]  # only for the score after the last step
        return images, np.concatenate([*scores, final], axis=1), alive

    def _call(self, objective, parameters, velocity, steps, done):
        row = np.array([steps, self.recipe.step_size, self.recipe.momentum, done, self.seed % 2**24], np.float32)
        chunk = [parameters, velocity, np.tile(row, (len(parameters), 1))]
        settings = Settings(self.output, self.logits, any_size=not objective.needs_output)
        options = ascent_options(self.recipe, self.parameterization, self.gray_level, self.diversity)
        trace = cached_trace(ascend, self.model, chunk, objective, settings, options, declared=False)
        trace.check(objective)
        return trace(chunk, list(objective.parameters))


def _check_finite(objectives: Sequence[Objective], images: np.ndarray, scores: np.ndarray, done: int) -> None:
    bad = ~(np.isfinite(images).reshape(len(images), -1).all(axis=1) & np.isfinite(scores).all(axis=1))
    if bad.any():
        rows = np.flatnonzero(bad)
        raise ValueError(
            f"{objectives[rows[0]]!r}"
            + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
            + f": the score or the image became NaN or infinite between steps {done} and {done + scores.shape[1]}. "
            "Take a smaller step_size, or float32 instead of float16; if so from step 0, look at the model's weights."
        )


def _groups(objectives: Sequence[Objective], copies: int, batch_size: int) -> list[list[int]]:
    """Put together what one trace can run: objectives of one structure, all copies of each, as many as fit."""
    by_structure: dict[tuple, list[int]] = {}
    for i, objective in enumerate(objectives):
        by_structure.setdefault(objective.structure, []).append(i)
    size = max(1, batch_size // copies) * copies
    return [same[i : i + size] for same in by_structure.values() for i in range(0, len(same), size)]
