"""The types of gaze data: stimuli, points, fixation maps and densities."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasal.fixations.matlab_files import as_counts
from kerasal.images.image_check import check_image
from kerasal.images.image_files import read

Shape = tuple[int, int]
_SWAPPED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
_SLACK = 1.0  # pixels by which a coordinate may be outside its image; it is moved to the edge

_MAX_FIXATIONS = 100_000
"""Number of fixations above which a map is taken for a density; for larger maps, the number of pixels."""


class FixationMap(np.ndarray):
    """An array (H, W) with the number of fixations on each pixel, the ground truth of NSS and the AUCs."""

    kind = "fixations"


class Density(np.ndarray):
    """A non-negative array (H, W) of blurred fixations, the ground truth of CC, KLD and MSE, but not of NSS."""

    kind = "density"


@dataclasses.dataclass(frozen=True)
class Points:
    """Fixations on an image: ``xy`` float (n, 2) in pixels of a stimulus of shape ``frame`` (None for the image shape).

    Pixel k covers [k, k + 1), so rounding down gives the pixel, as in ``kerasal.metrics``. With ``are_indices``, the
    coordinates are indices of pixels instead of positions, and the pixel centers are scaled to images of another size.
    ``subject``, ``order`` and ``duration_ms`` (n,) are the number of the observer of each fixation, its position in the
    sequence of this observer, as the file counts it, and its duration, NaN if missing; None if unknown.
    """

    xy: np.ndarray
    frame: Shape | None = None
    subject: np.ndarray | None = None
    are_indices: bool = False
    order: np.ndarray | None = None
    duration_ms: np.ndarray | None = None

    @classmethod
    def from_array(cls, array: np.ndarray) -> "Points":
        """Return the points of an array (n, 2) of 0-based pixel coordinates or of a map of counts (H, W)."""
        array = np.asarray(array)
        if array.ndim == 2 and array.shape[1] == 2:
            if array.dtype.kind not in "iuf":
                raise ValueError(f"coordinates must be numbers, got {array.dtype}")
            xy = array.astype(np.float64)
            return cls(xy, are_indices=bool((xy == np.floor(xy)).all()))
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        if array.ndim != 2:
            raise ValueError(f"fixations must be a map (H, W) or coordinates (n, 2), got shape {array.shape}")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"fixations must be numbers, got {array.dtype}")
        y, x = np.nonzero(array)
        count = as_counts(array)[y, x]
        if count.sum(dtype=float) > max(_MAX_FIXATIONS, array.size):
            raise ValueError(
                f"a map must have counts of fixations, got a sum of {count.sum():g}, which looks like a density"
            )
        if (count < 0).any() or (count != np.floor(count)).any():
            raise ValueError("a map must have integer numbers of fixations, got fractions, which look like a density")
        xy = np.repeat(np.stack([x, y], axis=1), count.astype(int), axis=0).astype(np.float64)
        return cls(xy, array.shape, are_indices=True)

    def scale_to(self, shape: Shape, outside: str = "error") -> "Points":
        """Return the points scaled to pixels of an image of ``shape`` and moved into it.

        Raises:
            ValueError: a point is more than a pixel outside the image and ``outside`` is "error"; "drop" removes it.
        """
        xy, frame = self.xy, self.frame or shape
        if frame != shape:
            xy = (xy + 0.5 * self.are_indices) * (np.array(shape[::-1]) / np.array(frame[::-1]))
        if not np.isfinite(xy).all():
            raise ValueError("coordinates must be finite, got NaN or infinite values")
        limit = np.array(shape[::-1])
        is_outside = ((xy < -_SLACK) | (xy >= limit + _SLACK)).any(axis=1)
        details: dict[str, Any] = {"subject": self.subject, "order": self.order, "duration_ms": self.duration_ms}
        if is_outside.any():
            if outside == "error":
                x, y = xy[is_outside][0]
                raise ValueError(
                    f"coordinates must have 0 <= x < {limit[0]} and 0 <= y < {limit[1]}, got "
                    f"{int(is_outside.sum())} outside, such as ({x:g}, {y:g}). "
                    'Open the data with outside="drop" to leave them out'
                )
            xy = xy[~is_outside]
            details = {name: None if values is None else values[~is_outside] for name, values in details.items()}
        inside = np.clip(xy.astype(np.float32), 0, np.nextafter(limit.astype(np.float32), np.float32(0)))
        return Points(inside, shape, **details)


@dataclasses.dataclass(frozen=True)
class Stimulus:
    """An image with its fixations or density, which are read on access.

    Attributes:
        name: unique name.
        image: path, or uint8 array (H, W, 3).
        fixations: function that returns the ``Points``, or None.
        density: function that returns the density as stored, or None.
        small: the image at a model's input size, if the data set has it.
    """

    name: str
    image: pathlib.Path | np.ndarray
    fixations: Callable[[], Points] | None = None
    density: Callable[[], np.ndarray] | None = None
    small: np.ndarray | None = None

    def read_with_name(self, read: Callable[[], Any]) -> Any:
        """Return ``read()``; prepend the name of the image to its errors."""
        try:
            return read()
        except ValueError as error:
            raise ValueError(f"Image {self.name!r}: {str(error).rstrip('.')}.") from error

    def pixels(self) -> np.ndarray:
        """Return the image as uint8 RGB (H, W, 3)."""
        return read(self.image) if isinstance(self.image, pathlib.Path) else self.image

    def model_pixels(self, size: Shape | None) -> np.ndarray:
        """Return ``small`` if it has the size of a model's input, otherwise the image, as uint8 RGB (H, W, 3)."""
        if self.small is not None and self.small.shape[:2] == size:
            return self.small
        return self.read_with_name(self.pixels)

    def shape(self) -> Shape:
        """Return the size (H, W) without reading the pixels."""
        if not isinstance(self.image, pathlib.Path):
            return self.image.shape[:2]
        try:
            with Image.open(self.image) as image:
                swapped = image.getexif().get(0x0112) in _SWAPPED
                return (image.width, image.height) if swapped else (image.height, image.width)
        except (OSError, Image.DecompressionBombError, SyntaxError):  # SyntaxError: a truncated header
            return read(self.image).shape[:2]  # raises the error to report, if any


def scale_density(array: np.ndarray) -> np.ndarray:
    """Return a stored density as float32, in 0..1 if it is an image of 8 or 16 bits.

    Integers are divided by 255, or by 65535 if a value is above 255. Floats are divided by 255 if a value is above 1.5,
    and by the largest value if that is above 255.
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.size:
        raise ValueError(f"density must be numbers of shape (H, W), got {array.dtype} {array.shape}")
    scale = 1.0
    if array.dtype.kind in "iu":
        scale = 65535.0 if array.max() > 255 else 255.0
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("density must have finite values, got NaN or infinite values")
    if values.min() < 0:
        raise ValueError(f"density must be non-negative, got {values.min():g}")
    if values.max() == 0:
        raise ValueError("density must have positive values, got 0 everywhere")
    if array.dtype.kind == "f" and values.max() > 1.5:
        scale = 255.0 if values.max() <= 255 else float(values.max())
    return values / np.float32(scale)


def make_stimuli(images: Sequence, fixations=None, densities=None, names=None) -> list[Stimulus]:
    """Return a ``Stimulus`` per image from the arguments of ``GazeDataset``."""
    for argument, values in {"fixations": fixations, "densities": densities, "names": names}.items():
        if values is not None and len(values) != len(images):
            raise ValueError(f"{argument} must have a value for each of the {len(images)} images, got {len(values)}.")
    stimuli = []
    for index, image in enumerate(images):
        path = isinstance(image, str | os.PathLike)
        name = names[index] if names is not None else pathlib.Path(image).stem if path else f"{index:05d}"
        stimuli.append(
            Stimulus(
                str(name),
                pathlib.Path(image) if path else _to_rgb(image, str(name)),
                _make_reader(None if fixations is None else fixations[index], Points.from_array),
                _make_reader(None if densities is None else densities[index], np.asarray),
            )
        )
    return stimuli


def _make_reader(value, make: Callable) -> Callable | None:
    if value is None:
        return None
    return (lambda: make(value())) if callable(value) else (lambda: make(value))


def _to_rgb(image, name: str) -> np.ndarray:
    array = check_image(image, f"Image {name!r}", (3, None))
    return array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
