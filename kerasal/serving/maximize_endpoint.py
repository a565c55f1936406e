"""The endpoint of activation maximization: class or channel indices -> images."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.hooks.image_shapes import input_layout
from kerasal.hooks.view import Settings, View
from kerasal.maximization.ascent import ascend, ascent_options, model_layout
from kerasal.maximization.canvas import canvas_shape
from kerasal.maximization.diversity import Diversity
from kerasal.maximization.maximizer import RETRY_NOISE_FACTOR
from kerasal.maximization.parameterization import make_parameterization, start_parameters
from kerasal.maximization.recipe import Recipe, make_recipe
from kerasal.maximization.result import CONTRAST
from kerasal.models.image_model import ImageModel
from kerasal.objectives import channel, class_score
from kerasal.preprocessing import Preprocessing, unknown_preprocessing
from kerasal.serving.request_inputs import check_index, check_shape
from kerasal.serving.served_model import count_classes

import tensorflow as tf

_RECIPE = ("preset", "parameterization", "init", "steps", "step_size", "momentum", "clip", "normalize", "display")


def make_ascent(model: ImageModel, options: dict[str, Any]) -> tuple[Callable, list[tf.TensorSpec]]:
    """Return the function of a ``maximize`` signature and its input spec.

    The function runs ``kerasal.maximize`` for each index of the request, with the same start, steps and seed. It
    returns ``image``, uint8 (N, H, W, 3), ``score`` (N,), and ``dead`` (N,): True where the gradient stayed zero.
    """
    chosen = {key: options[key] for key in _RECIPE} | {"regularizers": None, "transforms": None}
    recipe = make_recipe(model.keras_model, model.preprocessing, **chosen)
    layer = options["layer"]
    objective = class_score(0) if layer is None else channel(layer, 0)
    name = "class_index" if layer is None else "channel"
    if model.preprocessing is None:
        raise unknown_preprocessing(model.name, model.unclear)
    layout = input_layout(model.keras_model)
    shape = canvas_shape(model.keras_model, [objective], options["size"], options["canvas"])
    space, gray_level = make_parameterization(recipe.parameterization, shape, model.preprocessing, recipe.clip)
    facts = {"space": space, "convention": model.preprocessing, "gray_level": gray_level, "layout": layout}
    start = start_parameters(recipe.init, 1, copies=1, seed=options["seed"], **facts)
    settings = ascent_options(recipe, space, gray_level, Diversity(1), layout)
    plan = [recipe.steps, recipe.step_size, recipe.momentum, 0, options["seed"] % 2**24]

    def run(indices):
        indices = check_shape(indices, (None,), name)
        if layer is None:
            indices = check_index(indices, count_classes(model, options["output"]), name)
        view_settings = Settings(options["output"], options["logits"], any_size=not objective.needs_output)
        view = View(model.keras_model, [], objective.structure, [indices], view_settings)
        images, alive = _ascend_and_retry(view, start, plan, settings, retry=recipe.init == "normal")
        images = tf.debugging.check_numerics(images, "The image")
        raw = images * tf.constant(gray_level)
        score = dataclasses.replace(view, inputs=[raw], layout=model_layout(layout)).score()
        with tf.control_dependencies(
            [check_index(indices, view.limits[0][1], name)]
        ):  # the model has run: the limit is known
            score = tf.identity(score)
        pictures = render_in_graph(raw, recipe, model.preprocessing)
        return {"image": pictures, "score": score, "dead": tf.logical_not(alive)}

    return run, [tf.TensorSpec((None,), tf.int32, name)]


def render_in_graph(raw: tf.Tensor, recipe: Recipe, convention: Preprocessing | None) -> tf.Tensor:
    """Return model inputs as uint8 RGB; the TensorFlow version of ``kerasal.maximization.result.to_pictures``."""
    pixels = raw
    if convention is not None:
        pixels = pixels * np.array(convention.std, np.float32) + np.array(convention.mean, np.float32)
        pixels = tf.reverse(pixels, [-1]) if convention.bgr else pixels
    if recipe.display == "range":
        low = tf.reduce_min(pixels, axis=(1, 2, 3), keepdims=True)
        high = tf.reduce_max(pixels, axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (pixels - low) / tf.where(high > low, high - low, 1.0)
    elif recipe.display == "contrast" or convention is None:
        centered = pixels - tf.reduce_mean(pixels, axis=(1, 2), keepdims=True)
        spread = tf.math.reduce_std(centered, axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (0.5 + CONTRAST * centered / tf.where(spread > 0, spread, 1.0))
    pixels = tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
    return pixels if pixels.shape[-1] == 3 else tf.repeat(pixels[:, :, :, :1], 3, axis=-1)


def _ascend_and_retry(
    view: View, start: np.ndarray, plan: list, settings: dict, retry: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Ascend; with ``retry``, repeat units whose gradient was zero from stronger noise.

    Returns the images, and a boolean (N,): whether any gradient was nonzero.
    """
    rows = tf.shape(view.parameters[0])[0]

    def ascend_from(factor: float):
        parameters = tf.repeat(tf.constant(start * np.float32(factor)), rows, axis=0)
        plans = tf.repeat(tf.constant([plan], tf.float32), rows, axis=0)
        ascent_view = dataclasses.replace(view, inputs=[parameters, tf.zeros_like(parameters), plans])
        _, _, images, _, alive = ascend(ascent_view, **settings)
        return images, alive > 0

    images, alive = ascend_from(1.0)
    if not retry:
        return images, alive
    retry_images, retry_alive = tf.cond(
        tf.reduce_all(alive), lambda: (images, alive), lambda: ascend_from(RETRY_NOISE_FACTOR)
    )
    keep_first = tf.reshape(alive, [-1, *[1] * (images.shape.rank - 1)])
    return tf.where(keep_first, images, retry_images), alive | retry_alive
