"""What is kept of chosen epochs of a training, ``epoch-0005.npz`` each; read back together; what keeps it."""

import contextlib
import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.channel_exemplars import Exemplars
from kerasal.store import Arrays, Damaged, Store, plain, reading_arrays, write_arrays

import keras
import tensorflow as tf

_NAME = re.compile(r"epoch-(\d{4,})\.npz")
_Read = TypeVar("_Read")
_FIELDS = ("activations", "numbers", "positions", "boxes", "crops", "reconstructions")


@dataclasses.dataclass(frozen=True, eq=False)
class Evolution:
    """What a folder of ``FeatureEvolution`` holds.

    Attributes:
        epochs: the stored epochs, ascending; 0 is before training.
        features: (layer, channel) of each feature.
        found: for each epoch, one ``Exemplars`` a feature, of the one strongest image.
        settings: what decided them: features, rule, images, preprocessing.
    """

    epochs: list[int]
    features: list[tuple[str, int]]
    found: dict[int, list[Exemplars]]
    settings: dict[str, Any]


class EpochStore(Store):
    """A folder with a file for each stored epoch of one training, and pictures that are drawn from all of them.

    Args:
        folder: where the files are.
        what: the epochs are of, for the errors: ``"an evolution"``.
        pictures: file names of what is drawn.
    """

    def __init__(self, folder: str | os.PathLike, what: str = "", pictures: Sequence[str] = ()):
        super().__init__(folder)
        self.what, self.pictures = what, pictures

    def epochs(self) -> dict[int, pathlib.Path]:
        """Return the stored epochs and their files, ascending; none if there is no such folder."""
        inside = self.folder.iterdir() if self.folder.is_dir() else ()
        named = [(path, _NAME.fullmatch(path.name)) for path in inside]
        return dict(sorted((int(match[1]), path) for path, match in named if match))

    def begin(self, epoch: int, settings: Mapping[str, Any], *, ahead: int = 1, overwrite: bool = False) -> None:
        """Prepare the folder for a training that begins, or goes on, after ``epoch``.

        With ``overwrite`` a training from epoch 0 on removes what an earlier one has left. ``ahead`` epochs may be
        stored already: they were just before a run was stopped. What is damaged is left to be stored anew.

        Raises:
            ValueError: an earlier training lies there.
            OtherSettings: what lies there was made under other settings.
        """
        self.sweep(("epoch", *self.pictures))
        stored = self.epochs()
        if overwrite and epoch == 0:
            for path in [*stored.values(), *(self.folder / name for name in self.pictures)]:
                path.unlink(missing_ok=True)
            return
        late = [one for one in stored if one > epoch + ahead]
        if epoch == 0 and late:
            raise ValueError(
                f"{self.folder} holds {self.what} of an earlier run, up to epoch {late[-1]}. Go on with that run "
                "(fit(..., initial_epoch=...)), use another folder, or pass overwrite=True."
            )
        remedy = "Use the same as there, another folder, or overwrite=True with a training from the start."
        for path in stored.values():
            with contextlib.suppress(OSError, Damaged), reading_arrays(path) as read:
                there = read.facts()["settings"]
                self.check(
                    {name: there[name] for name in settings if name in there}, plain(settings), self.what, remedy
                )

    def write(self, epoch: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write one epoch; ``facts`` have its ``settings``.

        Raises:
            OSError: the folder cannot be written to, or the disk is full.
        """
        write_arrays(self.folder / f"epoch-{epoch:04d}.npz", arrays, {"facts": facts}, compress=True)

    def read(self, take: Callable[[Arrays], _Read]) -> dict[int, _Read]:
        """Return what ``take`` makes of each stored epoch; a damaged one is left out with a warning."""
        found = {}
        for epoch, path in self.epochs().items():
            try:
                with reading_arrays(path) as stored:
                    found[epoch] = take(stored)
            except (OSError, Damaged) as error:
                warnings.warn(f"{error} It is left out.", stacklevel=3)
        return found


class EpochWatcher(keras.callbacks.Callback):
    """A callback that keeps something after chosen epochs; epoch 0 is before the first step.

    ``on_train_begin`` of a subclass settles ``_settings``, which decide what is kept, after it has tried what can fail.
    ``ahead`` is as in ``EpochStore.begin``; ``subject`` begins the warning that an epoch could not be kept.
    """

    subject = ""
    model: keras.Model  # while it is trained
    _settings: dict[str, Any]

    def __init__(self, store: EpochStore, *, ahead: int = 1, overwrite: bool = False):
        super().__init__()
        self.folder, self._store, self._ahead, self._overwrite = store.folder, store, ahead, overwrite
        self._began = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first epoch of this run: look at what the folder holds, and keep epoch 0 if it is chosen."""
        if not self._began:
            self._began = True
            self._store.begin(epoch, self._settings, ahead=self._ahead, overwrite=self._overwrite)
            if epoch == 0 and self._is_chosen(0):
                self._keep(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep this epoch if it is one of the chosen; Keras counts epochs from 0."""
        if self._is_chosen(epoch + 1):
            self._keep(epoch + 1)

    def _is_chosen(self, epoch: int) -> bool:
        raise NotImplementedError

    def _write(self, epoch: int) -> None:
        """Store one epoch, and draw the strips."""
        raise NotImplementedError

    def _keep(self, epoch: int) -> None:
        """Store one epoch and draw the strips; whatever fails now must not cost the training."""
        try:
            self._write(epoch)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).rstrip(".")
            warnings.warn(
                f"{self.subject} after epoch {epoch} could not be stored and drawn: {reason}. The training goes on.",
                stacklevel=2,
            )


def epoch_contents(found: Sequence[Exemplars], settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the facts by which an epoch of an evolution is stored."""
    arrays = {f"{name}_{i}": getattr(one, name) for i, one in enumerate(found) for name in _FIELDS}
    facts = {
        "settings": settings,
        "features": [[one.layer, one.channel] for one in found],
        "names": [one.names for one in found],
        "seen": found[0].seen,
    }
    return arrays, facts


def read_evolution(folder: str | os.PathLike) -> Evolution:
    """Read what ``FeatureEvolution`` stored in a folder; a damaged epoch is left out with a warning.

    Raises:
        FileNotFoundError: no such folder, or no epoch in it.
        ValueError: no epoch can be read, or they are of different evolutions.
    """
    store = EpochStore(folder)
    count = len(store.epochs())
    if not count:
        raise FileNotFoundError(
            f"There is no stored epoch (epoch-0001.npz, …) in {os.fspath(folder)}. Such a folder is written by "
            "receptive_field.FeatureEvolution, or by kerasal train MODEL --evolution FOLDER."
        )
    read = store.read(lambda stored: (stored.facts()["settings"], _exemplars(stored)))
    if not read:
        raise ValueError(f"None of the {count} stored epochs in {os.fspath(folder)} can be read.")
    settings = {epoch: one for epoch, (one, _) in read.items()}
    found = {epoch: one for epoch, (_, one) in read.items()}
    last = max(found)
    differing = [epoch for epoch in found if settings[epoch] != settings[last]]
    if differing:
        raise ValueError(
            f"{os.fspath(folder)} holds epochs of different evolutions: {differing} have other features, images or "
            f"settings than {last}. Keep each evolution in a folder of its own."
        )
    features = [(one.layer, one.channel) for one in found[last]]
    return Evolution(sorted(found), features, found, settings[last])


def _exemplars(stored: Arrays) -> list[Exemplars]:
    """Return the exemplars, one a feature, of one stored epoch."""
    facts = stored.facts()
    known = facts["settings"]["preprocessing"]
    convention = known and Preprocessing(known["name"], tuple(known["mean"]), tuple(known["std"]), known["bgr"])
    return [
        Exemplars(
            layer=layer,
            channel=channel,
            names=names,
            **{name: stored[f"{name}_{i}"] for name in _FIELDS},
            seen=facts["seen"],
            skipped=[],
            preprocessing=convention,
        )
        for i, ((layer, channel), names) in enumerate(zip(facts["features"], facts["names"], strict=True))
    ]
