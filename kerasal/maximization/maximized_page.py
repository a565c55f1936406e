"""A page of maximized images: those that are alive, each with its name."""

from collections.abc import Sequence

import numpy as np

from kerasal import images
from kerasal.maximization.result import Maximization


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
