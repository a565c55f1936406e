"""The images of an epoch, as tiles; and strips of the tiles of all epochs."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import attribution, images
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.labels import format_score
from kerasal.maximization import maximize
from kerasal.receptive_field.exemplars.evolution_files import EpochStore
from kerasal.store import Arrays

import keras

_TITLES = {
    "maps": "What the score of a class depends on, during training",
    "classes": "Images that maximize the score of each class, during training",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """A small image with its strip (``"maps"`` or ``"classes"``), the name of its row, and a label below it."""

    strip: Literal["maps", "classes"]
    row: str
    label: str
    image: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class TilePlan:
    """The tiles of each epoch: attribution maps of some inputs, and images that maximize some classes."""

    inputs: np.ndarray | None
    images: Sequence[np.ndarray]
    names: Sequence[str]
    targets: Any
    maps: Mapping[str, Mapping[str, Any]]
    classes: Sequence[int]
    ascent: Mapping[str, Any]
    labels: Sequence[str] | None

    def draw_tiles(self, model: keras.Model) -> list[Tile]:
        """Return the tiles for the model's current weights; the model is not changed."""
        return [*self._map_tiles(model), *self._class_tiles(model)]

    def check(self, model: keras.Model) -> None:
        """Run every method on the first image, to raise errors before the training."""
        if self.inputs is not None:
            first = {name: getattr(self, name)[:1] for name in ("inputs", "images", "names")}
            targets = self.targets if np.ndim(self.targets) == 0 else np.asarray(self.targets)[:1]
            dataclasses.replace(self, **first, targets=targets, classes=()).draw_tiles(model)
        if self.classes:
            maximize(model, list(self.classes), **{**self.ascent, "steps": 1})

    def _map_tiles(self, model) -> list[Tile]:
        if self.inputs is None:
            return []
        targets = fixed_target(model, [self.inputs], self.targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)  # the tile shows that the map is zero
            maps = {
                name: getattr(attribution, name)(model, self.inputs, targets, **options)
                for name, options in self.maps.items()
            }
        labels = [""] * len(self.inputs)
        if isinstance(targets, np.ndarray) and targets.ndim == 1:
            scores = target_scores(model, [self.inputs], targets, logits=False)
            labels = [
                f"{self._class_name(index)}, {format_score(score)}"
                for index, score in zip(targets, scores, strict=True)
            ]
        return [
            Tile("maps", f"{name}, {method}", label, _draw_map(method, self.maps[method], image, values[number]))
            for number, (name, image, label) in enumerate(zip(self.names, self.images, labels, strict=True))
            for method, values in maps.items()
        ]

    def _class_tiles(self, model) -> list[Tile]:
        if not self.classes:
            return []
        result = maximize(model, list(self.classes), **self.ascent)
        class_images, labels = list(result.images), [""] * len(self.classes)
        if result.dead:
            retry = maximize(model, [self.classes[i] for i in result.dead], **{**self.ascent, "init": "normal"})
            for k, position in enumerate(result.dead):
                class_images[position], labels[position] = retry.images[k], "from noise"
            for k in retry.dead:
                labels[result.dead[k]] = "zero gradient"
        return [
            Tile("classes", self._class_name(index), label, image)
            for index, label, image in zip(self.classes, labels, class_images, strict=True)
        ]

    def _class_name(self, index: int) -> str:
        return f"class {int(index)}" if self.labels is None else str(self.labels[int(index)])


def _draw_map(method: str, options: Mapping[str, Any], image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Draw a map on its image, which is dimmed where the map is weak."""
    spec = attribution.method_spec(method)
    return attribution.draw_map(spec, image, spec.to_pixels(values, image.shape[:2], options), options=options)[1]


def epoch_contents(tiles: Sequence[Tile], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the JSON facts in which the tiles of an epoch are stored."""
    arrays = {f"tile_{number}": tile.image for number, tile in enumerate(tiles)}
    return arrays, {"settings": settings, "tiles": [[tile.strip, tile.row, tile.label] for tile in tiles]}


def read_tiles(stored: Arrays) -> list[Tile]:
    """Return the tiles of a stored epoch."""
    facts = enumerate(stored.facts()["tiles"])
    return [Tile(strip, row, label, stored[f"tile_{number}"]) for number, (strip, row, label) in facts]


def draw_strip(
    folder: str | os.PathLike,
    strip: Literal["maps", "classes"] = "maps",
    *,
    title: str = "",
    most: int = 12,
    tile: int = 96,
) -> np.ndarray:
    """Return an image of the maps or class images of all epochs, side by side.

    The rows are images and attribution methods (``"maps"``), or classes (``"classes"``).

    Args:
        folder: a folder that ``KerasalCallback`` wrote.
        strip: ``"maps"`` or ``"classes"``.
        title: a title above the strip; by default what it shows.
        most: maximum number of columns. If there are more epochs, an evenly spaced selection with the first and the
            last is drawn.
        tile: side of a cell in pixels.

    Returns:
        RGB image (H, W, 3), uint8.

    Raises:
        FileNotFoundError: the folder contains no images of this strip.
    """
    stored = EpochStore(folder).read(lambda stored: (read_tiles(stored), stored.facts()["settings"] or {}))
    tiles = {epoch: {cell.row: cell for cell in cells if cell.strip == strip} for epoch, (cells, _) in stored.items()}
    rows = list(dict.fromkeys(row for tiles_by_row in tiles.values() for row in tiles_by_row))
    if not rows:
        raise FileNotFoundError(
            f"folder must contain {strip} that KerasalCallback wrote, got {os.fspath(folder)!r} with no {strip}."
        )
    epochs = list(tiles)
    if len(epochs) > most:
        epochs = [epochs[index] for index in np.unique(np.linspace(0, len(epochs) - 1, most).round().astype(int))]
    cells, labels = [], []
    for row in rows:
        for epoch in epochs:
            cell = tiles[epoch].get(row)
            cells.append(np.full((8, 8, 3), 255, np.uint8) if cell is None else cell.image)
            labels.append("" if cell is None else cell.label)
    maps = next(iter(stored.values()))[1].get("maps", {}) if strip == "maps" else {}
    legend = _make_legend(maps)
    return images.grid(
        cells,
        labels,
        columns=len(epochs),
        row_labels=rows,
        column_labels=[f"epoch {epoch}" for epoch in epochs],
        title=title or _TITLES[strip],
        legend=legend,
        tile=tile,
        frame=True,
    )


def _make_legend(maps: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the color bars of maps, from the names of their methods to the options."""
    known = {name: options for name, options in maps.items() if name in attribution.list_methods()}
    signed = {attribution.method_spec(name).is_signed(options) for name, options in known.items()}
    bars = {False: ("overlay", "weak", "strong"), True: ("signed", "lowers the score", "raises the score")}
    return [bars[kind] for kind in sorted(signed)]
