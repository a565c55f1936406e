"""The tiles of an epoch in one file, and the strips of all: one row per picture or class, one column per epoch."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.receptive_field.exemplars.evolution_files import EpochStore
from kerasal.store import Arrays

_MOST = 12  # columns that a page can hold and a person compares


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """One small picture: the strip (``"maps"`` or ``"classes"``) and row in which it stands, and what is under it."""

    strip: str
    row: str
    label: str
    picture: np.ndarray


def epoch_contents(tiles: Sequence[Tile], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the facts by which the tiles of an epoch are stored."""
    arrays = {f"tile_{number}": one.picture for number, one in enumerate(tiles)}
    return arrays, {"settings": settings, "tiles": [[one.strip, one.row, one.label] for one in tiles]}


def read_tiles(stored: Arrays) -> list[Tile]:
    """Return the tiles of a stored epoch."""
    return [Tile(*one, stored[f"tile_{number}"]) for number, one in enumerate(stored.facts()["tiles"])]


def draw_strip(
    folder: str | os.PathLike,
    strip: Literal["maps", "classes"] = "maps",
    *,
    title: str = "",
    most: int = _MOST,
    tile: int = 96,
) -> np.ndarray:
    """Draw how maps or class models came about: one row per image and method, or class; one column per epoch.

    Args:
        folder: that ``KerasalCallback`` wrote.
        strip: which pictures.
        title: one line above.
        most: columns; of more epochs some are left out, evenly, never the first and the last.
        tile: side of a cell in pixels.

    Returns:
        uint8 RGB.

    Raises:
        FileNotFoundError: nothing of the kind is stored there.
    """
    found = EpochStore(folder).read(lambda stored: {one.row: one for one in read_tiles(stored) if one.strip == strip})
    rows = list(dict.fromkeys(row for tiles in found.values() for row in tiles))
    if not rows:
        raise FileNotFoundError(f"There are no {strip} in {os.fspath(folder)}, which KerasalCallback(folder) writes.")
    epochs = list(found)
    if len(epochs) > most:
        epochs = [epochs[place] for place in np.unique(np.linspace(0, len(epochs) - 1, most).round().astype(int))]
    cells, labels = [], []
    for row in rows:
        for epoch in epochs:
            one = found[epoch].get(row)
            cells.append(np.full((8, 8, 3), 255, np.uint8) if one is None else one.picture)
            labels.append(f"epoch {epoch}" + (f": {one.label}" if one is not None and one.label else ""))
    return images.grid(cells, labels, columns=len(epochs), row_labels=rows, title=title, tile=tile, frame=True)
