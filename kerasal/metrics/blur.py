"""From fixations to their density, a Gaussian blur whose width must be named with every number; and baseline maps.

Baselines know nothing of the image, and every table should show them: the center, and the mean of the other images.
"""

import math
from collections.abc import Iterable

import numpy as np

from kerasal.metrics._fixations import Fixations, FixationsLike, fixations_of
from kerasal.metrics._maps import imresize

SIGMAS = {"coursework": 19.0, "osie": 24.0}
"""Widths in use, in pixels: the coursework examiners' (640 x 480 SALICON images) and OSIE's authors' (800 x 600)."""

BASELINES = {
    "center": "a Gaussian in the center with standard deviations of 1/4 of the width and the height",
    "mean": "the other images' fixations on a 60 x 80 grid, blurred by 2.4 cells, plus 1 % of a uniform map",
}

_GRID = (60, 80)
_SIGMA = 2.4  # cells: OSIE's 24 pixels of 800
_FLOOR = 0.01


def blur_fixations(
    fixations: FixationsLike,
    sigma: float | str,
    shape: tuple[int, int] | None = None,
    *,
    duplicates: bool = True,
    name: str | None = None,
) -> np.ndarray:
    """Blur fixations to a density map with a Gaussian, mirrored at the edges and cut off at 4 sigma.

    Equal to ``scipy.ndimage.gaussian_filter`` of the map of counts, so the result sums to the number of fixations.

    Args:
        fixations: (H, W) map of fixations, or (n, 2) coordinates (x, y).
        sigma: standard deviation in pixels (see ``pixels_of_degrees``), or a name in ``SIGMAS``: ``"coursework"``,
            ``"osie"``.
        shape: (H, W) of the result; needed for coordinates.
        duplicates: count every fixation, as eye-tracking data sets do, instead of each fixated pixel once.
        name: the image, for messages.

    Returns:
        float64 (H, W), at least 0.

    Raises:
        ValueError: no such sigma, coordinates without ``shape``, or fixations that cannot be read.
    """
    width = sigma_of(sigma)
    fixated = fixations_of(fixations, shape, "fixations", name)
    y, x = np.divmod(fixated.index, fixated.shape[1])
    count = fixated.count if duplicates else np.ones(fixated.index.size)
    height = fixated.shape[0]
    if fixated.index.size < height:
        return (_spread(height, width, y) * count) @ _spread(fixated.shape[1], width, x).T
    counts = np.zeros(fixated.shape)
    counts[y, x] = count
    return gaussian_blur(counts, width)


def gaussian_blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a two-dimensional array, mirrored at the edges (``d c b a | a b c d``) and cut off at 4 sigma."""
    rows, columns = (_spread(size, sigma, np.arange(size)) for size in array.shape)
    return rows @ array @ columns.T


def sigma_of(sigma: float | str) -> float:
    """Return a width in pixels from a number or a name in ``SIGMAS``."""
    if isinstance(sigma, str) and sigma in SIGMAS:
        return SIGMAS[sigma]
    if isinstance(sigma, str) or not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma: expected pixels above 0 or one of {', '.join(SIGMAS)}, received {sigma!r}.")
    return float(sigma)


def pixels_of_degrees(degrees: float, *, distance: float, screen_width: float, screen_pixels: int) -> float:
    """Return the pixels that ``degrees`` of visual angle cover in the middle of a screen: 2 d tan(angle / 2) / pitch.

    Args:
        degrees: visual angle; one degree is the usual sigma of fixation densities.
        distance: from eye to screen, in the unit of ``screen_width``.
        screen_width: of the screen.
        screen_pixels: of the screen, horizontally.

    Raises:
        ValueError: a length that is not above 0, or an angle of 180 degrees or more.
    """
    given = {"degrees": degrees, "distance": distance, "screen_width": screen_width, "screen_pixels": screen_pixels}
    for argument, value in given.items():
        if not (math.isfinite(value) and value > 0) or (argument == "degrees" and value >= 180):
            raise ValueError(f"{argument}: expected a positive number (degrees: below 180), received {value!r}.")
    return 2 * distance * math.tan(math.radians(degrees) / 2) * screen_pixels / screen_width


def _spread(size: int, sigma: float, centers: np.ndarray) -> np.ndarray:
    """Return (size, n): what a unit at each of the ``centers`` becomes along one axis."""
    radius = int(4 * sigma + 0.5)
    steps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (steps / sigma) ** 2)
    kernel /= kernel.sum()
    place = (centers[:, None] + steps) % (2 * size)
    place = np.where(place < size, place, 2 * size - 1 - place)
    flat = place * centers.size + np.arange(centers.size)[:, None]
    weights = np.broadcast_to(kernel, place.shape).reshape(-1)
    return np.bincount(flat.reshape(-1), weights=weights, minlength=size * centers.size).reshape(size, centers.size)


def center_map(shape: tuple[int, int]) -> np.ndarray:
    """Return the center Gaussian for a map of ``shape``: exp(-((x / (W/4))^2 + (y / (H/4))^2) / 2) from the middle."""
    rows, columns = (np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / (size / 4)) ** 2) for size in shape)
    return rows[:, None] * columns


class MeanMap:
    """The mean fixation density of a set of images, and for one of them the mean of all the others.

    Fixations are gathered in fractions of the image, each image weighing the same, so that images may differ in size.
    """

    def __init__(self, everyone: Iterable[Fixations] = ()):
        self._total, self.images = np.zeros(_GRID), 0
        for fixated in everyone:
            self.add(fixated)

    def add(self, fixated: Fixations) -> None:
        """Take in the fixations of an image."""
        self._total += _histogram(fixated)
        self.images += 1

    def without(self, fixated: Fixations) -> np.ndarray:
        """Return the mean density of the other images at the size of this one."""
        if self.images < 2:
            raise ValueError('baselines: "mean" is the mean of the other images; expected at least two images.')
        others = np.maximum(self._total - _histogram(fixated), 0.0) / (self.images - 1)
        density = np.maximum(imresize(gaussian_blur(others, _SIGMA), fixated.shape), 0.0)  # bicubic dips below zero
        density /= density.sum()
        return (1 - _FLOOR) * density + _FLOOR / density.size


def _histogram(fixated: Fixations) -> np.ndarray:
    height, width = fixated.shape
    y, x = np.divmod(fixated.index.astype(np.int64), width)
    cell = ((2 * y + 1) * _GRID[0] // (2 * height)) * _GRID[1] + (2 * x + 1) * _GRID[1] // (2 * width)
    counts = np.bincount(cell, weights=fixated.count, minlength=_GRID[0] * _GRID[1]).reshape(_GRID)
    return counts / counts.sum()
