"""What classes and channels would most like to see: one picture a unit, many units in one run."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import objectives
from kerasal.atlas import atlas_recipes
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.atlas_model import undeclared_size
from kerasal.atlas.atlas_store import Store
from kerasal.atlas.maximized import ascended, strokes
from kerasal.models.image_model import ImageModel


def ascend_classes(
    model: ImageModel, store: Store, numbers: Sequence[int], seed: int, files: Sequence[pathlib.Path] = ()
) -> None:
    """Make the pictures of classes; ``files`` are photographs to start from where noise moves nothing."""
    recipe = atlas_recipes.class_recipe(model.input_shape(), seed)
    key, settings = class_record(model, seed)
    made = _ascended(model, store, "classes", numbers, objectives.class_score, recipe, seed, files)
    store.add(key, settings, made)


def ascend_channels(
    model: ImageModel,
    store: Store,
    layer: Layer,
    numbers: Sequence[int],
    seed: int,
    files: Sequence[pathlib.Path] = (),
) -> None:
    """Make the pictures of channels of one layer, on as few pixels as its units see; ``files`` as for classes."""
    size = canvas(model, layer)
    recipe = atlas_recipes.channel_recipe(model.input_shape(), size, seed)
    if size != model.input_size() and getattr(model.keras_model, "inputs", None):
        recipe["size"] = size
    key, settings = channel_record(model, layer, seed)

    def objective_of(number: int):
        return objectives.channel(layer.path, number)

    made = _ascended(model, store, f"layers/{layer.slug}", numbers, objective_of, recipe, seed, files)
    store.add(key, settings, made)


def class_record(model: ImageModel, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of class pictures."""
    return "classes", {**model.settings, "seed": seed, "recipes": atlas_recipes.VERSION}


def channel_record(model: ImageModel, layer: Layer, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of a layer's channel pictures."""
    return f"layers/{layer.slug}", {
        **model.settings,
        "path": layer.path,
        "seed": seed,
        "recipes": atlas_recipes.VERSION,
    }


def canvas(model: ImageModel, layer: Layer) -> tuple[int, int]:
    """Return the size for a layer: eight fields of neighbours side by side, as ``canvas="auto"``, or the input."""
    own = model.input_size()
    field = layer.field
    if field is None or field.whole or undeclared_size(model):
        return own
    return tuple(
        min(whole, size + 7 * int(np.ceil(stride)))
        for whole, size, stride in zip(own, field.size, field.stride, strict=True)
    )


def _ascended(
    model, store, folder: str, numbers, objective_of: Callable, recipe: dict, seed: int, files: Sequence[pathlib.Path]
) -> dict[str, Any]:
    noise = recipe.pop("noise", None)
    asked = [objective_of(int(number)) for number in numbers]
    recipe |= {"preprocessing": model.preprocessing, "seed": seed}
    recipe |= {"size": undeclared_size(model)} if undeclared_size(model) else {}
    made = strokes(model, asked, noise, recipe) if noise is not None else ascended(model, asked, files, recipe)
    return {
        str(number): {
            "picture": None if one.picture is None else store.picture(f"{folder}/{number}", one.picture),
            "dead": one.picture is None,
            "start": one.start,
            "end": one.end,
            "photograph": one.photograph,
        }
        for number, one in zip(numbers, made, strict=True)
    }
