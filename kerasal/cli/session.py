"""What the commands share: quiet start of TensorFlow, and where results and remarks are printed."""

import os

from rich.console import Console
from rich.markup import escape

from kerasal.process import load_tensorflow as load_tensorflow


def results() -> Console:
    """Return the console for results, on the output stream."""
    return Console(highlight=False)


def console_for_progress() -> Console:
    """Return the console for progress bars, on the error stream."""
    return Console(stderr=True)


def remark(text: str) -> None:
    """Print a remark on the error stream."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]{escape(text)}[/]")


def join_workers(strategy: str | None) -> bool:
    """Meet the other processes of a training on several machines; return whether this one speaks for all of them.

    Raises:
        ValueError: TF_CONFIG is missing or malformed.
        ConnectionError: the others did not come.
    """
    if strategy != "multi-worker":
        return True
    load_tensorflow()
    from kerasal import training
    from kerasal.training.cluster import VARIABLE, cluster_of

    cluster = cluster_of(os.environ.get(VARIABLE))
    others = cluster.addresses[1:]
    if cluster.chief and others:
        remark(f"Waiting for {len(others)} more worker{'s' * (len(others) > 1)}: {', '.join(others)}.")
    return training.join_workers().chief
