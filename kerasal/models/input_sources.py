"""Inputs that are no images, such as signals and volumes, as batches of numbered model inputs."""

import dataclasses
from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.hooks.image_shapes import InputLayout
from kerasal.hooks.model_inputs import conform
from kerasal.models.image_sources import Array, Stream
from kerasal.names import count_noun

import keras
import tensorflow as tf


@dataclasses.dataclass(eq=False)
class InputModel:
    """A Keras model with an input (N, *positions, C), as the sources of ``image_sources`` use a model of images.

    Attributes:
        keras_model: a built model.
        layout: the axes of its input.
        shape: the (*positions, C) of the inputs.
        preprocessing, size, fit: those of an image; they have no meaning here.
    """

    keras_model: keras.Model
    layout: InputLayout
    shape: tuple[Any, ...]
    preprocessing: None = None
    size: tuple[int, ...] = ()
    fit: str = "crop"

    def input_shape(self) -> tuple[int, ...]:
        """Return the (*positions, C) of the inputs."""
        return self.shape

    def check_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs in the dtype of the model; raises ValueError if they do not fit."""
        return conform(self.keras_model, inputs)[0]

    def picture(self, inputs: np.ndarray) -> np.ndarray:
        """Return an input as it is."""
        return inputs


def open_inputs(inputs: Any, model: keras.Model, layout: InputLayout) -> "InputArray | InputStream":
    """Return a source of numbered inputs (*positions, C).

    Args:
        inputs: an array (N, *positions, C), or an iterable of batches such as a ``tf.data.Dataset``.
        model: a built model with one input.
        layout: the axes of that input; its channels must be last.

    Raises:
        TypeError: ``inputs`` is neither.
        ValueError: the channels are not last, a size is open and not that of an array, or a dataset never ends.
    """
    check_layout(model, layout)
    declared = (*layout.positions, layout.channels)
    refuse_mask(inputs, "images")
    is_array = isinstance(inputs, (np.ndarray, tf.Tensor))
    if not is_array and (isinstance(inputs, (str, bytes, dict)) or not isinstance(inputs, Iterable)):
        raise TypeError(
            f"images must be an array (N, *positions, C) or an iterable of such arrays for {model.name!r}, which takes "
            f"no photos, got {type(inputs).__name__}. Read files with kerasal.images.read_array."
        )
    if isinstance(inputs, tf.data.Dataset) and inputs.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("images must be a finite dataset, got one that repeats forever. Drop repeat() or add take(n).")
    if is_array:
        array = np.asarray(inputs)
        if array.ndim == len(declared):
            array = array[None]
        shape = array.shape[1:] if array.ndim == len(declared) + 1 else declared
        sizes = [own if size is None else size for size, own in zip(declared, shape, strict=True)]
        return InputArray(array, InputModel(model, layout, tuple(sizes)))
    if None in declared:
        raise ValueError(
            f"images must be an array for a model of any input size, got {type(inputs).__name__}. Join the batches."
        )
    return InputStream(inputs, cast(Any, InputModel(model, layout, declared)))


def check_layout(model: keras.Model, layout: InputLayout) -> None:
    """Raise ValueError if the channels of a model's input are not last, or there are more than 3 position axes."""
    if not layout.is_last or len(layout.positions) > 3:
        where = "no channels" if layout.axis is None else f"channels on axis {layout.axis}"
        raise ValueError(
            f"model must have an input (N, *positions, C), with channels last and up to 3 position axes, but "
            f"{model.name!r} takes {count_noun(len(layout.positions), 'position')} and {where}. Put an Input and a "
            "Permute or Reshape in front of it in a keras.Sequential."
        )


class InputArray(Array):
    """Inputs in memory."""

    def __init__(self, inputs: np.ndarray, model: InputModel):
        super(Array, self).__init__(cast(Any, model))
        self.images, self.total = inputs, len(inputs)
        if self.total == 0:
            raise ValueError(f"images must contain at least one input, got an array of shape {inputs.shape}.")

    def _to_inputs(self, images: np.ndarray) -> np.ndarray:
        return _check(self, images)


class InputStream(Stream):
    """Batches of inputs of unknown number that can be read once."""

    def _to_inputs(self, images: np.ndarray) -> np.ndarray:
        return _check(self, images)


def _check(source: InputArray | InputStream, inputs: np.ndarray) -> np.ndarray:
    inputs = source.model.check_inputs(inputs)
    if inputs.shape[1:] != source.shape:
        raise ValueError(f"images must all have the shape {source.shape}, got {inputs.shape[1:]}. Resize them first.")
    return inputs
