"""``FeatureEvolution``: a Keras callback that watches features come about while a network is trained."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from kerasal import hooks
from kerasal import images as pictures
from kerasal.checks import check_choice, check_int
from kerasal.digests import digest
from kerasal.files import check_writable
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import Array, open_source, read_all
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars, check_channels, reconstruct
from kerasal.receptive_field.exemplars.evolution_files import (
    EpochStore,
    epoch_contents,
)
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution
from kerasal.receptive_field.exemplars.exemplar_search import Search
from kerasal.receptive_field.exemplars.projection import check_projection
from kerasal.receptive_field.geometry.field_geometry import remember_field

import keras

EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)
STRIP = "evolution.png"


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
        self._store = EpochStore(folder, "an evolution", [STRIP])
        self.epochs = sorted(set(epochs))
        if not self.epochs:
            raise ValueError("epochs must be one or several, got none.")
        for epoch in self.epochs:
            check_int("epochs", epoch, 0, remedy="1 is after the first.")
        if not isinstance(features, Mapping) or not features:
            raise TypeError(f"features are channels of layers, {{'conv1': [0, 1]}}. Received: {features!r}.")
        check_choice("rule", rule, hooks.RULES)
        self._features = {layer: check_channels(channels) for layer, channels in features.items()}
        self._images, self._rule, self._overwrite = images, rule, overwrite
        self._take = {"preprocessing": preprocessing, "fit": fit, "size": size}
        self._source: Array | None = None
        self._began = False

    def on_train_begin(self, logs=None) -> None:
        """Take in the images, and refuse now what could only fail later."""
        self._began = False
        check_writable(self.folder / STRIP)
        if self._source is None or self._source.model.keras_model is not self.model:
            self._take_in()
        self._features = {hooks.find_layer(self.model, layer)[0]: one for layer, one in self._features.items()}
        shape = self._source.shape
        self._fields = {layer: remember_field(self.model, layer, shape[:2]) for layer in self._features}
        for layer, channels in self._features.items():
            check_projection(self.model, layer, channels, shape, self._rule)
        self._settings = self._describe()

    def on_epoch_begin(self, epoch, logs=None) -> None:
        """Before the first epoch of this run: look at what the folder holds, and store epoch 0 if that is wanted."""
        if self._began:
            return
        self._began = True
        self._store.begin(epoch, self._settings, overwrite=self._overwrite)
        if epoch == 0 and 0 in self.epochs:
            self._keep(0)

    def on_epoch_end(self, epoch, logs=None) -> None:
        """Store this epoch if it is one of the chosen; Keras counts epochs from 0."""
        if epoch + 1 in self.epochs:
            self._keep(epoch + 1)

    def _take_in(self) -> None:
        """Read the fixed set once, and keep it as model inputs."""
        source = open_source(self._images, ImageModel(self.model, **self._take))
        inputs, self._names = read_all(source, "watch features with")
        self._source = Array(inputs, source.model)

    def _describe(self) -> dict[str, Any]:
        """Return what decides an evolution: two that differ in it do not belong together."""
        convention = self._source.model.preprocessing
        return {
            "features": [[layer, channel] for layer, channels in self._features.items() for channel in channels],
            "rule": self._rule,
            "images": digest(self._source.images),
            "architecture": hooks.digest_model(self.model, weights=False),
            "preprocessing": None if convention is None else dataclasses.asdict(convention),
        }

    def _compute(self, source: Array) -> list[Exemplars]:
        found = []
        for layer, channels in self._features.items():
            search = Search(self.model, layer, channels, 1, source)
            ranking = search.run()
            found += reconstruct(
                self.model, layer, channels, ranking, source, self._fields[layer], self._rule, seen=search.seen
            )
        return found

    def _keep(self, epoch: int) -> None:
        """Store one epoch and draw the strip; whatever fails now must not cost the training."""
        try:
            found = [
                dataclasses.replace(one, names=[self._names[number] for number in one.numbers])
                for one in self._compute(self._source)
            ]
            self._store.write(epoch, *epoch_contents(found, self._settings))
            pictures.write(self.folder / STRIP, draw_evolution(self.folder))
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            warnings.warn(
                f"The features after epoch {epoch} could not be stored and drawn: {reason}. The training goes on.",
                stacklevel=2,
            )
