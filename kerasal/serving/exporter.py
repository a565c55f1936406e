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
    """Write a model with its explanations as a SavedModel, ``path/name/version``, for TensorFlow Serving.

    Whoever loads it needs TensorFlow alone: gradients, resizing and preprocessing are in the graph. Its requests are
    checked there too, so that a bad one gets an error. Labels and ``kerasal.json``, which says what each signature
    takes and gives, travel in ``assets``; ``assets.extra`` holds requests with which the server warms up.

    Args:
        model_or_name: any built Keras model, a model file, or a zoo name. It is not changed.
        path: the folder of the models; ``name`` and ``version`` are folders in it.
        signatures: what it answers, each ``[NAME=]KIND[:option=value,…]`` (``kerasal.serving.signatures``). By default
            ``serving_default``, ``predict_image`` and ``predict_bytes`` where the preprocessing is known, and
            ``class_saliency``; for a net that makes maps ``serving_default`` and ``gaze``.
        preprocessing: how the model wants its pixels; known for zoo models. Signatures on images need it.
        labels: names of the classes, a file of them, or ``"imagenet"`` or ``"digits"``.
        version: a number from 1 on that is not there yet; by default one more than the last.
        name: of the model; by default its own.

    Returns:
        The folder of the version. It appears there at once, complete, or not at all.

    Raises:
        ValueError: a signature that cannot be read or that the model cannot answer, labels of another number, a name
            that is none, or a version that exists.
        OSError: the folder cannot be written to, or the disk is full.
    """
    return write(open_served(model_or_name, preprocessing, labels), path, signatures, version, name)


def open_served(model_or_name: Any, preprocessing: Any, labels: Any) -> ImageModel:
    """Open what is exported, and check that its labels are as many as one of its outputs has classes.

    Raises:
        ValueError: a model without weights, an unknown preprocessing, or labels of another number.
    """
    check_process()
    if isinstance(model_or_name, keras.Model) and not model_or_name.built:
        name = model_or_name.name
        raise ValueError(f"{name!r} has no weights yet. Call it once on a batch of inputs, then try again.")
    model = open_model(model_or_name, preprocessing=preprocessing, labels=labels)
    shapes = model.output_shapes
    if model.labels and not any(shape and shape[-1] == len(model.labels) for shape in shapes.values()):
        shown = ", ".join(f"{key} {(None, *shape)}" for key, shape in shapes.items())
        raise ValueError(f"The labels name {len(model.labels)} classes, but {model.name!r} gives {shown}.")
    return model


def write(
    model: ImageModel,
    path: str | os.PathLike,
    signatures: "Sequence[str | Signature] | None",
    version: int | None,
    name: str | None,
) -> pathlib.Path:
    """Trace the signatures and write the version; see ``export``."""
    chosen = make_signatures(default_signatures(model) if signatures is None else signatures)
    name = name or model.keras_model.name
    with write_version(pathlib.Path(path), name, version) as (temporary, written):
        endpoints = [make_endpoint(model, one) for one in chosen]
        # Raw variables: as Keras' own they load in Python alone.
        module = tf.Module()
        variables = {id(one): one for end in endpoints for one in end.function.variables}
        setattr(module, "weights", list(variables.values()))  # noqa: B010  (no attribute of tf.Module's own)
        functions = {one.signature.name: one.function for one in endpoints}
        tf.saved_model.save(module, os.fspath(temporary), signatures=functions)
        write_assets(model, endpoints, temporary)
        write_warmup(name, endpoints, temporary)
    return written()


def default_signatures(model: ImageModel) -> list[str]:
    """Return the signatures that a model gets which is asked for none."""
    if model.task == "gaze" or is_log_density(model.keras_model):
        return ["serving_default", *(["gaze"] if model.preprocessing is not None else [])]
    floats = all(spec.dtype == tf.float32 for spec in input_specs(model))
    on_images = ["predict_image", "predict_bytes"] if model.preprocessing is not None else []
    return ["serving_default", *on_images, *(["class_saliency"] if floats else [])]
