"""Files of an evolution: ``epoch-0005.npz`` for each stored epoch, the folder that holds them, and their callback."""

import contextlib
import dataclasses
import os
import pathlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kerasal.names import RenamedAttribute
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
    """The stored epochs of a ``FeatureEvolution`` folder.

    Attributes:
        epochs: the stored epochs in ascending order; 0 is before training.
        features: (layer, channel) of each feature.
        exemplars: for each epoch, a list of ``Exemplars``, one per feature, each of the image that activates it most.
        settings: features, rule, digest of the images, architecture and preprocessing of the run.
    """

    epochs: list[int]
    features: list[tuple[str, int]]
    exemplars: dict[int, list[Exemplars]]
    settings: dict[str, Any]

    found = RenamedAttribute("exemplars")


class EpochStore(Store):
    """A folder with a file for each stored epoch of a training run, and the pictures drawn from these files.

    Args:
        folder: path of the folder.
        content: noun phrase for the folder's content in error messages, such as ``"an evolution"``.
        pictures: names of the picture files.
    """

    def __init__(self, folder: str | os.PathLike, content: str = "", pictures: Sequence[str] = ()):
        super().__init__(folder)
        self.content, self.pictures = content, pictures

    def epochs(self) -> dict[int, pathlib.Path]:
        """Return a dictionary from stored epoch to file, in ascending order; empty if the folder does not exist."""
        inside = self.folder.iterdir() if self.folder.is_dir() else ()
        named = [(path, _NAME.fullmatch(path.name)) for path in inside]
        return dict(sorted((int(match[1]), path) for path, match in named if match))

    def begin(self, epoch: int, settings: Mapping[str, Any], *, ahead: int = 1, overwrite: bool = False) -> None:
        """Prepare the folder for a training run that starts or resumes after ``epoch``.

        With ``overwrite``, a run that starts at epoch 0 removes the files of an earlier run. Up to ``ahead`` later
        epochs may be stored already, from just before an interruption. Damaged files are ignored and replaced later.

        Raises:
            ValueError: if the folder holds an earlier run.
            OtherSettings: if the folder holds a run with other settings.
        """
        self.sweep(("epoch", *self.pictures))
        stored = self.epochs()
        if overwrite and epoch == 0:
            for path in [*stored.values(), *(self.folder / name for name in self.pictures)]:
                path.unlink(missing_ok=True)
            return
        late = [number for number in stored if number > epoch + ahead]
        if epoch == 0 and late:
            raise ValueError(
                f"{self.folder} must be empty when training starts at epoch 0, but it holds {self.content} of an "
                f"earlier run, up to epoch {late[-1]}. Resume that run with fit(..., initial_epoch=...), choose "
                "another folder, or pass overwrite=True."
            )
        remedy = "Use the stored settings or another folder, or start from epoch 0 with overwrite=True."
        for path in stored.values():
            with contextlib.suppress(OSError, Damaged), reading_arrays(path) as arrays:
                stored_settings = arrays.facts()["settings"]
                known = {name: stored_settings[name] for name in settings if name in stored_settings}
                self.check(known, plain(settings), self.content, remedy)

    def write(self, epoch: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Write the file of an epoch; ``facts`` must contain its ``settings``.

        Raises:
            OSError: if the folder is not writable or the disk is full.
        """
        write_arrays(self.folder / f"epoch-{epoch:04d}.npz", arrays, {"facts": facts}, compress=True)

    def read(self, take: Callable[[Arrays], _Read]) -> dict[int, _Read]:
        """Return a dictionary from epoch to ``take(arrays)``; damaged epochs are skipped with a warning."""
        results = {}
        for epoch, path in self.epochs().items():
            try:
                with reading_arrays(path) as stored:
                    results[epoch] = take(stored)
            except (OSError, Damaged) as error:
                warnings.warn(f"{error} The epoch is skipped.", stacklevel=3)
        return results


class EpochWatcher(keras.callbacks.Callback):
    """A Keras callback that stores results after chosen epochs; epoch 0 is before the first step.

    ``on_train_begin`` of a subclass checks everything that can fail and sets ``_settings``, which identify the run.
    ``ahead`` is passed to ``EpochStore.begin``; ``subject`` begins the warning about an epoch that could not be stored.
    """

    subject = ""
    model: keras.Model  # set by Keras during training
    _settings: dict[str, Any]

    def __init__(self, store: EpochStore, *, ahead: int = 1, overwrite: bool = False):
        super().__init__()
        self.folder, self._store, self._ahead, self._overwrite = store.folder, store, ahead, overwrite
        self._began = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Check the folder before the first epoch of this run, and store epoch 0 if it is among the chosen epochs."""
        if not self._began:
            self._began = True
            self._store.begin(epoch, self._settings, ahead=self._ahead, overwrite=self._overwrite)
            if epoch == 0 and self._is_chosen(0):
                self._keep(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Store this epoch if it is among the chosen epochs; Keras numbers epochs from 0."""
        if self._is_chosen(epoch + 1):
            self._keep(epoch + 1)

    def _is_chosen(self, epoch: int) -> bool:
        raise NotImplementedError

    def _write(self, epoch: int) -> None:
        """Store an epoch and draw the pictures."""
        raise NotImplementedError

    def _keep(self, epoch: int) -> None:
        """Store an epoch and draw the pictures; a failure is a warning, so that the training continues."""
        try:
            self._write(epoch)
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = str(error).rstrip(".")
            warnings.warn(
                f"{self.subject} after epoch {epoch} could not be stored and drawn: {reason}. The training continues.",
                stacklevel=2,
            )


def epoch_contents(
    exemplars: Sequence[Exemplars], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and the JSON facts that are stored for an epoch of an evolution."""
    arrays = {f"{name}_{i}": getattr(feature, name) for i, feature in enumerate(exemplars) for name in _FIELDS}
    facts = {
        "settings": settings,
        "features": [[feature.layer, feature.channel] for feature in exemplars],
        "names": [feature.names for feature in exemplars],
        "seen": exemplars[0].seen,
    }
    return arrays, facts


def read_evolution(folder: str | os.PathLike) -> Evolution:
    """Return the evolution that ``FeatureEvolution`` stored in a folder; damaged epochs are skipped with a warning.

    Raises:
        FileNotFoundError: if the folder does not exist or holds no epoch.
        ValueError: if no epoch is readable, or the epochs belong to different runs.
    """
    store = EpochStore(folder)
    count = len(store.epochs())
    if not count:
        raise FileNotFoundError(
            f"{os.fspath(folder)} must be a folder with stored epochs (epoch-0001.npz, …), but there are none. The "
            "callback kerasal.receptive_field.FeatureEvolution writes them during training."
        )
    contents = store.read(lambda stored: (stored.facts()["settings"], _read_exemplars(stored)))
    if not contents:
        raise ValueError(
            f"{os.fspath(folder)} must hold a readable epoch, but all {count} stored epochs are damaged. Train again."
        )
    settings = {epoch: value for epoch, (value, _) in contents.items()}
    exemplars = {epoch: value for epoch, (_, value) in contents.items()}
    last = max(exemplars)
    differing = [epoch for epoch in exemplars if settings[epoch] != settings[last]]
    if differing:
        raise ValueError(
            f"{os.fspath(folder)} must hold epochs of a single run, but the epochs {differing} have other features, "
            f"images or settings than epoch {last}. Use a separate folder for each run."
        )
    features = [(value.layer, value.channel) for value in exemplars[last]]
    return Evolution(sorted(exemplars), features, exemplars, settings[last])


def _read_exemplars(stored: Arrays) -> list[Exemplars]:
    """Return the exemplars of a stored epoch, one per feature."""
    facts = stored.facts()
    fields = facts["settings"]["preprocessing"]
    convention = fields and Preprocessing(fields["name"], tuple(fields["mean"]), tuple(fields["std"]), fields["bgr"])
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
