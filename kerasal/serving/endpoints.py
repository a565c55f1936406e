"""Endpoints, the traced functions of signatures: ``ImageModel, Signature -> Endpoint``."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal import attribution, hooks
from kerasal.attribution.method import MethodSpec
from kerasal.gaze import Predictor
from kerasal.hooks.paths import pack
from kerasal.hooks.run import Settings
from kerasal.models.image_model import ImageModel
from kerasal.models.model_files import named_outputs
from kerasal.serving import graph_resize
from kerasal.serving.attribution_endpoint import explain, explain_objective
from kerasal.serving.maximize_endpoint import make_ascent
from kerasal.serving.request_inputs import (
    RequestInputs,
    check_index,
    check_rows,
    make_pixel_inputs,
    make_request_inputs,
)
from kerasal.serving.served_model import count_classes
from kerasal.serving.signatures import Signature, is_objective
from kerasal.serving.target_inputs import make_target

import tensorflow as tf

_STEP, _NARROW = 32, 16.0  # as in kerasal.images.size_like
_DEFAULT_TOP = 5  # a model with fewer classes returns all of them


def predict(model: ImageModel, inputs: list[tf.Tensor], *, output: str | int | None, top: int) -> dict[str, tf.Tensor]:
    """Return the model's outputs, or the ``top`` largest scores of an output with their classes.

    Returns:
        For ``top`` = 0, ``scores`` (N, classes), or each of several outputs under its name. Otherwise ``scores`` and
        ``classes`` (N, top), largest score first, and ``labels`` (N, top) if the model has labels.
    """
    keras_model = model.keras_model
    with hooks.unchanged(keras_model):
        outputs = named_outputs(keras_model, keras_model(pack(keras_model, inputs), training=False))
    if not top:
        if output is None:
            return outputs
        return {"scores": hooks.select_output(keras_model, outputs, output)}
    only = next(iter(outputs.values()))
    scores = only if len(outputs) == 1 else hooks.select_output(keras_model, outputs, output)
    if scores.shape.rank != 2:
        raise ValueError(
            f"The output of {model.name!r} must have shape (N, classes) for top classes, got {scores.shape}. Use top=0."
        )
    count = count_classes(model, output)
    if top > max(count, _DEFAULT_TOP):
        raise ValueError(f"top must be at most {count}, the number of classes, got {top}.")
    values, classes = tf.math.top_k(tf.cast(scores, tf.float32), k=min(top, count))
    labels = {"labels": tf.gather(tf.constant(model.labels), classes)} if model.labels else {}
    return {"scores": values, "classes": classes, **labels}


def make_gaze(model: ImageModel, options: dict[str, Any]) -> tuple[Callable, RequestInputs]:
    """Return the function of a ``gaze`` signature and its inputs.

    The function returns ``map``, float32 (N, h, w): the model's output before resizing and postprocessing, which
    ``kerasal.gaze.Predictor`` calls raw.

    Raises:
        ValueError: the model predicts no gaze map, or its preprocessing is not known.
    """
    if model.preprocessing is None:
        raise ValueError(
            "preprocessing must be set for a gaze signature, got None. Use for example 'unit' for pixels in 0..1."
        )
    size, on, target_range = options["size"], options["on"], options["target_range"]
    if on == "inputs":
        raise ValueError("on must be image or bytes for gaze, got inputs. serving_default takes float inputs.")
    predictor = Predictor(model.keras_model, model.preprocessing, size=size, target_range=target_range)
    if predictor.size is None and on == "image":
        return _keep_proportions(predictor)
    if predictor.size is None:  # files of different sizes are resized to form a batch
        size = model.size or predictor.image_size
        predictor = Predictor(model.keras_model, model.preprocessing, size=size, target_range=target_range)
    request = make_pixel_inputs(on, predictor.size, options["fit"])
    return lambda images: {
        "map": tf.debugging.check_numerics(predictor.forward(*request.read([images])), "The map")
    }, request


def _keep_proportions(predictor: Predictor) -> tuple[Callable, RequestInputs]:
    """Return the function for a model of any size: images keep their aspect ratio, as in ``Predictor``."""
    request = make_pixel_inputs("image", None)

    def run(images):
        (images,) = request.read([images])
        shape = tf.cast(tf.shape(images), tf.float64)
        ratio = tf.clip_by_value(shape[2] / shape[1], 1 / _NARROW, _NARROW)
        rows, columns = predictor.image_size
        height = _step_to(tf.sqrt(rows * columns / ratio), rows)
        size = [height, _step_to(tf.cast(height, tf.float64) * ratio, columns)]
        return {"map": tf.debugging.check_numerics(predictor.forward(graph_resize.resize(images, size)), "The map")}

    return run, request


def _step_to(side: tf.Tensor, known: int) -> tf.Tensor:
    first = known % _STEP or _STEP
    return first + _STEP * tf.maximum(0, tf.cast(tf.round((side - first) / _STEP), tf.int32))


# The paper takes crops of 224 pixels from images of 256 pixels.
_CROPS_SCALE = 256 / 224


@dataclasses.dataclass(frozen=True, eq=False)
class Endpoint:
    """A traced signature, and a warm-up request of one row (None if it would take long)."""

    signature: Signature
    function: Any
    example: dict[str, np.ndarray] | None


def make_endpoint(model: ImageModel, signature: Signature) -> Endpoint:
    """Trace a signature.

    Raises:
        ValueError: the model does not support the signature, which the error names.
    """
    try:
        run, specs, example = _make_function(model, signature)
        function = tf.function(run, input_signature=specs, autograph=False)
        return Endpoint(signature, function.get_concrete_function(), example)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The signature {signature.name!r} cannot be exported: {error}") from error


def _make_function(model: ImageModel, signature: Signature) -> tuple[Any, list[tf.TensorSpec], Any]:
    """Return the function of a signature, its input specs and an example request."""
    options = dict(signature.options)
    if signature.kind in attribution.list_methods():
        return _make_attribution(model, attribution.method_spec(signature.kind), options)
    if signature.kind == "maximize":
        return *make_ascent(model, options), None
    if signature.kind == "gaze":
        run, request = make_gaze(model, options)
    else:
        request = make_request_inputs(model, options["on"], size=options["size"], fit=options["fit"])

        def run(*tensors):
            return predict(model, request.read(list(tensors)), output=options["output"], top=options["top"])

    return run, request.specs, request.example


def _make_attribution(model: ImageModel, spec: MethodSpec, options: dict[str, Any]):
    on, fit, size, target, sends = (options.pop(name) for name in ("on", "fit", "size", "target", "parameters"))
    output, logits = options.pop("output"), options.pop("logits")
    request = make_request_inputs(model, on, size=size, fit=fit, scale=_CROPS_SCALE if spec.any_size else 1.0)
    if is_objective(target):
        asked = make_target(model, target, request=sends == "request", output=output)

        def run_objective(*tensors):
            count = len(request.specs)
            inputs = request.read(list(tensors[:count]))
            parameters = asked.parameters(inputs[0], tensors[count:])
            settings = Settings(output, logits)
            return explain_objective(model, spec, inputs, asked.objective, parameters, settings, options)

        example = None if request.example is None else {**request.example, **asked.example}
        return run_objective, [*request.specs, *asked.specs], example
    classes = count_classes(model, output)
    if isinstance(target, int) and target >= classes:
        raise ValueError(f"target must be a class index in 0..{classes - 1}, got {target}.")

    def run(*tensors):
        inputs = request.read(list(tensors[: len(request.specs)]))
        chosen = None if target == "top" else target
        if target == "class":
            chosen = check_index(check_rows(inputs[0], tensors[-1], "class_index"), classes, "class_index")
        return explain(model, spec, inputs, chosen, output=output, logits=logits, options=options)

    if target != "class":
        return run, request.specs, request.example
    class_index = tf.TensorSpec((None,), tf.int32, "class_index")
    return run, [*request.specs, class_index], {**request.example, "class_index": np.zeros(1, np.int32)}
