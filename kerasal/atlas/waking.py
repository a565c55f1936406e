"""Where an ascent may start when noise moves nothing: at the photograph that excites the unit most."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal import images, maximize
from kerasal.atlas.subject import Subject
from kerasal.objectives import Objective

_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
_MOST = 8


def wake(
    subject: Subject, objectives: Sequence[Objective], files: Sequence[pathlib.Path], recipe: dict[str, Any]
) -> tuple[np.ndarray, list[str | None]]:
    """Return a start for each objective, model inputs (K, H, W, C), and the name of the photograph that it is.

    Of the first eight of ``files``, and of the photographs that ship, each objective gets the one with the highest
    score. The name is None where none gives a score above 0.
    """
    size = recipe.get("size") or subject.intake.shape[:2]
    names, starts = [], []
    for file in (*files[:_MOST], *_shipped()):
        try:
            photograph = images.crop_square(images.read(file), size, subject.intake.fit)
        except (ValueError, OSError):  # told on the page of images
            continue
        names.append(file.stem)
        starts.append(subject.intake.convention.apply(images.to_channels(photograph, subject.intake.shape[2])))
    repeated = [one for one in objectives for _ in starts]
    found = maximize(
        subject.model, repeated, init=np.tile(np.stack(starts), (len(objectives), 1, 1, 1)), **_once(recipe)
    )
    scores = found.history["score"].to_numpy().reshape(len(objectives), len(starts), -1)[..., 0]
    best = scores.argmax(axis=1)
    woken = scores[np.arange(len(best)), best] > 0
    return np.stack([starts[i] for i in best]), [names[i] if ok else None for i, ok in zip(best, woken, strict=True)]


def _once(recipe: dict[str, Any]) -> dict[str, Any]:
    return {**recipe, "steps": 1, "transforms": ()}


@functools.cache
def _shipped() -> tuple[pathlib.Path, ...]:
    return tuple(sorted(_ASSETS.glob("*.jpg")))
