"""Draw maps as heatmaps, reliefs and overlays; resize images."""

from typing import Literal

import numpy as np

from kerasal.checks import check_choice, check_number, check_size

try:
    import cv2
except ImportError as error:  # opencv-python needs libGL, which is missing on many servers
    raise ImportError(
        f"OpenCV must be importable, got: {error}. On a machine without a screen, replace it: "
        "python -m pip uninstall -y opencv-python && python -m pip install opencv-python-headless"
    ) from error

from kerasal.images.colormaps import choose_colors
from kerasal.images.image_check import check_image, check_map, check_resizable
from kerasal.images.image_check import to_channels as to_channels

# Percentile of the magnitude from which colors are saturated, because gradient maps have a few extreme pixels.
_FULL_COLOR = 99.0
_FRAME = (40, 40, 40)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image (H, W) or (H, W, C) resized to (height, width): area averages to shrink, cubic to enlarge.

    Raises:
        ValueError: an invalid size, or an array that is not an image or map: another rank, no pixels, or a dtype other
            than uint8, uint16, int16, float32 and float64.
    """
    height, width = check_size("size", size)
    image = check_resizable(image, (height, width))
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image.copy()
    if (height - rows) * (width - columns) < 0:  # OpenCV would average along neither side
        resized = _resize_sides(image, height, width)
    else:
        shrinking = height * width < rows * columns
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    return resized.reshape(height, width, *image.shape[2:])


def _resize_sides(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Average areas along the side that shrinks, then interpolate along the other side; round only at the end."""
    rows, columns = image.shape[:2]
    values = image if image.dtype.kind == "f" else image.astype(np.float32)
    smaller = cv2.resize(values, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
    resized = cv2.resize(smaller, (width, height), interpolation=cv2.INTER_CUBIC)
    if image.dtype.kind == "f":
        return resized
    limits = np.iinfo(image.dtype)
    return np.clip(np.round(resized), limits.min, limits.max).astype(image.dtype)


def size_like(
    shape: tuple[int, int], size: tuple[int, int], *, step: int = 32, narrow: float = 16.0
) -> tuple[int, int]:
    """Return a (height, width) of about as many pixels as ``size``, in the aspect ratio of ``shape``.

    The sides differ from those of ``size`` by multiples of ``step``. A strided convolution with "same" padding places
    its outputs differently on even and on odd sides; a model with a total stride of at most ``step`` therefore places
    them as at ``size``. The longer side is at most about ``narrow`` times the shorter side.
    """
    ratio = min(max(shape[1] / shape[0], 1 / narrow), narrow)
    height = _step_to((size[0] * size[1] / ratio) ** 0.5, size[0], step)
    return height, _step_to(height * ratio, size[1], step)


def _step_to(side: float, known: int, step: int) -> int:
    """Return the positive number that is closest to ``side`` among those multiples of ``step`` away from ``known``."""
    first = known % step or step
    return first + step * max(0, round((side - first) / step))


def fit_image(image: np.ndarray, size: tuple[int, int], mode: Literal["crop", "stretch"] = "crop") -> np.ndarray:
    """Return an image resized to (height, width) after a center crop to that shape, or stretched as a whole.

    Raises:
        ValueError: an invalid size or mode, or an array that is not an image; see ``resize``.
    """
    check_size("size", size)
    check_choice("mode", mode, ("crop", "stretch"))
    if mode == "stretch":
        return resize(image, size)
    left, top, right, bottom = crop_box(image.shape, size, mode)
    return resize(image[top:bottom, left:right], size)


def crop_box(
    shape: tuple[int, ...], size: tuple[int, int], mode: Literal["crop", "stretch"] = "crop"
) -> tuple[int, int, int, int]:
    """Return the part of an image that ``fit_image`` resizes: (x_min, y_min, x_max, y_max) in pixels of the image.

    Args:
        shape: shape of the image, (H, W) or (H, W, C).
        size: (height, width) to which the image is resized.
        mode: as for ``fit_image``; ``"stretch"`` uses the whole image.
    """
    height, width = shape[:2]
    if mode == "stretch":
        return 0, 0, width, height
    scale = min(height / size[0], width / size[1])
    rows, columns = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - rows) // 2, (width - columns) // 2
    return left, top, left + columns, top + rows


def place(image: np.ndarray, drawn: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return an image with another drawn into a box, and everything outside the box faded, uint8 RGB (H, W, 3).

    For the map of a model that sees only a part of a photo: outside, nothing is known. A thin line frames the part.

    Args:
        image: uint8 (H, W, 3).
        drawn: uint8 (h, w, 3), resized to the box.
        box: (x_min, y_min, x_max, y_max) in pixels of the image, as from ``crop_box``.

    Raises:
        ValueError: not images, or a box that is empty or not inside the image.
    """
    image, drawn = check_image(image, "The image"), check_image(drawn, "The drawn image")
    height, width = image.shape[:2]
    left, top, right, bottom = box
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise ValueError(f"box must be a part of the image of {height} × {width} pixels, got {tuple(box)}.")
    gray = image.mean(axis=2, keepdims=True)
    placed = np.round(255 - 0.4 * (255 - 0.5 * gray - 0.5 * image)).astype(np.uint8)
    placed[top:bottom, left:right] = resize(drawn, (bottom - top, right - left))
    line = max(1, round(max(height, width) / 300))
    for near, far, length, turned in ((left, right, width, placed.swapaxes(0, 1)), (top, bottom, height, placed)):
        if far - near < length:
            across = slice(top, bottom) if turned is not placed else slice(left, right)
            turned[max(0, near - line) : near, across] = turned[far : far + line, across] = _FRAME
    return placed


def heatmap(
    values: np.ndarray, *, signed: bool | None = None, limit: float | None = None, colormap: str | None = None
) -> np.ndarray:
    """Return a map (H, W) drawn as uint8 RGB (H, W, 3).

    Unsigned maps run from black through red to white. Signed maps are blue below zero, white at zero and red above. By
    default a map counts as signed if it has negative values. Colors are saturated at ``limit``, by default the 99th
    percentile of the map's magnitude. ``colormap`` is the name of a colormap of matplotlib, such as "viridis", or a
    diverging one, such as "coolwarm", for a signed map.

    Raises:
        ValueError: not a map (H, W), NaN or infinite values, or a colormap that is unknown or unfit for the sign.
    """
    values = check_map(values, "(H, W)")
    signed = bool((values < 0).any()) if signed is None else signed
    return _color(choose_colors(colormap, signed=signed), scale_map(values, limit), signed)


def relief(values: np.ndarray, *, limit: float | None = None) -> np.ndarray:
    """Return a signed gradient (H, W, C), C = 1 or 3, drawn as uint8 RGB: channels as colors, zero as middle gray."""
    values = check_map(values, "(H, W, C)")
    if values.shape[2] not in (1, 3):
        raise ValueError(f"values must be (H, W, 1) or (H, W, 3), got {values.shape}. Average over the channels first.")
    pixels = np.round(127.5 + 127.5 * scale_map(values, limit)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*values.shape[:2], 3)))


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    *,
    signed: bool | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
) -> np.ndarray:
    """Return an image with a map drawn over it, uint8 (H, W, 3): colors where the map is strong, dimmed elsewhere.

    Positive values run from dark red to yellow. In a signed map they are red and negative values are blue.

    Args:
        image: uint8 (H, W, 3).
        values: a map (h, w) of any size.
        signed: whether negative values are drawn; otherwise they count as zero. By default they are if there are any.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib, diverging for a signed map and sequential for others.

    Raises:
        ValueError: not an image, not a map (h, w), NaN or infinite values, or an invalid ``strength`` or ``colormap``.
    """
    strength = check_number("strength", strength, minimum=0, maximum=1)
    image, values = check_image(image, "The image"), check_map(values, "(H, W)")
    signed = bool((values < 0).any()) if signed is None else signed
    size = image.shape[:2]
    # Gradient maps consist of single pixels, which are visible over a photo only after some blurring. Both signs are
    # blurred separately, so that neighbors of opposite sign do not cancel.
    parts = [np.maximum(values, 0)] + [np.maximum(-values, 0)] * signed
    largest = max(part.max() for part in parts) or 1.0
    sigma = max(size) / 75 * values.shape[0] / size[0]
    blurred = [cv2.GaussianBlur(part / largest, (0, 0), sigma) for part in parts]
    blurred = [np.clip(cv2.resize(part, size[::-1], interpolation=cv2.INTER_LINEAR), 0, None) for part in blurred]
    scaled = scale_map(blurred[0] - blurred[1] if signed else blurred[0], None)
    return paint(image, scaled, choose_colors(colormap, signed=signed, usual="overlay"), signed, strength)


def paint(image: np.ndarray, scaled: np.ndarray, colors: np.ndarray, signed: bool, strength: float) -> np.ndarray:
    """Return an image, uint8 (H, W, 3), under the colors of a map (H, W) that is scaled to -1..1 or 0..1."""
    weight = strength * np.minimum(2 * np.abs(scaled), 1)[..., None]
    gray = image.mean(axis=2, keepdims=True) * 0.35 + image * 0.65
    return np.clip(np.round(gray * (1 - weight) + _color(colors, scaled, signed) * weight), 0, 255).astype(np.uint8)


def _color(colors: np.ndarray, scaled: np.ndarray, signed: bool) -> np.ndarray:
    """Return the colors of values of -1..1, or of 0..1 for maps without a sign."""
    return colors[np.round(127.5 + 127.5 * scaled if signed else 255 * np.clip(scaled, 0, 1)).astype(int)]


def scale_map(values: np.ndarray, limit: float | None) -> np.ndarray:
    """Return values scaled to -1..1 by ``limit`` or a percentile of the magnitude; zeros remain zeros."""
    magnitude = np.abs(values)
    if limit is None:
        limit = float(np.percentile(magnitude, _FULL_COLOR) or magnitude.max())
    if limit <= 0:
        return np.zeros_like(values)
    return np.clip(values / limit, -1, 1)
