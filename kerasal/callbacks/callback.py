"""``KerasalCallback``: what a network looks at, watched while ``model.fit`` trains it."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import attribution, hooks
from kerasal import images as drawing
from kerasal.callbacks.strips import Looks, draw_strip, epoch_contents
from kerasal.checks import check_int
from kerasal.digests import digest
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import open_source, read_all
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field import FeatureEvolution
from kerasal.receptive_field.exemplars.evolution_files import EpochStore, EpochWatcher
from kerasal.training.training_progress import Events

import keras

_LAST = 100_000  # no training has more epochs


class KerasalCallback(EpochWatcher):
    """Every k epochs, draw where a network looks, what its classes want to see, and how its features have come about.

    ``model.fit(..., callbacks=[kerasal.KerasalCallback("watched", images=photos[:4], preprocessing="unit")])`` writes

    * ``maps.png``: one row per image and method, one column per epoch: the map on the image, the class that it is of
      and that class's probability (any attribution method: ``kerasal.attribution.list_methods()``);
    * ``classes.png``: one row per class, one column per epoch: the image that ``kerasal.maximize`` makes for its score;
    * ``features/evolution.png``: ``kerasal.receptive_field.FeatureEvolution`` of the chosen features;
    * ``epoch-0005.npz``, the pictures of one epoch, from which a training that goes on later (``initial_epoch``) draws
      the strips anew; and with ``tensorboard`` the same pictures, and the strips, as TensorBoard's images.

    Epoch 0 is before the first step, and the last epoch is always there. What goes wrong at the start (an unknown
    method, a class that is not there, a folder of another training) is an error before the first step; later (a full
    disk, weights that are no longer finite) it costs that epoch's pictures: a warning, and the training goes on.

    Args:
        folder: where the files are written; made where it is missing.
        every: epochs between two looks.
        images: for maps and features, held in memory; a few for maps: a folder, files, uint8 images (N, H, W, C), or
            float32 model inputs.
        targets: the class of each image; by default its top class at each look.
        maps: names of attribution methods, or ``{"occlusion": {"window": 8}}`` with options. Empty: none.
        classes: numbers of classes to maximize.
        ascent: options of ``kerasal.maximize``; by default ``{"preset": "simonyan"}``. A class that nothing moves from
            where that starts, as from the zero image before training, starts from noise, and is called so.
        features: channels of layers, ``{"conv1": range(8)}``, for the evolution.
        labels: names of the classes.
        preprocessing: the model's pixel convention, which uint8 images and files need.
        fit: how pictures are brought to the model's shape.
        size: (height, width) for a model that takes any.
        tensorboard: a folder for event files; ``True`` is ``folder/events``.
        overwrite: replace what an earlier training left in the folder, instead of refusing.

    Raises:
        ValueError, TypeError: arguments that do not fit the model, at the beginning of the training.
    """

    subject = "What the network looks at"

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        every: int = 1,
        images: Any = None,
        targets: Sequence[int] | int | None = None,
        maps: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("class_saliency",),
        classes: Sequence[int] = (),
        ascent: Mapping[str, Any] | None = None,
        features: Mapping[str, int | Sequence[int]] | None = None,
        labels: Sequence[str] | None = None,
        preprocessing: str | Preprocessing | None = None,
        fit: Literal["crop", "stretch"] = "crop",
        size: tuple[int, int] | None = None,
        tensorboard: bool | str | os.PathLike = False,
        overwrite: bool = False,
    ):
        self.every = check_int("every", every)
        store = EpochStore(folder, "pictures", ["maps.png", "classes.png"])
        super().__init__(store, ahead=self.every, overwrite=overwrite)
        if images is None and not classes:
            raise ValueError("There is nothing to watch: give images (for maps and features), classes, or both.")
        if features and images is None:
            raise ValueError("Features are watched on images: give images.")
        if isinstance(images, (str, os.PathLike)):
            drawing.find_files([images])  # refuses a wrong path before anything else of the images
        named = [maps] if isinstance(maps, str) else maps
        self._maps = dict(maps) if isinstance(maps, Mapping) else {name: {} for name in named}
        for name in self._maps:
            attribution.method_spec(name)  # refuses an unknown one now
        self._images, self._labels = images, labels
        self._take = {"preprocessing": preprocessing, "fit": fit, "size": size}
        self._targets, self._classes = targets, [int(one) for one in classes]
        self._ascent = {"preset": "simonyan", "preprocessing": preprocessing, "size": size, **(ascent or {})}
        logs = self.folder / "events" if isinstance(tensorboard, bool) else pathlib.Path(tensorboard)
        self._logs = logs if tensorboard else None
        self._left: int | None = None  # the last epoch, while it has not been looked at
        evolutions = []
        if features:
            options = {"epochs": range(0, _LAST, every), "overwrite": overwrite, **self._take}
            evolutions.append(FeatureEvolution(self.folder / "features", images, features, **options))
        self._evolutions = keras.callbacks.CallbackList(evolutions)

    def set_model(self, model: keras.Model) -> None:
        """Pass the model on to the evolution too."""
        super().set_model(model)
        self._evolutions.set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Take in the images, and try everything once on the first of them."""
        self._left, self._began = None, False
        looks = self._looks = self._take_in()
        looks.first(self.model)
        # What decides the pictures: two trainings that differ in it do not belong in one strip.
        self._settings = {
            "images": None if looks.inputs is None else digest(looks.inputs),
            "architecture": hooks.digest_model(self.model, weights=False),
            "targets": None if looks.targets is None else np.asarray(looks.targets).tolist(),
            "maps": {name: dict(options) for name, options in self._maps.items()},
            "classes": self._classes,
            "ascent": self._ascent if self._classes else None,
        }
        self._events = Events(self._logs) if self._logs else None
        self._evolutions.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first epoch of this run: look at what the folder holds, and at the network."""
        self._evolutions.on_epoch_begin(epoch, logs)
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Look, if it is time."""
        self._evolutions.on_epoch_end(epoch, logs)
        super().on_epoch_end(epoch, logs)
        self._left = None if self._is_chosen(epoch + 1) else epoch + 1

    def on_train_end(self, logs: Any = None) -> None:
        """Look once more, where the last epoch was none of the chosen."""
        if self._left is not None:
            self._keep(self._left)
        if self._events is not None:
            self._events.close()

    def _is_chosen(self, epoch: int) -> bool:
        return epoch % self.every == 0

    def _take_in(self) -> Looks:
        inputs, pictures, names = None, [], []
        if self._images is not None and self._maps:
            source = open_source(self._images, ImageModel(self.model, **self._take))
            inputs, names = read_all(source, "draw maps of")
            pictures, names = [source.model.picture(one) for one in inputs], _shorten_names(names)
        return Looks(inputs, pictures, names, self._targets, self._maps, self._classes, self._ascent, self._labels)

    def _write(self, epoch: int) -> None:
        tiles = self._looks.tiles(self.model)
        self._store.write(epoch, *epoch_contents(tiles, self._settings))
        strips: dict[str, np.ndarray] = {}
        for one in tiles:
            if one.strip not in strips:
                strips[one.strip] = draw_strip(self.folder, one.strip)
                drawing.write(self.folder / f"{one.strip}.png", strips[one.strip])
        if self._events is not None:
            for one in tiles:
                self._events.picture(f"{one.strip}/{one.row}", one.picture, epoch)
            for name, strip in strips.items():
                self._events.picture(f"strips/{name}", strip, epoch)
            self._events.flush()


def _shorten_names(names: list[str]) -> list[str]:
    """Return short names of files, whole paths where two would be the same."""
    short = [f"image {name}" if name.isdecimal() else pathlib.PurePath(name).stem[:24] for name in names]
    return short if len(set(short)) == len(short) else names
