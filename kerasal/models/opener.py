"""``open_model``: a path, a zoo name or a Keras model -> an ``ImageModel`` with preprocessing and labels."""

import difflib
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

_TRAINED_PROBABILITY = 0.02  # mean probability of the right classes above which a model is trained; chance is .003
_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
# The bundled photos, and the ImageNet classes that are right for each.
_CLASSES = {
    "cat": (281, 282, 285),
    "coffee": (504, 967),
    "rocket": (657, 744, 812),
    "admiral": (457, 652, 906),
}
PHOTOGRAPHS = [_ASSETS / f"{name}.jpg" for name in _CLASSES]


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
            default it is taken from the training run, the zoo, or a ``Rescaling`` layer at the start; for a classifier
            with the 1,000 ImageNet classes, it is the convention that classifies four bundled photos best.
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
    if not labels and spec.labels:
        labels = class_names.load(spec.labels)
    fields["preprocessing"] = fields["preprocessing"] or spec.preprocessing
    any_size = None in (getattr(model, "input_shape", None) or ())[1:3]
    best = spec.input_shape[:2] if any_size and None not in spec.input_shape[:2] else None
    fields |= {"task": spec.task, "facts": {"card": spec.card, "best_size": best}}
    return ImageModel(model, labels=labels, name=name, notes=notes, untrained=untrained, **fields)


def _complete(model: ImageModel) -> ImageModel:
    """Set missing labels and preprocessing where they are recognized, with notes; check the number of labels."""
    shape = getattr(model.keras_model, "output_shape", None)
    outputs = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None
    rescaling = None if model.preprocessing is not None else _find_rescaling(model.keras_model)
    if rescaling is not None:
        model.preprocessing = CONVENTIONS["none"]
        model.notes.append(f"Preprocessing: none, because the layer {rescaling.name!r} rescales pixels of 0..255.")
    if outputs == 1000:
        if not model.labels:
            model.labels = class_names.load("imagenet")
            model.notes.append("Class names: those of ImageNet, because the model has 1,000 outputs.")
        inputs = getattr(model.keras_model, "inputs", None) or [None]
        if (
            (model.preprocessing is None or rescaling)
            and len(inputs) == 1
            and model.shape[2:] == (3,)
            and not model.channels_first
        ):
            convention, share, second = _recognize_preprocessing(model.keras_model, model.input_size())
            shares = f"(mean probability {share:.2f}, next {second:.2f})"
            if np.isfinite(share) and rescaling is None:
                model.preprocessing = convention
                model.notes.append(
                    f"Preprocessing: {convention.name}, with which the model classifies four bundled photos best "
                    f"{shares}."
                )
            if not share > _TRAINED_PROBABILITY:
                model.notes.append(f"The model recognizes none of four bundled photos {shares}. Is it trained?")
    if outputs == 1 and len(model.labels) == 2:  # Keras numbers two classes so that the only score is the second's
        model.labels = model.labels[1:]
        model.notes.append(f"The single output is the score of the second label, {model.labels[0]!r}.")
    if model.labels and outputs not in (None, len(model.labels)):
        raise ValueError(f"labels must have one name per class of {model.name!r} ({outputs}), got {len(model.labels)}.")
    return model


def _find_rescaling(model: Any) -> Any:
    """Return the layer through which all pixels pass first, after augmentation, if it rescales 0..255; else None."""
    layers = getattr(model, "layers", None) or []
    number, first = next(((i, layer) for i, layer in enumerate(layers) if not _is_augmentation(layer)), (0, None))
    if len(getattr(model, "inputs", None) or ()) > 1 or any(
        len(layer._outbound_nodes) > 1 for layer in layers[:number]
    ):
        return None  # other inputs, or other branches that receive the pixels as they are
    if isinstance(first, keras.layers.Rescaling):
        scales = np.ravel(first.scale)
        return first if (scales > 1 / 300).all() and (scales < 1 / 100).all() else None
    return _find_rescaling(first) if isinstance(first, keras.Model) else None


def _is_augmentation(layer: Any) -> bool:
    """Return whether a layer keeps the range of pixels: an input, a crop, or random changes, also in a Sequential."""
    if isinstance(layer, keras.Sequential):
        return all(map(_is_augmentation, layer.layers))
    kept = (keras.layers.InputLayer, keras.layers.Resizing, keras.layers.CenterCrop)
    return isinstance(layer, kept) or type(layer).__name__.startswith("Random")


def _recognize_preprocessing(model: keras.Model, size: tuple[int, int]) -> tuple[Preprocessing, float, float]:
    """Return the convention with which a model gives the highest probability to the true classes of bundled photos.

    Also returns the mean probability of the true classes with this convention and with the second best.
    """
    pixels = np.stack([images.fit_image(images.read(file), size) for file in PHOTOGRAPHS])
    shares = []
    for convention in CONVENTIONS.values():
        with hooks.unchanged(model):
            outputs = np.asarray(model(convention.apply(pixels), training=False), dtype=np.float64)
        if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):  # logits
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
        right = [outputs[i, list(classes)].sum() for i, classes in enumerate(_CLASSES.values())]
        shares.append((float(np.mean(right)), convention))
    shares.sort(key=lambda pair: -pair[0])
    return shares[0][1], shares[0][0], shares[1][0]


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
