"""A progress bar that a graph moves while it runs."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from kerasal.progress import progress_bar

import tensorflow as tf

_bars: list[Callable[[int, int, int], None]] = []


@contextlib.contextmanager
def graph_bar(description: str, steps: int | None, *, images: int = 1) -> Iterator[None]:
    """Show a progress bar of ``steps`` steps, which ``advance_bar`` moves in the graphs that run meanwhile.

    If only a graph knows the number of steps, pass None and the number of ``images``.
    """
    parts: dict[int, int] = {}
    with progress_bar(description, steps) as advance:

        def move(count: int, per_image: int, part: int) -> None:
            parts[part] = per_image
            advance(count, images * sum(parts.values()) or None)

        _bars.append(move)
        try:
            yield
        finally:
            _bars.remove(move)


def advance_bar(tensor: tf.Tensor, steps: tf.Tensor, per_image: int = 0, part: int = 0) -> tf.Tensor:
    """Return the tensor; once it is computed, the bar that is shown moves by ``steps``.

    For a bar whose number of steps was not known, ``per_image`` is that of each image in this ``part`` of the graph.
    """
    with tf.control_dependencies([tensor]):
        moved = tf.numpy_function(_advance, [steps, per_image, part], tf.int32)
    with tf.control_dependencies([moved]):
        return tf.identity(tensor)


def _advance(steps: np.ndarray, per_image: np.ndarray, part: np.ndarray) -> np.int32:
    if _bars:
        _bars[-1](int(steps), int(per_image), int(part))
    return np.int32(steps)
