"""Activation maximization as an endpoint: numbers of classes or channels in, images out."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.hooks.view import Settings, View
from kerasal.maximization.ascent import Diversity, ascend, ascent_options
from kerasal.maximization.canvas import canvas_shape
from kerasal.maximization.maximizer import RETRY_NOISE_FACTOR
from kerasal.maximization.parameterization import make_parameterization, start_parameters
from kerasal.maximization.recipe import Recipe, make_recipe
from kerasal.maximization.result import CONTRAST
from kerasal.models.image_model import ImageModel
from kerasal.objectives import channel, class_score
from kerasal.preprocessing import Preprocessing
from kerasal.serving.request_inputs import check_index, check_shape
from kerasal.serving.served_model import count_classes

import tensorflow as tf

_RECIPE = ("preset", "parameterization", "init", "steps", "step_size", "momentum", "normalize", "display")


def make_ascent(model: ImageModel, options: dict[str, Any]) -> tuple[Callable, list[tf.TensorSpec]]:
    """Return the function of a ``maximize`` signature and the tensor that it takes.

    It is ``kerasal.maximize`` of each number in the request, with the same start, steps and seed; in one loop, since
    nobody watches a bar. It gives ``image``, uint8 (N, H, W, 3), the ``score`` of each, and ``dead``: whether nothing
    moved it.
    """
    recipe = make_recipe(**{key: options[key] for key in _RECIPE}, regularizers=None, transforms=None)
    layer = options["layer"]
    objective = class_score(0) if layer is None else channel(layer, 0)
    name = "class_index" if layer is None else "channel"
    shape = canvas_shape(model.keras_model, [objective], options["size"], options["canvas"])
    space, gray_level = make_parameterization(recipe.parameterization, shape, model.preprocessing, options["clip"])
    facts = {"space": space, "convention": model.preprocessing, "gray_level": gray_level, "seed": options["seed"]}
    start = start_parameters(recipe.init, 1, copies=1, **facts)
    settings = ascent_options(recipe, space, gray_level, Diversity(1))
    plan = [recipe.steps, recipe.step_size, recipe.momentum, 0, options["seed"] % 2**24]

    def run(numbers):
        numbers = check_shape(numbers, (None,), name)
        if layer is None:
            numbers = check_index(numbers, count_classes(model, options["output"]), name)
        asked = Settings(options["output"], options["logits"], any_size=not objective.needs_output)
        view = View(model.keras_model, [], objective.structure, [numbers], asked)
        images, alive = _ascend_twice(view, start, plan, settings, again=recipe.init == "normal")
        images = tf.debugging.check_numerics(images, "The image")
        raw = images * tf.constant(gray_level)
        score = dataclasses.replace(view, inputs=[raw]).score()
        with tf.control_dependencies([check_index(numbers, view.limits[0][1], name)]):  # those that there are
            score = tf.identity(score)
        drawn = draw_in_graph(raw, recipe, model.preprocessing)
        return {"image": drawn, "score": score, "dead": tf.logical_not(alive)}

    return run, [tf.TensorSpec((None,), tf.int32, name)]


def draw_in_graph(raw: tf.Tensor, recipe: Recipe, convention: Preprocessing | None) -> tf.Tensor:
    """Turn model inputs into uint8 RGB in the graph: ``kerasal.maximization.result.to_pictures``."""
    pixels = raw if raw.shape.rank == 4 else tf.expand_dims(raw, -1)
    if convention is not None:
        pixels = pixels * np.array(convention.std, np.float32) + np.array(convention.mean, np.float32)
        pixels = tf.reverse(pixels, [-1]) if convention.bgr else pixels
    if recipe.display == "contrast" or convention is None:
        centered = pixels - tf.reduce_mean(pixels, axis=(1, 2), keepdims=True)
        spread = tf.math.reduce_std(centered, axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (0.5 + CONTRAST * centered / tf.where(spread > 0, spread, 1.0))
    drawn = tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
    return drawn if drawn.shape[-1] == 3 else tf.repeat(drawn[:, :, :, :1], 3, axis=-1)


def _ascend_twice(
    view: View, start: np.ndarray, plan: list, settings: dict, again: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Ascend; where that moved nothing and ``again``, once more from stronger noise. Return images, and which moved."""
    rows = tf.shape(view.parameters[0])[0]

    def climb(factor: float):
        parameters = tf.repeat(tf.constant(start * np.float32(factor)), rows, axis=0)
        plans = tf.repeat(tf.constant([plan], tf.float32), rows, axis=0)
        here = dataclasses.replace(view, inputs=[parameters, tf.zeros_like(parameters), plans])
        _, _, images, _, alive = ascend(here, **settings)
        return images, alive > 0

    images, alive = climb(1.0)
    if not again:
        return images, alive
    stronger, woken = tf.cond(tf.reduce_all(alive), lambda: (images, alive), lambda: climb(RETRY_NOISE_FACTOR))
    mine = tf.reshape(alive, [-1, *[1] * (images.shape.rank - 1)])
    return tf.where(mine, images, stronger), alive | woken
