"""What ``KerasalCallback`` looks at after an epoch: a model and its chosen pictures and classes -> tiles."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal import attribution
from kerasal.callbacks.strips import Tile
from kerasal.hooks.engine import fixed_target, target_scores
from kerasal.maximization import maximize

import keras


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
