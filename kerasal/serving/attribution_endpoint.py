"""The endpoint of an attribution method: inputs -> maps, the explained classes and their scores."""

import dataclasses
from typing import Any

import numpy as np

from kerasal.attribution.method import MethodSpec
from kerasal.hooks.view import Run, Settings, View
from kerasal.models.image_model import ImageModel
from kerasal.objectives import Objective, class_score, top_class
from kerasal.objectives.formulas import evaluate, top_classes
from kerasal.serving.served_model import input_specs
from kerasal.serving.target_inputs import check_limits

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class RecordingView(View):
    """A view that records the model's outputs for the request's inputs, so that the score needs no further pass.

    ``recorded`` maps ``"output"`` to the model's output, ``"ranking"`` to the output or logits by which the method
    ranks classes, and ``"selecting"`` to the output that selected the top class, if the method selects it first.
    """

    recorded: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run(self, inputs: Any = None, **options: Any) -> Run:
        """Run the model as ``View.run`` does; record the outputs if the inputs are those of the request."""
        run = super().run(inputs, **options)
        if self._is_request(self.inputs if inputs is None else inputs):
            outputs = {"output": run.raw_output, "ranking": run.ranking}
            self.recorded.update(
                {key: value for key, value in outputs.items() if value is not None and key not in self.recorded}
            )
        return run

    def pin(self, at: Any = None) -> Any:
        """Fix the top class as ``View.pin`` does; record the output that selected it."""
        if self.structure == ("top",) and not isinstance(at, Run):
            at = self.recorded["selecting"] = self.run().raw_output if at is None else at
        return super().pin(at)

    def _is_request(self, inputs) -> bool:
        in_graph = tf.compat.v1.get_default_graph() is self.inputs[0].graph  # False in the body of a loop
        return in_graph and all(tensor is other for tensor, other in zip(inputs, self.inputs, strict=True))


def explain(
    model: ImageModel,
    spec: MethodSpec,
    inputs: list[tf.Tensor],
    target: int | tf.Tensor | None,
    *,
    output: str | int | None,
    logits: bool,
    options: dict[str, Any],
) -> dict[str, tf.Tensor]:
    """Return the attribution maps, the explained class, its score and its label for each image.

    Args:
        model: the model that is explained.
        spec: the attribution method.
        inputs: checked model inputs, (N, …) each.
        target: a class index for all images, class indices (N,), or None for the top class of each image.
        output: the model output to explain.
        logits: explain the logits rather than the probabilities.
        options: all options of the method.

    Returns:
        ``map`` (N, …), or ``map_NAME`` per input of a model with several; ``class`` and ``score`` (N,); ``gap`` (N,)
        if the method returns it; ``label`` (N,) if the model has labels.
    """
    rows, inputs = tf.shape(inputs[0])[0], _cast_floats(inputs)
    classes = None if target is None else tf.broadcast_to(tf.cast(target, tf.int32), [rows])
    objective = top_class() if target is None else class_score(0)
    parameters = [] if classes is None else [classes]
    view = RecordingView(model.keras_model, inputs, objective.structure, parameters, Settings(output, logits))
    tensors = _run_method(model, spec, view, options)
    prediction = _find_prediction(model, spec, view, options)
    if classes is None:
        classes = top_classes(view.recorded.get("selecting", view.recorded.get("ranking", prediction)))
    score = evaluate(("class",), [classes], prediction, {}, [])
    labels = {"label": tf.gather(tf.constant(model.labels), classes)} if model.labels else {}
    return {**tensors, "class": classes, "score": score, **labels}


def explain_objective(
    model: ImageModel,
    spec: MethodSpec,
    inputs: list[tf.Tensor],
    objective: Objective,
    parameters: list[tf.Tensor],
    settings: Settings,
    options: dict[str, Any],
) -> dict[str, tf.Tensor]:
    """Return the attribution maps for an objective, and its ``score`` (N,); see ``explain`` for the rest."""
    view = View(model.keras_model, _cast_floats(inputs), objective.structure, parameters, settings)
    view.score()  # records which indices have limits; TensorFlow prunes its operations
    view = dataclasses.replace(view, parameters=check_limits(view.limits, parameters), limits=[])
    return {**_run_method(model, spec, view, options), "score": view.score()}


def _cast_floats(inputs: list[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.cast(tensor, tf.float32) if tensor.dtype.is_floating else tensor for tensor in inputs]


def _run_method(model: ImageModel, spec: MethodSpec, view: View, options: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Return ``map``, or ``map_NAME`` per explained input of a model with several, and an extra, such as ``gap``."""
    results = [tf.cast(tensor, tf.float32) for tensor in spec.function(view, **options)]
    names = [tensor.name for tensor in input_specs(model)]
    numbers = spec.explained_numbers(model.keras_model, view.inputs, options)
    is_single = len(names) == 1 or numbers is None
    names = ["map"] if is_single else [f"map_{names[number]}" for number in numbers or ()]
    tensors = {name: _check_map(values, spec, options) for name, values in zip(names, results, strict=False)}
    extra = str(spec.extra_name(options))
    extras = results[len(names) :]
    extra_names = [extra] if len(extras) == 1 else [f"{extra}_{name.removeprefix('map_')}" for name in names]
    return tensors | dict(zip(extra_names, extras, strict=False))


def _find_prediction(model: ImageModel, spec: MethodSpec, view: RecordingView, options: dict[str, Any]) -> Any:
    """Return the output (N, …, classes) from which the scores are read.

    For a method on crops, it is the mean over the ten crops or the output of the center crop; otherwise, the output
    for the images.
    """
    if "selecting" in view.recorded:
        return view.recorded["selecting"] / 10 if spec.any_size else view.recorded["selecting"]
    if "output" in view.recorded:
        return view.recorded["output"]
    if not spec.any_size:
        return view.run(output=True).raw_output
    (x,) = view.inputs
    size = options.get("crop") or tuple(getattr(model.keras_model, "inputs", [x])[0].shape[1:3])
    return view.run([x if None in size else tf.image.resize_with_crop_or_pad(x, *size)], output=True).raw_output


def _check_map(values: tf.Tensor, spec: MethodSpec, options: dict[str, Any]) -> tf.Tensor:
    """Return the map in the data type that the method returns in Python; the request fails if it is not finite."""
    values = tf.debugging.check_numerics(values, f"The map of {spec.name}")
    if spec.finish is None:
        return values
    return tf.cast(values, spec.finish(np.zeros(1, np.float32), options).dtype)
