"""``kerasal.export``: a model and its explanations as a SavedModel that TensorFlow Serving loads."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from kerasal import (
    _keras,  # noqa: F401
    registry,
)
from kerasal import labels as class_names
from kerasal import preprocessing as conventions
from kerasal.serving.endpoints import Endpoint, make_endpoint
from kerasal.serving.folder import write_version
from kerasal.serving.signatures import Signature, make_signatures
from kerasal.serving.subject import Subject, output_shapes

import keras  # isort: skip
import tensorflow as tf  # isort: skip


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
    subject = _subject(model_or_name, preprocessing, labels)
    chosen = make_signatures(_defaults(subject) if signatures is None else signatures)
    endpoints = [make_endpoint(subject, one) for one in chosen]
    with write_version(pathlib.Path(path), name or subject.model.name, version) as (temporary, written):
        _save(subject, endpoints, temporary)
    return written()


def _subject(model_or_name: Any, preprocessing, labels) -> Subject:
    """Load what is exported, and gather what is known of it."""
    spec, model = None, model_or_name
    if not isinstance(model, keras.Model):
        text = os.fspath(model_or_name)
        spec = registry.model_spec(text) if not os.path.exists(text) and text in registry.list_models() else None
        model = registry.load_model(model_or_name)
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet. Call it once on a batch of inputs, then try again.")
    convention = preprocessing if preprocessing is not None else spec.preprocessing if spec else None
    if labels is None and spec is not None and spec.labels:
        labels = spec.labels
    names = class_names.load(labels) if isinstance(labels, (str, os.PathLike)) else list(labels or [])
    outputs = output_shapes(model)
    counts = {shape[-1] for shape in outputs.values() if shape}
    if names and len(names) not in counts:
        raise ValueError(f"{len(names)} labels were given, but {model.name!r} has outputs of {outputs}.")
    return Subject(
        model,
        None if convention is None else conventions.get(convention),
        tuple(map(str, names)),
        outputs,
        card=spec.card if spec else "",
        task=spec.task if spec else "",
        best_size=spec.input_shape[:2] if spec and None not in spec.input_shape[:2] else None,
    )


def _defaults(subject: Subject) -> list[str]:
    floats = all(spec.dtype == tf.float32 for spec in subject.specs())
    on_images = ["predict_image", "predict_bytes"] if subject.convention is not None else []
    return ["serving_default", *on_images, *(["class_saliency"] if floats else [])]


def _save(subject: Subject, endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write the SavedModel with raw variables: as Keras' own they load in Python alone."""
    module = tf.Module()
    module.weights = list({id(one): one for end in endpoints for one in end.function.variables}.values())
    functions = {one.signature.name: one.function for one in endpoints}
    tf.saved_model.save(module, os.fspath(path), signatures=functions)
