"""The folder of a run: begun, gone on with, or refused before anything in it is touched."""

import contextlib
import pathlib
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.digests import digest, digest_file
from kerasal.store import Store
from kerasal.training import checkpoint
from kerasal.training.workers import Alone, Team

CHECKPOINT, HISTORY, CURVES = "checkpoint.npz", "history.csv", "curves.png"
START, DRAWN = "starting weights", "drawn by the seed"
_PATIENCE = 30.0  # seconds: a shared folder shows a new file to other machines only after a while


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


def begin(
    output: pathlib.Path,
    files: Sequence[str],
    settings: MutableMapping[str, Any],
    state: Mapping[str, Sequence],
    *,
    resume: bool,
    epochs: int,
) -> list[dict]:
    """Restore the run in ``output`` and return its history so far, or write the checkpoint of a new run's start.

    Args:
        output: the folder.
        files: the names of what a run writes beside its checkpoint.
        settings: what a run that goes on must have in common with its beginning. Without ``START`` it may have begun
            from other weights than those of ``state``; then that is added as it is, or was, there.
        state: the variables to restore, see ``checkpoint``.
        resume: go on where there is a run; ``False`` starts over.
        epochs: epochs in all.

    Raises:
        ValueError: another run's folder, a longer run, or a damaged checkpoint.
    """
    path = output / CHECKPOINT
    if resume and path.is_file():
        rows = checkpoint.read(path, settings, state)
        if len(rows) > epochs:
            raise ValueError(
                f"{output} holds a run of {len(rows)} epochs, more than the {epochs} asked for. Ask for {len(rows)} or "
                "more, use another output folder, or start over with resume=False (--fresh on the command line)."
            )
        settings.setdefault(START, checkpoint.setting(path, START))
        return rows
    if resume and (output / HISTORY).exists():
        raise ValueError(
            f"{output} holds a {HISTORY} but no {CHECKPOINT} to go on from, and would be overwritten. Use another "
            "output folder, or start over with resume=False (--fresh on the command line)."
        )
    for old in files:  # never the history of one run beside the weights of another
        (output / old).unlink(missing_ok=True)
    settings.setdefault(START, digest_start(state["model"]))
    # Epoch 0 is kept too: whoever is stopped in the first epoch starts again from the same weights.
    checkpoint.write(path, settings, [], state)
    return []


@contextlib.contextmanager
def claim_folder(team: Alone | Team, output: pathlib.Path) -> Iterator[None]:
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
        if team.size > 1:
            team.agree(error)
        elif error is not None:
            raise error
        yield


def begin_together(
    team: Alone | Team,
    output: pathlib.Path,
    files: Sequence[str],
    settings: MutableMapping[str, Any],
    state: Mapping[str, Sequence],
    *,
    resume: bool,
    epochs: int,
) -> list[dict]:
    """Do as ``begin``, in every process of a team: the chief begins, and all read the one checkpoint it has.

    Raises:
        ValueError: as ``begin``, in every process; a process that does not see the chief's folder, or was started with
            other settings or data.
    """
    if team.size == 1:
        return begin(output, files, settings, state, resume=resume, epochs=epochs)
    rows, error = [], None
    try:
        if team.chief:
            rows = begin(output, files, settings, state, resume=resume, epochs=epochs)
    except (ValueError, OSError) as refused:
        error = refused
    mark = mark_of(output / CHECKPOINT) if team.chief and error is None else ""
    told = team.agree(error, epochs=epochs, mark=mark)
    try:
        if not team.chief:
            wait_for(output / CHECKPOINT, told[0]["mark"])
            others = {name: value for name, value in settings.items() if name != START}  # which the chief has compared
            rows = checkpoint.read(output / CHECKPOINT, others, state)
            if epochs != told[0]["epochs"]:
                raise ValueError(
                    f"The chief trains {told[0]['epochs']} epochs, this process {epochs}. Ask for the same."
                )
    except (ValueError, OSError) as refused:
        error = refused
    team.agree(error)
    return rows


def mark_of(path: pathlib.Path) -> str:
    """Return what tells the contents of a file from others; empty where there is none."""
    try:
        return digest_file(path)
    except FileNotFoundError:
        return ""


def wait_for(path: pathlib.Path, mark: str) -> None:
    """Wait until a file that the chief has written is seen here.

    Raises:
        ValueError: it has not come after half a minute.
    """
    end = time.monotonic() + _PATIENCE
    while (found := mark_of(path)) != mark:
        if time.monotonic() > end:
            raise ValueError(
                f"The chief's {path.absolute()} {'is another file' if found else 'is not seen'} here. The output "
                "folder must be one that all machines share, such as a network drive, under the path given to each."
            )
        time.sleep(0.1)


@contextlib.contextmanager
def explain_stop(output: pathlib.Path, rows: Sequence[dict], epochs: int, *, chief: bool = True) -> Iterator[None]:
    """Let a Ctrl-C say which epochs are kept (``rows``, as it grows) and how to go on; only the chief knows."""
    try:
        yield
    except KeyboardInterrupt:
        if not chief:
            raise KeyboardInterrupt(
                f"Stopped. What the chief has kept is in {output}. Start the same on all workers again to go on."
            ) from None
        raise KeyboardInterrupt(
            f"Stopped after {len(rows)} of {epochs} epochs, which are kept in {output}. Start the same again to go on."
        ) from None
