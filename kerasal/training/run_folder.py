"""The output folder of a training run: begin a run, resume one, or raise an error without changing a file.

The checkpoint is one ``.npz`` file, which is replaced atomically: ``settings`` and ``history`` as JSON, and the
variables as arrays ``model_0``, ... and ``optimizer_0``, .... Reading it executes no code.
"""

import contextlib
import pathlib
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.digests import digest, digest_file
from kerasal.store import Damaged, Store, reading_arrays, write_arrays
from kerasal.training.workers import SingleProcess, Team

CHECKPOINT, HISTORY, CURVES = "checkpoint.npz", "history.csv", "curves.png"
START, DRAWN = "starting weights", "drawn by the seed"
DEVICES = "devices"
"""Name of the setting with the number of devices, which may differ when a run is resumed."""

_START_OVER = "start over with resume=False"
_PATIENCE = 30.0  # seconds; a network drive shows a new file to other machines with a delay


def write_checkpoint(
    path: pathlib.Path, settings: Mapping[str, Any], rows: Sequence[dict], variables: Mapping[str, Sequence]
) -> None:
    """Write the state of a run; ``variables`` maps ``"model"`` and ``"optimizer"`` to their Keras variables."""
    arrays = {
        f"{owner}_{i}": np.asarray(value) for owner, values in variables.items() for i, value in enumerate(values)
    }
    write_arrays(path, arrays, {"settings": settings, "history": rows})


def read_setting(path: pathlib.Path, name: str) -> Any:
    """Return a setting of the run whose checkpoint is ``path``; ``None`` if the checkpoint does not contain it."""
    with reading_arrays(path) as stored:
        return stored.facts("settings").get(name)


def read_checkpoint(
    path: pathlib.Path, settings: Mapping[str, Any], variables: Mapping[str, Sequence]
) -> list[dict[str, Any]]:
    """Restore ``variables`` from the checkpoint ``path`` and return its history, one dict per epoch.

    Raises:
        Damaged: the file is damaged.
        OtherSettings: the checkpoint is of a run with other settings, which the message lists. No variable is changed.
        ValueError: an array of the checkpoint does not have the shape of its variable.
    """
    try:
        with reading_arrays(path) as stored:
            old, rows = stored.facts("settings"), stored.facts("history")
            new = {key: value for key, value in settings.items() if key != DEVICES}
            remedy = f"Use the settings of that run or another output folder, or {_START_OVER}."
            Store(path.parent).check({key: old[key] for key in new if key in old}, new, "a run", remedy)
            arrays = {
                owner: [stored[f"{owner}_{i}"] for i in range(len(values))] for owner, values in variables.items()
            }
    except Damaged as error:
        raise Damaged(f"The checkpoint {error} Delete the folder, or {_START_OVER}.") from error
    pairs = [pair for owner, values in variables.items() for pair in zip(values, arrays[owner], strict=True)]
    for variable, array in pairs:
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"The checkpoint {path} must hold an array of shape {tuple(variable.shape)} for {variable.name}, got "
                f"{array.shape}. Use another output folder, or {_START_OVER}."
            )
    for variable, array in pairs:
        variable.assign(array)
    return rows


def describe_model(model) -> dict[str, str]:
    """Return the checkpoint settings of a model: its name, number of parameters and architecture, without weights."""
    trainable = [bool(variable.trainable) for variable in model.weights]
    return {
        "model": f"{model.name} with {model.count_params():,} parameters",
        "architecture": digest(hooks.digest_model(model, weights=False), trainable),
    }


def digest_start(weights: Sequence) -> str:
    """Return a digest of a model's starting weights."""
    return digest([np.asarray(variable) for variable in weights])


@contextlib.contextmanager
def claim_folder(team: SingleProcess | Team, output: pathlib.Path) -> Iterator[None]:
    """Lock the folder against a second training; in a team, only the chief takes the lock.

    Raises:
        FolderInUse: another training is writing to the folder; the other processes of a team raise a ValueError.
        OSError: the folder cannot be created or written to.
    """
    with contextlib.ExitStack() as locks:
        error = None
        try:
            if team.chief:
                locks.enter_context(Store(output).locked())
        except (ValueError, OSError) as raised:
            error = raised
        team.exchange_or_raise(error)
        yield


def begin_run(
    team: SingleProcess | Team,
    output: pathlib.Path,
    files: Sequence[str],
    settings: MutableMapping[str, Any],
    state: Mapping[str, Sequence],
    *,
    resume: bool,
    epochs: int,
) -> list[dict[str, Any]]:
    """Restore the run in ``output`` and return its history, or write the first checkpoint of a new run.

    In a team, the chief does this, and the other processes then read its checkpoint.

    Args:
        team: the processes that train.
        output: output folder.
        files: names of the files that a run writes in addition to its checkpoint.
        settings: settings that must be equal when a run is resumed. If ``START`` is missing, the run may be resumed
            from any starting weights; the entry is then added with the run's value.
        state: variables to restore; see ``write_checkpoint``.
        resume: whether to resume a run in the folder; ``False`` starts over.
        epochs: total number of epochs.

    Raises:
        ValueError: the folder holds another run, a longer run or a damaged checkpoint (raised in every process); a
            process does not see the chief's folder, or was started with other settings or data.
    """
    if team.size == 1:
        return _begin_or_resume(output, files, settings, state, resume, epochs)
    rows, error = [], None
    try:
        if team.chief:
            rows = _begin_or_resume(output, files, settings, state, resume, epochs)
    except (ValueError, OSError) as raised:
        error = raised
    checkpoint = digest_if_exists(output / CHECKPOINT) if team.chief and error is None else ""
    chief = team.exchange_or_raise(error, epochs=epochs, checkpoint=checkpoint)[0]
    try:
        if not team.chief:
            wait_for_file(output / CHECKPOINT, chief["checkpoint"])
            others = {name: value for name, value in settings.items() if name != START}  # START: checked by the chief
            rows = read_checkpoint(output / CHECKPOINT, others, state)
            if epochs != chief["epochs"]:
                raise ValueError(f"epochs must be the chief's {chief['epochs']} in every process, got {epochs}.")
    except (ValueError, OSError) as raised:
        error = raised
    team.exchange_or_raise(error)
    return rows


def _begin_or_resume(output: pathlib.Path, files, settings, state, resume: bool, epochs: int) -> list[dict[str, Any]]:
    path = output / CHECKPOINT
    if resume and path.is_file():
        rows = read_checkpoint(path, settings, state)
        if len(rows) > epochs:
            raise ValueError(
                f"epochs must be at least {len(rows)}, the length of the run in {output}, got {epochs}. Use another "
                f"output folder, or {_START_OVER}."
            )
        settings.setdefault(START, read_setting(path, START))
        return rows
    if resume and (output / HISTORY).exists():
        raise ValueError(
            f"{output} must contain {CHECKPOINT} to resume its run, got only {HISTORY}, which would be replaced. Use "
            f"another output folder, or {_START_OVER}."
        )
    for name in files:  # so that the folder never mixes files of two runs
        (output / name).unlink(missing_ok=True)
    settings.setdefault(START, digest_start(state["model"]))
    # A checkpoint of epoch 0: a run that is stopped in its first epoch starts again from the same weights.
    write_checkpoint(path, settings, [], state)
    return []


def digest_if_exists(path: pathlib.Path) -> str:
    """Return the digest of a file, or an empty text if it does not exist."""
    try:
        return digest_file(path)
    except FileNotFoundError:
        return ""


def wait_for_file(path: pathlib.Path, expected: str) -> None:
    """Wait until the file has the expected digest, that is, until the chief's version of it is visible here.

    Raises:
        ValueError: the file is missing or different after half a minute.
    """
    end = time.monotonic() + _PATIENCE
    while (actual := digest_if_exists(path)) != expected:
        if time.monotonic() > end:
            raise ValueError(
                f"The output folder must be shared by all machines (such as a network drive), but the chief's "
                f"{path.absolute()} {'differs from the file' if actual else 'does not exist'} on this machine."
            )
        time.sleep(0.1)
