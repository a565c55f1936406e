"""Masks of images: read from files, brought to the size of a model's input or output, and outlined in a picture."""

import os
import pathlib
import warnings
from typing import Any, Literal

import numpy as np
from PIL import Image

from kerasal.checks import check_size
from kerasal.images.drawings import crop_box
from kerasal.images.image_check import check_image
from kerasal.images.image_files import ReducedDepth, read

_LIGHT, _DARK = 255, 0
_LINES = 128  # a line is the longer side of the image divided by this


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """Return an image file as a mask, bool (H, W): the pixels that are not black.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not an image, or one with transparent pixels, which do not say whether they belong to the region.
    """
    with warnings.catch_warnings(action="ignore", category=ReducedDepth):  # values from 1 to 255 of 16 bits would be 0
        pixels = read(path)
    if pathlib.Path(path).suffix.lower() in (".npy", ".npz"):
        return np.any(pixels, axis=2)
    with Image.open(path) as image:
        if "A" in image.getbands() or "transparency" in image.info:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
            if alpha.min() < 255:
                raise ValueError(
                    f"{path} must be a mask without transparency, white in the region and black outside, got "
                    "transparent pixels. Save it without an alpha channel."
                )
        if image.mode.startswith("I"):
            return np.greater(np.asarray(image), 0)
    return np.any(pixels, axis=2)


def fit_mask(mask: np.ndarray, size: tuple[int, int], mode: Literal["crop", "stretch"] = "crop") -> np.ndarray:
    """Return a mask (H, W) cropped or stretched like ``fit_image`` and resized to (height, width) by nearest pixels.

    Each position takes the value of the mask at its center; values are not mixed.

    Raises:
        ValueError: not a mask (H, W), or an invalid size.
    """
    height, width = check_size("size", size)
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"mask must have the shape (H, W), got {mask.shape}.")
    left, top, right, bottom = crop_box(mask.shape, (height, width), mode)
    return _sample(mask[top:bottom, left:right], height, width)


def outline(image: np.ndarray, area: np.ndarray, part: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Return an image with the outline of an area: a white line inside, a black one outside of it; uint8 (H, W, 3).

    One of the two lines is visible on any ground.

    Args:
        image: uint8 (H, W, 3).
        area: a mask (h, w) of any size, which is laid over the image; or a box, (x_min, y_min, x_max, y_max) in shares
            of the width and height.
        part: the part of the image over which the area is laid, (x_min, y_min, x_max, y_max) in pixels; by default all
            of it.

    Raises:
        ValueError: not an image, or an area that is neither a mask nor a box.
    """
    image, area = check_image(image, "The image"), np.asarray(area)
    rows, columns = image.shape[:2]
    left, top, right, bottom = part or (0, 0, columns, rows)
    height, width = bottom - top, right - left
    placed = np.zeros((rows, columns), bool)
    if area.shape == (4,):
        x_min, x_max = _round_ends(area[0], area[2], width)
        y_min, y_max = _round_ends(area[1], area[3], height)
        placed[top + y_min : top + y_max, left + x_min : left + x_max] = True
    elif area.ndim == 2 and 0 not in area.shape:
        placed[top:bottom, left:right] = _sample(area > 0, height, width)
    else:
        raise ValueError(f"area must be a mask (h, w) or a box of 4 numbers, got shape {area.shape}.")
    line = max(1, round(max(rows, columns) / _LINES))
    drawn = image.copy()
    drawn[_spread(placed, line) & ~placed] = _DARK
    drawn[placed & _spread(~placed, line, border=True)] = _LIGHT
    return drawn


def _sample(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the values of a mask at the centers of height × width equal parts."""
    rows = (np.arange(height) + 0.5) * mask.shape[0] / height
    columns = (np.arange(width) + 0.5) * mask.shape[1] / width
    return mask[np.ix_(rows.astype(int), columns.astype(int))]


def _round_ends(low: float, high: float, length: int) -> tuple[int, int]:
    """Return the first and last pixel, exclusive, of a span in shares of a length; at least one pixel."""
    start = int(np.clip(round(float(low) * length), 0, length - 1))
    return start, int(np.clip(round(float(high) * length), start + 1, length))


def _spread(mask: Any, distance: int, border: bool = False) -> Any:
    """Return the pixels within a distance of a mask along both axes; ``border`` is the value outside of the image."""
    for axis in (0, 1):
        padded = np.pad(mask, [(distance, distance) if a == axis else (0, 0) for a in (0, 1)], constant_values=border)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * distance + 1, axis=axis)
        mask = windows.any(axis=-1)
    return mask
