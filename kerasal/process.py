"""Whether TensorFlow can run in this process: what it started before an ``os.fork`` is gone in the child.

``import kerasal`` has this module notice forks, at no cost: it is told of each by Python and looks whether TensorFlow
has run by then. To have merely imported TensorFlow or kerasal is harmless, and so is a fork that only uses NumPy.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["ForkedProcess", "check_process", "load_tensorflow"]


class ForkedProcess(RuntimeError):
    """This process was forked from one that had run TensorFlow, whose calls would wait for lost threads for ever."""


_forked = False


def check_process() -> None:
    """Raise ``ForkedProcess`` where TensorFlow would hang; every routine that runs a model calls this first."""
    if _forked:
        raise ForkedProcess(
            "TensorFlow had run before this process was forked, and it does not survive that: a call would hang. "
            'Start workers with multiprocessing.get_context("spawn"), or fork before the first model is built.'
        )


def _note_fork() -> None:
    global _forked
    _forked = _forked or _has_run()


def _has_run() -> bool:
    """Tell whether TensorFlow has started its threads, which the first tensor does and an import does not."""
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "_context", None)
    return getattr(context, "_context_handle", None) is not None


def _lost_threads() -> bool:
    """Tell whether TensorFlow has run but its threads are not here: forked before this module was imported."""
    try:
        return _has_run() and len(os.listdir("/proc/self/task")) == 1
    except OSError:  # not Linux
        return False


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_note_fork)
    _forked = _lost_threads()


def load_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up messages, which are written by C++."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silenced_error_stream():
        from kerasal import _keras  # noqa: F401

        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU now, and would say on the error stream that there is none


@contextlib.contextmanager
def _silenced_error_stream() -> Iterator[None]:
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # a test or a notebook has put something else there
        yield
        return
    sys.stderr.flush()
    saved, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)
        os.close(nowhere)
