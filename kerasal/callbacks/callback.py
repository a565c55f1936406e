"""``KerasalCallback``: what a network looks at, watched while ``model.fit`` trains it."""

import os
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import attribution, hooks
from kerasal import images as drawing
from kerasal.callbacks.strips import draw_strip, epoch_contents
from kerasal.callbacks.tiles import Looks
from kerasal.checks import check_int
from kerasal.digests import digest
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import open_source, read_all
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field import FeatureEvolution
from kerasal.receptive_field.exemplars.evolution_files import EpochStore
from kerasal.training.training_progress import Events

import keras
import tensorflow as tf

_LAST = 100_000  # no training has more epochs


class KerasalCallback(keras.callbacks.Callback):
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
        super().__init__()
        every = check_int("every", every)
        if images is None and not classes:
            raise ValueError("There is nothing to watch: give images (for maps and features), classes, or both.")
        if features and images is None:
            raise ValueError("Features are watched on images: give images.")
        if isinstance(images, (str, os.PathLike)):
            drawing.find_files([images])  # refuses a wrong path before anything else of the images
        self.folder, self.every = pathlib.Path(folder), every
        self._store = EpochStore(folder, "pictures", ["maps.png", "classes.png"])
        self._maps = dict(maps) if isinstance(maps, Mapping) else {name: {} for name in _to_list(maps)}
        for name in self._maps:
            attribution.method_spec(name)  # refuses an unknown one now
        self._images, self._labels = images, labels
        self._take = {"preprocessing": preprocessing, "fit": fit, "size": size}
        self._targets, self._classes = targets, [int(one) for one in classes]
        self._ascent = {"preset": "simonyan", "preprocessing": preprocessing, "size": size, **(ascent or {})}
        self._logs = self.folder / "events" if tensorboard is True else tensorboard
        self._overwrite, self._looks, self._last = overwrite, None, None
        self._evolution = None
        if features:
            epochs, take = range(0, _LAST, every), {"preprocessing": preprocessing, "fit": fit, "size": size}
            self._evolution = FeatureEvolution(
                self.folder / "features", images, features, epochs=epochs, overwrite=overwrite, **take
            )

    def set_model(self, model) -> None:
        """Pass the model on to the evolution too."""
        super().set_model(model)
        if self._evolution is not None:
            self._evolution.set_model(model)

    def on_train_begin(self, logs=None) -> None:
        """Take in the images, and try everything once on the first of them."""
        self._last, self._began = None, False
        self._looks = self._take_in()
        self._looks.first(self.model)
        self._settings = self._describe()
        self._events = Events(pathlib.Path(self._logs)) if self._logs else None
        if self._evolution is not None:
            self._evolution.on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None) -> None:
        """Before the first epoch of this run: look at what the folder holds; epoch 0 is before the first step."""
        if self._evolution is not None:
            self._evolution.on_epoch_begin(epoch, logs)
        if not self._began:
            self._began = True
            self._store.begin(epoch, self._settings, ahead=self.every, overwrite=self._overwrite)
            if epoch == 0:
                self._look(0)

    def on_epoch_end(self, epoch, logs=None) -> None:
        """Look, if it is time; Keras counts epochs from 0."""
        if self._evolution is not None:
            self._evolution.on_epoch_end(epoch, logs)
        self._last = epoch + 1
        if self._last % self.every == 0:
            self._look(self._last)
            self._last = None

    def on_train_end(self, logs=None) -> None:
        """Look once more, where the last epoch was none of the chosen."""
        if self._last is not None:
            self._look(self._last)
        if self._events is not None:
            self._events.close()

    def _take_in(self) -> Looks:
        inputs, pictures, names = None, [], []
        if self._images is not None and self._maps:
            source = open_source(self._images, ImageModel(self.model, **self._take))
            inputs, names = read_all(source, "draw maps of")
            pictures, names = [source.model.picture(one) for one in inputs], _shorten_names(names)
        return Looks(inputs, pictures, names, self._targets, self._maps, self._classes, self._ascent, self._labels)

    def _describe(self) -> dict[str, Any]:
        """Return what decides the pictures: two trainings that differ in it do not belong in one strip."""
        looks = self._looks
        return {
            "images": None if looks.inputs is None else digest(looks.inputs),
            "architecture": hooks.digest_model(self.model, weights=False),
            "targets": None if self._targets is None else np.asarray(self._targets).tolist(),
            "maps": {name: dict(options) for name, options in self._maps.items()},
            "classes": self._classes,
            "ascent": self._ascent if self._classes else None,
        }

    def _look(self, epoch: int) -> None:
        """Store one epoch and draw the strips; whatever fails now must not cost the training."""
        try:
            tiles = self._looks.tiles(self.model)
            self._store.write(epoch, *epoch_contents(tiles, self._settings))
            strips = {name: draw_strip(self.folder, name) for name in dict.fromkeys(one.strip for one in tiles)}
            for name, strip in strips.items():
                drawing.write(self.folder / f"{name}.png", strip)
            self._tell(epoch, tiles, strips)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).rstrip(".")
            warnings.warn(
                f"What the network looks at after epoch {epoch} could not be stored and drawn: {reason}. The training "
                "goes on.",
                stacklevel=2,
            )

    def _tell(self, epoch: int, tiles, strips) -> None:
        if self._events is not None:
            for one in tiles:
                self._events.picture(f"{one.strip}/{one.row}", one.picture, epoch)
            for name, strip in strips.items():
                self._events.picture(f"strips/{name}", strip, epoch)
            self._events.flush()


def _to_list(maps) -> list[str]:
    return [maps] if isinstance(maps, str) else list(maps)


def _shorten_names(names: list[str]) -> list[str]:
    """Return short names of files, whole paths where two would be the same."""
    short = [f"image {name}" if name.isdecimal() else pathlib.PurePath(name).stem[:24] for name in names]
    return short if len(set(short)) == len(short) else names
