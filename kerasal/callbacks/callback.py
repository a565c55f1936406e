"""``KerasalCallback`` draws attribution maps, class images and features while ``model.fit`` trains a model."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import attribution, hooks
from kerasal import images as drawing
from kerasal.callbacks.strips import TilePlan, draw_strip, epoch_contents
from kerasal.checks import check_int
from kerasal.digests import digest
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import open_source, read_all
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field import FeatureEvolution
from kerasal.receptive_field.exemplars.evolution_files import EpochStore, EpochWatcher
from kerasal.training.training_progress import Events

import keras

_MAX_EPOCHS = 100_000  # an upper limit, more than any training has


class KerasalCallback(EpochWatcher):
    """Draw attribution maps, images that maximize classes, and feature evolutions every few epochs of a training.

    ``model.fit(..., callbacks=[kerasal.KerasalCallback("watched", images=photos[:4], preprocessing="unit")])`` writes

    * ``maps.png``: a row for each image and attribution method, a column for each epoch. The cells show the map on the
      image, with the class that it explains and the probability of that class. ``kerasal.attribution.list_methods()``
      lists the methods;
    * ``classes.png``: a row for each class, a column for each epoch: the image that ``kerasal.maximize`` returns for
      the score of the class;
    * ``features/evolution.png``: ``kerasal.receptive_field.FeatureEvolution`` of the chosen features;
    * ``epoch-0005.npz``: the images of one epoch. A training that is continued with ``initial_epoch`` draws the strips
      from these files;
    * with ``tensorboard``, the same images and strips as TensorBoard images.

    Epoch 0 is the state before the first step. The last epoch is always drawn. Errors that show at the beginning (an
    unknown method, a class that does not exist, a folder of another training) are raised before the first step. Later
    errors (a full disk, weights that are not finite) only skip the images of that epoch, with a warning, and the
    training continues.

    Args:
        folder: output folder; created if it does not exist.
        every: number of epochs between two drawings, a positive integer.
        images: images for maps and features: a folder, files, uint8 images (N, H, W, C), or float32 model inputs. They
            are kept in memory; use a few for maps.
        targets: class index of each image; by default the top class of the image at each drawing.
        maps: names of attribution methods, or names with their options, such as ``{"occlusion": {"window": 8}}``. If
            empty, no maps are drawn.
        classes: indices of the classes to maximize.
        ascent: options of ``kerasal.maximize``; by default with the preset that suits the model. A class whose gradient
            is zero at the initial image is maximized from noise instead, and labeled so.
        features: channels by layer for the feature evolution, such as ``{"conv1": range(8)}``.
        labels: names of the classes.
        preprocessing: the model's pixel convention; needed for uint8 images and files, and for ``classes`` unless the
            model rescales its pixels itself.
        fit: how images are brought to the model's input size.
        size: (height, width) of the inputs, for a model that accepts any size.
        tensorboard: folder of the event files; ``True`` for ``folder/events``.
        overwrite: whether to replace the results of an earlier training in the folder; otherwise they are an error.

    Raises:
        ValueError, TypeError: arguments that do not fit the model; raised when the training begins.
    """

    subject = "The images of the model"

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
            raise ValueError(
                "images or classes must be specified, got neither. Pass images (for maps and features) or classes."
            )
        if features and images is None:
            raise ValueError("images must be specified with features, got None.")
        if isinstance(images, (str, os.PathLike)):
            drawing.find_files([images])  # raises now if the path does not exist
        names = [maps] if isinstance(maps, str) else maps
        self._maps = dict(maps) if isinstance(maps, Mapping) else {name: {} for name in names}
        for name in self._maps:
            attribution.method_spec(name)  # raises now if the method is unknown
        self._images, self._labels = images, labels
        self._input_options = {"preprocessing": preprocessing, "fit": fit, "size": size}
        self._targets, self._classes = targets, [int(index) for index in classes]
        self._ascent = {"preprocessing": preprocessing, "size": size, **(ascent or {})}
        logs = self.folder / "events" if isinstance(tensorboard, bool) else pathlib.Path(tensorboard)
        self._logs = logs if tensorboard else None
        self._undrawn: int | None = None  # the last epoch if it has not been drawn
        evolutions = []
        if features:
            options = {"epochs": range(0, _MAX_EPOCHS, every), "overwrite": overwrite, **self._input_options}
            evolutions.append(FeatureEvolution(self.folder / "features", images, features, **options))
        self._evolutions = keras.callbacks.CallbackList(evolutions)

    def set_model(self, model: keras.Model) -> None:
        """Set the model, also for the recording of the feature evolution."""
        super().set_model(model)
        self._evolutions.set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Read the images and check all arguments by drawing the first image once."""
        self._undrawn, self._began = None, False
        plan = self._plan = self._make_plan()
        plan.check(self.model)
        # Everything that determines the images: trainings that differ in it must not share a strip.
        self._settings = {
            "images": None if plan.inputs is None else digest(plan.inputs),
            "architecture": hooks.digest_model(self.model, weights=False),
            "targets": None if plan.targets is None else np.asarray(plan.targets).tolist(),
            "maps": {name: dict(options) for name, options in self._maps.items()},
            "classes": self._classes,
            "ascent": self._ascent if self._classes else None,
        }
        self._events = Events(self._logs) if self._logs else None
        self._evolutions.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first epoch of this run, check the folder and draw the initial state."""
        self._evolutions.on_epoch_begin(epoch, logs)
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw the epoch if it is one of the chosen epochs."""
        self._evolutions.on_epoch_end(epoch, logs)
        super().on_epoch_end(epoch, logs)
        self._undrawn = None if self._is_chosen(epoch + 1) else epoch + 1

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the last epoch if it has not been drawn."""
        if self._undrawn is not None:
            self._keep(self._undrawn)
        if self._events is not None:
            self._events.close()

    def _is_chosen(self, epoch: int) -> bool:
        return epoch % self.every == 0

    def _make_plan(self) -> TilePlan:
        inputs, images, names = None, [], []
        if self._images is not None and self._maps:
            source = open_source(self._images, ImageModel(self.model, **self._input_options))
            inputs, names = read_all(source, "draw maps of")
            images, names = [source.model.picture(values) for values in inputs], _shorten_names(names)
        return TilePlan(inputs, images, names, self._targets, self._maps, self._classes, self._ascent, self._labels)

    def _write(self, epoch: int) -> None:
        tiles = self._plan.draw_tiles(self.model)
        self._store.write(epoch, *epoch_contents(tiles, self._settings))
        strips: dict[str, np.ndarray] = {}
        for tile in tiles:
            if tile.strip not in strips:
                strips[tile.strip] = draw_strip(self.folder, tile.strip)
                drawing.write(self.folder / f"{tile.strip}.png", strips[tile.strip])
        if self._events is not None:
            for tile in tiles:
                self._events.image(f"{tile.strip}/{tile.row}", tile.image, epoch)
            for name, strip in strips.items():
                self._events.image(f"strips/{name}", strip, epoch)
            self._events.flush()


def _shorten_names(names: list[str]) -> list[str]:
    """Return file names without folder and suffix, or the names unchanged if two would be equal."""
    short = [f"image {name}" if name.isdecimal() else pathlib.PurePath(name).stem[:24] for name in names]
    return short if len(set(short)) == len(short) else names
