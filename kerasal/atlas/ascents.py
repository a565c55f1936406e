"""What classes and channels would most like to see: one picture a unit, many units in one run."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasal import maximize, objectives
from kerasal.atlas import recipes
from kerasal.atlas.anatomy import Layer
from kerasal.atlas.store import Store
from kerasal.atlas.subject import Subject
from kerasal.atlas.waking import wake
from kerasal.images import to_channels
from kerasal.maximization import Maximization


def ascend_classes(
    subject: Subject, store: Store, numbers: Sequence[int], seed: int, files: Sequence[pathlib.Path] = ()
) -> None:
    """Make the pictures of classes; ``files`` are photographs to start from where noise moves nothing."""
    recipe = recipes.class_recipe(subject.intake.shape, seed)
    key, settings = class_record(subject, seed)
    made = _ascended(subject, store, "classes", numbers, objectives.class_score, recipe, seed, files)
    store.add(key, settings, made)


def ascend_channels(
    subject: Subject,
    store: Store,
    layer: Layer,
    numbers: Sequence[int],
    seed: int,
    files: Sequence[pathlib.Path] = (),
) -> None:
    """Make the pictures of channels of one layer, on as few pixels as its units see; ``files`` as for classes."""
    size = canvas(subject, layer)
    recipe = recipes.channel_recipe(subject.intake.shape, size, seed)
    if size != subject.intake.shape[:2] and getattr(subject.model, "inputs", None):
        recipe["size"] = size
    key, settings = channel_record(subject, layer, seed)

    def objective_of(number: int):
        return objectives.channel(layer.path, number)

    made = _ascended(subject, store, f"layers/{layer.slug}", numbers, objective_of, recipe, seed, files)
    store.add(key, settings, made)


def class_record(subject: Subject, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of class pictures."""
    return "classes", {**subject.settings, "seed": seed, "recipes": recipes.VERSION}


def channel_record(subject: Subject, layer: Layer, seed: int) -> tuple[str, dict[str, Any]]:
    """Return the key and the settings of the record of a layer's channel pictures."""
    return f"layers/{layer.slug}", {**subject.settings, "path": layer.path, "seed": seed, "recipes": recipes.VERSION}


def canvas(subject: Subject, layer: Layer) -> tuple[int, int]:
    """Return the size for a layer: eight fields of neighbours side by side, as ``canvas="auto"``, or the input."""
    own = subject.intake.shape[:2]
    field = layer.field
    if field is None or field.whole or subject.size:
        return own
    return tuple(
        min(whole, size + 7 * int(np.ceil(stride)))
        for whole, size, stride in zip(own, field.size, field.stride, strict=True)
    )


def _ascended(
    subject, store, folder: str, numbers, objective_of: Callable, recipe: dict, seed: int, files: Sequence[pathlib.Path]
) -> dict[str, Any]:
    noise = recipe.pop("noise", None)
    convention = subject.intake.convention
    asked = [objective_of(int(number)) for number in numbers]
    recipe |= {"preprocessing": convention, "seed": seed, **({"size": subject.size} if subject.size else {})}
    if noise is None:
        found = maximize(subject.model, asked, **recipe)
        pictures, ends = found.images.copy(), _scores(found, -1)
    else:
        found = maximize(subject.model, asked, init=convention.apply(noise), **recipe)
        pixels = _stretched(convention.invert(found.raw))
        pictures = [to_channels(one, 3) for one in pixels]
        # What is told is the score of the picture that is shown.
        again = maximize(subject.model, asked, init=convention.apply(pixels), **(recipe | {"steps": 1}))
        ends = _scores(again, 0)
    starts, dead, began = _scores(found, 0), set(found.dead), {}
    if dead and noise is None:
        again = sorted(dead)
        photographs, names = wake(subject, [asked[i] for i in again], files, recipe)
        woken = [(i, start, name) for i, start, name in zip(again, photographs, names, strict=True) if name]
        if woken:
            places, inputs, names = zip(*woken, strict=True)
            second = maximize(subject.model, [asked[i] for i in places], init=np.stack(inputs), **recipe)
            dead -= {i for k, i in enumerate(places) if k not in second.dead}
            began = dict(zip(places, names, strict=True))
            for values, others in (
                (pictures, second.images),
                (starts, _scores(second, 0)),
                (ends, _scores(second, -1)),
            ):
                values[list(places)] = others
    return {
        str(number): {
            "picture": None if i in dead else store.picture(f"{folder}/{number}", pictures[i]),
            "dead": i in dead,
            "start": float(starts[i]),
            "end": float(ends[i]),
            "photograph": began.get(i),
        }
        for i, number in enumerate(numbers)
    }


def _scores(found: Maximization, step: int) -> np.ndarray:
    """Return each image's score at a step."""
    return found.history["score"].to_numpy().reshape(len(found.images), -1)[:, step].copy()


def _stretched(pixels: np.ndarray) -> np.ndarray:
    """Stretch each image from its own darkest to its own brightest value, uint8."""
    low, high = (edge(pixels, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    return np.round(255 * (pixels - low) / np.where(high > low, high - low, 1)).astype(np.uint8)
