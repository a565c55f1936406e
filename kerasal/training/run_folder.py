"""The folder of a run: begun, gone on with, or refused before anything in it is touched.

Its checkpoint is one ``.npz``, whole or not there: ``settings`` and ``history`` as JSON, the variables as ``model_0``,
... and ``optimizer_0``, ...; reading it executes nothing.
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
"""The setting in which a run that goes on may differ from its beginning: on how many devices it trains."""

_START_OVER = "start over with resume=False (--fresh on the command line)"
_PATIENCE = 30.0  # seconds: a shared folder shows a new file to other machines only after a while


def write_checkpoint(
    path: pathlib.Path, settings: Mapping[str, Any], rows: Sequence[dict], variables: Mapping[str, Sequence]
) -> None:
    """Write the state of a run; ``variables`` maps ``"model"`` and ``"optimizer"`` to their Keras variables."""
    arrays = {f"{owner}_{i}": np.asarray(value) for owner, held in variables.items() for i, value in enumerate(held)}
    write_arrays(path, arrays, {"settings": settings, "history": rows})


def read_setting(path: pathlib.Path, name: str) -> Any:
    """Return a setting of the run whose checkpoint is ``path``; ``None`` where it is not noted."""
    with reading_arrays(path) as stored:
        return stored.facts("settings").get(name)


def read_checkpoint(
    path: pathlib.Path, settings: Mapping[str, Any], variables: Mapping[str, Sequence]
) -> list[dict[str, Any]]:
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


def describe_model(model) -> dict[str, str]:
    """Return what a run that goes on must have in common with its beginning of the model, whose weights it restores."""
    trained = [bool(variable.trainable) for variable in model.weights]
    return {
        "model": f"{model.name} with {model.count_params():,} parameters",
        "architecture": digest(hooks.digest_model(model, weights=False), trained),
    }


def digest_start(weights: Sequence) -> str:
    """Return a digest of starting weights: a model's variables."""
    return digest([np.asarray(one) for one in weights])


@contextlib.contextmanager
def claim_folder(team: SingleProcess | Team, output: pathlib.Path) -> Iterator[None]:
    """Keep a second training out of the folder; of a team the chief does, whose workers share it with him.

    Raises:
        FolderInUse: another training is at work in it; in every process of a team as a ValueError.
        OSError: the folder cannot be made or written to.
    """
    with contextlib.ExitStack() as held:
        error = None
        try:
            if team.chief:
                held.enter_context(Store(output).locked())
        except (ValueError, OSError) as refused:
            error = refused
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
    """Restore the run in ``output`` and return its history so far, or write the checkpoint of a new run's start.

    Of a team the chief begins, and all read the one checkpoint it has.

    Args:
        team: the processes that train.
        output: the folder.
        files: the names of what a run writes beside its checkpoint.
        settings: what a run that goes on must have in common with its beginning. Without ``START`` it may have begun
            from other weights than those of ``state``; then that is added as it is, or was, there.
        state: the variables to restore, see ``write_checkpoint``.
        resume: go on where there is a run; ``False`` starts over.
        epochs: epochs in all.

    Raises:
        ValueError: another run's folder, a longer run, or a damaged checkpoint, in every process; a process that does
            not see the chief's folder, or was started with other settings or data.
    """
    if team.size == 1:
        return _begin(output, files, settings, state, resume, epochs)
    rows, error = [], None
    try:
        if team.chief:
            rows = _begin(output, files, settings, state, resume, epochs)
    except (ValueError, OSError) as refused:
        error = refused
    mark = digest_if_exists(output / CHECKPOINT) if team.chief and error is None else ""
    told = team.exchange_or_raise(error, epochs=epochs, mark=mark)
    try:
        if not team.chief:
            wait_for_file(output / CHECKPOINT, told[0]["mark"])
            others = {name: value for name, value in settings.items() if name != START}  # which the chief has compared
            rows = read_checkpoint(output / CHECKPOINT, others, state)
            if epochs != told[0]["epochs"]:
                raise ValueError(
                    f"The chief trains {told[0]['epochs']} epochs, this process {epochs}. Ask for the same."
                )
    except (ValueError, OSError) as refused:
        error = refused
    team.exchange_or_raise(error)
    return rows


def _begin(output: pathlib.Path, files, settings, state, resume: bool, epochs: int) -> list[dict[str, Any]]:
    path = output / CHECKPOINT
    if resume and path.is_file():
        rows = read_checkpoint(path, settings, state)
        if len(rows) > epochs:
            raise ValueError(
                f"{output} holds a run of {len(rows)} epochs, more than the {epochs} asked for. Ask for {len(rows)} or "
                f"more, use another output folder, or {_START_OVER}."
            )
        settings.setdefault(START, read_setting(path, START))
        return rows
    if resume and (output / HISTORY).exists():
        raise ValueError(
            f"{output} holds a {HISTORY} but no {CHECKPOINT} to go on from, and would be overwritten. Use another "
            f"output folder, or {_START_OVER}."
        )
    for old in files:  # never the history of one run beside the weights of another
        (output / old).unlink(missing_ok=True)
    settings.setdefault(START, digest_start(state["model"]))
    # Epoch 0 is kept too: whoever is stopped in the first epoch starts again from the same weights.
    write_checkpoint(path, settings, [], state)
    return []


def digest_if_exists(path: pathlib.Path) -> str:
    """Return what tells the contents of a file from others; empty where there is none."""
    try:
        return digest_file(path)
    except FileNotFoundError:
        return ""


def wait_for_file(path: pathlib.Path, mark: str) -> None:
    """Wait until a file that the chief has written is seen here.

    Raises:
        ValueError: it has not come after half a minute.
    """
    end = time.monotonic() + _PATIENCE
    while (found := digest_if_exists(path)) != mark:
        if time.monotonic() > end:
            raise ValueError(
                f"The chief's {path.absolute()} {'is another file' if found else 'is not seen'} here. The output "
                "folder must be one that all machines share, such as a network drive, under the path given to each."
            )
        time.sleep(0.1)
