"""``read_examples``: photos, arrays, volumes and tokens as single inputs of a model, with what is drawn of each."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from kerasal import images
from kerasal.hooks.model_inputs import conform, format_shape, input_specs
from kerasal.hooks.positions import channel_axes
from kerasal.images.array_files import ARRAY_SUFFIXES
from kerasal.images.volume_files import is_volume_file
from kerasal.models.image_model import ImageModel

_STACKS = (".tif", ".tiff")


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """A single input of a model.

    Attributes:
        inputs: float32 (1, …) in the layout of the model, or integers (1, T), the tokens of a text.
        picture: what a map is drawn on: an image as the model receives it, uint8 RGB (H, W, 3); else the input with its
            channels last, (T, C) for a signal, (D, H, W, C) for a volume or video; the token indices (T,) of a text.
        photo: the original photo, uint8 RGB, of which the model may receive only a part; None for other inputs.
        box: the part of ``photo`` that the model receives, (x_min, y_min, x_max, y_max) in pixels.
        spacing, axes: those of the ``images.Volume`` that the input was read from.
        channel_axis: the axis of the channels in ``inputs[0]``; None for an input without channels.
    """

    inputs: np.ndarray
    picture: np.ndarray
    photo: np.ndarray | None = None
    box: tuple[int, int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    axes: str | None = None
    channel_axis: int | None = -1


def read_examples(model: ImageModel, source: Any, *, array: str | None = None) -> list[Example]:
    """Return the inputs of a model in a photo, an array, a volume or a file of one of them.

    uint8 images and image files are photos, which are resized and preprocessed. Arrays of floats, ``.npy`` and ``.npz``
    files of floats, ``images.Volume`` and NIfTI files are inputs already and only checked; whether the first axis of an
    array counts examples follows from the rank of the model's input. A model of volumes takes the pages of a TIFF file.
    A model whose only input is integers (N, T) takes token indices.

    Args:
        model: an opened model.
        source: a uint8 image (H, W, 3 or 1) or a batch of them, an array of floats, an ``images.Volume``, or a path.
        array: name of the array in an ``.npz`` file that holds several.

    Raises:
        NoPreprocessing: a ValueError: photos for a model whose preprocessing is unknown.
        ValueError: a file or array that is not an input of the model, or the model has several inputs; NaN.
        FileNotFoundError: the file does not exist.
    """
    if isinstance(source, (str, os.PathLike)):
        source = _read(model, pathlib.Path(source), array)
    if takes_tokens(model):
        return _tokens(model, source)
    if isinstance(source, images.Volume):
        return [dataclasses.replace(read, spacing=source.spacing, axes=source.axes) for read in _volume(model, source)]
    if isinstance(source, (list, tuple)):
        source = images.read_images(source)
    if isinstance(source, list) or np.asarray(source).dtype == np.uint8:
        photos = images.read_images(source)
        return [_photo(model, photo) for photo in photos]
    return _inputs(model, np.asarray(source))


def takes_images(model: ImageModel) -> bool:
    """Return whether the only input of a model is an image, with or without channels."""
    try:
        return len(model.shape) in (2, 3)
    except ValueError:
        return False


def takes_tokens(model: ImageModel) -> bool:
    """Return whether the only input of a model is integers (N, T), such as the token indices of texts."""
    specs = input_specs(model.keras_model) or []
    return len(specs) == 1 and len(specs[0][1]) == 1 and specs[0][2].startswith(("int", "uint"))


def _read(model: ImageModel, path: pathlib.Path, array: str | None) -> Any:
    if path.suffix.lower() in ARRAY_SUFFIXES:
        return images.read_array(path, array)
    if is_volume_file(path):
        return images.read_volume(path)
    if path.suffix.lower() in _STACKS and path.is_file() and not takes_images(model):
        return images.read_volume(path)
    return [images.read(path)]


def _photo(model: ImageModel, photo: np.ndarray) -> Example:
    if not takes_images(model):
        shapes = ", ".join(format_shape(shape) for _, shape, _ in input_specs(model.keras_model) or ())
        raise ValueError(
            f"{model.name!r} must take an image to explain a photo, but it takes {shapes or 'another input'}. Pass its "
            "input as an array of floats."
        )
    picture, inputs = model.show(photo)
    box = images.crop_box(photo.shape, picture.shape[:2], model.fit)
    return Example(inputs, picture, images.to_channels(photo, 3), box)


def _volume(model: ImageModel, volume: images.Volume) -> list[Example]:
    """Return the input of a volume (D, H, W, C), in the layout that the model takes."""
    (axis,) = channel_axes(model.keras_model, [(None, *volume.voxels.shape)])
    voxels = volume.voxels
    if axis is None and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    elif axis is not None:
        voxels = np.moveaxis(voxels, -1, axis - 1)
    return _inputs(model, voxels)


def _tokens(model: ImageModel, source: Any) -> list[Example]:
    """Return the inputs of a model of token indices, (T,) or (N, T)."""
    (tokens,) = conform(model.keras_model, source, integers=True)
    return [Example(tokens[[number]], row, channel_axis=None) for number, row in enumerate(tokens)]


def _inputs(model: ImageModel, array: np.ndarray) -> list[Example]:
    if array.dtype.kind not in "f" and array.dtype.name != "bfloat16":
        raise ValueError(
            f"inputs must be floats, or photos in uint8, got {array.dtype} {array.shape}. Convert them: "
            "array.astype('float32')."
        )
    single = len(input_specs(model.keras_model) or [0]) == 1
    if not single:
        raise ValueError(f"{model.name!r} must have a single input to be explained here. Use kerasal.attribution.")
    _refuse_fractions(model, array)
    (inputs,) = conform(model.keras_model, array)
    if model.preprocessing is not None:
        model.preprocessing.check_range(inputs)
    (axis,) = channel_axes(model.keras_model, [inputs.shape])
    values = inputs[..., None] if axis is None else np.moveaxis(inputs, axis, -1)
    pictures = _draw_images(model, values) if values.ndim == 4 else values
    own = None if axis is None else axis - 1
    return [Example(inputs[[i]], picture, channel_axis=own) for i, picture in enumerate(pictures)]


def _refuse_fractions(model: ImageModel, array: np.ndarray) -> None:
    """Raise an error for pixels of 0..1 that a model takes in another range, such as -1..1."""
    if model.preprocessing is None or not takes_images(model) or not np.isfinite(array).all():
        return
    low, high = (float(values.min()) for values in model.preprocessing.value_range())
    if array.size and low < 0 <= array.min() and array.max() <= 1:
        raise ValueError(
            f"photo must be uint8 pixels, or floats that are preprocessed to {low:.3g}..{high:.3g} for {model.name!r}, "
            f"got {array.dtype} of {array.min():.3g}..{array.max():.3g}, which look like pixels of 0..1. Convert them: "
            "(photo * 255).astype('uint8')."
        )


def _draw_images(model: ImageModel, values: np.ndarray) -> list[np.ndarray]:
    """Return images (N, H, W, C) as uint8 RGB; without a known preprocessing, from their lowest to highest value."""
    pictures = []
    for image in values:
        low, high = float(image.min()), float(image.max())
        pixels = 255 * (image - low) / ((high - low) or 1.0)
        if model.preprocessing is not None:
            pixels = model.preprocessing.invert(image)
        pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
        pictures.append(images.to_channels(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1], 3))
    return pictures
