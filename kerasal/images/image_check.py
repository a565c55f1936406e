"""Check that arrays are images that Pillow and OpenCV process correctly, and that maps are finite numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask

RESIZABLE = (np.uint8, np.uint16, np.int16, np.float32, np.float64)
"""The dtypes that OpenCV can resize."""


def check_image(image: ArrayLike, name: str = "An image", channels: Sequence[int | None] = (3,)) -> np.ndarray:
    """Return ``image`` as a uint8 array (H, W, 3) with at least one pixel.

    Args:
        image: an array, or a value that NumPy converts to an array.
        name: the name of the image in error messages.
        channels: the accepted numbers of channels; ``None`` stands for (H, W).

    Raises:
        ValueError: another dtype or shape; the message suggests a conversion.
    """
    refuse_mask(image, name)
    array = np.asarray(image)
    wanted = " or ".join("(H, W)" if count is None else f"(H, W, {count})" for count in channels)
    count = array.shape[2] if array.ndim == 3 else None
    if array.ndim not in (2, 3) or count not in channels or not array.size:
        remedy = _shape_remedy(array)
    elif array.dtype != np.uint8:
        remedy = _dtype_remedy(array)
    else:
        return array
    raise ValueError(f"{name} must be uint8 {wanted}, got {array.dtype} {array.shape}. {remedy}")


def check_resizable(image, size: tuple[int, int]) -> np.ndarray:
    """Return an array (H, W) or (H, W, C) of a dtype that OpenCV can resize, in native byte order.

    An array that already has the ``size`` may have any dtype.
    """
    refuse_mask(image, "An image to resize")
    array = np.asarray(image)
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(
            f"An image to resize must be (H, W) or (H, W, C) with at least one pixel, got {array.shape}. "
            "Pass one image at a time."
        )
    native = array.dtype.newbyteorder("=")
    if array.shape[:2] == tuple(size):
        return array
    if native not in RESIZABLE:
        *others, last = (np.dtype(kind).name for kind in RESIZABLE)
        raise ValueError(
            f"An image to resize must have the dtype {', '.join(others)} or {last}, got {array.dtype}. "
            "Convert it, such as with image.astype(np.float32)."
        )
    return array.astype(native, copy=False)


def to_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return a uint8 image (H, W, C) with 1 or 3 channels: gray is repeated, colors become their luma (BT.601).

    Raises:
        ValueError: another number of channels or another dtype.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels!r}.")
    picture = check_image(picture, "A picture", (3, 1))
    if picture.shape[2] == channels:
        return picture
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    return np.round(picture @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)[..., None]


def check_map(values, *shapes: str) -> np.ndarray:
    """Return a map as float64; ``shapes`` are texts such as "(H, W)", whose commas give the accepted ranks.

    Raises:
        ValueError: another rank, no values, masked, NaN or infinite values, or values that are not real numbers.
    """
    refuse_mask(values, "the map")
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":  # complex numbers would lose their imaginary part
        raise ValueError(f"A map must hold real numbers, got {array.dtype}. Take np.abs of complex values.")
    values = array.astype(np.float64)
    if values.ndim not in [len(shape.replace(",)", ")").split(",")) for shape in shapes] or values.size == 0:
        raise ValueError(
            f"The map must be {' or '.join(shapes)} with at least one value, got {values.shape}. Pass one map at a "
            "time."
        )
    if not np.isfinite(values).all():
        bad = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"The map must be finite, got {bad} NaN or infinite values. Replace them with np.nan_to_num.")
    return values


def _shape_remedy(array: np.ndarray) -> str:
    if not array.size:
        return "It has no pixels."
    if array.ndim == 4:
        return "Pass one image at a time."
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        return "Move the channels last: np.moveaxis(image, 0, -1)."
    if array.ndim == 3 and array.shape[2] == 4:
        return "Leave out the transparency: image[..., :3]."
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        return "Repeat the gray channel: np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)."
    return "Choose three channels to show: image[..., [2, 1, 0]], for example."


def _dtype_remedy(array: np.ndarray) -> str:
    if array.dtype == bool:
        return "Draw it black and white: np.uint8(255) * image."
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            return "Replace NaN or infinite values, and scale it to 0..255."
        if array.min() >= 0 and array.max() <= 1:
            return "From 0..1: np.round(255 * image).astype(np.uint8). A map is drawn by heatmap()."
        return "From 0..255: np.clip(np.round(image), 0, 255).astype(np.uint8). A map is drawn by heatmap()."
    if array.dtype.kind in "iu":
        if array.min() >= 0 and array.max() <= 255:
            return "Its values fit: image.astype(np.uint8)."
        return f"Its values are {array.min()}..{array.max()}: scale them to 0..255, then image.astype(np.uint8)."
    return "Expected numbers."
