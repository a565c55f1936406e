"""``open_model``: from a path, a zoo name or a Keras model to an ``ImageModel``, with what is known of it."""

import json
import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks, images
from kerasal import labels as class_names
from kerasal.models import registry
from kerasal.models.image_model import ImageModel
from kerasal.preprocessing import CONVENTIONS, Preprocessing, get

import keras

_KNOWS = 0.02  # mean probability of the right classes; chance is .003
_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
# Photographs that ship, and the ImageNet classes that are right for each.
_CLASSES = {
    "cat": (281, 282, 285),
    "coffee": (504, 967),
    "rocket": (657, 744, 812),
    "admiral": (457, 652, 906),
}
PHOTOGRAPHS = [_ASSETS / f"{name}.jpg" for name in _CLASSES]


class NoZooModel(ValueError):
    """What only a zoo model takes was given for another."""


def open_model(
    source: str | os.PathLike | keras.Model | ImageModel,
    *,
    preprocessing: str | Preprocessing | None = None,
    labels: Sequence[str] | str | os.PathLike | None = None,
    weights: str | os.PathLike | None = None,
    size: tuple[int, int] | None = None,
    fit: Literal["crop", "stretch"] = "crop",
    options: Mapping[str, Any] | None = None,
    unsafe: bool = False,
) -> ImageModel:
    """Return a model with the way it takes images, its labels, and notes on what had to be assumed.

    Args:
        source: a ``.keras`` or ``.h5`` file, a SavedModel or the folder of a training run, a zoo name, or a built
            ``keras.Model``. A zoo model comes with its shipped weights where it has some.
        preprocessing: how the model wants its pixels. By default as its run or the zoo says; for a classifier of the
            1,000 ImageNet classes it is recognized by four photographs that ship.
        labels: names of the classes, a file of them, or ``"imagenet"`` or ``"digits"``.
        weights: of a zoo model: a name or a file.
        size: (height, width) at which a model that takes any size is to see images.
        fit: ``"crop"`` cuts the largest centered part of the model's proportions, ``"stretch"`` keeps everything.
        options: of a zoo model.
        unsafe: allow code inside a model file to run. Only for files that you trust.

    Raises:
        ValueError: no such model, an unfinished run, weights or options for what is no zoo model, or labels of another
            number than the model's classes.
        FileNotFoundError: a path at which there is no model.
        UntrustedCode: a ValueError: the file holds code, and ``unsafe`` is not set.
    """
    if isinstance(source, ImageModel):
        if any(value is not None for value in (preprocessing, labels, weights, size, options)) or fit != "crop":
            raise ValueError(
                f"An opened model must be opened without further arguments, got some for {source.name!r}. Use "
                "dataclasses.replace(model, preprocessing=...)."
            )
        return source
    listed = () if labels is None else labels
    names = class_names.load(listed) if isinstance(listed, (str, os.PathLike)) else [*map(str, listed)]
    preprocessing = None if preprocessing is None else get(preprocessing)  # a bad name is told before a long load
    given = {"preprocessing": preprocessing, "size": size, "fit": fit}
    if isinstance(source, keras.Model):
        _refuse_zoo_arguments(weights, options)
        return _complete(ImageModel(source, labels=names, **given))
    text = os.fspath(source)
    file, run = _run_of(pathlib.Path(text))
    if file.exists() and not (file.is_dir() and text in registry.list_models()):
        _refuse_zoo_arguments(weights, options)
        if run.get("task") == "gaze":
            given["preprocessing"] = preprocessing or run["preprocessing"]
            given["size"] = size or tuple(run["size"])
        elif preprocessing is None and "preprocessing" in run:
            given["preprocessing"] = run["preprocessing"]
        keras_model = registry.load_model(file, unsafe=unsafe)
        name = pathlib.Path(text).name if run.get("task") == "gaze" else file.name
        names = names or run.get("labels") or ()
        return _complete(ImageModel(keras_model, labels=names, name=name, facts=run, task=run.get("task", ""), **given))
    return _open_zoo_model(text, weights, dict(options or {}), names, given)


def _open_zoo_model(
    name: str, weights: Any, options: dict[str, Any], labels: list[str], given: dict[str, Any]
) -> ImageModel:
    """Build a zoo model; ``given`` are the fields that do not depend on it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        model = registry.create_model(name, weights, **options) if weights or options else registry.load_model(name)
    notes = [str(warning.message) for warning in caught]
    spec = registry.model_spec(name)
    has_weights = any(options.get(key) is not None for key in ("weights", "backbone_weights"))
    trained = has_weights or (not options and any(origin.file for origin in spec.weights.values()))
    untrained = not weights and not trained
    if untrained:
        known = ", ".join(spec.weights) or "a file"
        notes.append(f"{name} has random weights here: its pictures mean nothing. Give it weights ({known}).")
    if not labels and spec.labels:
        labels = class_names.load(spec.labels)
    given["preprocessing"] = given["preprocessing"] or spec.preprocessing
    free = None in (getattr(model, "input_shape", None) or ())[1:3]
    best = spec.input_shape[:2] if free and None not in spec.input_shape[:2] else None
    given |= {"task": spec.task, "facts": {"card": spec.card, "best_size": best}}
    return ImageModel(model, labels=labels, name=name, notes=notes, untrained=untrained, **given)


def _complete(model: ImageModel) -> ImageModel:
    """Fill in what was left out for an ImageNet classifier, and note it; check the labels."""
    shape = getattr(model.keras_model, "output_shape", None)
    outputs = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    if outputs == 1000:
        if not model.labels:
            model.labels = class_names.load("imagenet")
            model.notes.append("Class names: ImageNet's, since the model has 1,000 outputs.")
        inputs = getattr(model.keras_model, "inputs", None) or [None]
        if model.preprocessing is None and len(inputs) == 1 and model.shape[2:] == (3,) and not model.channels_first:
            found, share, second = _recognize_preprocessing(model.keras_model, model.input_size())
            shares = f"(mean probability {share:.2f}, next {second:.2f})"
            if np.isfinite(share):
                model.preprocessing = found
                model.notes.append(
                    f"Preprocessing: {found.name}, recognized by which convention lets the model classify four "
                    f"photographs best {shares}."
                )
            if not share > _KNOWS:
                model.notes.append(f"The model recognizes none of four photographs {shares}: is it trained?")
    if outputs == 1 and len(model.labels) == 2:  # as Keras numbers two classes, the one score is the second's
        model.labels = model.labels[1:]
        model.notes.append(f"The one output is the score of the second label, {model.labels[0]!r}.")
    if model.labels and outputs not in (None, len(model.labels)):
        raise ValueError(
            f"The labels name {len(model.labels)} classes, but {model.name!r} gives scores (None, {outputs})."
        )
    return model


def _recognize_preprocessing(model: keras.Model, size: tuple[int, int]) -> tuple[Preprocessing, float, float]:
    """Return the convention under which a model gives the shipped photographs' classes most probability.

    Also the mean probability of the right classes under it, and that under the next best one.
    """
    pictures = np.stack([images.fit_image(images.read(file), size) for file in PHOTOGRAPHS])
    shares = []
    for convention in CONVENTIONS.values():
        with hooks.unchanged(model):
            outputs = np.asarray(model(convention.apply(pictures), training=False), dtype=np.float64)
        if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):  # logits
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
        right = [outputs[i, list(classes)].sum() for i, classes in enumerate(_CLASSES.values())]
        shares.append((float(np.mean(right)), convention))
    shares.sort(key=lambda pair: -pair[0])
    return shares[0][1], shares[0][0], shares[1][0]


def _run_of(path: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """Return the model file, ``path`` or that of the training run in it, and what the run says of it."""
    note = (path if path.is_dir() else path.parent) / "run.json"
    if path.is_dir() and (path / "checkpoint.npz").is_file() and not note.is_file():
        raise ValueError(
            f"The run in {path} is not finished. Start it again to go on, or give the path of a model file."
        )
    if not note.is_file() or (path.is_dir() and (path / "saved_model.pb").is_file()):
        return path, {}
    try:
        run = json.loads(note.read_text(encoding="utf-8"))
        file = note.parent / run["model_file"]
    except (ValueError, KeyError, TypeError):  # somebody else's
        return path, {}
    if path.is_file() and path.name != file.name:
        return path, {}
    if run.get("task") != "classification":
        if not {"preprocessing", "size", "target_range"} <= set(run):
            return path, {}
        if not file.is_file():
            raise ValueError(f"The run in {path} is not finished: it has no {file.name} yet. Start it again to go on.")
        run["task"] = "gaze"
    return file, run


def _refuse_zoo_arguments(weights: Any, options: Any) -> None:
    if weights or options:
        raise NoZooModel("weights and options go with a zoo model; a model or a model file has its own.")
