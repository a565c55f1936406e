"""A progress bar that a graph moves while it runs."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from kerasal.progress import progress_bar

import tensorflow as tf

_bars: list[Callable[[int], None]] = []


@contextlib.contextmanager
def graph_bar(description: str, steps: int) -> Iterator[None]:
    """Show a progress bar of ``steps`` steps, which ``advance_bar`` moves in the graphs that run meanwhile."""
    with progress_bar(description, steps) as advance:
        _bars.append(advance)
        try:
            yield
        finally:
            _bars.remove(advance)


def advance_bar(tensor: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Return the tensor; once it is computed, the bar that is shown moves by ``steps``."""
    with tf.control_dependencies([tensor]):
        moved = tf.numpy_function(_advance, [steps], tf.int32)
    with tf.control_dependencies([moved]):
        return tf.identity(tensor)


def _advance(steps: np.ndarray) -> np.int32:
    if _bars:
        _bars[-1](int(steps))
    return np.int32(steps)
