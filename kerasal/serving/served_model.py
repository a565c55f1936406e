"""What is exported: a model with its pixel convention, its class names, and the shapes of what it takes and gives."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasal.hooks import select_output, unchanged
from kerasal.hooks.model_inputs import image_shape, pack
from kerasal.preprocessing import Preprocessing

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A built model and what is known of it.

    ``outputs`` maps each output's name to its shape without the batch; ``card`` is the model card of a zoo model, and
    ``best_size`` the (height, width) at which one that takes any size is best.
    """

    model: keras.Model
    convention: Preprocessing | None
    labels: tuple[str, ...]
    outputs: Mapping[str, tuple[int | None, ...]]
    card: str = ""
    task: str = ""
    best_size: tuple[int, int] | None = None

    def specs(self) -> list[tf.TensorSpec]:
        """Return the inputs as the model takes them; floating-point ones are float32 whatever the model computes in.

        One input is called ``inputs``, several go by their own names.
        """
        declared = getattr(self.model, "inputs", None)
        if not declared:
            return [tf.TensorSpec((None, *image_shape(self.model)), tf.float32, "inputs")]
        return [
            tf.TensorSpec((None, *one.shape[1:]), _dtype(one), one.name if len(declared) > 1 else "inputs")
            for one in declared
        ]

    def image(self, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
        """Return the (height, width, channels) of the image that the model takes; channels are 0 for (H, W).

        Raises:
            ValueError: not one image input, another size than the model's, or channels that no photograph has.
        """
        declared = getattr(self.model, "inputs", None) or []
        if len(declared) == 1 and len(declared[0].shape) == 3 and None not in declared[0].shape[1:]:
            shape = (*declared[0].shape[1:], 0)
        else:
            free = None in image_shape_declared(self.model)[:2]
            shape = image_shape(self.model, size or (self.best_size if free else None))
        own = image_shape_declared(self.model)[:2]
        if size is not None and any(mine not in (None, asked) for mine, asked in zip(own, size, strict=True)):
            raise ValueError(f"{self.model.name!r} takes images of {own[0]} x {own[1]}. Received size {size}.")
        if shape[2] not in (0, 1, 3):
            raise ValueError(
                f"{self.model.name!r} takes {shape[2]} channels; a photograph has 3, or 1 when grey. Use on=inputs."
            )
        return shape

    def classes(self, output: str | int | None) -> int:
        """Return how many classes an output has.

        Raises:
            ValueError: several outputs and none named, or one whose number of classes is open.
        """
        only = next(iter(self.outputs.values())) if len(self.outputs) == 1 else None
        shape = only if only is not None else select_output(self.model, dict(self.outputs), output)
        if not shape or shape[-1] is None:
            raise ValueError(f"{self.model.name!r} gives {(None, *shape)}: an output without a number of classes.")
        return shape[-1]

    def run(self, inputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Run the model at inference; return its outputs by name."""
        with unchanged(self.model):
            return named_outputs(self.model, self.model(pack(self.model, inputs), training=False))


def image_shape_declared(model) -> tuple:
    """Return the declared (height, width, …) of a model's one input; None where it takes any."""
    declared = getattr(model, "inputs", None)
    shape = tuple(declared[0].shape[1:]) if declared else image_shape(model)
    return shape if len(shape) > 1 else (None, None)


def named_outputs(model, outputs: Any) -> dict[str, Any]:
    """Return a model's outputs by name: ``scores`` where there is one."""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if len(flat) == 1:
        return {"scores": flat[0]}
    names = getattr(model, "output_names", None) or []
    return dict(zip(names if len(names) == len(flat) else map(str, range(len(flat))), flat, strict=True))


def output_shapes(model: keras.Model) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of a model's outputs without the batch; one that does not declare them is traced."""
    if getattr(model, "outputs", None):
        structure = getattr(model, "_outputs_struct", model.outputs)
        return {name: tuple(one.shape[1:]) for name, one in named_outputs(model, structure).items()}
    spec = tf.TensorSpec((None, *image_shape(model)), tf.float32)
    run = tf.function(lambda x: named_outputs(model, model(x, training=False)), autograph=False)
    return {name: tuple(one.shape[1:]) for name, one in run.get_concrete_function(spec).structured_outputs.items()}


def _dtype(tensor) -> tf.DType:
    dtype = tf.as_dtype(tensor.dtype)
    return tf.float32 if dtype.is_floating else dtype
