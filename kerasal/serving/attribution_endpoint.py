"""An attribution method as an endpoint: images in; the map, the class that it explains and its score out."""

import dataclasses
from typing import Any

import numpy as np

from kerasal.attribution.method import MethodSpec
from kerasal.hooks.view import Run, Settings, View
from kerasal.models.image_model import ImageModel
from kerasal.objectives import class_score, top_class
from kerasal.objectives.formulas import evaluate, top_classes
from kerasal.serving.served_model import input_specs

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Witness(View):
    """A view that remembers what the method saw at the images themselves, so that the prediction costs no pass more.

    ``seen`` holds the output as ``given``, which was ``explained`` (logits, maybe), and what ``decided`` which class is
    the top one where the method settled that beforehand.
    """

    seen: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run(self, inputs: Any = None, **options: Any) -> Run:
        """Run the model as a view does; keep what it gives for the images themselves."""
        run = super().run(inputs, **options)
        if self._is_at_inputs(self.inputs if inputs is None else inputs):
            kept = {"given": run.raw_output, "explained": run.ranking}
            self.seen.update({name: one for name, one in kept.items() if one is not None and name not in self.seen})
        return run

    def pin(self, at: Any = None) -> Any:
        """Pin the top class as a view does; keep what decided it."""
        if self.structure == ("top",) and not isinstance(at, Run):
            at = self.seen["decided"] = self.run().raw_output if at is None else at
        return super().pin(at)

    def _is_at_inputs(self, inputs) -> bool:
        here = tf.compat.v1.get_default_graph() is self.inputs[0].graph  # not within a loop
        return here and all(one is own for one, own in zip(inputs, self.inputs, strict=True))


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
    """Return the map of each input (``map``, or ``map_`` and its name), each image's class, its score and its label.

    ``target`` is a class for all images, one for each (N,), or None for each image's top class; ``inputs`` are checked,
    the method's own ``options`` complete.
    """
    rows = tf.shape(inputs[0])[0]
    classes = None if target is None else tf.broadcast_to(tf.cast(target, tf.int32), [rows])
    objective = top_class() if target is None else class_score(0)
    inputs = [tf.cast(one, tf.float32) for one in inputs]
    parameters = [] if classes is None else [classes]
    view = Witness(model.keras_model, inputs, objective.structure, parameters, Settings(output, logits))
    found = [tf.cast(one, tf.float32) for one in spec.function(view, **options)]
    maps, more = found[: len(inputs)], found[len(inputs) :]
    names = [one.name for one in input_specs(model)]
    names = ["map"] if len(names) == 1 else [f"map_{name}" for name in names]
    named = {name: _check_map(one, spec, options) for name, one in zip(names, maps, strict=True)}
    named |= {name: one for name, one in zip(("gap",), more, strict=False)}
    prediction = _find_prediction(model, spec, view, options)
    if classes is None:
        classes = top_classes(view.seen.get("decided", view.seen.get("explained", prediction)))
    score = evaluate(("class",), [classes], prediction, {}, [])
    labels = {"label": tf.gather(tf.constant(model.labels), classes)} if model.labels else {}
    return {**named, "class": classes, "score": score, **labels}


def _find_prediction(model: ImageModel, spec: MethodSpec, view: Witness, options: dict[str, Any]) -> Any:
    """Return the output that is meant, (N, …, classes): of the images, or of ten crops together, or the middle one."""
    if "decided" in view.seen:
        return view.seen["decided"] / 10 if spec.any_size else view.seen["decided"]
    if "given" in view.seen:
        return view.seen["given"]
    if not spec.any_size:
        return view.run(output=True).raw_output
    (x,) = view.inputs
    size = options.get("crop") or tuple(getattr(model.keras_model, "inputs", [x])[0].shape[1:3])
    return view.run([x if None in size else tf.image.resize_with_crop_or_pad(x, *size)], output=True).raw_output


def _check_map(values: tf.Tensor, spec: MethodSpec, options: dict[str, Any]) -> tf.Tensor:
    """Refuse a map that is not finite, as in process, and give it the type that it has there."""
    values = tf.debugging.check_numerics(values, f"The map of {spec.name}")
    if spec.finish is None:
        return values
    return tf.cast(values, spec.finish(np.zeros(1, np.float32), options).dtype)
