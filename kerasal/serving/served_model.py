"""A model in a graph that is exported: the tensors that it takes, the image, its classes and its run."""

from kerasal.hooks import select_output, unchanged
from kerasal.hooks.paths import pack
from kerasal.models.image_model import ImageModel, named_outputs

import tensorflow as tf


def input_specs(model: ImageModel) -> list[tf.TensorSpec]:
    """Return the inputs as the model takes them; floating-point ones are float32 whatever the model computes in.

    One input is called ``inputs``, several go by their own names.
    """
    declared = getattr(model.keras_model, "inputs", None)
    if not declared:
        height, width, channels = model.input_shape()
        shape = (channels, height, width) if model.channels_first else (height, width, channels)
        return [tf.TensorSpec((None, *shape), tf.float32, "inputs")]
    return [
        tf.TensorSpec((None, *one.shape[1:]), _dtype(one), one.name if len(declared) > 1 else "inputs")
        for one in declared
    ]


def served_image(model: ImageModel, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Return the (height, width, channels) of the image that the model takes; channels are 0 for (height, width).

    Raises:
        ValueError: not one image input, channels first, another size than the model's, or channels that no image has.
    """
    if model.channels_first:
        raise ValueError(
            f"A signature on images is for models that take their channels last; {model.name!r} takes them first. Use "
            "on=inputs, or wrap it: keras.Sequential([keras.Input((H, W, C)), keras.layers.Permute((3, 1, 2)), model])."
        )
    own = model.shape[:2]
    if size is not None and any(mine not in (None, asked) for mine, asked in zip(own, size, strict=True)):
        raise ValueError(f"{model.name!r} takes images of {own[0]} x {own[1]}. Received size {size}.")
    best = model.facts.get("best_size") if None in own else None
    height, width = size or model.size or best or model.input_size()
    channels = 0 if len(model.shape) == 2 else model.channels
    if channels not in (0, 1, 3):
        raise ValueError(
            f"{model.name!r} takes {channels} channels; a photograph has 3, or 1 when gray. Use on=inputs."
        )
    return height, width, channels


def count_classes(model: ImageModel, output: str | int | None) -> int:
    """Return how many classes an output has.

    Raises:
        ValueError: several outputs and none named, or one whose number of classes is open.
    """
    shapes = model.output_shapes
    shape = next(iter(shapes.values())) if len(shapes) == 1 else select_output(model.keras_model, dict(shapes), output)
    if not shape or shape[-1] is None:
        raise ValueError(f"{model.name!r} gives {(None, *shape)}: an output without a number of classes.")
    return shape[-1]


def run_model(model: ImageModel, inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Run the model at inference; return its outputs by name."""
    keras_model = model.keras_model
    with unchanged(keras_model):
        return named_outputs(keras_model, keras_model(pack(keras_model, inputs), training=False))


def _dtype(tensor) -> tf.DType:
    dtype = tf.as_dtype(tensor.dtype)
    return tf.float32 if dtype.is_floating else dtype
