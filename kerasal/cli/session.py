"""What the commands share: quiet start of TensorFlow, and where results and remarks are printed."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from kerasal.files import replacing
from kerasal.process import load_tensorflow as load_tensorflow

KEPT = "Stopped. What is done is kept; the same command goes on from there."


def results() -> Console:
    """Return the console for results, on the output stream."""
    return Console(highlight=False)


def say(text: str) -> None:
    """Print a line of results as it is; the terminal wraps it."""
    results().print(text, markup=False, soft_wrap=True)


def write_csv(path: Path, table) -> None:
    """Write a table without its index, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def remark(text: str) -> None:
    """Print a remark on the error stream."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]{escape(text)}[/]")


@contextlib.contextmanager
def hinting(error_class: type[Exception], hint: str) -> Iterator[None]:
    """Add to an error of the library which flag helps."""
    try:
        yield
    except error_class as error:
        raise error_class(f"{error} {hint}") from error


@contextlib.contextmanager
def when_stopped(text: str | Callable[[], str] = KEPT) -> Iterator[None]:
    """Say, when stopped by Ctrl-C, what is kept; an empty text says nothing."""
    try:
        yield
    except KeyboardInterrupt:
        if said := text if isinstance(text, str) else text():
            remark(said)
        raise


@contextlib.contextmanager
def exit_when_stopped() -> Iterator[None]:
    """End a training that is stopped with what it says of it, and the exit code of Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        typer.echo(f"\n{str(stopped) or 'Stopped before the training began; nothing was changed.'}", err=True)
        raise typer.Exit(130) from None


@contextlib.contextmanager
def warnings_as_remarks() -> Iterator[None]:
    """Print warnings as remarks, after what raised them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        remark(str(warning.message))


def join_workers(strategy: str | None) -> bool:
    """Meet the other processes of a training on several machines; return whether this one speaks for all of them."""
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
