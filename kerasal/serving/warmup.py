"""Requests with which TensorFlow Serving warms up: the first user does not wait until every graph is optimized.

``assets.extra/tf_serving_warmup_requests`` is a TFRecord of ``PredictionLog`` messages. Of these, four are described
here (tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto), so that tensorflow-serving-api is not
needed; a ``TensorProto`` in them is given as its bytes, which is how a message in a message is written anyway.
"""

import functools
import pathlib

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from kerasal.serving.endpoints import Endpoint

import tensorflow as tf

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
    log = _message_class()()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        value = np.asarray(value)
        request.inputs[key] = tf.make_tensor_proto(
            value.tolist() if value.dtype == object else value
        ).SerializeToString()
    return log.SerializeToString(deterministic=True)


@functools.cache
def _message_class():
    """Return the class of ``PredictionLog``, in a pool of its own, where it meets no other of these names."""
    file = descriptor_pb2.FileDescriptorProto(name="kerasal_warmup.proto", package=_PACKAGE, syntax="proto3")
    _add(file, "ModelSpec", ("name", 1, _STRING, _ONE), ("signature_name", 3, _STRING, _ONE))
    request = _add(
        file,
        "PredictRequest",
        ("model_spec", 1, "ModelSpec", _ONE),
        ("inputs", 2, "PredictRequest.InputsEntry", _MANY),
    )
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    _fields(entry, ("key", 1, _STRING, _ONE), ("value", 2, _BYTES, _ONE))
    _add(file, "PredictLog", ("request", 1, "PredictRequest", _ONE))
    _add(file, "PredictionLog", ("predict_log", 6, "PredictLog", _ONE))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PredictionLog"))


def _add(file, name: str, *fields: tuple):
    message = file.message_type.add(name=name)
    _fields(message, *fields)
    return message


def _fields(message, *fields: tuple) -> None:
    for name, number, kind, label in fields:
        field = message.field.add(name=name, number=number, label=label)
        if isinstance(kind, str):
            field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind
