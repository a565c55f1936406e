"""The model of an atlas: its task found out, its digest, and the size that routines must be given for it."""

import dataclasses
from typing import Any, Literal

from kerasal import hooks
from kerasal.digests import digest
from kerasal.models.image_model import ImageModel

Task = Literal["classification", "gaze", "other"]


def atlas_model(model: Any, *, task: Task | None = None, **known: Any) -> ImageModel:
    """Return a model with its task found out; ``known`` are further fields of ``ImageModel``.

    Raises:
        ValueError: not one image input (H, W, C) of 1 or 3 channels, a preprocessing that is not known, or a
            classifier without an output (N, classes).
    """
    opened = ImageModel(model, **known)
    opened.check_pixels()
    declared = bool(getattr(model, "inputs", None))
    if len(opened.shape) != 3 or opened.channels_first or (not declared and opened.channels != 3):
        raise ValueError(
            f"An atlas is of a model that takes images (N, H, W, C), channels last; {opened.name!r} takes "
            f"{opened.shape}{', channels first' if opened.channels_first else ''}"
            f"{'' if declared else ' and does not declare it, for which C must be 3'}. Wrap it: "
            "x = keras.Input((H, W, C)); keras.Model(x, model(x))."
        )
    shapes = list(opened.output_shapes.values())
    shape = shapes[0] if len(shapes) == 1 else None
    is_scores = shape is not None and len(shape) == 1 and bool(shape[0])
    is_map = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1))
    if task is None:
        task = "classification" if is_scores else "gaze" if is_map else "other"
    elif task == "classification" and not is_scores:
        raise ValueError(
            f"A classifier has one output (N, classes). {opened.name!r} gives {shape or 'several outputs'}; give "
            "task='other' to look at its layers alone."
        )
    return dataclasses.replace(opened, task=task, size=opened.input_size())


def undeclared_size(model: ImageModel) -> tuple[int, int] | None:
    """Return the (height, width) that routines must be given for a model that does not declare its own, else None."""
    return None if getattr(model.keras_model, "inputs", None) else model.size


def atlas_digest(model: ImageModel) -> str:
    """Return what tells this model from any other, and its layers' paths, which the pages bear."""
    return digest(hooks.digest_model(model.keras_model), [path for path, _ in hooks.layers(model.keras_model)])
