"""What an atlas is of: a model with the way it takes pictures, its class names, and what it is for."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from kerasal import (
    hooks,
)
from kerasal.digests import digest
from kerasal.hooks.model_inputs import image_shape
from kerasal.models.image_inputs import Intake

import keras
import tensorflow as tf

Task = Literal["classification", "gaze", "other"]


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """One model to be looked at.

    Attributes:
        model: it is never changed.
        name: what people call it.
        intake: how pictures become its inputs; ``intake.shape`` is (H, W, C).
        labels: the names of its classes, or none.
        task: ``"classification"`` has classes, ``"gaze"`` maps of where people look.
        classes: how many outputs a classifier has, else 0.
    """

    model: keras.Model
    name: str
    intake: Intake
    labels: Sequence[str]
    task: Task
    classes: int

    @property
    def size(self) -> tuple[int, int] | None:
        """The (height, width) that routines must be told, for a model that does not declare its own."""
        return None if getattr(self.model, "inputs", None) else self.intake.shape[:2]

    def digest(self) -> str:
        """Return what tells this model from any other, and its layers' paths, which the pages bear."""
        return digest(hooks.digest_model(self.model), [path for path, _ in hooks.layers(self.model)])

    @property
    def settings(self) -> dict[str, Any]:
        """What decides every picture of this subject, for the store."""
        return {
            "shape": list(self.intake.shape),
            "fit": self.intake.fit,
            "preprocessing": repr(self.intake.convention),
        }


def make_subject(
    model: keras.Model, *, name: str | None = None, preprocessing=None, labels=(), task: str | None = None, fit="crop"
) -> Subject:
    """Bring together what is known of a model, and find out the rest.

    Raises:
        ValueError: not one image input (H, W, C) of 1 or 3 channels, a pixel convention that is not known, or a
            classifier without an output (N, classes).
    """
    shape = image_shape(model)
    declared = bool(getattr(model, "inputs", None))
    if not declared and shape[2] != 3:
        raise ValueError(
            f"{model.name!r} does not declare its input, and was built on images of {shape[2]} channels; expected 3. "
            "Wrap it: x = keras.Input((H, W, C)); keras.Model(x, model(x))."
        )
    intake = Intake(model, preprocessing, fit, None if declared else shape[:2])
    intake.check_pixels()
    output = _output_shape(model, intake.shape)
    if task is None:
        task = "classification" if _is_scores(output) else "gaze" if _is_map(output) else "other"
    elif task == "classification" and not _is_scores(output):
        raise ValueError(
            f"A classifier has one output (N, classes). {model.name!r} gives {output or 'several outputs'}; say "
            "task='other' (--task other) to look at its layers alone."
        )
    classes = int(output[1]) if task == "classification" else 0
    return Subject(model, name or model.name, intake, list(labels), task, classes)


def _output_shape(model, shape: tuple[int, int, int]) -> tuple | None:
    """Return the shape of the one output for one image; None for several."""
    found = tf.function(lambda image: model(image, training=False), autograph=False).get_concrete_function(
        tf.TensorSpec((1, *shape), tf.float32)
    )
    outputs = found.structured_outputs
    return tuple(outputs.shape) if hasattr(outputs, "shape") else None


def _is_scores(shape: tuple | None) -> bool:
    return shape is not None and len(shape) == 2 and bool(shape[1])


def _is_map(shape: tuple | None) -> bool:
    return shape is not None and (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1))
