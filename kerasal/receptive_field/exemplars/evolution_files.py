"""The files of a feature evolution: one ``epoch-0005.npz`` an epoch, each whole by itself, and read back together."""

import dataclasses
import json
import os
import pathlib
import re
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.files import replacing
from kerasal.preprocessing import Preprocessing
from kerasal.receptive_field.exemplars.reconstruction import Exemplars

_NAME = re.compile(r"epoch-(\d{4,})\.npz")
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


def epochs_in(folder: str | os.PathLike) -> dict[int, pathlib.Path]:
    """Return the stored epochs of a folder and their files, ascending; none if there is no such folder."""
    folder = pathlib.Path(folder)
    named = [(path, _NAME.fullmatch(path.name)) for path in (folder.iterdir() if folder.is_dir() else ())]
    return dict(sorted((int(match[1]), path) for path, match in named if match))


def write_epoch(folder: pathlib.Path, epoch: int, found: Sequence[Exemplars], settings: dict[str, Any]) -> pathlib.Path:
    """Write one epoch, beside its place and renamed.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    arrays = {f"{name}_{i}": getattr(one, name) for i, one in enumerate(found) for name in _FIELDS}
    facts = {
        "settings": settings,
        "features": [[one.layer, one.channel] for one in found],
        "names": [one.names for one in found],
        "seen": found[0].seen,
    }
    path = folder / f"epoch-{epoch:04d}.npz"
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, facts=json.dumps(facts), **arrays)
    return path


def read_evolution(folder: str | os.PathLike) -> Evolution:
    """Read what ``FeatureEvolution`` stored in a folder; a damaged epoch is left out with a warning.

    Raises:
        FileNotFoundError: no such folder, or no epoch in it.
        ValueError: no epoch can be read, or they are of different evolutions.
    """
    paths = epochs_in(folder)
    if not paths:
        raise FileNotFoundError(
            f"There is no stored epoch (epoch-0001.npz, …) in {os.fspath(folder)}. Such a folder is written by "
            "receptive_field.FeatureEvolution, or by kerasal train MODEL --evolution FOLDER."
        )
    found, settings = {}, {}
    for epoch, path in paths.items():
        try:
            settings[epoch], found[epoch] = read_epoch(path)
        except ValueError as error:
            warnings.warn(f"{error} It is left out.", stacklevel=2)
    if not found:
        raise ValueError(f"None of the {len(paths)} stored epochs in {os.fspath(folder)} can be read.")
    last = max(found)
    differing = [epoch for epoch in found if settings[epoch] != settings[last]]
    if differing:
        raise ValueError(
            f"{os.fspath(folder)} holds epochs of different evolutions: {differing} have other features, images or "
            f"settings than {last}. Keep each evolution in a folder of its own."
        )
    features = [(one.layer, one.channel) for one in found[last]]
    return Evolution(sorted(found), features, found, settings[last])


def read_epoch(path: pathlib.Path) -> tuple[dict[str, Any], list[Exemplars]]:
    """Return the settings and the exemplars, one per feature, of one stored epoch.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            facts = json.loads(str(stored["facts"]))
            convention = facts["settings"]["preprocessing"]
            return facts["settings"], [
                Exemplars(
                    layer=layer,
                    channel=channel,
                    names=names,
                    **{name: stored[f"{name}_{i}"] for name in _FIELDS},
                    seen=facts["seen"],
                    skipped=[],
                    preprocessing=None if convention is None else _convention(convention),
                )
                for i, ((layer, channel), names) in enumerate(zip(facts["features"], facts["names"], strict=True))
            ]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"The stored epoch {path} is damaged ({error}).") from error


def _convention(facts: dict[str, Any]) -> Preprocessing:
    return Preprocessing(facts["name"], tuple(facts["mean"]), tuple(facts["std"]), facts["bgr"])
