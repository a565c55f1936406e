"""Calls of the transforms and regularizers that users write for ``maximize``, in the graph."""

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf


def name_of(function: Any) -> str:
    """Return the name of a function or of the class of an object, for errors."""
    return getattr(function, "__name__", type(function).__name__)


def takes(function: Callable, *arguments: Any, **named: Any) -> bool:
    """Return whether a function can be called like this; True if its signature is not known."""
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError:
        return False
    except ValueError:  # of some built-in functions
        return True
    return True


def refuse_classes(argument: str, things: Iterable[Any]) -> None:
    """Raise a TypeError for a class in place of an object of it."""
    for thing in things:
        if isinstance(thing, type):
            name = thing.__name__
            raise TypeError(f"{argument} must be an object, got the class {name}. Write {name}().")


def transform_inputs(transform: Callable, inputs: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return model inputs (N, …, C) after a transform.

    Raises:
        TypeError: the transform returns no numbers, or needs the values of tensors.
        ValueError: it changes the number of images, axes or channels.
    """
    result = _call_in_graph("transforms", transform, inputs, seed)
    if not tf.is_tensor(result) or not result.dtype.is_floating:
        raise TypeError(
            f"transforms must return floating-point tensors, got {describe(result)} from {owner(transform)}. "
            "Return the changed inputs."
        )
    both = (result.shape, inputs.shape)
    ends = [shape[:1] + shape[-1:] if shape.rank == inputs.shape.rank else None for shape in both]
    if ends[0] is None or not ends[0].is_compatible_with(ends[1]):
        raise ValueError(
            f"transforms must return inputs like those that they get, {tuple(inputs.shape)}, got "
            f"{tuple(result.shape)} from {owner(transform)}."
        )
    return tf.cast(result, inputs.dtype)


@contextlib.contextmanager
def naming_changed_sizes(images: tf.Tensor, inputs: tf.Tensor) -> Iterator[None]:
    """Blame transforms that changed the size of the inputs for a model that does not run on it.

    Raises:
        ValueError: the model does not run on inputs of another size than the images.
    """
    try:
        yield
    except (ValueError, tf.errors.OpError) as error:
        if inputs.shape.is_compatible_with(images.shape):
            raise
        raise ValueError(
            f"transforms must return inputs of the size that the model takes, {tuple(images.shape)}, got "
            f"{tuple(inputs.shape)}."
        ) from error


def penalty_gradient(regularizer: Callable, images: tf.Tensor) -> tf.Tensor:
    """Return the gradient of the penalties of gray levels (N, …, C).

    Raises:
        TypeError: the regularizer returns no numbers, or needs the values of tensors.
        ValueError: it does not return a penalty per image, or one that does not depend on the image.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        penalty = _call_in_graph("regularizers", regularizer, images)
    if not tf.is_tensor(penalty) or not penalty.dtype.is_floating:
        raise TypeError(
            f"regularizers must return tensors, got {describe(penalty)} from {owner(regularizer)}. Compute a "
            "penalty per image with TensorFlow."
        )
    # With an open number of images, a fixed length is that of another axis.
    is_other_axis = images.shape[0] is None and penalty.shape.rank == 1 and penalty.shape[0] is not None
    if is_other_axis or penalty.shape.rank not in (1, None) or not penalty.shape.is_compatible_with(images.shape[:1]):
        raise ValueError(
            f"regularizers must return a penalty per image, shape (N,), got {tuple(penalty.shape)} from "
            f"{owner(regularizer)}. Sum over the other axes."
        )
    gradient: Any = tape.gradient(penalty, images)
    if gradient is None:
        raise ValueError(
            f"regularizers must depend on the image, but the penalty of {owner(regularizer)} has no gradient. Compute "
            "it from its argument with TensorFlow."
        )
    return gradient


def _call_in_graph(argument: str, function: Callable, *tensors: tf.Tensor) -> Any:
    """Return what a function of the user returns in the graph; name it if it needs values that are not known there."""
    try:
        return function(*tensors)
    except (AttributeError, NotImplementedError, TypeError) as error:
        if not any(word in str(error) for word in ("SymbolicTensor", "symbolic")):
            raise
        kind = {"transforms": "InputModifier", "regularizers": "Regularizer"}[argument]
        raise TypeError(
            f"{argument} must be functions of tensors whose values are not known yet, but {owner(function)} needs them "
            f"({str(error).splitlines()[0]}). Use TensorFlow's functions, or derive a class from {kind} of "
            "tf-keras-vis, which is called in each step."
        ) from error


def owner(function: Any) -> str:
    """Return the name of a transform, regularizer or score of the user, for errors."""
    return getattr(function, "name", None) or name_of(getattr(function, "regularizer", function))


def describe(value: Any) -> str:
    """Return what a function of the user returned, for errors."""
    shape = getattr(value, "shape", None)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    kind = getattr(getattr(value, "dtype", None), "name", "")
    return f"{type(value).__name__}{'' if shape is None else f' {kind} {tuple(shape)}'}"
