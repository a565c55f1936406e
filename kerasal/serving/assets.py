"""What travels along with a served model, so that clients know it and the first of them does not wait.

assets/labels.txt       one class per line, in the order of the scores
assets/card.md          the model card of a zoo model
assets/kerasal.json     the pixel convention, the limits, and every signature with its options, inputs and outputs
assets.extra/tf_serving_warmup_requests
                        requests with which TensorFlow Serving warms up, before the first user has every graph optimized

The last is a TFRecord of ``PredictionLog`` messages. Of these, four are described here (tensorflow_serving/apis:
prediction_log.proto, predict.proto, model.proto), so that tensorflow-serving-api is not needed; a ``TensorProto`` in
them is given as its bytes, which is how a message in a message is written anyway.
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
    "serving_default": "The model's outputs for inputs as it takes them.",
    "predict": "The model's outputs for inputs as it takes them.",
    "predict_image": "The model's outputs for uint8 RGB images of any size.",
    "predict_bytes": "The top classes of encoded JPEG or PNG files.",
    "maximize": "The images that excite classes or channels most.",
    "gaze": "Where people will look.",
}


def write_assets(model: ImageModel, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write the assets of a SavedModel."""
    folder = path / "assets"
    write_json(folder / "kerasal.json", describe(model, endpoints))
    if model.labels:
        write_text(folder / "labels.txt", "".join(f"{' '.join(name.splitlines())}\n" for name in model.labels))
    if "card" in model.facts:
        write_text(folder / "card.md", model.facts["card"] + "\n")


def describe(model: ImageModel, endpoints: list[Endpoint]) -> dict[str, Any]:
    """Say in plain values what is served; the same export says the same."""
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
        "signatures": {one.signature.name: _describe_signature(one) for one in endpoints},
    }


def _describe_signature(endpoint: Endpoint) -> dict[str, Any]:
    signature, function = endpoint.signature, endpoint.function
    kind = signature.kind
    spec = None if kind in KINDS else attribution.method_spec(kind)
    large = {key: one for key, one in signature.options.items() if isinstance(one, np.ndarray) and one.size > 16}
    return {
        "kind": kind,
        "summary": spec.summary if spec else _SUMMARIES[kind],
        **({"reference": spec.reference, "signed": spec.signed} if spec else {}),
        "options": plain({**signature.options, **{key: f"array {one.shape}" for key, one in large.items()}}),
        "inputs": {one.name: _describe_tensor(one) for one in function.structured_input_signature[0]},
        "outputs": {name: _describe_tensor(one) for name, one in function.structured_outputs.items()},
    }


def _describe_tensor(spec) -> dict[str, Any]:
    shape = [*spec.shape] if spec.shape.rank is not None else None
    return {"dtype": spec.dtype.name, "shape": shape and [size if size is None else int(size) for size in shape]}


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """Return what ``assets/kerasal.json`` of an export says."""
    return json.loads((path / "assets" / "kerasal.json").read_text(encoding="utf-8"))


_STRING, _BYTES, _MESSAGE = 9, 12, 11
_ONE, _MANY = 1, 3
_PACKAGE = "kerasal.serving"


def write_warmup(name: str, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write one request for each endpoint that has an example, for the model called ``name``."""
    folder = path / "assets.extra"
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for endpoint in endpoints:
            if endpoint.example is not None:
                writer.write(prediction_log(name, endpoint.signature.name, endpoint.example))


def prediction_log(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """Return a serialized ``PredictionLog`` with a ``PredictRequest``."""
    log: Any = _make_message_class()()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        listed = value.tolist() if value.dtype == object else value
        request.inputs[key] = tf.make_tensor_proto(listed).SerializeToString()
    return log.SerializeToString(deterministic=True)


@functools.cache
def _make_message_class():
    """Return the class of ``PredictionLog``, in a pool of its own, where it meets no other of these names."""
    file = descriptor_pb2.FileDescriptorProto(name="kerasal_warmup.proto", package=_PACKAGE, syntax="proto3")
    _add_message(file, "ModelSpec", ("name", 1, _STRING, _ONE), ("signature_name", 3, _STRING, _ONE))
    request = _add_message(
        file, "PredictRequest", ("model_spec", 1, "ModelSpec", _ONE), ("inputs", 2, "PredictRequest.InputsEntry", _MANY)
    )
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    _add_fields(entry, ("key", 1, _STRING, _ONE), ("value", 2, _BYTES, _ONE))
    _add_message(file, "PredictLog", ("request", 1, "PredictRequest", _ONE))
    _add_message(file, "PredictionLog", ("predict_log", 6, "PredictLog", _ONE))
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
