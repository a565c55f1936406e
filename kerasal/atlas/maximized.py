"""What classes and channels would most like to see: one picture per unit, many units in one run.

From noise or, where noise moves nothing, from the photograph that excites a unit most; quickly, since there are
hundreds, and so that a person can read them.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import images, maximize, objectives
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.atlas_model import undeclared_size
from kerasal.atlas.atlas_store import Store
from kerasal.images import resize
from kerasal.maximization import L2, Jitter, Maximization, TotalVariation
from kerasal.maximization.canvas import enclose_fields
from kerasal.models.image_model import ImageModel
from kerasal.objectives import Objective

# Up to this side there is no room for a photograph's waves: strokes of pixels, held smooth, say more.
_SMALL = 64
RECIPE_VERSION = 2
"""Raised when a recipe changes, so that older pictures are made again."""


def class_recipe(shape: tuple[int, int, int], seed: int) -> dict[str, Any]:
    """Return the arguments of ``maximize`` for the images of classes."""
    return _stroke_recipe(shape, seed, 200) if is_small(shape) else {"preset": "olah", "steps": 128}


def channel_recipe(shape: tuple[int, int, int], canvas: tuple[int, int], seed: int) -> dict[str, Any]:
    """Return the arguments of ``maximize`` for the images of channels, on a canvas (height, width)."""
    if is_small(shape):
        return _stroke_recipe((*canvas, shape[2]), seed, 160)
    return {"preset": "olah", "steps": 40, "step_size": 0.13}  # fewer and longer steps than the preset's


def is_small(shape: tuple[int, int, int]) -> bool:
    """Tell whether images of a shape (H, W, C) are ascended as strokes of pixels, stretched when they are drawn."""
    return shape[2] != 3 or max(shape[:2]) <= _SMALL


def _stroke_recipe(shape: tuple[int, int, int], seed: int, steps: int) -> dict[str, Any]:
    """From noise of the full range, so that ReLUs wake up; the penalties take away what the score does not ask for."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (-(-shape[0] // 2), -(-shape[1] // 2), shape[2]))
    return {
        "preset": "simonyan",
        "regularizers": (L2(4e-3), TotalVariation(0.05)),
        "transforms": (Jitter(2),),
        "clip": True,
        "steps": steps,
        "step_size": 2.0,
        "noise": np.clip(resize(coarse.astype(np.float32), shape[:2]), 0, 255),
    }


_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
_MOST = 8


@dataclasses.dataclass(frozen=True)
class Ascended:
    """What became of one unit: ``picture`` is None where nothing moves it, ``photograph`` the name of its start."""

    picture: np.ndarray | None = None
    start: float = 0.0
    end: float = 0.0
    photograph: str | None = None


def ascend_units(
    model: ImageModel, wanted: Sequence[Objective], files: Sequence[pathlib.Path], recipe: dict[str, Any]
) -> list[Ascended]:
    """Ascend as ``recipe`` says; ``files`` are the photographs that may be started from, beside those that ship."""
    dead = maximize(model.keras_model, list(wanted), **(recipe | {"steps": 1})).dead
    moved = [i for i in range(len(wanted)) if i not in dead]
    made = [Ascended() for _ in wanted]
    for places, starts, names in ((moved, None, None), _start_from_photographs(model, wanted, dead, files, recipe)):
        if not places:
            continue
        found = maximize(
            model.keras_model,
            [wanted[i] for i in places],
            **(recipe if starts is None else recipe | {"init": starts}),
        )
        begun, ended = _scores(found, 0), _scores(found, -1)
        for k, place in enumerate(places):
            if k not in found.dead:
                made[place] = Ascended(found.images[k], begun[k], ended[k], names and names[k])
    return made


def ascend_strokes(
    model: ImageModel, objectives: Sequence[Objective], noise: np.ndarray, recipe: dict[str, Any]
) -> list[Ascended]:
    """Ascend images too small for a photograph's waves, from ``noise`` in pixels; each is stretched in contrast."""
    convention = model.preprocessing
    found = maximize(model.keras_model, list(objectives), init=convention.apply(noise), **recipe)
    pixels = _stretch_contrast(convention.invert(found.raw))
    # The score is that of the picture that is shown.
    again = maximize(model.keras_model, list(objectives), init=convention.apply(pixels), **(recipe | {"steps": 1}))
    begun, ended = _scores(found, 0), _scores(again, 0)
    return [
        Ascended() if i in found.dead else Ascended(images.to_channels(pixels[i], 3), begun[i], ended[i])
        for i in range(len(objectives))
    ]


def _start_from_photographs(
    model: ImageModel,
    objectives: Sequence[Objective],
    dead: Sequence[int],
    files: Sequence[pathlib.Path],
    recipe: dict[str, Any],
) -> tuple[list[int], np.ndarray | None, list[str] | None]:
    """Return those of the dead that a photograph excites, the photograph of each as model input, and its name.

    Of the first eight of ``files``, and of the photographs that ship, each gets the one with the highest score.
    """
    if not dead:
        return [], None, None
    names, inputs = _read_photographs(model, files, recipe.get("size") or model.input_size())
    asked = [objectives[i] for i in dead for _ in names]
    once = recipe | {"steps": 1, "transforms": ()}
    found = maximize(model.keras_model, asked, init=np.tile(inputs, (len(dead), 1, 1, 1)), **once)
    scores = np.reshape(_scores(found, 0), (len(dead), len(names)))
    excited = [(i, row.argmax()) for i, row in zip(dead, scores, strict=True) if row.max() > 0]
    return [i for i, _ in excited], inputs[[best for _, best in excited]], [names[best] for _, best in excited]


def _read_photographs(model: ImageModel, files: Sequence[pathlib.Path], size) -> tuple[list[str], np.ndarray]:
    names, inputs = [], []
    for file in (*files[:_MOST], *list_shipped()):
        try:
            photograph = images.fit_image(images.read(file), size, model.fit)
        except (ValueError, OSError):  # listed on the page of images
            continue
        names.append(file.stem)
        inputs.append(model.preprocessing.apply(images.to_channels(photograph, model.channels)))
    return names, np.stack(inputs)


@functools.cache
def list_shipped() -> tuple[pathlib.Path, ...]:
    """Return the photographs that come with the package."""
    return tuple(sorted(_ASSETS.glob("*.jpg")))


def _scores(found: Maximization, step: int) -> list[float]:
    """Return each image's score at a step."""
    return found.history["score"].to_numpy().reshape(len(found.images), -1)[:, step].tolist()


def _stretch_contrast(pixels: np.ndarray) -> np.ndarray:
    """Stretch each image from its own darkest to its own brightest value, uint8."""
    low, high = (edge(pixels, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return np.round(255 * (pixels - low) / np.where(high > low, high - low, 1)).astype(np.uint8)


def ascend_classes(
    model: ImageModel, store: Store, numbers: Sequence[int], seed: int, files: Sequence[pathlib.Path] = ()
) -> None:
    """Make the pictures of classes; ``files`` are photographs to start from where noise moves nothing."""
    recipe = class_recipe(model.input_shape(), seed)
    key, settings = class_record(model, seed)
    made = _ascend(model, store, "classes", numbers, objectives.class_score, recipe, seed, files)
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
    size = choose_canvas(model, layer)
    recipe = channel_recipe(model.input_shape(), size, seed)
    if size != model.input_size() and getattr(model.keras_model, "inputs", None):
        recipe["size"] = size
    key, settings = channel_record(model, layer, seed)

    def objective_of(number: int):
        return objectives.channel(layer.path, number)

    made = _ascend(model, store, f"layers/{layer.slug}", numbers, objective_of, recipe, seed, files)
    store.add(key, settings, made)


def class_record(model: ImageModel, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of class pictures."""
    return "classes", {**model.settings, "seed": seed, "recipes": RECIPE_VERSION}


def channel_record(model: ImageModel, layer: Layer, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of a layer's channel pictures."""
    settings = {**model.settings, "path": layer.path, "seed": seed, "recipes": RECIPE_VERSION}
    return f"layers/{layer.slug}", settings


def choose_canvas(model: ImageModel, layer: Layer) -> tuple[int, int]:
    """Return the size for a layer: eight fields of neighbors side by side, as ``canvas="auto"``, or the input."""
    own = model.input_size()
    field = layer.field
    if field is None or field.whole or undeclared_size(model):
        return own
    return enclose_fields([field], own)


def _ascend(
    model, store, folder: str, numbers, objective_of: Callable, recipe: dict, seed: int, files: Sequence[pathlib.Path]
) -> dict[str, Any]:
    noise = recipe.pop("noise", None)
    asked = [objective_of(int(number)) for number in numbers]
    recipe |= {"preprocessing": model.preprocessing, "seed": seed}
    recipe |= {"size": undeclared_size(model)} if undeclared_size(model) else {}
    made = (
        ascend_strokes(model, asked, noise, recipe) if noise is not None else ascend_units(model, asked, files, recipe)
    )
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
