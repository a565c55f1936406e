"""What a request may be: checked in the graph, so that a bad one gets an error and the server lives on.

Each check comes before whatever it guards: a request of a lower rank than declared otherwise ends the process inside
oneDNN, an empty batch divides by 0, and a class that is not there is read as 0 on a GPU.
"""

import contextlib

import tensorflow as tf


def shaped(tensor: tf.Tensor, shape: tuple, name: str) -> tf.Tensor:
    """Return ``tensor`` if it has this shape and at least one row."""
    tensor = tf.ensure_shape(tensor, shape)
    return require(tf.shape(tensor)[0] > 0, f"{name} holds no rows; expected at least one.", tensor)


def finite(tensor: tf.Tensor, name: str) -> tf.Tensor:
    """Return ``tensor`` if its numbers are finite; what holds no floating-point numbers passes."""
    return tf.debugging.check_numerics(tensor, name) if tensor.dtype.is_floating else tensor


def index(tensor: tf.Tensor, count: int, name: str) -> tf.Tensor:
    """Return indices (N,) if each is from 0 to below ``count``."""
    inside = tf.reduce_all((tensor >= 0) & (tensor < count))
    return require(inside, f"{name} is from 0 to {count - 1}.", tensor, shown=tensor)


def same_rows(first: tf.Tensor, tensor: tf.Tensor, name: str) -> tf.Tensor:
    """Return ``tensor`` if it has as many rows as ``first``."""
    rows = tf.shape(first)[0]
    return require(tf.shape(tensor)[0] == rows, f"{name} needs a row for each row of the first input.", tensor)


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor, shown: tf.Tensor | None = None) -> tf.Tensor:
    """Return ``tensor`` if the condition holds; otherwise the request fails with the message."""
    # The device is named because an assertion holds strings, which no GPU has.
    with _on_cpu():
        said = [message] if shown is None else [message, "Received:", shown]
        checked = tf.debugging.Assert(condition, said, summarize=8)
    with tf.control_dependencies([checked] if checked is not None else []):
        return tf.identity(tensor)


@contextlib.contextmanager
def _on_cpu():
    if tf.config.list_physical_devices("GPU"):
        with tf.device("CPU:0"):
            yield
    else:
        yield
