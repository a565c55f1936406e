"""Calls of objects of users' own classes in each step of an ascent, outside of the graph.

A transform or regularizer of ``maximize`` is traced once. A subclass of tf-keras-vis' ``Score`` or ``Regularizer`` is
called anew in each step, as there, since it may use NumPy or change itself.
"""

import collections
import dataclasses
import re
from collections.abc import Callable
from typing import Any, NoReturn

from kerasal.maximization.user_calls import describe, owner

import tensorflow as tf

_REMEDY = "Return a tensor of shape (N,), such as output[:, 3]."
# Exceptions inside eager calls, which TensorFlow turns into errors of its own.
_raised: collections.deque[Exception] = collections.deque(maxlen=8)


@dataclasses.dataclass(frozen=True, slots=True)
class EagerPenalty:
    """A regularizer of a user's class for one image at a time, called outside of the graph.

    Slots keep the object out of the snapshot of a trace, so that it may change between calls.
    """

    regularizer: Callable

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, …, C)."""

        def penalties(images: tf.Tensor) -> tf.Tensor:
            values = []
            for image in images:
                value = self.regularizer(image[None])
                if not tf.is_tensor(value) or not value.dtype.is_floating:
                    raise TypeError(
                        f"regularizers must return tensors, got {describe(value)} from {owner(self.regularizer)}. A "
                        "number or array has no gradient."
                    )
                values.append(tf.reduce_sum(tf.cast(value, tf.float32)))
            return tf.stack(values)

        return call_eagerly(penalties, images, "regularizer", owner(self.regularizer))


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class EagerScore:
    """A ``Score`` of a user's class as a function of the output, called outside of the graph."""

    score: Callable

    def __call__(self, output: Any) -> tf.Tensor:
        """Return the (N,) scores of an output (N, …)."""
        if isinstance(output, dict):
            outputs = ", ".join(output)
            raise ValueError(f"output must name one of {outputs} for the score {owner(self.score)}, got None.")

        def scores(output: tf.Tensor) -> tf.Tensor:
            values = mean_score(self.score, output)
            if values.shape.rank == 0 and len(output) > 1:
                raise ValueError(f"score must return {_wanted(output)}, got a single number. {_REMEDY}")
            return values

        return call_eagerly(scores, output, "score", owner(self.score))


def mean_score(score: Callable, output: tf.Tensor) -> tf.Tensor:
    """Return what a score of tf-keras-vis gives for an output (N, …): its mean per image, (N,), or a single number.

    Raises:
        TypeError: the score returns no numbers.
        ValueError: it returns another number of scores than there are images, or NaN or infinity.
    """
    value: Any = call_score(score, output)
    rows = list(value) if isinstance(value, (list, tuple)) else None
    if value is None or isinstance(value, (str, bytes)) or rows == []:
        raise TypeError(f"score must return {_wanted(output)}, got {describe(value)} from {owner(score)}. {_REMEDY}")
    try:
        value = tf.stack(rows) if rows is not None and tf.is_tensor(rows[0]) else value
        value = value if tf.is_tensor(value) else tf.constant(value)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise TypeError(
            f"score must return {_wanted(output)}, got {describe(value)} from {owner(score)} ({error}). {_REMEDY}"
        ) from error
    if not (value.dtype.is_floating or value.dtype.is_integer):
        raise TypeError(f"score must return {_wanted(output)}, got {describe(value)} from {owner(score)}. {_REMEDY}")
    images = output.shape[0]
    if value.shape.rank and None not in (images, value.shape[0]) and value.shape[0] != images:
        raise ValueError(f"score must return {_wanted(output)}, got {tuple(value.shape)}. {_REMEDY}")
    value = tf.reduce_mean(value, axis=list(range(1, len(value.shape))))
    if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
        raise ValueError(f"score must be finite, got {value.numpy()} from {owner(score)}. Check its arithmetic.")
    return value


def call_score(score: Callable, output: tf.Tensor) -> Any:
    """Return what a score returns for an output (N, …).

    Raises:
        ValueError: the score is one of tf-keras-vis that does not suit the output, or reads what the output lacks.
    """
    own = type(score).__module__.startswith("tf_keras_vis.")  # whose errors are about its arguments
    try:
        return score(output)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        if not own and not isinstance(error, tf.errors.OpError):
            raise
        numbers = getattr(score, "indices", getattr(score, "target_values", ""))
        remedy = "Pass one entry per image, or one for all." if own else _REMEDY
        raise ValueError(
            f"score must suit the output {tuple(output.shape)}, got {owner(score)}{f' of {numbers}' if own else ''} "
            f"({re.sub(r'{{.*?}} ', '', getattr(error, 'message', str(error)))}). {remedy}"
        ) from error


def call_eagerly(function: Callable, tensor: tf.Tensor, argument: str, name: str) -> tf.Tensor:
    """Return the (N,) results of a function that is called outside of the graph, with their gradient.

    Each result must depend on its own row of the tensor only. ``argument`` and ``name`` are for errors.
    """

    def differentiate(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        try:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(rows)
                values = function(rows)
            gradient: Any = tape.gradient(values, rows)
            if gradient is None and bool(tf.reduce_any(values != 0)):
                raise ValueError(
                    f"{argument} must depend on its argument, but what {name} returns has no gradient. Compute it with "
                    "TensorFlow."
                )
        except Exception as error:
            _raised.append(error)
            raise
        values = tf.broadcast_to(tf.cast(values, tf.float32), tf.shape(rows)[:1])
        return values, tf.zeros(rows.shape) if gradient is None else tf.cast(gradient, tf.float32)

    @tf.custom_gradient
    def run(rows: tf.Tensor) -> tuple:
        values, gradient = tf.py_function(differentiate, [rows], [tf.float32, tf.float32])
        values.set_shape(rows.shape[:1])
        gradient.set_shape(rows.shape)

        def backward(upstream: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.reshape(upstream, [-1, *[1] * (rows.shape.rank - 1)]) * gradient, rows.dtype)

        return values, backward

    result: Any = run(tensor)
    return result


def raise_original(error: tf.errors.OpError) -> NoReturn:
    """Raise the exception of an eager call that TensorFlow wrapped, or the error itself if it is another."""
    message = str(error)
    while _raised:
        original = _raised.pop()
        if str(original) in message:
            _raised.clear()
            raise original from None
    raise error


def _wanted(output: tf.Tensor) -> str:
    return f"{output.shape[0]} scores, one per image"
