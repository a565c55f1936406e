"""The page of one photograph: top classes, every method's map and the boxes; for a gaze model where people look."""

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
# A forward pass for each of a thousand channels takes longer than all other methods together.
_OPTIONS = {"scorecam": {"channels": 32}, "smoothgrad": {"samples": 25}, "integrated_gradients": {"steps": 32}}
_LIKELY = 0.01  # a box around what is hardly there means nothing
_FRAME = 256 / 224  # crop-averaged saliency cuts its crops from a larger picture
_LONGEST = 480  # pixels at which a gaze model sees a photograph


def explain_image(model: ImageModel, store: Store, file: pathlib.Path, slug: str) -> None:
    """Make everything that the page of one image shows; a file that cannot be read is noted as such."""
    key, settings = image_record(model, file, slug)
    photograph = _read_photograph(store, key, settings, file)
    if photograph is None:
        return
    inputs = model.inputs(photograph)
    picture = model.picture(inputs[0])
    entry: dict[str, Any] = {"file": str(file), "picture": store.picture(f"images/{slug}/image", picture), "top": []}
    if model.class_count:
        scores, probable = _score_classes(model, inputs)
        order = np.argsort(-scores, kind="stable")[:TOP]
        entry["top"] = [{"number": int(n), "score": float(scores[n])} for n in order]
        entry["probable"] = probable
        _, larger = model.show(photograph, scale=_FRAME)
        entry["methods"], entry["left_out"] = _draw_maps(model, store, slug, picture, larger, inputs, int(order[0]))
        likely = [int(n) for n in order[:BOXES] if n == order[0] or not probable or scores[n] >= _LIKELY]
        entry["boxes"], entry["no_boxes"] = _find_boxes(model, picture, likely)
    store.add(key, settings, {"image": entry})


def _read_photograph(store: Store, key: str, settings: dict[str, Any], file: pathlib.Path) -> np.ndarray | None:
    """Return uint8 RGB (H, W, 3); None for a file that cannot be read, which is noted."""
    try:
        return images.read(file)
    except (ValueError, OSError) as error:
        store.add(key, settings, {"image": {"file": str(file), "unreadable": str(error)}})
        return None


def image_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of one image's record."""
    return f"images/{slug}", {**model.settings, "stamp": digest_files([file]), "options": _OPTIONS, "top": TOP}


def find_top_classes(model: ImageModel, files: Sequence[pathlib.Path]) -> list[int]:
    """Return the numbers of the classes that the model sees first in these images, in their order."""
    found = []
    for file in files:
        try:
            found.append(int(_score_classes(model, model.inputs(images.read(file)))[0].argmax()))
        except (ValueError, OSError):  # listed on the page of images
            continue
    return list(dict.fromkeys(found))


def _score_classes(model: ImageModel, inputs: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the output for one input (classes,), and whether it looks like probabilities."""
    with hooks.unchanged(model.keras_model):
        scores = np.asarray(model.keras_model(inputs, training=False), dtype=np.float64)[0]
    return scores, bool(scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2)


def _draw_maps(model: ImageModel, store: Store, slug: str, picture, larger, inputs, target: int) -> tuple[list, list]:
    """Run every method for one class; return those that worked, and why the others did not."""
    comparison = attribution.compare_methods(
        model.keras_model,
        (picture, inputs),
        [target],
        larger=(picture, larger),
        options=_OPTIONS,
        bgr=model.check_pixels().bgr,
        strength=1.0,
    )
    entries = []
    for view in comparison.views:
        name, values, drawn = view.spec.name, np.asarray(view.values), view.drawn
        if drawn.shape != picture.shape:
            drawn = images.resize(drawn, picture.shape[:2])
        entry = {
            "name": name,
            "map": store.picture(f"images/{slug}/{name}", drawn),
            "over": store.picture(f"images/{slug}/{name}-over", view.over),
            "empty": not bool(np.any(values)),
            "colors": values.ndim == 3 and values.shape[2] == 3,
            "signed": values.ndim == 3 or (view.spec.signed and bool((values < 0).any())),
            "layer": view.layer,
            "summary": view.summary,
            "reference": view.spec.reference,
        }
        entries.append(entry)
    return entries, [{"name": name, "reason": reason} for name, reason in comparison.left_out]


def _find_boxes(model: ImageModel, picture: np.ndarray, numbers: list[int]) -> tuple[list, str]:
    """Return a box for each class, in pixels of the picture, or the reason why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty map: its box is everything
            found = localization.localize(
                model.keras_model, picture, classes=numbers, preprocessing=model.preprocessing
            )
    except ValueError as error:
        return [], str(error)
    whole, boxes = [0, 0, picture.shape[1], picture.shape[0]], []
    for row in found.to_dict("records"):
        box = [int(edge) for edge in row["box"]]
        boxes.append({"number": int(row["class"]), "score": float(row["score"]), "box": box, "whole": box == whole})
    return boxes, ""


def draw_gaze(model: ImageModel, store: Store, file: pathlib.Path, slug: str, predictor: Callable) -> None:
    """Make the map of one photograph by what ``predictor`` returns; a file that cannot be read is noted as such."""
    key, settings = gaze_record(model, file, slug)
    photograph = _read_photograph(store, key, settings, file)
    if photograph is None:
        return
    scale = min(1.0, _LONGEST / max(photograph.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in photograph.shape[:2])
    shown = images.resize(photograph, (height, width))
    values = gaze.predict(shown, predictor(), postprocess="none").map
    heat = values - values.min()
    entry: dict[str, Any] = {
        "file": str(file),
        "picture": store.picture(f"images/{slug}/image", shown),
        "map": store.picture(f"images/{slug}/gaze", images.heatmap(heat, signed=False, limit=float(heat.max()) or 1.0)),
        "over": store.picture(f"images/{slug}/gaze-over", images.overlay(shown, heat, strength=1.0)),
        "top": [],
        "flat": bool(np.ptp(values) == 0),
    }
    store.add(key, settings, {"image": entry})


def gaze_record(model: ImageModel, file: pathlib.Path, slug: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of one photograph's record."""
    return f"gaze/{slug}", {**model.settings, "stamp": digest_files([file])}


def make_predictor(model: ImageModel) -> gaze.Predictor:
    """Compile the model; one that takes any size looks at photographs as large as the rest of the atlas does."""
    free = None in (getattr(model.keras_model, "input_shape", None) or (None,))[1:3]
    size = model.input_size() if free and not is_log_density(model.keras_model) else None
    return gaze.Predictor(model.keras_model, model.check_pixels(), size=size)
