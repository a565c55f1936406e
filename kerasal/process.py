"""Detect forked processes, in which TensorFlow would hang: its threads do not survive ``os.fork``.

``import kerasal`` registers a function that Python calls after each fork and that checks whether TensorFlow had run
before. Importing TensorFlow or kerasal before a fork is harmless, and so is a fork that uses NumPy only.
"""

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

__all__ = ["ForkedProcess", "check_process", "free_memory", "load_tensorflow"]


class ForkedProcess(RuntimeError):
    """This process was forked from one in which TensorFlow had run; a call would wait forever for lost threads."""


_forked = False


def check_process() -> None:
    """Raise ``ForkedProcess`` if TensorFlow would hang; every function that runs a model calls this first."""
    if _forked:
        raise ForkedProcess(
            "TensorFlow must not run before a process is forked, got a forked process in which a call would hang. "
            'Start workers with multiprocessing.get_context("spawn"), or fork before the first model is built.'
        )


def _note_fork() -> None:
    global _forked
    _forked = _forked or _has_run()


def _has_run() -> bool:
    """Return whether TensorFlow has started its threads; the first tensor starts them, an import does not."""
    module = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "_context", None)
    return getattr(context, "_context_handle", None) is not None


def _lost_threads() -> bool:
    """Return whether this process was forked from one that ran TensorFlow before this module was imported."""
    try:
        return _has_run() and len(os.listdir("/proc/self/task")) == 1
    except OSError:  # not Linux
        return False


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_note_fork)
    _forked = _lost_threads()


def load_tensorflow() -> None:
    """Import TensorFlow and Keras, hiding the messages that their C++ code prints at the start."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silenced_error_stream():
        from kerasal import _keras  # noqa: F401

        import tensorflow as tf

        tf.config.list_physical_devices()  # a missing GPU is reported on the error stream at this point


@contextlib.contextmanager
def _silenced_error_stream() -> Iterator[None]:
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # replaced by a test or a notebook
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


def free_memory() -> int | None:
    """Return the free main memory in bytes, within the limit of the container; ``None`` if it is unknown."""
    limits = []
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        limits.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration, ValueError):
        try:  # other systems do not report the free memory, so the total is used
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        except (ValueError, OSError, AttributeError):
            return None
    try:
        group = pathlib.Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        limits.append(limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no control group, or the text "max" for no limit
        pass
    return min(limits)
