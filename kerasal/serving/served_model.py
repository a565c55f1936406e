"""Properties of an exported model: its input tensors, the size of its images and its number of classes."""

from typing import Any

from kerasal.hooks import select_output
from kerasal.models.image_model import ImageModel

import tensorflow as tf


def input_specs(model: ImageModel) -> list[tf.TensorSpec]:
    """Return the specs of the model's inputs; floating-point inputs are float32 in models of any precision.

    A single input is called ``inputs``; several keep the names of the model.
    """
    declared = getattr(model.keras_model, "inputs", None)
    if not declared:
        height, width, channels = model.input_shape()
        shape = (channels, height, width) if model.channels_first else (height, width, channels)
        return [tf.TensorSpec((None, *shape), tf.float32, "inputs")]
    return [
        tf.TensorSpec((None, *tensor.shape[1:]), _dtype(tensor), tensor.name if len(declared) > 1 else "inputs")
        for tensor in declared
    ]


def served_image(model: ImageModel, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Return the (height, width, channels) of the model's image input; channels is 0 for an input (height, width).

    Raises:
        ValueError: the model has no single image input, takes channels first, takes another size, or has not 1 or 3
            channels.
    """
    if model.channels_first:
        raise ValueError(
            f"A model with signatures on images must take channels last, but {model.name!r} takes channels first. Use "
            "on=inputs, or wrap it: keras.Sequential([keras.Input((H, W, C)), keras.layers.Permute((3, 1, 2)), model])."
        )
    model_size = model.shape[:2]
    if size is not None and any(fixed not in (None, side) for fixed, side in zip(model_size, size, strict=True)):
        raise ValueError(f"size must be {model_size}, the image size of {model.name!r}, got {size}.")
    best = model.facts.get("best_size") if None in model_size else None
    height, width = size or model.size or best or model.input_size()
    channels = 0 if len(model.shape) == 2 else model.channels
    if channels not in (0, 1, 3):
        raise ValueError(
            f"A model with signatures on images must take 1 or 3 channels, but {model.name!r} takes {channels}. Use "
            "on=inputs."
        )
    return height, width, channels


def count_classes(model: ImageModel, output: str | int | None) -> int:
    """Return the number of classes of an output.

    Raises:
        ValueError: the model has several outputs and ``output`` is None, or the number of classes is not fixed.
    """
    shapes: dict[str, Any] = dict(model.output_shapes)
    shape = next(iter(shapes.values())) if len(shapes) == 1 else select_output(model.keras_model, shapes, output)
    if not shape or shape[-1] is None:
        raise ValueError(f"The output of {model.name!r} must have a fixed number of classes, got {(None, *shape)}.")
    return shape[-1]


def _dtype(tensor: Any) -> tf.DType:
    dtype = tf.as_dtype(tensor.dtype)
    return tf.float32 if dtype.is_floating else dtype
