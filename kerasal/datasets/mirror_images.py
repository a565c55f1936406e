"""Find the images of a data set that are stored together with their left-right mirror image, as in the coursework."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from kerasal.digests import digest

LEVELS = 5.0
"""Largest mean difference, in levels of 0..255, of an image and a mirror image that were resized independently.

Of photos shrunk from 320 × 240 to 96 × 96, it is below .01, with nearest-neighbor interpolation up to 3.7. Among 900
photos of OSIE and crowd, there is no pair within 12.
"""
_SHARE = 0.2  # largest difference as a share of the mean deviation of the pixels from the mean of the image
_DENSITY = 0.01  # largest mean difference of the densities, which are in 0..1
_BANDS = 8
_NEIGHBORS = 8
_NONE = -1


def find_mirror_images(
    images: Sequence[np.ndarray] | np.ndarray, densities: Sequence[np.ndarray] | np.ndarray | None = None
) -> np.ndarray:
    """Return for each image the index of its stored mirror image, int (N,), or -1 if there is none.

    Every image belongs to at most one pair. Mirror images of uint8 images may differ a little (``LEVELS``, and a fifth
    of the image's own contrast, so that small objects on one ground are not taken for each other); those of other
    images must be equal.

    Args:
        images: N arrays (H, W, C) of one shape.
        densities: N densities (h, w) in 0..1, which must also be mirror images of each other.
    """
    partner = np.full(len(images), _NONE)
    waiting: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        equal = waiting.get(digest(np.ascontiguousarray(image[:, ::-1])), [])
        other = next((other for other in equal if _mirror_each_other(index, other, images, densities)), None)
        if other is None:
            waiting.setdefault(digest(np.ascontiguousarray(image)), []).append(index)
        else:
            equal.remove(other)
            partner[index], partner[other] = other, index
    if len(images) and images[0].dtype == np.uint8:
        _pair_similar(partner, images, densities)
    return partner


def _pair_similar(partner: np.ndarray, images, densities) -> None:
    """Pair the images without a partner whose mirror images differ by ``LEVELS`` at most."""
    alone = np.flatnonzero(partner == _NONE).tolist()
    if len(alone) < 2:
        return
    # The mean of a row is the same in the mirror image, so partners are close neighbors.
    features = np.stack([_mean_of_bands(images[index]) for index in alone])
    found = KDTree(features).query(features, min(_NEIGHBORS, len(alone)), p=np.inf)
    distances, neighbors = (np.asarray(part) for part in found)
    for row, index in enumerate(alone):
        for distance, neighbor in zip(distances[row], neighbors[row], strict=True):
            other = alone[neighbor]
            if distance > LEVELS or partner[index] != _NONE:
                break
            if other > index and partner[other] == _NONE and _mirror_each_other(index, other, images, densities):
                partner[index], partner[other] = other, index


def _mean_of_bands(image: np.ndarray) -> np.ndarray:
    """Return the mean color of each of ``_BANDS`` horizontal bands, flattened."""
    bands = np.array_split(image.mean(axis=1, dtype=np.float64), min(_BANDS, len(image)))
    return np.concatenate([band.mean(axis=0) for band in bands])


def _mirror_each_other(first: int, second: int, images, densities) -> bool:
    a, b = (np.asarray(images[index], np.float32) for index in (first, second))
    if images[first].dtype == np.uint8:
        contrast = np.abs(a - a.mean(axis=(0, 1))).mean()
        similar = bool(np.abs(a - b[:, ::-1]).mean() <= min(LEVELS, _SHARE * contrast))
    else:
        similar = np.array_equal(a, b[:, ::-1])
    if not similar or densities is None:
        return similar
    a, b = (np.asarray(densities[index], np.float32) for index in (first, second))
    return a.shape == b.shape and bool(np.abs(a - b[:, ::-1]).mean() <= _DENSITY)
