"""Result of ``maximize``: images for display, the model inputs, the history of scores, and a page of the images."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal import images
from kerasal.names import renamed_arguments
from kerasal.objectives.expression import Objective
from kerasal.preprocessing import Preprocessing

# Standard deviation of an image with display="contrast", as a share of the pixel range; a common choice.
CONTRAST = 0.15


def to_pictures(raw: np.ndarray, display: str, convention: Preprocessing | None) -> np.ndarray:
    """Return model inputs (N, H, W, C) as RGB images, uint8 (N, H, W, 3).

    ``display="pixels"`` inverts the preprocessing and clips to 0..255. ``"contrast"`` centers each channel on middle
    gray and scales the image to a fixed standard deviation; ``"pixels"`` does so without a ``convention``. ``"range"``
    stretches each image from black to white.
    """
    pixels = raw if raw.ndim == 4 else raw[..., None]
    if convention is not None:
        pixels = convention.invert(pixels)
    if display == "range":
        low, high = (edge(pixels, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
        pixels = 255 * (pixels - low) / np.where(high > low, high - low, 1)
    elif display == "contrast" or convention is None:
        centered = pixels - pixels.mean(axis=(1, 2), keepdims=True)
        deviation = centered.std(axis=(1, 2, 3), keepdims=True)
        pixels = 255 * (0.5 + CONTRAST * centered / np.where(deviation > 0, deviation, 1))
    pictures = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    if pictures.shape[-1] == 3:
        return pictures
    return np.repeat(pictures[..., :1], 3, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class Maximization:
    """The images that maximize the objectives, with their model inputs and scores.

    Attributes:
        images: uint8 RGB (N, H, W, 3), for display; for inputs other than images the same as ``raw``.
        raw: float32 (N, H, W, C), the model inputs, in the layout that the model takes.
        history: one row per image and step with the columns ``objective`` (description), ``step`` and ``score`` (before
            that step, with the transforms applied); the last row of an image has its final score. With several copies
            of an objective there is also a column ``copy``.
        dead: indices of the images whose gradient was zero at every step, so that ``raw`` is still their start.
        objectives: objective of each image; the copies of an objective are consecutive.
    """

    images: np.ndarray
    raw: np.ndarray
    history: pd.DataFrame
    dead: list[int]
    objectives: list[Objective]

    @property
    def is_drawable(self) -> bool:
        """Whether ``images`` are pictures; signals, volumes and features are none."""
        return self.images.dtype == np.uint8

    def __repr__(self):
        count, *sides = self.images.shape[:3] if self.is_drawable else self.raw.shape
        kind = "image" if self.is_drawable else "input"
        final = self.history.loc[self.history["step"] == self.history["step"].max(), "score"]
        return (
            f"Maximization({count} {kind}{'s' * (count != 1)} of {' × '.join(map(str, sides))}, "
            f"{self.history['step'].max()} steps, scores {final.min():.3g} to {final.max():.3g}, {len(self.dead)} dead)"
        )


def tabulate_history(objectives: list[Objective], scores: np.ndarray, copies: int) -> pd.DataFrame:
    """Return ``scores`` (N, steps + 1) as a table with one row per image and step."""
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


@renamed_arguments(found="maximization")
def draw_maximized(maximization: Maximization, names: Sequence[str], *, title: str = "") -> np.ndarray:
    """Draw the maximized images in a grid with their names; dead images are left out.

    Args:
        maximization: result of ``maximize``.
        names: names of the objectives, in their order; the copies of an objective are numbered.
        title: line above the picture.

    Returns:
        uint8 RGB (H, W, 3).

    Raises:
        ValueError: if the inputs are no images, or the gradient of every image was zero at every step.
    """
    if not maximization.is_drawable:
        raise ValueError(
            f"maximization must be of images, got inputs of shape {maximization.raw.shape[1:]}. Plot maximization.raw."
        )
    copies = len(maximization.images) // len(names)
    names, alive = copy_names(maximization, names), alive_images(maximization)
    if not alive:
        raise ValueError(
            "At least one image must have changed, but every gradient was zero at every step. Try another init, "
            "size or preprocessing in maximize."
        )
    height, width = maximization.images.shape[1:3]
    note = f"Each image has {height} × {width} pixels."
    if maximization.dead:
        listed = ", ".join(names[i] for i in maximization.dead)
        note += f" {len(maximization.dead)} of {len(names)} are not drawn, since their gradient is zero: {listed}."
    side, count = max(height, width), len(alive)
    # A tile is at least as large as its image, since shrinking would average fine patterns away.
    tile = max(min(side, 256), 320 if count <= 4 else 160 if count <= 16 else 84)
    return images.grid(
        [maximization.images[i] for i in alive],
        [names[i] for i in alive],
        columns=copies if copies > 1 and not maximization.dead else None,
        title=title,
        note=note,
        tile=tile,
    )


def alive_images(result: Maximization) -> list[int]:
    """Return the indices of the images that are not dead."""
    return [i for i in range(len(result.images)) if i not in result.dead]


def copy_names(result: Maximization, names: Sequence[str]) -> list[str]:
    """Return a name for each image from the names of the objectives, with numbered copies."""
    copies = len(result.images) // len(names)
    if copies == 1:
        return list(names)
    return [f"{name}, copy {copy + 1} of {copies}" for name in names for copy in range(copies)]
