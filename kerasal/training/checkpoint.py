"""The state of a run in one file, so that it is whole or not there: weights, optimizer, history and settings.

One ``.npz``: ``settings`` and ``history`` as JSON, the variables as ``model_0``, ... and ``optimizer_0``, ...; reading
it executes nothing.
"""

import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.files import replacing

DEVICES = "devices"
"""The setting in which a run that goes on may differ from its beginning: on how many devices it trains."""

_START_OVER = "start over with resume=False (--fresh on the command line)"


def write(
    path: pathlib.Path, settings: Mapping[str, Any], rows: Sequence[dict], variables: Mapping[str, Sequence]
) -> None:
    """Write the state of a run; ``variables`` maps ``"model"`` and ``"optimizer"`` to their Keras variables."""
    arrays = {f"{owner}_{i}": np.asarray(value) for owner, held in variables.items() for i, value in enumerate(held)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, settings=json.dumps(dict(settings)), history=json.dumps(list(rows)), **arrays)


def devices(path: pathlib.Path) -> int:
    """Return on how many devices the run was trained whose state ``path`` is."""
    return setting(path, DEVICES) or 1


def setting(path: pathlib.Path, name: str) -> Any:
    """Return a setting of the run whose state ``path`` is; ``None`` where it is not noted."""
    with np.load(path, allow_pickle=False) as stored:
        return json.loads(str(stored["settings"])).get(name)


def read(path: pathlib.Path, settings: Mapping[str, Any], variables: Mapping[str, Sequence]) -> list[dict]:
    """Restore ``variables`` from ``path`` and return the history, a dict an epoch.

    Raises:
        ValueError: the file is damaged, or belongs to a run with other settings (which ones is said). Then no variable
            was touched.
    """
    try:
        with path.open("rb") as file:  # opened here, because np.load leaves a damaged archive open
            stored = np.load(file, allow_pickle=False)
            found, rows = json.loads(str(stored["settings"])), json.loads(str(stored["history"]))
            _compare(path, found, settings)
            arrays = {owner: [stored[f"{owner}_{i}"] for i in range(len(held))] for owner, held in variables.items()}
    except _OtherSettings:
        raise
    except (ValueError, KeyError, IndexError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"The checkpoint {path} is damaged ({error}). Remove the folder, or {_START_OVER}.") from error
    pairs = [pair for owner, held in variables.items() for pair in zip(held, arrays[owner], strict=True)]
    for variable, array in pairs:
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"The checkpoint {path} does not fit the model: expected an array of {tuple(variable.shape)}, received "
                f"{array.shape}. Use another output folder, or {_START_OVER}."
            )
    for variable, array in pairs:
        variable.assign(array)
    return rows


class _OtherSettings(ValueError):
    pass


def _compare(path: pathlib.Path, found: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differing = [key for key in settings if key != DEVICES and found.get(key) != settings[key]]
    if differing:
        there = {key: found.get(key, "not noted, as by an earlier version,") for key in differing}
        changes = "; ".join(f"{key}: {there[key]} there, {settings[key]} now" for key in differing)
        raise _OtherSettings(
            f"{path.parent} holds a run with other settings ({changes}). Go on with the settings of that run, use "
            f"another output folder, or {_START_OVER}."
        )
