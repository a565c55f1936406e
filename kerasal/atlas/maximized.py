"""Maximized images of classes and channels: an image per unit, computed in batches.

The gradient ascent starts from noise or, if the gradient is zero there, from the photo that activates the unit most.
The recipe is the default of ``maximize`` for the model, with fewer steps, since an atlas shows hundreds of units.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import images, maximize, objectives
from kerasal.atlas.anatomy import Layer, undeclared_size
from kerasal.atlas.atlas_store import Store
from kerasal.maximization import Maximization, default_preset
from kerasal.maximization.canvas import enclose_fields
from kerasal.models.image_model import ImageModel
from kerasal.objectives import Objective

RECIPE_VERSION = 3
"""Increased when a recipe changes, so that older images are computed again."""


# Settings of the presets for classes and for channels: fewer and longer steps.
_CLASS_STEPS = {"olah": {"steps": 128, "step_size": 0.12}, "smooth": {"steps": 200}}
_CHANNEL_STEPS = {"olah": {"steps": 40, "step_size": 0.13}, "smooth": {"steps": 160}}
_MOST_PHOTOS = 8


def is_rescaled(model: ImageModel) -> bool:
    """Return whether the maximized images of a model are stretched from black to white."""
    return _preset(model) == "smooth"


def _preset(model: ImageModel) -> str:
    return default_preset(model.keras_model, model.preprocessing)


@dataclasses.dataclass(frozen=True)
class MaximizedUnit:
    """The result of a unit.

    Attributes:
        picture: the maximized image, uint8 RGB; None if the gradient was zero for every start.
        start: the score of the start.
        end: the score of the image.
        photo: the name of the photo that the ascent started from; None for noise.
    """

    picture: np.ndarray | None = None
    start: float = 0.0
    end: float = 0.0
    photo: str | None = None


def maximize_units(
    model: ImageModel, unit_objectives: Sequence[Objective], files: Sequence[pathlib.Path], recipe: dict[str, Any]
) -> list[MaximizedUnit]:
    """Return the maximized images of objectives.

    The ascent starts from noise or, if the gradient is zero there, from a photo: one of ``files`` or of the package.
    """
    dead = maximize(model.keras_model, list(unit_objectives), **{**recipe, "steps": 1}).dead
    alive = [i for i in range(len(unit_objectives)) if i not in dead]
    units = [MaximizedUnit() for _ in unit_objectives]
    for positions, starts, names in ((alive, None, None), _choose_photos(model, unit_objectives, dead, files, recipe)):
        if not positions:
            continue
        init: dict[str, Any] = {} if starts is None else {"init": starts}
        result = maximize(model.keras_model, [unit_objectives[i] for i in positions], **recipe, **init)
        first, last = _scores(result, 0), _scores(result, -1)
        for k, position in enumerate(positions):
            if k not in result.dead:
                units[position] = MaximizedUnit(
                    result.images[k], first[k], last[k], None if names is None else names[k]
                )
    return units


def maximize_rescaled_images(
    model: ImageModel, objectives: Sequence[Objective], recipe: dict[str, Any]
) -> list[MaximizedUnit]:
    """Return maximized images that are stretched from black to white, with the scores of the stretched images."""
    result = maximize(model.keras_model, list(objectives), **recipe)
    stretched = model.check_pixels().apply(result.images[..., : model.channels])
    rescaled = maximize(model.keras_model, list(objectives), init=stretched, **{**recipe, "steps": 1})
    first, last = _scores(result, 0), _scores(rescaled, 0)
    return [
        MaximizedUnit() if i in result.dead else MaximizedUnit(result.images[i], first[i], last[i])
        for i in range(len(objectives))
    ]


def _choose_photos(
    model: ImageModel,
    objectives: Sequence[Objective],
    dead: Sequence[int],
    files: Sequence[pathlib.Path],
    recipe: dict[str, Any],
) -> tuple[list[int], np.ndarray | None, list[str] | None]:
    """Return the dead units that a photo activates, and the photo with the highest score of each: its input and name.

    The photos are the first eight of ``files`` and those of the package.
    """
    if not dead:
        return [], None, None
    names, inputs = _read_photos(model, files, recipe.get("size") or model.input_size())
    pairs = [objectives[i] for i in dead for _ in names]
    one_step = recipe | {"steps": 1, "transforms": ()}
    result = maximize(model.keras_model, pairs, init=np.tile(inputs, (len(dead), 1, 1, 1)), **one_step)
    scores = np.reshape(_scores(result, 0), (len(dead), len(names)))
    activated = [(i, row.argmax()) for i, row in zip(dead, scores, strict=True) if row.max() > 0]
    return [i for i, _ in activated], inputs[[best for _, best in activated]], [names[best] for _, best in activated]


def _read_photos(model: ImageModel, files: Sequence[pathlib.Path], size) -> tuple[list[str], np.ndarray]:
    names, inputs = [], []
    for file in (*files[:_MOST_PHOTOS], *list_package_photos()):
        try:
            image = model.fit_image(images.read(file), size=size)
        except (ValueError, OSError):  # the image page lists unreadable files
            continue
        names.append(file.stem)
        inputs.append(model.to_inputs(image))
    return names, np.stack(inputs)


@functools.cache
def list_package_photos() -> tuple[pathlib.Path, ...]:
    """Return the paths of the photos in the package."""
    return tuple(sorted((pathlib.Path(__file__).parent.parent / "assets").glob("*.jpg")))


def _scores(result: Maximization, step: int) -> list[float]:
    """Return the score of each image at a step."""
    return result.history["score"].to_numpy().reshape(len(result.images), -1)[:, step].tolist()


def maximize_classes(
    model: ImageModel, store: Store, indices: Sequence[int], seed: int, files: Sequence[pathlib.Path] = ()
) -> None:
    """Add the maximized images of classes to the store; ``files`` are photos to start from if noise has no gradient."""
    recipe = {"preset": _preset(model), **_CLASS_STEPS[_preset(model)]}
    key, settings = class_record(model, seed)
    store.add(key, settings, _maximize(model, store, key, indices, objectives.class_score, recipe, seed, files))


def maximize_channels(
    model: ImageModel, store: Store, layer: Layer, indices: Sequence[int], seed: int, files: Sequence[pathlib.Path] = ()
) -> None:
    """Add the maximized images of channels of a layer to the store; they are as small as its receptive field allows.

    ``files`` are photos to start from if noise has no gradient.
    """
    size = choose_canvas(model, layer)
    recipe = {"preset": _preset(model), **_CHANNEL_STEPS[_preset(model)]}
    if size != model.input_size() and getattr(model.keras_model, "inputs", None):
        recipe["size"] = size
    key, settings = channel_record(model, layer, seed)
    make_objective = functools.partial(objectives.channel, layer.path)
    store.add(key, settings, _maximize(model, store, key, indices, make_objective, recipe, seed, files))


def class_record(model: ImageModel, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of the maximized images of classes."""
    return "classes", {**model.settings, "seed": seed, "recipes": RECIPE_VERSION}


def channel_record(model: ImageModel, layer: Layer, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of the maximized images of the channels of a layer."""
    return f"layers/{layer.slug}", {**class_record(model, seed)[1], "path": layer.path}


def choose_canvas(model: ImageModel, layer: Layer) -> tuple[int, int]:
    """Return the (height, width) of images for a layer: eight adjacent receptive fields, or the size of the input.

    It is the size of ``maximize`` with ``canvas="auto"``.
    """
    size, field = model.input_size(), layer.field
    return size if field is None or field.whole or undeclared_size(model) else enclose_fields([field], size)


def _maximize(
    model, store, folder: str, indices, make_objective: Callable, recipe: dict, seed: int, files: Sequence[pathlib.Path]
) -> dict[str, Any]:
    unit_objectives = [make_objective(int(index)) for index in indices]
    recipe |= {"preprocessing": model.preprocessing, "seed": seed}
    recipe |= {"size": undeclared_size(model)} if undeclared_size(model) else {}
    units = (
        maximize_rescaled_images(model, unit_objectives, recipe)
        if is_rescaled(model)
        else maximize_units(model, unit_objectives, files, recipe)
    )
    return {
        str(index): {
            "picture": None if unit.picture is None else store.write_picture(f"{folder}/{index}", unit.picture),
            "dead": unit.picture is None,
            "start": unit.start,
            "end": unit.end,
            "photograph": unit.photo,
        }
        for index, unit in zip(indices, units, strict=True)
    }
