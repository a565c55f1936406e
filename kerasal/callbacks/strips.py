"""What is looked at after an epoch, as tiles; and the strips of all: rows of pictures or classes, columns of epochs."""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import attribution, images
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.maximization import maximize
from kerasal.receptive_field.exemplars.evolution_files import EpochStore
from kerasal.store import Arrays

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """One small picture: the strip (``"maps"`` or ``"classes"``) and row in which it stands, and what is under it."""

    strip: Literal["maps", "classes"]
    row: str
    label: str
    picture: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Looks:
    """Chosen once: model inputs with their pictures and names, methods with options, classes with their recipe."""

    inputs: np.ndarray | None
    pictures: Sequence[np.ndarray]
    names: Sequence[str]
    targets: Any
    maps: Mapping[str, Mapping[str, Any]]
    classes: Sequence[int]
    ascent: Mapping[str, Any]
    labels: Sequence[str] | None

    def tiles(self, model: keras.Model) -> list[Tile]:
        """Explain and maximize with the weights as they are; the model is not changed."""
        return [*self._map_tiles(model), *self._class_tiles(model)]

    def first(self, model: keras.Model) -> None:
        """Run every method on the first picture, so that what cannot work fails before the training."""
        if self.inputs is not None:
            one = {name: getattr(self, name)[:1] for name in ("inputs", "pictures", "names")}
            targets = self.targets if np.ndim(self.targets) == 0 else np.asarray(self.targets)[:1]
            dataclasses.replace(self, **one, targets=targets, classes=()).tiles(model)
        if self.classes:
            maximize(model, list(self.classes), **{**self.ascent, "steps": 1})

    def _map_tiles(self, model) -> list[Tile]:
        if self.inputs is None:
            return []
        targets = fixed_target(model, [self.inputs], self.targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)  # its tile shows it
            found = {
                name: getattr(attribution, name)(model, self.inputs, targets, **own) for name, own in self.maps.items()
            }
        said = [""] * len(self.inputs)
        if isinstance(targets, np.ndarray) and targets.ndim == 1:
            scores = target_scores(model, [self.inputs], targets, logits=False)
            said = [f"{self._name(one)}, {_share(value)}" for one, value in zip(targets, scores, strict=True)]
        return [
            Tile("maps", f"{name}, {method}", label, _draw(method, self.maps[method], picture, maps[number]))
            for number, (name, picture, label) in enumerate(zip(self.names, self.pictures, said, strict=True))
            for method, maps in found.items()
        ]

    def _class_tiles(self, model) -> list[Tile]:
        if not self.classes:
            return []
        found = maximize(model, list(self.classes), **self.ascent)
        pictures, said = list(found.images), [""] * len(self.classes)
        if found.dead:
            again = maximize(model, [self.classes[i] for i in found.dead], **{**self.ascent, "init": "normal"})
            for k, place in enumerate(found.dead):
                pictures[place], said[place] = again.images[k], "from noise"
            for k in again.dead:
                said[found.dead[k]] = "nothing moves it"
        return [
            Tile("classes", self._name(one), label, picture)
            for one, label, picture in zip(self.classes, said, pictures, strict=True)
        ]

    def _name(self, index: int) -> str:
        return f"class {int(index)}" if self.labels is None else str(self.labels[int(index)])


def _share(value: float) -> str:
    return f"{value:.0%}" if 0 <= value <= 1 else f"{value:.3g}"


def _draw(method: str, options: Mapping[str, Any], picture: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Draw a map on its picture, which is dimmed where the map is weak."""
    spec = attribution.method_spec(method)
    return attribution.draw_map(spec, picture, spec.to_pixels(values, picture.shape[:2], options))[1]


def epoch_contents(tiles: Sequence[Tile], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the facts by which the tiles of an epoch are stored."""
    arrays = {f"tile_{number}": one.picture for number, one in enumerate(tiles)}
    return arrays, {"settings": settings, "tiles": [[one.strip, one.row, one.label] for one in tiles]}


def read_tiles(stored: Arrays) -> list[Tile]:
    """Return the tiles of a stored epoch."""
    named = enumerate(stored.facts()["tiles"])
    return [Tile(strip, row, label, stored[f"tile_{number}"]) for number, (strip, row, label) in named]


def draw_strip(
    folder: str | os.PathLike,
    strip: Literal["maps", "classes"] = "maps",
    *,
    title: str = "",
    most: int = 12,
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
