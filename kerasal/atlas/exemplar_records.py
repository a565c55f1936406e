"""The images of a folder that excite each channel most: the patches, and what of them its unit responds to."""

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
"""How many exemplars per channel."""

_WIDEST = 144  # pixels of a patch on a page
_AT_ONCE = 64


def find_exemplars(
    model: ImageModel, store: Store, layer: Layer, channels: Sequence[int], files: Sequence[pathlib.Path], stamp: str
) -> None:
    """Find and draw the exemplars of channels of one layer; of a dense layer, whole images."""
    key, settings = exemplar_record(model, layer, stamp)
    make = _of_map if len(layer.shape) == 3 else _of_units
    store.add(key, settings, make(model, store, layer, list(channels), list(files)))


def exemplar_record(model: ImageModel, layer: Layer, stamp: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of a layer's record; ``stamp`` tells the images from others."""
    return f"exemplars/{layer.slug}", {**model.settings, "path": layer.path, "k": K, "images": stamp}


def _of_map(model, store, layer: Layer, channels: list[int], files: list) -> dict[str, Any]:
    options = {"preprocessing": model.preprocessing, "fit": model.fit, "size": undeclared_size(model)}
    options["journal"] = store.journal(f"exemplars/{layer.slug}")

    def search(rule: str) -> Any:
        return receptive_field.top_exemplars(
            model.keras_model, layer.path, channels, files, K, **{**options, "rule": rule}
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the page of images lists what could not be read
        try:
            rule, found = "deconvnet", search("deconvnet")
        except hooks.NoReLU:  # none, or one that cannot be reached
            rule, found = "gradient", search("gradient")
    entries = {}
    for one in found:
        shown = []
        for rank in np.flatnonzero(one.activations > 0).tolist():
            name = f"exemplars/{layer.slug}/{one.channel}-{rank}"
            back = _narrow(draw_reconstruction(one.reconstructions[rank], one.preprocessing))
            patch, back = store.picture(name, _narrow(one.crops[rank])), store.picture(f"{name}-back", back)
            entry = {"patch": patch, "back": back, "activation": float(one.activations[rank])}
            shown.append({**entry, "file": one.names[rank], "box": one.boxes[rank].tolist()})
        entries[str(one.channel)] = {"seen": one.seen, "rule": rule, "shown": shown}
    return entries


def _of_units(model, store, layer: Layer, channels: list[int], files: list) -> dict[str, Any]:
    """Rank whole images by the activation of units that see all of them."""
    source = open_source(files, model)
    numbers, values, small = [], [], {}
    for batch, inputs in source.batches(_AT_ONCE, 0):
        values.append(feature_maps(model.keras_model, inputs, layer.path)[:, channels])
        numbers += batch
        small |= {n: _narrow(model.picture(one)) for n, one in zip(batch, inputs, strict=True)}
        best = np.argsort(-np.concatenate(values), axis=0, kind="stable")[:K]
        kept = {numbers[row] for row in np.unique(best)}
        small = {n: picture for n, picture in small.items() if n in kept}
    values = np.concatenate(values)
    entries = {}
    for column, channel in enumerate(channels):
        order = np.argsort(-values[:, column], kind="stable")[:K]
        shown = []
        for rank, row in enumerate(order[values[order, column] > 0]):
            patch = store.picture(f"exemplars/{layer.slug}/{channel}-{rank}", small[numbers[row]])
            entry = {"patch": patch, "back": None, "activation": float(values[row, column])}
            shown.append({**entry, "file": source.name(numbers[row]), "box": None})
        entries[str(channel)] = {"seen": len(numbers), "rule": None, "shown": shown}
    return entries


def _narrow(picture: np.ndarray) -> np.ndarray:
    longest = max(picture.shape[:2])
    if longest <= _WIDEST:
        return picture
    height, width = (max(1, round(side * _WIDEST / longest)) for side in picture.shape[:2])
    return images.resize(picture, (height, width))
