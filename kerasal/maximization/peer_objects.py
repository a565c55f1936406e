"""Scores, regularizers, input modifiers and callbacks of tf-keras-vis as arguments of ``maximize``."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.maximization.image_priors import Jitter, Rotation, Scale
from kerasal.objectives import class_score, negative_class
from kerasal.objectives.expression import Objective
from kerasal.objectives.targets import resolve

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class PerImage:
    """A regularizer of tf-keras-vis, applied to one image at a time, since it needs to know the number of images."""

    regularizer: Callable

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""

        def penalty(image: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tf.cast(self.regularizer(image[None]), tf.float32), [])

        return tf.map_fn(penalty, images, fn_output_signature=tf.TensorSpec([], tf.float32))


def is_peer(thing: Any, name: str) -> bool:
    """Return whether an object is an instance of the class of tf-keras-vis with this name, or of a subclass."""
    return any(cls.__name__ == name and cls.__module__.startswith("tf_keras_vis.") for cls in type(thing).__mro__)


def adapt_regularizer(regularizer: Any) -> Any:
    """Return a regularizer as ``maximize`` takes it; it gets gray levels as all regularizers there."""
    return PerImage(regularizer) if is_peer(regularizer, "Regularizer") else regularizer


def adapt_transform(modifier: Any) -> Any:
    """Return an input modifier as a transform, of this package where it has the same, with random numbers of its own.

    Raises:
        ValueError: a rotation in another plane than that of an image.
        TypeError: an input modifier of another class, which changes the image itself between steps.
    """
    if not is_peer(modifier, "InputModifier"):
        return modifier
    kind = type(modifier).__name__ if type(modifier).__module__.startswith("tf_keras_vis.") else ""
    if kind == "Jitter":
        return Jitter(modifier.jitter)
    if kind in ("Rotate", "Rotate2D"):
        if tuple(modifier.axes) != (1, 2):
            raise ValueError(f"Rotate must have axes (1, 2), the rows and columns of images, got {modifier.axes}.")
        return Rotation(modifier.degree)
    if kind == "Scale":
        return Scale(modifier.low, modifier.high)
    raise TypeError(
        "transforms must be functions of (inputs, seed) in the graph, or Jitter, Rotate2D or Scale of tf-keras-vis, "
        f"got {type(modifier).__name__}. kerasal.compat.tf_keras_vis.activation_maximization takes any input modifier."
    )


def objectives_of_score(score: Any) -> list[Objective]:
    """Return the objectives of a ``Score``: one per index of a ``CategoricalScore`` or value of a ``BinaryScore``.

    Any other score is an objective of its own, a function of the model's output.

    Raises:
        TypeError: an ``InactiveScore``, which leaves nothing to maximize.
    """
    kind = type(score).__name__ if type(score).__module__.startswith("tf_keras_vis.") else ""
    if kind == "CategoricalScore":
        return [class_score(int(index)) for index in score.indices]
    if kind == "BinaryScore":
        return [class_score(0) if value else negative_class() for value in score.target_values]
    if kind == "InactiveScore":
        raise TypeError("objective must be something to maximize, got InactiveScore. Leave it out.")
    return [resolve(score, 1)]


@contextlib.contextmanager
def managed_callbacks(callbacks: Any, steps: int) -> Iterator[tuple[Callable, ...]]:
    """Begin callbacks of tf-keras-vis, and end them after the context, also after an error."""
    if not callbacks:
        yield ()
        return
    from tf_keras_vis.activation_maximization import callbacks as peer

    with peer.managed_callbacks(callbacks, steps=steps) as active:
        yield tuple(active)


def call_back(callbacks: Sequence[Callable], step: int, images: np.ndarray, scores: np.ndarray) -> None:
    """Call callbacks after a step, as tf-keras-vis does but without gradients and outputs, which stay in the graph."""
    for callback in callbacks:
        callback(step, [images], [], [scores], [], regularizations=[], overall_score=[-scores])
