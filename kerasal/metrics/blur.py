"""Blur fixations to a density, and compute the baseline maps.

The width of the blur changes the scores, so report it with them. The baselines do not depend on the image: a Gaussian
in the center, and the mean density of the other images. Every table of scores should include them.
"""

import math
from collections.abc import Iterable

import numpy as np

from kerasal.metrics._fixations import Fixations, FixationsLike, as_fixations
from kerasal.metrics._maps import imresize

SIGMAS = {"coursework": 19.0, "osie": 24.0}
"""Common blur widths in pixels: of the coursework (SALICON images of 640 x 480) and of OSIE's authors (800 x 600)."""

BASELINES = {
    "center": "a Gaussian in the center with standard deviations of 1/4 of the width and the height",
    "mean": "the other images' fixations on a 60 x 80 grid, blurred by 2.4 cells, plus 1 % of a uniform map",
}
"""The maps that ignore the image, beside which scores are reported, by name with their definition."""

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
    """Blur fixations to a density with a Gaussian, mirrored at the edges and truncated at 4 sigma.

    The result equals ``scipy.ndimage.gaussian_filter`` of the map of counts, so it sums to the number of fixations.

    Args:
        fixations: map of fixations (H, W), or coordinates (x, y) of shape (n, 2).
        sigma: standard deviation in pixels (see ``degrees_to_pixels``), or a key of ``SIGMAS``: ``"coursework"``,
            ``"osie"``.
        shape: (H, W) of the result; required for coordinates.
        duplicates: count every fixation, as eye-tracking data sets do, instead of each fixated pixel once.
        name: name of the image in error messages.

    Returns:
        The density, float64 (H, W), non-negative.

    Raises:
        ValueError: ``sigma`` is neither positive nor a key of ``SIGMAS``, coordinates come without ``shape``, or
            the fixations are invalid.
    """
    width = sigma_in_pixels(sigma)
    fixated = as_fixations(fixations, shape, "fixations", name)
    y, x = np.divmod(fixated.index, fixated.shape[1])
    count = fixated.count if duplicates else np.ones(fixated.index.size)
    height = fixated.shape[0]
    if fixated.index.size < height:
        return (blur_matrix(height, width, y) * count) @ blur_matrix(fixated.shape[1], width, x).T
    counts = np.zeros(fixated.shape)
    counts[y, x] = count
    return gaussian_blur(counts, width)


def gaussian_blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an array (H, W) with a Gaussian, mirrored at the edges (``d c b a | a b c d``), truncated at 4 sigma."""
    rows, columns = (blur_matrix(size, sigma, np.arange(size)) for size in array.shape)
    return rows @ array @ columns.T


def sigma_in_pixels(sigma: float | str) -> float:
    """Return a blur width in pixels from a number or a key of ``SIGMAS``."""
    if isinstance(sigma, str) and sigma in SIGMAS:
        return SIGMAS[sigma]
    if isinstance(sigma, str) or not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be a positive number of pixels or one of {', '.join(SIGMAS)}, got {sigma!r}.")
    return float(sigma)


def degrees_to_pixels(degrees: float, *, distance: float, screen_width: float, screen_pixels: int) -> float:
    """Convert degrees of visual angle in the middle of a screen to pixels.

    The number of pixels is 2 · distance · tan(angle / 2) / (size of a pixel).

    Args:
        degrees: visual angle; 1 is the usual sigma of fixation densities.
        distance: distance from eye to screen, in the unit of ``screen_width``.
        screen_width: width of the screen.
        screen_pixels: width of the screen in pixels.

    Returns:
        The number of pixels, not rounded.

    Raises:
        ValueError: an argument is not positive, or the angle is 180 degrees or more.
    """
    arguments = {"degrees": degrees, "distance": distance, "screen_width": screen_width, "screen_pixels": screen_pixels}
    for argument, value in arguments.items():
        if not (math.isfinite(value) and value > 0) or (argument == "degrees" and value >= 180):
            raise ValueError(f"{argument} must be a positive number (degrees below 180), got {value!r}.")
    return 2 * distance * math.tan(math.radians(degrees) / 2) * screen_pixels / screen_width


def blur_matrix(size: int, sigma: float, centers: np.ndarray) -> np.ndarray:
    """Return the matrix (size, n) with a blurred unit impulse at each of the n ``centers`` along an axis."""
    radius = int(4 * sigma + 0.5)
    steps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (steps / sigma) ** 2)
    kernel /= kernel.sum()
    position = (centers[:, None] + steps) % (2 * size)
    position = np.where(position < size, position, 2 * size - 1 - position)
    flat = position * centers.size + np.arange(centers.size)[:, None]
    weights = np.broadcast_to(kernel, position.shape).reshape(-1)
    return np.bincount(flat.reshape(-1), weights=weights, minlength=size * centers.size).reshape(size, centers.size)


def center_map(shape: tuple[int, int]) -> np.ndarray:
    """Return the center baseline, float64 (H, W): exp(-((x / (W/4))^2 + (y / (H/4))^2) / 2) around the image center."""
    rows, columns = (np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / (size / 4)) ** 2) for size in shape)
    return rows[:, None] * columns


class MeanMap:
    """The mean baseline: the mean fixation density of the other images in a set.

    Fixations are counted on a grid relative to the image size, so images may differ in size. Every image has the same
    weight.
    """

    def __init__(self, all_fixations: Iterable[Fixations] = ()):
        self._total, self.images = np.zeros(_GRID), 0
        for fixated in all_fixations:
            self.add(fixated)

    def add(self, fixated: Fixations) -> None:
        """Add the fixations of an image."""
        self._total += _histogram(fixated)
        self.images += 1

    def mean_of_others(self, fixated: Fixations) -> np.ndarray:
        """Return the mean density of the other images, at the size of the image with these fixations."""
        if self.images < 2:
            raise ValueError('The baseline "mean" must have at least two images, got one. Leave it out of baselines.')
        others = np.maximum(self._total - _histogram(fixated), 0.0) / (self.images - 1)
        # bicubic resizing can overshoot below 0
        density = np.maximum(imresize(gaussian_blur(others, _SIGMA), fixated.shape), 0.0)
        density /= density.sum()
        return (1 - _FLOOR) * density + _FLOOR / density.size


def _histogram(fixated: Fixations) -> np.ndarray:
    height, width = fixated.shape
    y, x = np.divmod(fixated.index.astype(np.int64), width)
    cell = ((2 * y + 1) * _GRID[0] // (2 * height)) * _GRID[1] + (2 * x + 1) * _GRID[1] // (2 * width)
    counts = np.bincount(cell, weights=fixated.count, minlength=_GRID[0] * _GRID[1]).reshape(_GRID)
    return counts / counts.sum()
