"""``FeatureEvolution``: a Keras callback that records how features develop during training."""

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
    """Keras callback that stores the reconstructions of chosen features at chosen epochs and draws ``evolution.png``.

    After each chosen epoch, the strongest activation of each feature over a fixed set of images is projected back to
    pixels, as in ``top_exemplars``, and stored as ``epoch-0005.npz``; then ``evolution.png`` is drawn from all stored
    epochs. Training resumed in the same folder with Keras' ``initial_epoch`` adds to them.

    Invalid features, a folder that is not writable and a folder with another evolution are errors before the first
    training step. Later failures, such as a full disk or activations that are not finite, are warnings: the epoch is
    not stored, and training continues.

    Args:
        folder: output folder, created if it does not exist.
        images: the fixed set of images, as in ``top_exemplars``, at most a few hundred, since they are kept in memory
            as model inputs.
        features: channels of each layer, as ``{"conv1": range(8), "conv2": [3, 17]}``.
        epochs: the epochs to store, numbered from 1; 0 is before the first. The default is that of the source.
        preprocessing: the model's pixel convention, required for uint8 images and files.
        rule: backward rule of the ReLUs; see ``kerasal.hooks.RULES``.
        fit: how images are fitted to the model's input size: ``"crop"`` around the center, or ``"stretch"``.
        size: (height, width) of the input for a model that takes any size.
        overwrite: replace the evolution of an earlier run in the folder instead of raising an error.

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
            raise ValueError("epochs must contain at least one epoch, got none. An example is (1, 2, 5, 10).")
        for epoch in self.epochs:
            check_int("epochs", epoch, 0, remedy="1 is after the first epoch, 0 before it.")
        if not isinstance(features, Mapping) or not features:
            raise TypeError(
                f"features must be a dictionary from layer to channels, got {features!r}. An example is "
                "{'conv1': [0, 1]}."
            )
        check_choice("rule", rule, hooks.RULES)
        self._features = {layer: check_channels(channels) for layer, channels in features.items()}
        self._images, self._rule = images, rule
        self._image_options = {"preprocessing": preprocessing, "fit": fit, "size": size}

    def on_train_begin(self, logs: Any = None) -> None:
        """Read the images and check the features and the folder, so that errors occur before training."""
        self._began = False
        check_writable(self.folder / STRIP)
        source = getattr(self, "_source", None)
        if source is None or source.model.keras_model is not self.model:
            opened = open_source(self._images, ImageModel(self.model, **self._image_options))
            inputs, self._names = read_all(opened, "watch features with")
            source = self._source = Array(inputs, opened.model)
        self._features = {
            hooks.find_layer(self.model, layer)[0]: channels for layer, channels in self._features.items()
        }
        shape = source.shape
        self._fields = {layer: remember_field(self.model, layer, shape[:2]) for layer in self._features}
        for layer, channels in self._features.items():
            check_projection(self.model, layer, channels, shape, self._rule)
        # Epochs stored with other settings belong to another evolution.
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
        results = []
        for layer, channels in self._features.items():
            search = Search(self.model, layer, channels, 1, self._source)
            ranking = search.run()
            for exemplars in reconstruct(
                self.model, layer, channels, ranking, self._source, self._fields[layer], self._rule, seen=search.seen
            ):
                results.append(
                    dataclasses.replace(exemplars, names=[self._names[number] for number in exemplars.numbers])
                )
        self._store.write(epoch, *epoch_contents(results, self._settings))
        pictures.write(self.folder / STRIP, draw_evolution(self.folder))
