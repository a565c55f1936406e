"""``FeatureEvolution``: a Keras callback that watches features come about while a network is trained."""

import contextlib
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal import hooks
from kerasal import images as pictures
from kerasal.digests import digest
from kerasal.files import replacing
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Array, open_source
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.evolution_files import epochs_in, read_epoch, write_epoch
from kerasal.receptive_field.exemplars.evolution_pages import draw_evolution
from kerasal.receptive_field.exemplars.exemplar_search import Search, told
from kerasal.receptive_field.exemplars.reconstruction import Exemplars, reconstruct
from kerasal.receptive_field.exemplars.top_exemplars import checked_channels
from kerasal.receptive_field.geometry.field_windows import known_field
from kerasal.receptive_field.patterns.projection import check

import keras

EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)
STRIP = "evolution.png"


class _Probed(Exception):
    """Ends the probe of a folder without writing anything."""


class FeatureEvolution(keras.callbacks.Callback):
    """Store, at chosen epochs, what excites chosen features most, and draw the strip of it.

    After each of the epochs the strongest activation of each feature over a fixed set of images is carried back to
    pixels (as ``top_exemplars`` does) and stored as ``epoch-0005.npz``; ``evolution.png`` is drawn anew from all stored
    epochs. Training that goes on later, in the same folder with Keras' ``initial_epoch``, adds to them.

    What goes wrong at the start (a feature that the model has not, a folder that cannot be written to, one that holds
    another evolution) is an error before the first step. What goes wrong later (a full disk, activations that are no
    longer finite) costs only that epoch's picture: it is a warning, and the training goes on.

    Args:
        folder: where the files are written; made where it is missing.
        images: the fixed set, held in memory as model inputs, some hundreds: see ``top_exemplars``.
        features: channels of layers, as ``{"conv1": range(8), "conv2": [3, 17]}``.
        epochs: after which epochs, counted from 1; 0 is before the first. By default those of the source.
        preprocessing: the model's pixel convention, which uint8 images and files need.
        rule: how ReLUs are passed on the way back.
        fit: how pictures are brought to the model's shape.
        size: (height, width) for a model that takes any.
        overwrite: replace the evolution of an earlier run in the folder, instead of refusing.

    Source: Zeiler & Fergus 2014, section 4.1 and figure 4.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        images: Any,
        features: Mapping[str, int | Sequence[int]],
        *,
        epochs: Iterable[int] = EPOCHS,
        preprocessing: str | Preprocessing | None = None,
        rule: Literal["deconvnet", "guided", "gradient"] = "deconvnet",
        fit: Literal["crop", "stretch"] = "crop",
        size: tuple[int, int] | None = None,
        overwrite: bool = False,
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.epochs = sorted(set(epochs))
        if not self.epochs or not all(isinstance(one, (int, np.integer)) and one >= 0 for one in self.epochs):
            raise ValueError(f"epochs are whole numbers from 0 on, 1 being after the first. Received: {epochs!r}.")
        if not isinstance(features, Mapping) or not features:
            raise TypeError(f"features are channels of layers, {{'conv1': [0, 1]}}. Received: {features!r}.")
        if rule not in hooks.RULES:
            raise ValueError(f"rule is one of {hooks.RULES}. Received: {rule!r}.")
        self._features = {layer: checked_channels(channels) for layer, channels in features.items()}
        self._images, self._rule, self._overwrite = images, rule, overwrite
        self._take = {"preprocessing": preprocessing, "fit": fit, "size": size}
        self._source: Array | None = None
        self._began = False

    def on_train_begin(self, logs=None) -> None:
        """Take in the images, and refuse now what could only fail later."""
        self._began = False
        with contextlib.suppress(_Probed), replacing(self.folder / STRIP):
            raise _Probed
        if self._source is None or self._source.model.keras_model is not self.model:
            self._take_in()
        self._features = {hooks.find_layer(self.model, layer)[0]: one for layer, one in self._features.items()}
        shape = self._source.shape
        self._fields = {layer: known_field(self.model, layer, shape[:2]) for layer in self._features}
        for layer, channels in self._features.items():
            check(self.model, layer, channels, shape, self._rule)
        self._settings = self._describe()

    def on_epoch_begin(self, epoch, logs=None) -> None:
        """Before the first epoch of this run: look at what the folder holds, and store epoch 0 if that is wanted."""
        if self._began:
            return
        self._began = True
        self._check_folder(epoch)
        if epoch == 0 and 0 in self.epochs:
            self._store(0)

    def on_epoch_end(self, epoch, logs=None) -> None:
        """Store this epoch if it is one of the chosen; Keras counts epochs from 0."""
        if epoch + 1 in self.epochs:
            self._store(epoch + 1)

    def _take_in(self) -> None:
        """Read the fixed set once, and keep it as model inputs."""
        source = open_source(self._images, ImageModel(self.model, **self._take))
        batches = list(source.batches(64))
        if not batches:
            raise ValueError(f"There is not one image to watch features with. {told(source.skipped)}")
        if source.skipped:
            warnings.warn(f"Skipped: {told(source.skipped)}", stacklevel=2)
        self._source = Array(np.concatenate([inputs for _, inputs in batches]), source.model)
        self._names = [source.name(number) for numbers, _ in batches for number in numbers]

    def _describe(self) -> dict[str, Any]:
        """Return what decides an evolution, as JSON knows it: two that differ in it do not belong together."""
        convention = self._source.model.preprocessing
        return {
            "features": [[layer, channel] for layer, channels in self._features.items() for channel in channels],
            "rule": self._rule,
            "images": digest(self._source.images),
            "architecture": hooks.digest_model(self.model, weights=False),
            "preprocessing": None
            if convention is None
            else {name: _listed(value) for name, value in dataclasses.asdict(convention).items()},
        }

    def _check_folder(self, epoch: int) -> None:
        for half in [*self.folder.glob(".epoch-*"), *self.folder.glob(".evolution-*")]:  # left by a kill in mid-write
            half.unlink(missing_ok=True)
        stored = epochs_in(self.folder)
        if self._overwrite and epoch == 0:
            for path in [*stored.values(), self.folder / STRIP]:
                path.unlink(missing_ok=True)
            return
        ahead = [one for one in stored if one > epoch + 1]  # one ahead was stored just before a run was stopped
        if epoch == 0 and ahead:
            raise ValueError(
                f"{self.folder} holds the evolution of an earlier run, up to epoch {ahead[-1]}. Go on with that run "
                "(fit(..., initial_epoch=...)), use another folder, or pass overwrite=True."
            )
        for path in stored.values():
            with contextlib.suppress(OSError):
                self._check_settings(path)

    def _check_settings(self, path: pathlib.Path) -> None:
        try:
            settings, _ = read_epoch(path)
        except ValueError:
            return  # damaged: it is left out of the strip, and stored anew if its epoch comes again
        differing = [name for name in self._settings if settings.get(name) != self._settings[name]]
        if differing:
            raise ValueError(
                f"{self.folder} holds another evolution: its {', '.join(differing)} differ. Use the same as there, "
                "another folder, or overwrite=True with a training from the start."
            )

    def _compute(self, source: Array) -> list[Exemplars]:
        found = []
        for layer, channels in self._features.items():
            search = Search(self.model, layer, channels, 1, source)
            ranking = search.run()
            found += reconstruct(
                self.model, layer, channels, ranking, source, self._fields[layer], self._rule, seen=search.seen
            )
        return found

    def _store(self, epoch: int) -> None:
        """Store one epoch and draw the strip; whatever fails now must not cost the training."""
        try:
            found = [
                dataclasses.replace(one, names=[self._names[number] for number in one.numbers])
                for one in self._compute(self._source)
            ]
            write_epoch(self.folder, epoch, found, self._settings)
            pictures.write(self.folder / STRIP, draw_evolution(self.folder))
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            warnings.warn(
                f"The features after epoch {epoch} could not be stored and drawn: {reason}. The training goes on.",
                stacklevel=2,
            )


def _listed(value):
    return list(value) if isinstance(value, tuple) else value
