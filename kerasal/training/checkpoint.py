"""The state of a run in one file, so that it is whole or not there: weights, optimizer, history and settings.

One ``.npz``: ``settings`` and ``history`` as JSON, the variables as ``model_0``, ... and ``optimizer_0``, ...; reading
it executes nothing.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.store import Damaged, Store, reading_arrays, write_arrays

DEVICES = "devices"
"""The setting in which a run that goes on may differ from its beginning: on how many devices it trains."""

_START_OVER = "start over with resume=False (--fresh on the command line)"


def write(
    path: pathlib.Path, settings: Mapping[str, Any], rows: Sequence[dict], variables: Mapping[str, Sequence]
) -> None:
    """Write the state of a run; ``variables`` maps ``"model"`` and ``"optimizer"`` to their Keras variables."""
    arrays = {f"{owner}_{i}": np.asarray(value) for owner, held in variables.items() for i, value in enumerate(held)}
    write_arrays(path, arrays, {"settings": settings, "history": rows})


def devices(path: pathlib.Path) -> int:
    """Return on how many devices the run was trained whose state ``path`` is."""
    return setting(path, DEVICES) or 1


def setting(path: pathlib.Path, name: str) -> Any:
    """Return a setting of the run whose state ``path`` is; ``None`` where it is not noted."""
    with reading_arrays(path) as stored:
        return stored.facts("settings").get(name)


def read(path: pathlib.Path, settings: Mapping[str, Any], variables: Mapping[str, Sequence]) -> list[dict]:
    """Restore ``variables`` from ``path`` and return the history, a dict an epoch.

    Raises:
        Damaged: the file is damaged.
        OtherSettings: it belongs to a run with other settings (which ones is said). Then no variable was touched.
    """
    try:
        with reading_arrays(path) as stored:
            found, rows = stored.facts("settings"), stored.facts("history")
            asked = {key: value for key, value in settings.items() if key != DEVICES}
            remedy = f"Go on with the settings of that run, use another output folder, or {_START_OVER}."
            Store(path.parent).check({key: found[key] for key in asked if key in found}, asked, "a run", remedy)
            arrays = {owner: [stored[f"{owner}_{i}"] for i in range(len(held))] for owner, held in variables.items()}
    except Damaged as error:
        raise Damaged(f"The checkpoint {error} Remove the folder, or {_START_OVER}.") from error
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
