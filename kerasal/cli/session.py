"""Functions that the commands share: loading TensorFlow, printing results and remarks, and handling Ctrl-C."""

import contextlib
import contextvars
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kerasal.files import atomic_write
from kerasal.process import load_tensorflow as load_tensorflow

if TYPE_CHECKING:
    from rich.console import Console

command_line: contextvars.ContextVar[str | None] = contextvars.ContextVar("command_line", default=None)
"""The command as it was typed, such as ``kerasal train mnist_cnn``; None if ``app`` was called by a test."""

KEPT = "Stopped. Finished work is kept; run the same command again to continue."


def results() -> "Console":
    """Return the console for results, on the output stream."""
    from rich.console import Console

    return Console(highlight=False)


def say(text: str) -> None:
    """Print a line of results without markup; the terminal wraps it."""
    results().print(text, markup=False, soft_wrap=True)


def write_csv(path: Path, table) -> None:
    """Write a table without its index; if this fails, an existing file is not changed."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)


def remark(text: str) -> None:
    """Print a remark on the error stream."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]{escape(text)}[/]")


@contextlib.contextmanager
def remark_when_stopped(text: str | Callable[[], str] = KEPT) -> Iterator[None]:
    """Print a remark when Ctrl-C stops the block; an empty text prints nothing."""
    try:
        yield
    except KeyboardInterrupt:
        if message := text if isinstance(text, str) else text():
            remark(message)
        raise


@contextlib.contextmanager
def exit_when_stopped() -> Iterator[None]:
    """Print the message with which a training was stopped, and exit with 130, the code of Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        typer.echo(f"\n{str(stopped) or 'Stopped before the training began; nothing was changed.'}", err=True)
        raise typer.Exit(130) from None


@contextlib.contextmanager
def warnings_as_remarks() -> Iterator[None]:
    """Print the warnings of a block as remarks when it ends."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        remark(str(warning.message))


def join_workers(strategy: str | None) -> bool:
    """Join the other machines of a training; return whether this process is the chief, which prints and writes."""
    if strategy != "multi-worker":
        return True
    load_tensorflow()
    from kerasal import training
    from kerasal.training.workers import VARIABLE, parse_cluster

    cluster = parse_cluster(os.environ.get(VARIABLE))
    others = cluster.addresses[1:]
    if cluster.chief and others:
        remark(f"Waiting for {len(others)} more worker{'s' * (len(others) > 1)}: {', '.join(others)}.")
    return training.join_workers().chief
