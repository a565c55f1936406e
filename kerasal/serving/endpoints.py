"""From a signature to a graph: ``Subject, Signature -> Endpoint``."""

import dataclasses
from typing import Any

import numpy as np

from kerasal import attribution
from kerasal.models.image_model import ImageModel
from kerasal.serving import guards
from kerasal.serving.attribution_endpoint import explain
from kerasal.serving.gaze_endpoint import make_gaze
from kerasal.serving.maximize_endpoint import make_ascent
from kerasal.serving.prediction_endpoint import predict
from kerasal.serving.request_inputs import make_intake
from kerasal.serving.served_model import count_classes
from kerasal.serving.signatures import Signature

import tensorflow as tf

# The paper cuts crops of 224 out of images of 256.
_CROPS_SCALE = 256 / 224


@dataclasses.dataclass(frozen=True, eq=False)
class Endpoint:
    """A traced signature and a request of one row, with which a server warms up (None where that takes long)."""

    signature: Signature
    function: Any
    example: dict[str, np.ndarray] | None


def make_endpoint(model: ImageModel, signature: Signature) -> Endpoint:
    """Trace one signature.

    Raises:
        ValueError: the model does not have what the signature needs; its name is said.
    """
    try:
        run, specs, example = _make(model, signature)
        function = tf.function(run, input_signature=specs, autograph=False)
        return Endpoint(signature, function.get_concrete_function(), example)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The signature {signature.name!r} cannot be made: {error}") from error


def _make(model: ImageModel, signature: Signature):
    """Return the function of a signature, the tensors that it takes, and an example of them."""
    if signature.kind in attribution.list_methods():
        return _attribution(model, signature)
    if signature.kind == "maximize":
        return *make_ascent(model, dict(signature.options)), None
    if signature.kind == "gaze":
        run, intake = make_gaze(model, dict(signature.options))
        return run, intake.specs, intake.example
    return _prediction(model, signature)


def _prediction(model: ImageModel, signature: Signature):
    options = dict(signature.options)
    intake = make_intake(model, options["on"], size=options["size"], fit=options["fit"])

    def run(*tensors):
        return predict(model, intake.read(list(tensors)), output=options["output"], top=options["top"])

    return run, intake.specs, intake.example


def _attribution(model: ImageModel, signature: Signature):
    spec, own = attribution.method_spec(signature.kind), dict(signature.options)
    on, fit, size, target = (own.pop(name) for name in ("on", "fit", "size", "target"))
    output, logits = own.pop("output"), own.pop("logits")
    intake = make_intake(model, on, size=size, fit=fit, scale=_CROPS_SCALE if spec.any_size else 1.0)
    classes = count_classes(model, output)
    if isinstance(target, int) and target >= classes:
        raise ValueError(f"There are {classes} classes, counted from 0. Received: target={target}.")
    whole = [spec.name for spec in intake.specs if spec.dtype not in (tf.float32, tf.uint8, tf.string)]
    if whole:
        raise ValueError(f"Input {whole[0]!r} takes whole numbers, which have no gradient.")

    def run(*tensors):
        inputs = intake.read(list(tensors[: len(intake.specs)]))
        chosen = None if target == "top" else target
        if target == "class":
            chosen = guards.index(guards.same_rows(inputs[0], tensors[-1], "class_index"), classes, "class_index")
        return explain(model, spec, inputs, chosen, output=output, logits=logits, options=own)

    if target != "class":
        return run, intake.specs, intake.example
    asked = tf.TensorSpec((None,), tf.int32, "class_index")
    return run, [*intake.specs, asked], {**intake.example, "class_index": np.zeros(1, np.int32)}
