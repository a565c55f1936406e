"""Records of exemplars: the patches that activate a channel most, and the images with the highest scores of a class."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import feature_maps, hooks, images, receptive_field
from kerasal.atlas.anatomy import Layer, undeclared_size
from kerasal.atlas.atlas_store import Store
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import open_source
from kerasal.receptive_field.exemplars.exemplar_pages import draw_reconstruction

K = 6
"""The number of exemplars per channel or class."""

_MAX_SIDE = 144  # pixels of a patch on a page
_BATCH_SIZE = 64
_MIN_PROBABILITY = 0.01  # a less probable class is not in the image


def find_exemplars(
    model: ImageModel, store: Store, layer: Layer, channels: Sequence[int], files: Sequence[pathlib.Path], stamp: str
) -> None:
    """Add the exemplars of channels of a layer to the store: patches, or for a dense layer whole images."""
    key, settings = exemplar_record(model, layer, stamp)
    search = _find_patches if len(layer.shape) == 3 else _rank_images
    store.add(key, settings, search(model, store, layer, list(channels), list(files)))


def exemplar_record(model: ImageModel, layer: Layer, stamp: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of a layer; ``stamp`` identifies the images."""
    return f"exemplars/{layer.slug}", {**model.settings, "path": layer.path, "k": K, "images": stamp}


def find_class_exemplars(
    model: ImageModel, store: Store, classes: Sequence[int], files: Sequence[pathlib.Path], stamp: str
) -> None:
    """Add the exemplars of classes to the store: the images with the highest score of each class, of all images."""
    source = open_source(list(files), model)
    numbers, scores = [], []
    for batch, inputs in source.batches(_BATCH_SIZE, 0):
        numbers += batch
        scores.append(model.outputs(inputs))
    outputs = np.concatenate(scores)
    probable = bool(outputs.min() >= 0 and np.all(np.abs(outputs.sum(axis=1) - 1) < 1e-2))
    entries = {}
    for index in classes:
        order = np.argsort(-outputs[:, index], kind="stable")[:K]
        order = [row for row in order if not probable or outputs[row, index] >= _MIN_PROBABILITY]
        shown = [{"file": source.name(numbers[row]), "score": float(outputs[row, index])} for row in order]
        entries[str(index)] = {"seen": len(numbers), "probable": probable, "shown": shown}
    drawn: dict[str, Any] = {}
    for exemplar in (exemplar for entry in entries.values() for exemplar in entry["shown"]):
        file = exemplar["file"]
        if file not in drawn:
            image = images.to_channels(model.fit_image(images.read(file), size=model.input_size()), 3)
            drawn[file] = store.write_picture(f"class-exemplars/{len(drawn)}", _shrink(image))
        exemplar["patch"] = drawn[file]
    key, settings = class_exemplar_record(model, stamp)
    store.add(key, settings, entries)


def class_exemplar_record(model: ImageModel, stamp: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the exemplars of classes; ``stamp`` identifies the images."""
    return "class-exemplars", {**model.settings, "k": K, "images": stamp}


def _find_patches(model, store, layer: Layer, channels: list[int], files: list) -> dict[str, Any]:
    options = {"preprocessing": model.preprocessing, "fit": model.fit, "size": undeclared_size(model)}
    options["journal"] = store.journal(f"exemplars/{layer.slug}")

    def search(rule: str) -> Any:
        return receptive_field.top_exemplars(
            model.keras_model, layer.path, channels, files, K, **{**options, "rule": rule}
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the image page lists unreadable files
        try:
            rule, exemplars = "deconvnet", search("deconvnet")
        except hooks.NoReLU:  # the model has no ReLU, or not as a layer or operation that can be replaced
            rule, exemplars = "gradient", search("gradient")
    entries = {}
    for exemplar in exemplars:
        shown = []
        for rank in np.flatnonzero(exemplar.activations > 0).tolist():
            name = f"exemplars/{layer.slug}/{exemplar.channel}-{rank}"
            back = _shrink(draw_reconstruction(exemplar.reconstructions[rank], exemplar.preprocessing))
            patch, back = (
                store.write_picture(name, _shrink(exemplar.crops[rank])),
                store.write_picture(f"{name}-back", back),
            )
            entry = {"patch": patch, "back": back, "activation": float(exemplar.activations[rank])}
            shown.append({**entry, "file": exemplar.names[rank], "box": exemplar.boxes[rank].tolist()})
        entries[str(exemplar.channel)] = {"seen": exemplar.seen, "rule": rule, "shown": shown}
    return entries


def _rank_images(model, store, layer: Layer, channels: list[int], files: list) -> dict[str, Any]:
    """Return the records of units whose receptive field is the whole image: the images with the highest activations."""
    source = open_source(files, model)
    numbers, values, thumbnails = [], [], {}
    for batch, inputs in source.batches(_BATCH_SIZE, 0):
        values.append(feature_maps(model.keras_model, inputs, layer.path)[:, channels])
        numbers += batch
        thumbnails |= {n: _shrink(model.picture(x)) for n, x in zip(batch, inputs, strict=True)}
        best = np.argsort(-np.concatenate(values), axis=0, kind="stable")[:K]
        best_numbers = {numbers[row] for row in np.unique(best)}
        thumbnails = {n: thumbnail for n, thumbnail in thumbnails.items() if n in best_numbers}
    values = np.concatenate(values)
    entries = {}
    for column, channel in enumerate(channels):
        order = np.argsort(-values[:, column], kind="stable")[:K]
        shown = []
        for rank, row in enumerate(order[values[order, column] > 0]):
            patch = store.write_picture(f"exemplars/{layer.slug}/{channel}-{rank}", thumbnails[numbers[row]])
            entry = {"patch": patch, "back": None, "activation": float(values[row, column])}
            shown.append({**entry, "file": source.name(numbers[row]), "box": None})
        entries[str(channel)] = {"seen": len(numbers), "rule": None, "shown": shown}
    return entries


def _shrink(image: np.ndarray) -> np.ndarray:
    longest = max(image.shape[:2])
    if longest <= _MAX_SIDE:
        return image
    height, width = (max(1, round(side * _MAX_SIDE / longest)) for side in image.shape[:2])
    return images.resize(image, (height, width))
