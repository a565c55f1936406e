"""The tiles of an epoch in one file, and the strips of all: one row per picture or class, one column per epoch."""

import contextlib
import dataclasses
import json
import os
import pathlib
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from kerasal import images
from kerasal.files import replacing
from kerasal.receptive_field.exemplars.evolution_files import epochs_in

_MOST = 12  # columns that a page can hold and a person compares


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """One small picture: the strip (``"maps"`` or ``"classes"``) and row in which it stands, and what is under it."""

    strip: str
    row: str
    label: str
    picture: np.ndarray


def write_epoch(folder: pathlib.Path, epoch: int, tiles: Sequence[Tile], settings: dict[str, Any]) -> None:
    """Write one epoch, beside its place and renamed."""
    facts = {"settings": settings, "tiles": [[one.strip, one.row, one.label] for one in tiles]}
    with replacing(folder / f"epoch-{epoch:04d}.npz") as temporary, temporary.open("wb") as file:
        pictures = {f"tile_{number}": one.picture for number, one in enumerate(tiles)}
        np.savez_compressed(file, facts=json.dumps(facts), **pictures)


def read_epoch(path: pathlib.Path) -> tuple[dict[str, Any], list[Tile]]:
    """Return the settings and the tiles of one epoch.

    Raises:
        ValueError: the file is damaged, or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            tiles = [Tile(*one, stored[f"tile_{number}"]) for number, one in enumerate(facts["tiles"])]
            return facts["settings"], tiles
    except (OSError, KeyError, TypeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as an epoch of KerasalCallback: {error}.") from error


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
    found = {}
    for epoch, path in epochs_in(folder).items():
        try:
            found[epoch] = {one.row: one for one in read_epoch(path)[1] if one.strip == strip}
        except ValueError as error:
            warnings.warn(f"{error} It is left out.", stacklevel=2)
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


def remove_leftovers(folder: pathlib.Path) -> None:
    """Remove what a kill in mid-write left behind."""
    for half in folder.glob(".epoch-*"):
        with contextlib.suppress(OSError):
            half.unlink()
