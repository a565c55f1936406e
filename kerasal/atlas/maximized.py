"""The ascents of several units: from noise or, where noise moves nothing, from the photograph that excites it most."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images, maximize
from kerasal.maximization import Maximization
from kerasal.models.image_model import ImageModel
from kerasal.objectives import Objective

_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
_MOST = 8


@dataclasses.dataclass(frozen=True)
class Ascended:
    """What became of one unit: ``picture`` is None where nothing moves it, ``photograph`` the name of its start."""

    picture: np.ndarray | None = None
    start: float = 0.0
    end: float = 0.0
    photograph: str | None = None


def ascended(
    model: ImageModel, objectives: Sequence[Objective], files: Sequence[pathlib.Path], recipe: dict[str, Any]
) -> list[Ascended]:
    """Ascend as ``recipe`` says; ``files`` are the photographs that may be started from, beside those that ship."""
    dead = maximize(model.keras_model, list(objectives), **(recipe | {"steps": 1})).dead
    moved = [i for i in range(len(objectives)) if i not in dead]
    made = [Ascended() for _ in objectives]
    for places, starts, names in ((moved, None, None), _woken(model, objectives, dead, files, recipe)):
        if not places:
            continue
        found = maximize(
            model.keras_model,
            [objectives[i] for i in places],
            **(recipe if starts is None else recipe | {"init": starts}),
        )
        begun, ended = _scores(found, 0), _scores(found, -1)
        for k, place in enumerate(places):
            if k not in found.dead:
                made[place] = Ascended(found.images[k], begun[k], ended[k], names and names[k])
    return made


def strokes(
    model: ImageModel, objectives: Sequence[Objective], noise: np.ndarray, recipe: dict[str, Any]
) -> list[Ascended]:
    """Ascend images too small for a photograph's waves, from ``noise`` in pixels; each is stretched in contrast."""
    convention = model.preprocessing
    found = maximize(model.keras_model, list(objectives), init=convention.apply(noise), **recipe)
    pixels = _stretched(convention.invert(found.raw))
    # What is told is the score of the picture that is shown.
    again = maximize(model.keras_model, list(objectives), init=convention.apply(pixels), **(recipe | {"steps": 1}))
    begun, ended = _scores(found, 0), _scores(again, 0)
    return [
        Ascended() if i in found.dead else Ascended(images.to_channels(pixels[i], 3), begun[i], ended[i])
        for i in range(len(objectives))
    ]


def _woken(
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
    names, inputs = _photographs(model, files, recipe.get("size") or model.input_size())
    asked = [objectives[i] for i in dead for _ in names]
    once = recipe | {"steps": 1, "transforms": ()}
    found = maximize(model.keras_model, asked, init=np.tile(inputs, (len(dead), 1, 1, 1)), **once)
    scores = np.reshape(_scores(found, 0), (len(dead), len(names)))
    excited = [(i, row.argmax()) for i, row in zip(dead, scores, strict=True) if row.max() > 0]
    return [i for i, _ in excited], inputs[[best for _, best in excited]], [names[best] for _, best in excited]


def _photographs(model: ImageModel, files: Sequence[pathlib.Path], size) -> tuple[list[str], np.ndarray]:
    names, inputs = [], []
    for file in (*files[:_MOST], *shipped()):
        try:
            photograph = images.fit_image(images.read(file), size, model.fit)
        except (ValueError, OSError):  # told on the page of images
            continue
        names.append(file.stem)
        inputs.append(model.preprocessing.apply(images.to_channels(photograph, model.channels)))
    return names, np.stack(inputs)


@functools.cache
def shipped() -> tuple[pathlib.Path, ...]:
    """Return the photographs that come with the package."""
    return tuple(sorted(_ASSETS.glob("*.jpg")))


def _scores(found: Maximization, step: int) -> list[float]:
    """Return each image's score at a step."""
    return found.history["score"].to_numpy().reshape(len(found.images), -1)[:, step].tolist()


def _stretched(pixels: np.ndarray) -> np.ndarray:
    """Stretch each image from its own darkest to its own brightest value, uint8."""
    low, high = (edge(pixels, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return np.round(255 * (pixels - low) / np.where(high > low, high - low, 1)).astype(np.uint8)
