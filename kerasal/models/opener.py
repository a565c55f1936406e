"""``open_model``: a path, a zoo name or a Keras model -> an ``ImageModel`` with preprocessing and labels."""

import difflib
import json
import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import labels as class_names
from kerasal.models import registry
from kerasal.models.image_model import ImageModel
from kerasal.models.recognition import PHOTOGRAPHS as PHOTOGRAPHS
from kerasal.models.recognition import recognize, try_conventions
from kerasal.preprocessing import Preprocessing, get

import keras


class NoZooModel(ValueError):
    """``weights`` or ``options``, which only zoo models take, were passed with another model."""


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
    """Return a model with its preprocessing and class labels, as an ``ImageModel`` that accepts images.

    Args:
        source: a ``.keras`` or ``.h5`` file, the folder of a SavedModel or of a training run, the name of a zoo model,
            or a built ``keras.Model``. A zoo model is loaded with its bundled weights if it has any.
        preprocessing: how pixels become model inputs: ``"caffe"``, ``"tf"`` (-1..1), ``"torch"``, ``"unit"`` (0..1),
            ``"none"`` (0..255), mean and standard deviation as in ``"mean=127,std=128"``, or a ``Preprocessing``. By
            default it is taken from the training run, the zoo, or the arithmetic at the start of the model, such as
            ``Rescaling``, ``Normalization`` or ``preprocess_input``; for another classifier with the 1,000 ImageNet
            classes, it is the convention that classifies four bundled photos best.
        labels: a list of class names, the path of a file of them, or ``"imagenet"`` or ``"digits"``.
        weights: weights of a zoo model: a name or a file.
        size: (height, width) to which images are resized, for a model that takes any size.
        fit: ``"crop"`` cuts the largest centered part with the model's aspect ratio, ``"stretch"`` distorts the image.
        options: options of a zoo model, such as ``{"classes": 4}``.
        unsafe: allow code inside a model file to run. Only for files that you trust.

    Returns:
        An ``ImageModel``: ``keras_model`` is the Keras model, ``notes`` are sentences about what was assumed.

    Raises:
        ValueError: the model is unknown or damaged, its training run is unfinished, ``weights`` or ``options`` are
            passed without a zoo model, or the number of labels differs from the number of classes.
        TypeError: ``source`` is none of these.
        FileNotFoundError: there is no model at the path.
        UntrustedCode: a ValueError; the file contains code, and ``unsafe`` is not set.
    """
    if isinstance(source, ImageModel):
        if any(value is not None for value in (preprocessing, labels, weights, size, options)) or fit != "crop":
            raise ValueError(
                f"source must be a path, a name or a keras.Model to be opened with other arguments, got the opened "
                f"model {source.name!r}. Use dataclasses.replace(model, preprocessing=...) to change it."
            )
        return source
    listed = () if labels is None else labels
    names = class_names.load(listed) if isinstance(listed, (str, os.PathLike)) else [*map(str, listed)]
    preprocessing = None if preprocessing is None else get(preprocessing)  # check the name before a long load
    fields = {"preprocessing": preprocessing, "size": size, "fit": fit}
    if isinstance(source, keras.Model):
        _refuse_zoo_arguments(weights, options)
        return _complete(ImageModel(source, labels=names, **fields))
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            "source must be a path, the name of a zoo model, a keras.Model or an ImageModel, got "
            f"{type(source).__name__}."
        )
    text = os.fspath(source)
    file, run = _find_run(pathlib.Path(text))
    if file.exists() and not (file.is_dir() and text in registry.list_models()):
        _refuse_zoo_arguments(weights, options)
        if run.get("task") == "gaze":
            fields["preprocessing"] = preprocessing or run["preprocessing"]
            fields["size"] = size or tuple(run["size"])
        elif preprocessing is None and "preprocessing" in run:
            fields["preprocessing"] = run["preprocessing"]
        keras_model = registry.load_model(file, unsafe=unsafe)
        name = pathlib.Path(text).name if run.get("task") == "gaze" else file.name
        names = names or run.get("labels") or ()
        task = run.get("task", "")
        return _complete(ImageModel(keras_model, labels=names, name=name, facts=run, task=task, **fields))
    if pathlib.Path(text).suffix or os.sep in text:
        folder = pathlib.Path(text).parent
        files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(pathlib.Path(text).name, files, n=3)
        hint = f"Did you mean {', '.join(str(folder / name) for name in near)}?" if near else "Check the path."
        raise FileNotFoundError(f"There is no model file {text}. {hint}")
    return _open_zoo_model(text, weights, dict(options or {}), names, fields)


def _open_zoo_model(
    name: str, weights: Any, options: dict[str, Any], labels: list[str], fields: dict[str, Any]
) -> ImageModel:
    """Return a zoo model; ``fields`` are those of ``ImageModel`` that the caller has set."""
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
        notes.append(f"{name} has random weights, so its results mean nothing. Pass weights ({known}).")
    if not labels:
        chosen = weights or next((key for key, origin in spec.weights.items() if origin.file and trained), None)
        origin = spec.weights.get(chosen) if isinstance(chosen, str) else None
        labels = [*(origin.labels if origin else ())] or (class_names.load(spec.labels) if spec.labels else [])
    fields["preprocessing"] = fields["preprocessing"] or spec.preprocessing
    any_size = None in (getattr(model, "input_shape", None) or ())[1:3]
    best = spec.input_shape[:2] if any_size and None not in spec.input_shape[:2] else None
    fields |= {"task": spec.task, "facts": {"card": spec.card, "best_size": best}}
    return ImageModel(model, labels=labels, name=name, notes=notes, untrained=untrained, **fields)


def _complete(model: ImageModel) -> ImageModel:
    """Set missing labels and preprocessing where they are recognized, with notes; check the number of labels."""
    shape = getattr(model.keras_model, "output_shape", None)
    outputs = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    recognition = None
    if model.preprocessing is None:
        recognition = recognize(model.keras_model)
        model.preprocessing, model.unclear = recognition.preprocessing, recognition.unclear
        model.notes += [recognition.note] if recognition.note else []
    if outputs == 1000:
        if not model.labels:
            model.labels = class_names.load("imagenet")
            model.notes.append("Class names: those of ImageNet, because the model has 1,000 outputs.")
        if recognition is not None and (trial := try_conventions(model.keras_model, model.size)) is not None:
            if model.preprocessing is None and np.isfinite(trial.share):
                model.preprocessing = trial.convention
                model.notes.append(trial.note)
            if not trial.is_trained:
                model.notes.append(f"The model recognizes none of four bundled photos {trial.shares}. Is it trained?")
    if outputs == 1 and len(model.labels) == 2:  # Keras numbers two classes so that the only score is the second's
        model.labels = model.labels[1:]
        model.notes.append(f"The single output is the score of the second label, {model.labels[0]!r}.")
    if model.labels and outputs not in (None, len(model.labels)):
        raise ValueError(f"labels must have one name per class of {model.name!r} ({outputs}), got {len(model.labels)}.")
    return model


def _find_run(path: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """Return the model file, ``path`` or that of the training run in this folder, and the contents of ``run.json``."""
    record = (path if path.is_dir() else path.parent) / "run.json"
    if path.is_dir() and (path / "checkpoint.npz").is_file() and not record.is_file():
        raise ValueError(
            f"The training run in {path} is not finished. Start it again to continue, or pass the path of a model file."
        )
    if not record.is_file() or (path.is_dir() and (path / "saved_model.pb").is_file()):
        return path, {}
    try:
        run = json.loads(record.read_text(encoding="utf-8"))
        file = record.parent / run["model_file"]
    except (ValueError, KeyError, TypeError):  # a run.json of another program
        return path, {}
    if path.is_file() and path.name != file.name:
        return path, {}
    if run.get("task") == "classification" and not file.is_file() and (record.parent / "checkpoint.npz").is_file():
        raise ValueError(
            f"The training run in {path} is not finished: there is no {file.name} yet. Start it again to continue."
        )
    if run.get("task") != "classification":
        if not {"preprocessing", "size", "target_range"} <= set(run):
            return path, {}
        if not file.is_file():
            raise ValueError(
                f"The training run in {path} is not finished: there is no {file.name} yet. Start it again to continue."
            )
        run["task"] = "gaze"
    return file, run


def _refuse_zoo_arguments(weights: Any, options: Any) -> None:
    if weights or options:
        raise NoZooModel(
            f"weights and options must be passed only with the name of a zoo model, got weights={weights!r} and "
            f"options={options!r} with another model. Leave them out."
        )
