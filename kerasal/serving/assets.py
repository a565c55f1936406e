"""The assets of an exported SavedModel: class labels, model card, description and warm-up requests.

assets/labels.txt       a class per line, in the order of the scores
assets/card.md          the model card of a zoo model
assets/kerasal.json     the preprocessing, the limits, and every signature with its options, inputs and outputs
assets.extra/tf_serving_warmup_requests
                        an example request per signature; TensorFlow Serving runs them before it accepts requests

The last file is a TFRecord of ``PredictionLog`` messages. The four message types that it uses are declared here
(tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto), so that tensorflow-serving-api is not
required. Their ``TensorProto`` field is declared as bytes, which has the same encoding as a nested message.
"""

import functools
import json
import pathlib
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from kerasal import _version, attribution
from kerasal.files import write_text
from kerasal.models.image_model import ImageModel
from kerasal.serving.endpoints import Endpoint
from kerasal.serving.request_inputs import MAX_PIXELS
from kerasal.serving.signatures import KINDS
from kerasal.store import plain, write_json

import keras
import tensorflow as tf

_SUMMARIES = {
    "serving_default": "The model's outputs for preprocessed inputs.",
    "predict": "The model's outputs for preprocessed inputs.",
    "predict_image": "The model's outputs for uint8 RGB images of any size.",
    "predict_bytes": "The top classes of encoded JPEG or PNG files.",
    "maximize": "Images that maximize the score of classes or the activation of channels.",
    "gaze": "A map of where people are predicted to look.",
}


def write_assets(model: ImageModel, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write ``kerasal.json``, and the labels and the card of a model that has them, into a SavedModel at ``path``."""
    folder = path / "assets"
    write_json(folder / "kerasal.json", describe(model, endpoints))
    if model.labels:
        write_text(folder / "labels.txt", "".join(f"{' '.join(name.splitlines())}\n" for name in model.labels))
    if "card" in model.facts:
        write_text(folder / "card.md", model.facts["card"] + "\n")


def describe(model: ImageModel, endpoints: list[Endpoint]) -> dict[str, Any]:
    """Return the contents of ``kerasal.json``; the same export always gives the same description."""
    convention = model.preprocessing
    pixels = convention and {
        "name": convention.name,
        "formula": "input = (pixel - mean) / std, pixels 0..255" + (", channels as BGR" if convention.bgr else ""),
        "mean": list(convention.mean),
        "std": list(convention.std),
        "bgr": convention.bgr,
    }
    return {
        "model": model.keras_model.name,
        "made_by": {"kerasal": _version.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        "preprocessing": pixels,
        "classes": len(model.labels) or None,
        "largest_encoded_image": {"pixels": MAX_PIXELS},
        "signatures": {endpoint.signature.name: _describe_signature(endpoint) for endpoint in endpoints},
    }


def _describe_signature(endpoint: Endpoint) -> dict[str, Any]:
    signature, function = endpoint.signature, endpoint.function
    kind = signature.kind
    method = None if kind in KINDS else attribution.method_spec(kind)
    large = {
        key: value for key, value in signature.options.items() if isinstance(value, np.ndarray) and value.size > 16
    }
    return {
        "kind": kind,
        "summary": method.summary if method else _SUMMARIES[kind],
        **({"reference": method.reference, "signed": method.signed} if method else {}),
        "options": plain({**signature.options, **{key: f"array {value.shape}" for key, value in large.items()}}),
        "inputs": {spec.name: _describe_tensor(spec) for spec in function.structured_input_signature[0]},
        "outputs": {name: _describe_tensor(tensor) for name, tensor in function.structured_outputs.items()},
    }


def _describe_tensor(spec) -> dict[str, Any]:
    shape = [*spec.shape] if spec.shape.rank is not None else None
    return {"dtype": spec.dtype.name, "shape": shape and [size if size is None else int(size) for size in shape]}


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """Return ``assets/kerasal.json`` of an export as a dictionary."""
    return json.loads((path / "assets" / "kerasal.json").read_text(encoding="utf-8"))


_STRING, _BYTES, _MESSAGE = 9, 12, 11
_OPTIONAL, _REPEATED = 1, 3
_PACKAGE = "kerasal.serving"


def write_warmup(name: str, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write one warm-up request per endpoint with an example, addressed to the model called ``name``."""
    folder = path / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for endpoint in endpoints:
            if endpoint.example is not None:
                writer.write(make_prediction_log(name, endpoint.signature.name, endpoint.example))


def make_prediction_log(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """Return a serialized ``PredictionLog`` with one ``PredictRequest``."""
    log: Any = _make_message_class()()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        values = value.tolist() if value.dtype == object else value
        request.inputs[key] = tf.make_tensor_proto(values).SerializeToString()
    return log.SerializeToString(deterministic=True)


@functools.cache
def _make_message_class():
    """Return the message class ``PredictionLog``.

    It is in a separate descriptor pool, so that its name cannot clash with that of tensorflow-serving-api.
    """
    file = descriptor_pb2.FileDescriptorProto(name="kerasal_warmup.proto", package=_PACKAGE, syntax="proto3")
    _add_message(file, "ModelSpec", ("name", 1, _STRING, _OPTIONAL), ("signature_name", 3, _STRING, _OPTIONAL))
    request = _add_message(
        file,
        "PredictRequest",
        ("model_spec", 1, "ModelSpec", _OPTIONAL),
        ("inputs", 2, "PredictRequest.InputsEntry", _REPEATED),
    )
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    _add_fields(entry, ("key", 1, _STRING, _OPTIONAL), ("value", 2, _BYTES, _OPTIONAL))
    _add_message(file, "PredictLog", ("request", 1, "PredictRequest", _OPTIONAL))
    _add_message(file, "PredictionLog", ("predict_log", 6, "PredictLog", _OPTIONAL))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PredictionLog"))


def _add_message(file, name: str, *fields: tuple):
    message = file.message_type.add(name=name)
    _add_fields(message, *fields)
    return message


def _add_fields(message, *fields: tuple) -> None:
    for name, number, kind, label in fields:
        field = message.field.add(name=name, number=number, label=label)
        if isinstance(kind, str):
            field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind
