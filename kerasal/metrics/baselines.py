"""Maps that know nothing of the image, which every table should show: the centre, and the mean of the other images."""

from collections.abc import Iterable

import numpy as np

from kerasal.metrics._fixations import Fixations
from kerasal.metrics._maps import imresize
from kerasal.metrics.blur import gaussian_blur

BASELINES = {
    "center": "a Gaussian in the centre with standard deviations of 1/4 of the width and the height",
    "mean": "the other images' fixations on a 60 x 80 grid, blurred by 2.4 cells, plus 1 % of a uniform map",
}

_GRID = (60, 80)
_SIGMA = 2.4  # cells: OSIE's 24 pixels of 800
_FLOOR = 0.01


def center_map(shape: tuple[int, int]) -> np.ndarray:
    """Return the centre Gaussian for a map of ``shape``: exp(-((x / (W/4))^2 + (y / (H/4))^2) / 2) from the middle."""
    rows, columns = (np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / (size / 4)) ** 2) for size in shape)
    return rows[:, None] * columns


class MeanMap:
    """The mean fixation density of a set of images, and for one of them the mean of all the others.

    Fixations are gathered in fractions of the image, each image weighing the same, so that images may differ in size.
    """

    def __init__(self, images: Iterable[Fixations] = ()):
        self._total = np.zeros(_GRID)
        self.images = 0
        for fixated in images:
            self.add(fixated)

    def add(self, fixated: Fixations) -> None:
        """Take in the fixations of an image."""
        self._total += _histogram(fixated)
        self.images += 1

    def without(self, fixated: Fixations) -> np.ndarray:
        """Return the mean density of the other images at the size of this one.

        Raises:
            ValueError: there is no other image.
        """
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
