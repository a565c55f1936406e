"""``kerasal.export``: a model and its explanations as a SavedModel that TensorFlow Serving loads."""

import os
import pathlib
from collections.abc import Sequence

from kerasal import labels as class_names
from kerasal import preprocessing as conventions
from kerasal.gaze.predictor import is_log_density
from kerasal.models import registry
from kerasal.process import check_process
from kerasal.serving.assets import write_assets
from kerasal.serving.endpoints import Endpoint, make_endpoint
from kerasal.serving.served_folder import write_version
from kerasal.serving.served_model import Subject, output_shapes
from kerasal.serving.signatures import Signature, make_signatures
from kerasal.serving.warmup import write_warmup

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
    return write(open_subject(model_or_name, preprocessing, labels), path, signatures, version, name)


def open_subject(model_or_name, preprocessing, labels) -> Subject:
    """Gather what is known of a model, of a model file or of a zoo name; see ``make_subject``."""
    check_process()
    if isinstance(model_or_name, keras.Model):
        return make_subject(model_or_name, None, preprocessing, labels)
    text = os.fspath(model_or_name)
    spec = registry.model_spec(text) if not os.path.exists(text) and text in registry.list_models() else None
    return make_subject(registry.load_model(model_or_name), spec, preprocessing, labels)


def write(
    subject: Subject,
    path: str | os.PathLike,
    signatures: "Sequence[str | Signature] | None",
    version: int | None,
    name: str | None,
) -> pathlib.Path:
    """Trace the signatures and write the version; see ``export``."""
    chosen = make_signatures(default_signatures(subject) if signatures is None else signatures)
    name = name or subject.model.name
    with write_version(pathlib.Path(path), name, version) as (temporary, written):
        endpoints = [make_endpoint(subject, one) for one in chosen]
        _save(endpoints, temporary)
        write_assets(subject, endpoints, temporary)
        write_warmup(name, endpoints, temporary)
    return written()


def make_subject(model: keras.Model, spec: registry.ModelSpec | None, preprocessing, labels) -> Subject:
    """Gather what is known of a model; what is not given is taken from the ``spec`` of a zoo model.

    Raises:
        ValueError: a model without weights, an unknown preprocessing, or labels of another number than its classes.
    """
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet. Call it once on a batch of inputs, then try again.")
    if preprocessing is None and spec is not None:
        preprocessing = spec.preprocessing
    if labels is None and spec is not None:
        labels = spec.labels
    names = class_names.load(labels) if isinstance(labels, (str, os.PathLike)) else [*map(str, labels or ())]
    outputs = output_shapes(model)
    if names and not any(shape and shape[-1] == len(names) for shape in outputs.values()):
        shown = ", ".join(f"{key} {(None, *shape)}" for key, shape in outputs.items())
        raise ValueError(f"The labels name {len(names)} classes, but {model.name!r} gives {shown}.")
    return Subject(
        model,
        None if preprocessing is None else conventions.get(preprocessing),
        tuple(names),
        outputs,
        card=spec.card if spec else "",
        task=spec.task if spec else "",
        best_size=spec.input_shape[:2] if spec and None not in spec.input_shape[:2] else None,
    )


def default_signatures(subject: Subject) -> list[str]:
    """Return the signatures that a model gets which is asked for none."""
    if subject.task == "gaze" or is_log_density(subject.model):
        return ["serving_default", *(["gaze"] if subject.convention is not None else [])]
    floats = all(spec.dtype == tf.float32 for spec in subject.specs())
    on_images = ["predict_image", "predict_bytes"] if subject.convention is not None else []
    return ["serving_default", *on_images, *(["class_saliency"] if floats else [])]


def _save(endpoints: list[Endpoint], path: pathlib.Path) -> None:
    """Write the SavedModel with raw variables: as Keras' own they load in Python alone."""
    module = tf.Module()
    module.weights = list({id(one): one for end in endpoints for one in end.function.variables}.values())
    functions = {one.signature.name: one.function for one in endpoints}
    tf.saved_model.save(module, os.fspath(path), signatures=functions)
