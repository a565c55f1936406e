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

TOP = 5
# Fewer steps than by default: scorecam on a thousand channels would take longer than all other methods together.
_OPTIONS = {"scorecam": {"channels": 32}, "smoothgrad": {"samples": 25}, "integrated_gradients": {"steps": 32}}
LIKELY = 0.1  # a box, or a map of every method, of a less probable class has little meaning
_MOST_COMPARED = 3  # classes with a map of every method
_VERSION = 2  # increased when the records change, so that older ones are computed again
_CROPS_SCALE = 256 / 224  # crop-averaged saliency takes its crops from a larger image
_MAX_SIDE = 480  # pixels of an image for a gaze model


def explain_image(model: ImageModel, store: Store, file: pathlib.Path, slug: str) -> None:
    """Add the top classes of an image, a Grad-CAM map of each, and boxes to the store, or the error of the file."""
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
        entry["top"], entry["probable"] = _top_classes(model, inputs)
        classes = [top["number"] for top in entry["top"]]
        entry["maps"], entry["no_maps"] = _draw_class_maps(model, store, slug, model_image, inputs, classes)
        entry["boxes"], entry["no_boxes"] = _find_boxes(model, model_image, _likely_classes(entry))
    store.add(key, settings, {"image": entry})


def compare_image(model: ImageModel, store: Store, file: pathlib.Path, slug: str) -> None:
    """Add the maps of all attribution methods to the store, for the top class and other likely classes of an image."""
    key, settings = image_record(model, file, slug)
    try:
        image = images.read(file)
    except (ValueError, OSError):  # the record of the image has the error
        store.add(key, settings, {"methods": {"classes": [], "left_out": []}})
        return
    inputs = model.inputs(image)
    model_image, (_, larger) = model.picture(inputs[0]), model.show(image, scale=_CROPS_SCALE)
    top, probable = _top_classes(model, inputs)
    classes = _likely_classes({"top": top, "probable": probable})[:_MOST_COMPARED] or [top[0]["number"]]
    maps, left_out = [], []
    for target in classes:
        drawn, left_out = _draw_maps(model, store, slug, model_image, larger, inputs, target)
        maps.append({"number": target, "maps": drawn})
    store.add(key, settings, {"methods": {"classes": maps, "left_out": left_out}})


def _likely_classes(entry: dict[str, Any]) -> list[int]:
    """Return the classes of an image with a probability of at least 10 %; only the top class of other scores."""
    likely = [top for top in entry["top"] if top["score"] >= LIKELY] if entry["probable"] else entry["top"][:1]
    return [top["number"] for top in likely]


def _read_image(store: Store, key: str, settings: dict[str, Any], file: pathlib.Path) -> np.ndarray | None:
    """Return an image, uint8 RGB (H, W, 3); if it cannot be read, add the error to the store and return None."""
    try:
        return images.read(file)
    except (ValueError, OSError) as error:
        store.add(key, settings, {"image": {"file": str(file), "unreadable": str(error)}})
        return None


def image_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of an image."""
    return f"images/{slug}", {**model.settings, "stamp": digest_files([file]), "version": _VERSION, "options": _OPTIONS}


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


def _top_classes(model: ImageModel, inputs: np.ndarray) -> tuple[list[dict[str, Any]], bool]:
    """Return the five top classes of an input with their scores, and whether these are probabilities."""
    scores, probable = _score_classes(model, inputs)
    order = np.argsort(-scores, kind="stable")[:TOP]
    return [{"number": int(number), "score": float(scores[number])} for number in order], probable


def _draw_class_maps(model: ImageModel, store: Store, slug: str, image, inputs, classes: list[int]) -> tuple[list, str]:
    """Return the Grad-CAM maps of classes, or no maps and the reason."""
    repeated = np.repeat(inputs, len(classes), axis=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the page says which map is zero
            maps = attribution.gradcam(model.keras_model, repeated, classes)
    except ValueError as error:
        return [], str(error)
    spec = attribution.method_spec("gradcam")
    entries = []
    for number, values in zip(classes, np.asarray(maps), strict=True):
        _, over = attribution.draw_map(spec, image, spec.to_pixels(values, image.shape[:2], {}), strength=1.0)
        picture = store.write_picture(f"images/{slug}/class-{number}", over)
        entries.append({"number": number, "over": picture, "empty": not bool(np.any(values))})
    return entries, ""


def _draw_maps(model: ImageModel, store: Store, slug: str, image, larger, inputs, target: int) -> tuple[list, list]:
    """Return the maps of the methods that are compared, for a class, and (name, reason) of those that failed."""
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
            "map": store.write_picture(f"images/{slug}/{name}-{target}", drawn),
            "over": store.write_picture(f"images/{slug}/{name}-{target}-over", view.over),
            "empty": not bool(np.any(values)),
            "signed": _is_overlay_signed(view, values),
            "layer": view.layer,
            "summary": view.summary,
            "reference": view.spec.reference,
        }
        entries.append(entry)
    return entries, [{"name": name, "reason": reason} for name, reason in comparison.left_out]


def _is_overlay_signed(view: Any, values: np.ndarray) -> bool:
    """Return whether a map over its image has colors for both signs; a color gradient is drawn by its magnitude."""
    if values.ndim == 3:
        return values.shape[2] != 3
    return view.spec.is_signed(_OPTIONS.get(view.spec.name, {})) or bool((values < 0).any())


def _find_boxes(model: ImageModel, image: np.ndarray, classes: list[int]) -> tuple[list, str]:
    """Return a box per class, in pixels of the image, or no boxes and the reason."""
    if not classes:
        return [], f"no class has a probability of {LIKELY:.0%} or more."
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
