"""Scores, regularizers, input modifiers and callbacks of tf-keras-vis as arguments of ``maximize``."""

import contextlib
import dataclasses
import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.checks import is_int
from kerasal.maximization.eager_calls import EagerPenalty, EagerScore
from kerasal.maximization.image_priors import Jitter, Rotation, Scale
from kerasal.maximization.user_calls import name_of, refuse_classes, takes
from kerasal.objectives import class_score, negative_class
from kerasal.objectives.expression import Objective
from kerasal.objectives.function_reference import FunctionReference

import tensorflow as tf

# The function of each score whose objectives are alive, so that objectives of the same score share a batch and a trace.
_scores: weakref.WeakValueDictionary[int, EagerScore] = weakref.WeakValueDictionary()


@dataclasses.dataclass(frozen=True)
class PerImage:
    """A regularizer of tf-keras-vis, applied to one image at a time, since it needs to know the number of images."""

    regularizer: Callable

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""

        def penalty(image: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tf.cast(self.regularizer(image[None]), tf.float32), [])

        return tf.map_fn(penalty, images, fn_output_signature=tf.TensorSpec([], tf.float32))


@dataclasses.dataclass(frozen=True)
class ListOfInputs:
    """A regularizer of the old kind of tf-keras-vis, which takes a list with the values of all inputs."""

    regularizer: Callable

    def __call__(self, image: tf.Tensor) -> Any:
        """Return the penalty of gray levels (1, …, C)."""
        return self.regularizer([image])


def is_peer(thing: Any, name: str) -> bool:
    """Return whether an object is an instance of the class of tf-keras-vis with this name, or of a subclass."""
    return any(cls.__name__ == name and cls.__module__.startswith("tf_keras_vis.") for cls in type(thing).__mro__)


def is_own_class_of_peer(thing: Any) -> bool:
    """Return whether an object is of a class that tf-keras-vis defines, and not of a subclass of a user."""
    return type(thing).__module__.startswith("tf_keras_vis.")


def adapt_priors(name: str, priors: Any, is_image: bool) -> tuple:
    """Return regularizers or transforms with those of tf-keras-vis adapted.

    Raises:
        TypeError: they are no list of functions, or a function takes other arguments.
    """
    adapt = adapt_regularizer if name == "regularizers" else functools.partial(adapt_transform, is_image=is_image)
    arguments = ("images",) if name == "regularizers" else ("inputs", "seed")
    listed = list(priors) if isinstance(priors, Iterable) else [None]
    if not all(map(callable, listed)):
        raise TypeError(f"{name} must be a list of callables, got {priors!r}. See kerasal.maximization.")
    refuse_classes(name, listed)
    adapted = tuple(map(adapt, listed))
    for prior in adapted:
        if not is_peer(prior, "InputModifier") and not takes(prior, *arguments):
            remedy = "Derive a class from InputModifier of tf-keras-vis for a function of the images alone."
            raise TypeError(
                f"{name} must be functions of ({', '.join(arguments)}), got {name_of(prior)}{inspect.signature(prior)}."
                + (f" {remedy}" if name == "transforms" else "")
            )
    return adapted


def adapt_regularizer(regularizer: Any) -> Any:
    """Return a regularizer as ``maximize`` takes it; it gets gray levels as all regularizers there.

    Those of a user's class are called in each step; tf-keras-vis' own, whose code is known, in the graph.
    """
    if is_peer(regularizer, "LegacyRegularizer"):  # gets a list with the values of all inputs
        return EagerPenalty(ListOfInputs(regularizer))
    if not is_peer(regularizer, "Regularizer"):
        return regularizer
    return PerImage(regularizer) if is_own_class_of_peer(regularizer) else EagerPenalty(regularizer)


def adapt_transform(modifier: Any, is_image: bool = True) -> Any:
    """Return an input modifier as a transform, of this package where it has the same, with random numbers of its own.

    An input modifier of another class stays as it is: it changes the image itself between the steps.
    """
    if not is_peer(modifier, "InputModifier") or not is_own_class_of_peer(modifier):
        return modifier
    kind = type(modifier).__name__
    if kind == "Jitter":
        return Jitter(modifier.jitter)
    if kind in ("Rotate", "Rotate2D") and tuple(modifier.axes) == (1, 2) and is_image:
        return Rotation(modifier.degree)
    if kind == "Scale":
        return Scale(modifier.low, modifier.high)
    return modifier


def modify_inputs(modifiers: Sequence[Callable], inputs: np.ndarray) -> np.ndarray:
    """Return model inputs (N, …, C) after input modifiers of tf-keras-vis.

    Raises:
        TypeError: a modifier returns no numbers.
        ValueError: it returns another shape, or NaN or infinity.
    """
    values: Any = tf.constant(inputs)
    for modifier in modifiers:
        values = modified_value(modifier, values, "transforms")
    return np.asarray(values, np.float32)


def modified_value(modifier: Callable, value: Any, argument: str) -> Any:
    """Return an input (N, …) after an input modifier, which must keep its shape.

    Raises:
        TypeError: the modifier returns no numbers.
        ValueError: it returns another shape, or NaN or infinity.
    """
    result = modifier(value)
    wanted = f"{argument} must return inputs like those that they get, {tuple(value.shape)}"
    if not tf.is_tensor(result) and getattr(result, "dtype", np.dtype(object)).kind not in "fiu":
        raise TypeError(f"{wanted}, got {type(result).__name__} from {name_of(modifier)}. Return the changed array.")
    if tuple(result.shape) != tuple(value.shape):
        raise ValueError(f"{wanted}, got {tuple(result.shape)} from {name_of(modifier)}. Pad or crop it.")
    if not np.isfinite(np.asarray(result, np.float32)).all():
        raise ValueError(
            f"{argument} must return finite inputs, got NaN or infinity from {name_of(modifier)}. Check it."
        )
    return result


def objectives_of_score(score: Any) -> list[Objective]:
    """Return the objectives of a ``Score``: one per index of a ``CategoricalScore`` or value of a ``BinaryScore``.

    Any other score is an objective of its own, a function of the model's output that is called in each step.

    Raises:
        TypeError: an ``InactiveScore``, which leaves nothing to maximize.
    """
    kind = type(score).__name__ if is_own_class_of_peer(score) else ""
    if kind == "CategoricalScore":
        if not all(map(is_int, score.indices)):
            raise TypeError(f"CategoricalScore must hold class indices, got {score.indices!r}.")
        return [class_score(int(index)) for index in score.indices]
    if kind == "BinaryScore":
        return [class_score(0) if value else negative_class() for value in score.target_values]
    if kind == "InactiveScore":
        raise TypeError("objective must be something to maximize, got InactiveScore. Leave it out.")
    function = _scores.setdefault(id(score), EagerScore(score))
    return [Objective(("callable", FunctionReference(function)), (), name_of(score), (function,))]


def check_callbacks(callbacks: Any, arguments: Sequence[str]) -> list:
    """Return callbacks as a list; ``arguments`` are the names that ``on_begin`` gets.

    Raises:
        TypeError: one is not a callback, or cannot take what tf-keras-vis passes.
    """
    if callbacks is None:
        return []
    listed = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    refuse_classes("callbacks", listed)
    for callback in listed:
        name = name_of(callback)
        if not all(callable(getattr(callback, part, None)) for part in ("on_begin", "__call__", "on_end")):
            raise TypeError(
                f"callbacks must be objects with on_begin, __call__ and on_end, got {name}. Derive a class from "
                "Callback of tf_keras_vis.activation_maximization.callbacks."
            )
        if not takes(callback, 0, [], [], [], [], regularizations=[], overall_score=[]):
            raise TypeError(
                "callbacks must take (i, values, grads, scores, model_outputs, **kwargs), got "
                f"{inspect.signature(callback)} of {name}. Add what is missing to __call__."
            )
        if inspect.signature(callback.on_begin).parameters and not takes(callback.on_begin, **dict.fromkeys(arguments)):
            raise TypeError(
                f"on_begin of callbacks must take **kwargs, got {inspect.signature(callback.on_begin)} of {name}. Add "
                "**kwargs to it."
            )
    return listed


@contextlib.contextmanager
def managed_callbacks(callbacks: Any, **arguments: Any) -> Iterator[tuple[Callable, ...]]:
    """Begin callbacks of tf-keras-vis with arguments of the call; end them after the context, also after an error.

    Raises:
        TypeError: one is not a callback, or cannot take what tf-keras-vis passes.
    """
    if callbacks is None or (isinstance(callbacks, (list, tuple)) and not callbacks):
        yield ()
        return
    from tf_keras_vis.activation_maximization import callbacks as peer

    with peer.managed_callbacks(check_callbacks(callbacks, list(arguments)), **arguments) as active:
        yield tuple(active)


class Unavailable(list):
    """An empty list, with an error for who reads an element of it."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)
        raise IndexError(
            f"{self.name} must be left alone in callbacks of maximize, where they stay in the graph. "
            "kerasal.compat.tf_keras_vis.activation_maximization passes them."
        )


def call_back(callbacks: Sequence[Callable], step: int, images: np.ndarray, scores: np.ndarray) -> None:
    """Call callbacks after a step, as tf-keras-vis does but without gradients and outputs, which stay in the graph."""
    grads, outputs = Unavailable("grads"), Unavailable("model_outputs")
    for callback in callbacks:
        callback(step, [images], grads, [scores], outputs, regularizations=[], overall_score=[-scores])
