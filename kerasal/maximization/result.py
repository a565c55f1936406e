"""What ``maximize`` returns: pictures that a person can read, the model inputs behind them, their history, a page."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.objectives.expression import Objective
from kerasal.preprocessing import Preprocessing

# An image's standard deviation is drawn as this share of the range: the usual choice for such images.
CONTRAST = 0.15


def to_pictures(raw: np.ndarray, display: str, convention: Preprocessing | None) -> np.ndarray:
    """Turn model inputs (N, H, W, C) into uint8 (N, H, W, 3).

    ``"pixels"`` undoes the preprocessing, and what leaves 0..255 is cut off. ``"contrast"``, and any display without a
    known convention, centers each channel on middle gray and stretches the image's standard deviation to a fixed
    contrast.
    """
    pixels = raw if raw.ndim == 4 else raw[..., None]
    if convention is not None:
        pixels = convention.invert(pixels)
    if display == "contrast" or convention is None:
        centered = pixels - pixels.mean(axis=(1, 2), keepdims=True)
        spread = centered.std(axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (0.5 + CONTRAST * centered / np.where(spread > 0, spread, 1))
    pictures = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    if pictures.shape[-1] == 3:
        return pictures
    return np.repeat(pictures[..., :1], 3, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class Maximization:
    """What ``maximize`` found.

    Attributes:
        images: uint8 (N, H, W, 3), made to be looked at.
        raw: float32 (N, H, W, C), the model inputs themselves.
        history: a row for each image and step: ``objective`` (its description), ``step``, ``score`` before that step,
            seen through the transforms if there are any; the last row of each image has the final score. With several
            copies of an objective, also ``copy``.
        dead: positions of the images whose gradient was zero at every step, so that nothing was learnt of them; ``raw``
            still holds their start.
        objectives: the objective of each image; copies stand one after the other.
    """

    images: np.ndarray
    raw: np.ndarray
    history: pd.DataFrame
    dead: list[int]
    objectives: list[Objective]

    def __repr__(self):
        count, height, width = self.images.shape[:3]
        final = self.history.loc[self.history["step"] == self.history["step"].max(), "score"]
        return (
            f"Maximization({count} image{'s' * (count != 1)} of {height} × {width}, "
            f"{self.history['step'].max()} steps, scores {final.min():.3g} to {final.max():.3g}, {len(self.dead)} dead)"
        )


def tabulate_history(objectives: list[Objective], scores: np.ndarray, copies: int) -> pd.DataFrame:
    """Return the table of ``scores`` (N, steps + 1), a row for each image and step."""
    count = scores.shape[1]
    table = pd.DataFrame(
        {
            "objective": np.repeat([objective.description for objective in objectives], count),
            "step": np.tile(np.arange(count), len(objectives)),
            "score": scores.ravel(),
        }
    )
    if copies > 1:
        table.insert(1, "copy", np.repeat(np.arange(len(objectives)) % copies, count))
    return table


def draw_maximized(found: Maximization, names: Sequence[str], *, title: str = "") -> np.ndarray:
    """Lay out the images that a gradient reached, each under its name, uint8 RGB.

    Args:
        found: what ``maximize`` returned.
        names: of the objectives, in their order; copies of one are numbered.
        title: a line above.

    Raises:
        ValueError: a gradient reached none of them.
    """
    copies = len(found.images) // len(names)
    names, alive = copy_names(found, names), alive_images(found)
    if not alive:
        raise ValueError("Every image is dead: its gradient is zero at the start and stays so.")
    height, width = found.images.shape[1:3]
    note = f"{height} × {width} pixels each"
    if found.dead:
        note += f"; {len(found.dead)} not drawn: no gradient reached them"
    side, count = max(height, width), len(alive)
    # Fine patterns must not be averaged away by shrinking, so a tile is at least as large as its image.
    tile = max(min(side, 256), 320 if count <= 4 else 160 if count <= 16 else 84)
    return images.grid(
        [found.images[i] for i in alive],
        [names[i] for i in alive],
        columns=copies if copies > 1 and not found.dead else None,
        title=title,
        note=note,
        tile=tile,
    )


def alive_images(found: Maximization) -> list[int]:
    """Return the positions of the images that are not dead."""
    return [i for i in range(len(found.images)) if i not in found.dead]


def copy_names(found: Maximization, names: Sequence[str]) -> list[str]:
    """Return a name for each image, of names for the objectives: copies are numbered."""
    copies = len(found.images) // len(names)
    if copies == 1:
        return list(names)
    return [f"{name}, {copy + 1} of {copies}" for name in names for copy in range(copies)]
