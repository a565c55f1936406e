"""``kerasal.export``: a model and its explanations as a SavedModel that TensorFlow Serving loads."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from kerasal import preprocessing as conventions
from kerasal.gaze.predictor import is_log_density
from kerasal.models.image_model import ImageModel
from kerasal.models.opener import open_model
from kerasal.process import check_process
from kerasal.serving.assets import write_assets, write_warmup
from kerasal.serving.endpoints import make_endpoint
from kerasal.serving.served_model import input_specs
from kerasal.serving.server import write_version
from kerasal.serving.signatures import Signature, make_signatures

import keras
import tensorflow as tf


def export(
    model_or_name: "keras.Model | str | os.PathLike",
    path: str | os.PathLike,
    *,
    signatures: "Sequence[str | Signature] | None" = None,
    preprocessing: "str | conventions.Preprocessing | None" = None,
    labels: "Sequence[str] | str | os.PathLike | None" = None,
    version: int | None = None,
    name: str | None = None,
) -> pathlib.Path:
    """Write a model and its explanations as a SavedModel ``path/name/version`` for TensorFlow Serving.

    Loading the export requires only TensorFlow: gradients, resizing and preprocessing are part of its graph, and so are
    checks that answer an invalid request with an error. The folder ``assets`` holds the labels and ``kerasal.json``,
    which describes the inputs and outputs of each signature; ``assets.extra`` holds warm-up requests for the server.

    Args:
        model_or_name: any built Keras model, a model file, or a zoo name. It is not changed.
        path: the folder for exported models, in which ``name/version`` is created.
        signatures: each ``[NAME=]KIND[:option=value,…]`` or a ``Signature`` (see ``kerasal.serving.signatures``). By
            default ``serving_default``, ``predict_image`` and ``predict_bytes`` if the preprocessing is known, and
            ``class_saliency``; for a gaze model ``serving_default`` and ``gaze``.
        preprocessing: the preprocessing of the model, which is known for zoo models. Signatures on images require it.
        labels: the class names, a file with a name per line, or ``"imagenet"`` or ``"digits"``.
        version: a positive integer that is not in use; by default the next after the latest version.
        name: the name of the exported model; by default that of the Keras model.

    Returns:
        The folder of the version. It is created complete or not at all.

    Raises:
        ValueError: a signature is malformed or not supported by the model, the number of labels is not the number of
            classes, the name is invalid, or the version exists.
        OSError: the folder cannot be written, or the disk is full.
    """
    return write(load_for_export(model_or_name, preprocessing, labels), path, signatures, version, name)


def load_for_export(model_or_name: Any, preprocessing: Any, labels: Any) -> ImageModel:
    """Load the model to export, and check that there are as many labels as classes in one of its outputs.

    Raises:
        ValueError: the model has no weights, its preprocessing is unknown, or the number of labels does not fit.
    """
    check_process()
    if isinstance(model_or_name, keras.Model) and not model_or_name.built:
        name = model_or_name.name
        raise ValueError(
            f"The model must be built, but {name!r} has no weights yet. Call it once on a batch of inputs."
        )
    model = open_model(model_or_name, preprocessing=preprocessing, labels=labels)
    shapes = model.output_shapes
    if model.labels and not any(shape and shape[-1] == len(model.labels) for shape in shapes.values()):
        outputs = ", ".join(f"{key} {(None, *shape)}" for key, shape in shapes.items())
        raise ValueError(
            f"labels must have a name per class of {model.name!r} ({outputs}), got {len(model.labels)} names."
        )
    return model


def write(
    model: ImageModel,
    path: str | os.PathLike,
    signatures: "Sequence[str | Signature] | None",
    version: int | None,
    name: str | None,
) -> pathlib.Path:
    """Trace the signatures and write the version; return its folder. See ``export``."""
    parsed = make_signatures(default_signatures(model) if signatures is None else signatures)
    name = name or model.keras_model.name
    with write_version(pathlib.Path(path), name, version) as (temporary, final_path):
        endpoints = [make_endpoint(model, signature) for signature in parsed]
        # tf.Variable objects: Keras variables could be loaded in Python only.
        module = tf.Module()
        variables = {id(variable): variable for endpoint in endpoints for variable in endpoint.function.variables}
        setattr(module, "weights", list(variables.values()))  # noqa: B010  (tf.Module declares no such attribute)
        functions = {endpoint.signature.name: endpoint.function for endpoint in endpoints}
        tf.saved_model.save(module, os.fspath(temporary), signatures=functions)
        write_assets(model, endpoints, temporary)
        write_warmup(name, endpoints, temporary)
    return final_path()


def default_signatures(model: ImageModel) -> list[str]:
    """Return the signatures that are exported if ``signatures`` is None."""
    if model.task == "gaze" or is_log_density(model.keras_model):
        return ["serving_default", *(["gaze"] if model.preprocessing is not None else [])]
    floats = all(spec.dtype == tf.float32 for spec in input_specs(model))
    on_images = ["predict_image", "predict_bytes"] if model.preprocessing is not None else []
    return ["serving_default", *on_images, *(["class_saliency"] if floats else [])]
