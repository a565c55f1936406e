"""What gaze data is made of: stimuli, points, and two kinds of map that must never be taken for one another."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from kerasal.fixations.matlab_files import as_counts
from kerasal.images.image_check import check_image
from kerasal.images.image_files import read

Shape = tuple[int, int]
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
_SLACK = 1.0  # pixels by which a coordinate may miss its image and still be meant to be on its edge

_MOST = 100_000
"""Fixations that a map may have in any case; a larger one may have one for each of its pixels."""


class FixationMap(np.ndarray):
    """An (H, W) array of counts: how often each pixel was fixated. What NSS and the AUCs are measured against."""

    kind = "fixations"


class Density(np.ndarray):
    """An (H, W) array of blurred fixations, at least 0. What CC, KLD and MSE are measured against; NSS refuses it."""

    kind = "density"


@dataclasses.dataclass(frozen=True)
class Points:
    """Fixations of one image: ``xy`` float (n, 2) in pixels of a stimulus of the shape ``frame`` (None: the image's).

    Pixel k covers [k, k + 1), so that dropping the fraction gives the pixel, as everywhere in ``kerasal.metrics``.
    ``whole`` says that numbers are pixels, not positions: on another grid they stand for the pixels' middles.
    """

    xy: np.ndarray
    frame: Shape | None = None
    subject: np.ndarray | None = None
    whole: bool = False

    @classmethod
    def of(cls, array: np.ndarray) -> "Points":
        """Return the points of an (n, 2) array of 0-based pixel coordinates, or of an (H, W) map of counts."""
        array = np.asarray(array)
        if array.ndim == 2 and array.shape[1] == 2:
            if array.dtype.kind not in "iuf":
                raise ValueError(f"expected coordinates as numbers, received {array.dtype}")
            xy = array.astype(np.float64)
            return cls(xy, whole=bool((xy == np.floor(xy)).all()))
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        if array.ndim != 2:
            raise ValueError(f"expected a map (H, W) or coordinates (n, 2), received shape {array.shape}")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers, received {array.dtype}")
        y, x = np.nonzero(array)
        count = as_counts(array)[y, x]
        if count.sum(dtype=float) > max(_MOST, array.size):
            raise ValueError(
                f"expected counts of fixations, received {count.sum():g} in all; that looks like a density"
            )
        if (count < 0).any() or (count != np.floor(count)).any():
            raise ValueError("expected whole numbers of fixations, received fractions; that looks like a density")
        xy = np.repeat(np.stack([x, y], axis=1), count.astype(int), axis=0).astype(np.float64)
        return cls(xy, array.shape, whole=True)

    def within(self, shape: Shape, outside: str = "error") -> "Points":
        """Return the points in pixels of an image of ``shape``, all of them on it.

        Raises:
            ValueError: a point is more than a pixel outside and ``outside`` is "error"; "drop" leaves it out.
        """
        xy, frame = self.xy, self.frame or shape
        if frame != shape:
            xy = (xy + 0.5 * self.whole) * (np.array(shape[::-1]) / np.array(frame[::-1]))
        if not np.isfinite(xy).all():
            raise ValueError("expected finite coordinates, received NaN or infinite ones")
        limit = np.array(shape[::-1])
        away = ((xy < -_SLACK) | (xy >= limit + _SLACK)).any(axis=1)
        subject = self.subject
        if away.any():
            if outside == "error":
                x, y = xy[away][0]
                raise ValueError(
                    f"expected (x, y) with 0 <= x < {limit[0]} and 0 <= y < {limit[1]}, received ({x:g}, {y:g}) and "
                    f'{int(away.sum()) - 1} more outside. Open the data with outside="drop" to leave them out'
                )
            xy, subject = xy[~away], None if subject is None else subject[~away]
        inside = np.clip(xy.astype(np.float32), 0, np.nextafter(limit.astype(np.float32), np.float32(0)))
        return Points(inside, shape, subject)


@dataclasses.dataclass(frozen=True)
class Stimulus:
    """One image and what is known of the gaze on it; nothing is read before it is asked for.

    Attributes:
        name: unlike any other's.
        image: a file, or the uint8 (H, W, 3) array.
        fixations: returns the ``Points``.
        density: returns the density as it is stored.
        small: the image at a network's input size, where the data set brings one.
    """

    name: str
    image: pathlib.Path | np.ndarray
    fixations: Callable[[], Points] | None = None
    density: Callable[[], np.ndarray] | None = None
    small: np.ndarray | None = None

    def pixels(self) -> np.ndarray:
        """Return the image, uint8 RGB (H, W, 3)."""
        return read(self.image) if isinstance(self.image, pathlib.Path) else self.image

    def shape(self) -> Shape:
        """Return (H, W) without reading the pixels."""
        if not isinstance(self.image, pathlib.Path):
            return self.image.shape[:2]
        try:
            with Image.open(self.image) as image:
                swapped = image.getexif().get(0x0112) in _SIDEWAYS
                return (image.width, image.height) if swapped else (image.height, image.width)
        except (OSError, Image.DecompressionBombError, SyntaxError):  # also a head that ends early
            return read(self.image).shape[:2]  # which says what is wrong with it


def density_of(array: np.ndarray) -> np.ndarray:
    """Return a stored density as float32: whole-number types and what exceeds 1.5 scaled from their range to 0..1."""
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.size:
        raise ValueError(f"expected a density (H, W) of numbers, received {array.dtype} {array.shape}")
    scale = 1.0
    if array.dtype.kind in "iu":
        scale = 65535.0 if array.max() > 255 else 255.0
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("expected finite values in the density, received NaN or infinite ones")
    if values.min() < 0:
        raise ValueError(f"expected a density of at least 0, received {values.min():g}")
    if values.max() == 0:
        raise ValueError("the density is 0 everywhere")
    if array.dtype.kind == "f" and values.max() > 1.5:
        scale = 255.0 if values.max() <= 255 else float(values.max())
    return values / np.float32(scale)


def stimuli_of(images: Sequence, fixations=None, densities=None, names=None) -> list[Stimulus]:
    """Return one entry an image; see ``GazeDataset``."""
    for argument, values in {"fixations": fixations, "densities": densities, "names": names}.items():
        if values is not None and len(values) != len(images):
            raise ValueError(f"{argument}: expected {len(images)}, one for each image, received {len(values)}.")
    stimuli = []
    for index, image in enumerate(images):
        path = isinstance(image, str | os.PathLike)
        name = names[index] if names is not None else pathlib.Path(image).stem if path else f"{index:05d}"
        stimuli.append(
            Stimulus(
                str(name),
                pathlib.Path(image) if path else _rgb(image, str(name)),
                _later(None if fixations is None else fixations[index], Points.of),
                _later(None if densities is None else densities[index], np.asarray),
            )
        )
    return stimuli


def _later(value, make: Callable) -> Callable | None:
    if value is None:
        return None
    return (lambda: make(value())) if callable(value) else (lambda: make(value))


def _rgb(image, name: str) -> np.ndarray:
    array = check_image(image, f"Image {name!r}", (3, None))
    return array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
