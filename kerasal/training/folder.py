"""The folder of a run: begun, gone on with, or refused before anything in it is touched."""

import contextlib
import glob
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasal import _keras  # noqa: F401

import keras  # isort: skip
import numpy as np

from kerasal.training import checkpoint

CHECKPOINT, HISTORY, CURVES = "checkpoint.npz", "history.csv", "curves.png"


def begin(
    output: pathlib.Path,
    files: Sequence[str],
    settings: Mapping[str, Any],
    state: Mapping[str, Sequence],
    *,
    resume: bool,
    epochs: int,
) -> list[dict]:
    """Restore the run in ``output`` and return its history so far, or write the checkpoint of a new run's start.

    Args:
        output: the folder.
        files: the names of what a run writes beside its checkpoint.
        settings: what a run that goes on must have in common with its beginning.
        state: the variables to restore, see ``checkpoint``.
        resume: go on where there is a run; ``False`` starts over.
        epochs: epochs in all.

    Raises:
        ValueError: another run's folder, a longer run, or a damaged checkpoint.
    """
    path = output / CHECKPOINT
    for written in (CHECKPOINT, *files):
        for half in output.glob(f".{glob.escape(pathlib.Path(written).stem)}-*"):  # left by a kill in mid-write
            half.unlink(missing_ok=True)
    if resume and path.is_file():
        rows = checkpoint.read(path, settings, state)
        if len(rows) > epochs:
            raise ValueError(
                f"{output} holds a run of {len(rows)} epochs, more than the {epochs} asked for. Ask for {len(rows)} or "
                "more, use another output folder, or start over with resume=False (--fresh on the command line)."
            )
        return rows
    if resume and (output / HISTORY).exists():
        raise ValueError(
            f"{output} holds a {HISTORY} but no {CHECKPOINT} to go on from, and would be overwritten. Use another "
            "output folder, or start over with resume=False (--fresh on the command line)."
        )
    for old in files:  # never the history of one run beside the weights of another
        (output / old).unlink(missing_ok=True)
    # Epoch 0 is kept too: whoever is stopped in the first epoch starts again from the same weights.
    checkpoint.write(path, settings, [], state)
    return []


@contextlib.contextmanager
def explained(output: pathlib.Path, rows: Sequence[dict], epochs: int) -> Iterator[None]:
    """Let a Ctrl-C say which epochs are kept (``rows``, as it grows) and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped after {len(rows)} of {epochs} epochs, which are kept in {output}. Start the same again to go on."
        ) from None


def seed_dropout(net: keras.Model, random: np.random.Generator) -> None:
    """Set every random layer's generator; Keras keeps one, a variable of (seed, counter), in each of them."""
    for variable in net.variables:
        if variable.name == "seed_generator_state":
            variable.assign(np.array([random.integers(2**31), 0], variable.dtype))
