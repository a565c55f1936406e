"""The patch of an input that a unit saw: of an image, a signal or a volume."""

from typing import Any

import numpy as np

from kerasal.models.image_sources import ImageSource
from kerasal.models.input_sources import InputArray, InputStream
from kerasal.receptive_field.geometry.field_geometry import (
    GRAY,
    Field,
    InputField,
    cut_box,
    cut_window,
    remember_field,
    remember_input_field,
    window,
)

import keras


def find_geometry(model: keras.Model, layer: str, source: ImageSource) -> Field | InputField:
    """Return the receptive fields of a layer; raise ValueError if it has no map."""
    if isinstance(source, (InputArray, InputStream)):
        return remember_input_field(model, layer, source.shape)
    return remember_field(model, layer, source.shape[:2])


def cut_patch(
    geometry: Field | InputField, position: np.ndarray, picture: np.ndarray, reconstruction: np.ndarray
) -> dict[str, Any]:
    """Return position, receptive field, patch and reconstruction of a unit."""
    if isinstance(geometry, InputField):
        unit = position.tolist()
        box, patch = geometry.box(unit), geometry.window(unit)
        crop, part = cut_window(picture, patch, np.nan), cut_window(reconstruction, patch, 0.0)
    else:
        column, row = position
        box, patch = geometry.box(row, column), window(geometry, row, column)
        crop, part = cut_box(picture, patch, GRAY), cut_box(reconstruction, patch, 0.0)
    return {"positions": position, "boxes": np.array(box), "crops": crop, "reconstructions": part}
