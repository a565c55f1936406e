"""A gaze net as an endpoint: photographs in, maps of where people will look out."""

from collections.abc import Callable
from typing import Any

from kerasal.gaze import Predictor
from kerasal.gaze.predictor import AREA
from kerasal.models.image_model import ImageModel
from kerasal.serving import graph_resize
from kerasal.serving.request_inputs import RequestInputs, make_pixel_inputs
from kerasal.serving.served_model import served_image

import tensorflow as tf

_MULTIPLE, _NARROW = 16, 16.0  # of kerasal.images.size_of_area


def make_gaze(model: ImageModel, options: dict[str, Any]) -> tuple[Callable, RequestInputs]:
    """Return the function of a ``gaze`` signature and what it takes.

    It gives ``map``, float32 (N, h, w): what ``kerasal.gaze.Predictor`` calls raw, of the net's own size.

    Raises:
        ValueError: no gaze net, or one whose preprocessing is not known.
    """
    if model.preprocessing is None:
        raise ValueError("A gaze signature needs preprocessing=, such as 'unit' for pixels of 0..1.")
    size, on, target_range = options["size"], options["on"], options["target_range"]
    if on == "inputs":
        raise ValueError("gaze looks at photographs: on=image or on=bytes. serving_default takes float inputs.")
    predictor = Predictor(model.keras_model, model.preprocessing, size=size, target_range=target_range)
    if predictor.size is None and on == "image":
        return _keep_proportions(predictor)
    if predictor.size is None:  # files of many sizes make one batch
        size = served_image(model)[:2]
        predictor = Predictor(model.keras_model, model.preprocessing, size=size, target_range=target_range)
    request = make_pixel_inputs(on, predictor.size, options["fit"])
    return lambda images: {"map": _check_finite(predictor.forward(*request.read([images])))}, request


def _keep_proportions(predictor: Predictor) -> tuple[Callable, RequestInputs]:
    """Look at each request's photographs in their own proportions, as the predictor does."""
    request = make_pixel_inputs("image", None)

    def run(images):
        (images,) = request.read([images])
        shape = tf.cast(tf.shape(images), tf.float64)
        ratio = tf.clip_by_value(shape[2] / shape[1], 1 / _NARROW, _NARROW)
        sides = tf.sqrt(AREA / ratio), tf.sqrt(AREA * ratio)
        size = [tf.maximum(1, tf.cast(tf.round(side / _MULTIPLE), tf.int32)) * _MULTIPLE for side in sides]
        return {"map": _check_finite(predictor.forward(graph_resize.resize(images, size)))}

    return run, request


def _check_finite(maps: tf.Tensor) -> tf.Tensor:
    return tf.debugging.check_numerics(maps, "The map")
