"""Results on the page of an image: top classes, attribution maps and boxes, or the map of a gaze model."""

import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import attribution, gaze, hooks, images, localization
from kerasal.atlas.atlas_store import Store
from kerasal.digests import digest_files
from kerasal.gaze.predictor import is_log_density
from kerasal.models.image_model import ImageModel

TOP, BOXES = 5, 3
# Fewer steps than by default: scorecam on a thousand channels would take longer than all other methods together.
_OPTIONS = {"scorecam": {"channels": 32}, "smoothgrad": {"samples": 25}, "integrated_gradients": {"steps": 32}}
_MIN_PROBABILITY = 0.01  # a box of a less probable class has no meaning
_CROPS_SCALE = 256 / 224  # crop-averaged saliency takes its crops from a larger image
_MAX_SIDE = 480  # pixels of an image for a gaze model


def explain_image(model: ImageModel, store: Store, file: pathlib.Path, slug: str) -> None:
    """Add the top classes, maps and boxes of an image to the store, or the error of a file that cannot be read."""
    key, settings = image_record(model, file, slug)
    image = _read_image(store, key, settings, file)
    if image is None:
        return
    inputs = model.inputs(image)
    model_image = model.picture(inputs[0])
    entry: dict[str, Any] = {
        "file": str(file),
        "picture": store.write_picture(f"images/{slug}/image", model_image),
        "top": [],
    }
    if model.class_count:
        scores, probable = _score_classes(model, inputs)
        order = np.argsort(-scores, kind="stable")[:TOP]
        entry["top"] = [{"number": int(n), "score": float(scores[n])} for n in order]
        entry["probable"] = probable
        _, larger = model.show(image, scale=_CROPS_SCALE)
        entry["methods"], entry["left_out"] = _draw_maps(model, store, slug, model_image, larger, inputs, int(order[0]))
        likely = [int(n) for n in order[:BOXES] if n == order[0] or not probable or scores[n] >= _MIN_PROBABILITY]
        entry["boxes"], entry["no_boxes"] = _find_boxes(model, model_image, likely)
    store.add(key, settings, {"image": entry})


def _read_image(store: Store, key: str, settings: dict[str, Any], file: pathlib.Path) -> np.ndarray | None:
    """Return an image, uint8 RGB (H, W, 3); if it cannot be read, add the error to the store and return None."""
    try:
        return images.read(file)
    except (ValueError, OSError) as error:
        store.add(key, settings, {"image": {"file": str(file), "unreadable": str(error)}})
        return None


def image_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of an image."""
    return f"images/{slug}", {**model.settings, "stamp": digest_files([file]), "options": _OPTIONS, "top": TOP}


def find_top_classes(model: ImageModel, files: Sequence[pathlib.Path]) -> list[int]:
    """Return the indices of the top classes of the images, in the order of the images, without repeats."""
    class_indices = []
    for file in files:
        try:
            class_indices.append(int(_score_classes(model, model.inputs(images.read(file)))[0].argmax()))
        except (ValueError, OSError):  # the image page lists unreadable files
            continue
    return list(dict.fromkeys(class_indices))


def _score_classes(model: ImageModel, inputs: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the scores (classes,) of an input, and whether they are probabilities: not negative, with the sum 1."""
    with hooks.unchanged(model.keras_model):
        scores = np.asarray(model.keras_model(inputs, training=False), dtype=np.float64)[0]
    return scores, bool(scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2)


def _draw_maps(model: ImageModel, store: Store, slug: str, image, larger, inputs, target: int) -> tuple[list, list]:
    """Return the maps of all attribution methods for a class, and (name, reason) of the methods that failed."""
    comparison = attribution.compare_methods(
        model.keras_model,
        (image, inputs),
        [target],
        larger=(image, larger),
        options=_OPTIONS,
        bgr=model.check_pixels().bgr,
        strength=1.0,
    )
    entries = []
    for view in comparison.views:
        name, values, drawn = view.spec.name, np.asarray(view.values), view.drawn
        if drawn.shape != image.shape:
            drawn = images.resize(drawn, image.shape[:2])
        entry = {
            "name": name,
            "map": store.write_picture(f"images/{slug}/{name}", drawn),
            "over": store.write_picture(f"images/{slug}/{name}-over", view.over),
            "empty": not bool(np.any(values)),
            "colors": values.ndim == 3 and values.shape[2] == 3,
            "layer": view.layer,
            "summary": view.summary,
            "reference": view.spec.reference,
        }
        entries.append(entry)
    return entries, [{"name": name, "reason": reason} for name, reason in comparison.left_out]


def _find_boxes(model: ImageModel, image: np.ndarray, classes: list[int]) -> tuple[list, str]:
    """Return a box per class, in pixels of the image, or no boxes and the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map that is zero, for which the box is the whole image
            table = localization.localize(model.keras_model, image, classes=classes, preprocessing=model.preprocessing)
    except ValueError as error:
        return [], str(error)
    whole, boxes = [0, 0, image.shape[1], image.shape[0]], []
    for row in table.to_dict("records"):
        box = [int(edge) for edge in row["box"]]
        boxes.append({"number": int(row["class"]), "score": float(row["score"]), "box": box, "whole": box == whole})
    return boxes, ""


def draw_gaze(model: ImageModel, store: Store, file: pathlib.Path, slug: str, predictor: Callable) -> None:
    """Add the gaze map of an image to the store, or the error of a file that cannot be read.

    ``predictor`` is a function that returns the ``gaze.Predictor``.
    """
    key, settings = gaze_record(model, file, slug)
    image = _read_image(store, key, settings, file)
    if image is None:
        return
    scale = min(1.0, _MAX_SIDE / max(image.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    image = images.resize(image, (height, width))
    values = gaze.predict(image, predictor(), postprocess="none").map
    heat = values - values.min()
    entry: dict[str, Any] = {
        "file": str(file),
        "picture": store.write_picture(f"images/{slug}/image", image),
        "map": store.write_picture(
            f"images/{slug}/gaze", images.heatmap(heat, signed=False, limit=float(heat.max()) or 1.0)
        ),
        "over": store.write_picture(f"images/{slug}/gaze-over", images.overlay(image, heat, strength=1.0)),
        "top": [],
        "flat": bool(np.ptp(values) == 0),
    }
    store.add(key, settings, {"image": entry})


def gaze_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of an image for a gaze model."""
    return f"gaze/{slug}", {**model.settings, "stamp": digest_files([file])}


def make_predictor(model: ImageModel) -> gaze.Predictor:
    """Return a predictor of gaze maps; a model that takes any size gets images of the size used in the atlas."""
    takes_any_size = None in (getattr(model.keras_model, "input_shape", None) or (None,))[1:3]
    size = model.input_size() if takes_any_size and not is_log_density(model.keras_model) else None
    return gaze.Predictor(model.keras_model, model.check_pixels(), size=size)
