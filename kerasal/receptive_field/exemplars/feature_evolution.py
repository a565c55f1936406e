"""``FeatureEvolution``: a Keras callback that watches features come about while a network is trained."""

import dataclasses
import os
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
from kerasal.receptive_field.exemplars.channel_exemplars import check_channels, reconstruct
from kerasal.receptive_field.exemplars.evolution_files import EpochStore, EpochWatcher, epoch_contents
from kerasal.receptive_field.exemplars.exemplar_pages import draw_evolution
from kerasal.receptive_field.exemplars.exemplar_search import Search
from kerasal.receptive_field.exemplars.projection import check_projection
from kerasal.receptive_field.geometry.field_geometry import remember_field

EPOCHS = (1, 2, 5, 10, 20, 30, 40, 64)
STRIP = "evolution.png"


class FeatureEvolution(EpochWatcher):
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

    subject = "The features"
    _source: Array

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
        super().__init__(EpochStore(folder, "an evolution", [STRIP]), overwrite=overwrite)
        self.epochs = sorted(set(epochs))
        if not self.epochs:
            raise ValueError("epochs must be one or several, got none.")
        for epoch in self.epochs:
            check_int("epochs", epoch, 0, remedy="1 is after the first.")
        if not isinstance(features, Mapping) or not features:
            raise TypeError(f"features are channels of layers, {{'conv1': [0, 1]}}. Received: {features!r}.")
        check_choice("rule", rule, hooks.RULES)
        self._features = {layer: check_channels(channels) for layer, channels in features.items()}
        self._images, self._rule = images, rule
        self._take = {"preprocessing": preprocessing, "fit": fit, "size": size}

    def on_train_begin(self, logs: Any = None) -> None:
        """Take in the images, and refuse now what could only fail later."""
        self._began = False
        check_writable(self.folder / STRIP)
        source = getattr(self, "_source", None)
        if source is None or source.model.keras_model is not self.model:
            opened = open_source(self._images, ImageModel(self.model, **self._take))
            inputs, self._names = read_all(opened, "watch features with")
            source = self._source = Array(inputs, opened.model)
        self._features = {hooks.find_layer(self.model, layer)[0]: one for layer, one in self._features.items()}
        shape = source.shape
        self._fields = {layer: remember_field(self.model, layer, shape[:2]) for layer in self._features}
        for layer, channels in self._features.items():
            check_projection(self.model, layer, channels, shape, self._rule)
        # What decides an evolution: two that differ in it do not belong together.
        convention = source.model.preprocessing
        self._settings = {
            "features": [[layer, channel] for layer, channels in self._features.items() for channel in channels],
            "rule": self._rule,
            "images": digest(source.images),
            "architecture": hooks.digest_model(self.model, weights=False),
            "preprocessing": None if convention is None else dataclasses.asdict(convention),
        }

    def _is_chosen(self, epoch: int) -> bool:
        return epoch in self.epochs

    def _write(self, epoch: int) -> None:
        found = []
        for layer, channels in self._features.items():
            search = Search(self.model, layer, channels, 1, self._source)
            ranking = search.run()
            for one in reconstruct(
                self.model, layer, channels, ranking, self._source, self._fields[layer], self._rule, seen=search.seen
            ):
                found.append(dataclasses.replace(one, names=[self._names[number] for number in one.numbers]))
        self._store.write(epoch, *epoch_contents(found, self._settings))
        pictures.write(self.folder / STRIP, draw_evolution(self.folder))
