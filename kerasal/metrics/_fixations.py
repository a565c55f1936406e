"""Fixations, checked and converted to fixated pixels with counts for the metrics."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask
from kerasal.metrics._maps import Map, as_map, check_resize, describe_argument

_MIN_SIDE = 5  # a shorter side is taken for a mistake in coordinates
_MAX_COUNTS = 16  # a map with most pixels non-zero and more distinct values than this is taken for a density


@dataclasses.dataclass(frozen=True)
class Fixations:
    """The fixated pixels of an image: ascending flat ``index``, ``count`` per pixel, and ``shape`` of the map."""

    index: np.ndarray
    count: np.ndarray
    shape: tuple[int, int]

    def weights(self, duplicates: bool) -> np.ndarray:
        """Return the weight of each fixated pixel, summing to 1: equal, or by count if ``duplicates``."""
        count = self.count if duplicates else np.ones(self.index.size)
        return count / count.sum()

    @property
    def coordinates(self) -> np.ndarray:
        """The distinct fixated pixels as coordinates (x, y) of shape (n, 2)."""
        y, x = np.divmod(self.index, self.shape[1])
        return np.stack([x, y], axis=1)


FixationsLike = ArrayLike | Fixations


def flat_fixations(value, shape, argument: str, name: str | None, duplicates: bool):
    """Return the flat indices of the fixations and their weights, or None if all weights are equal."""
    if (
        duplicates
        and type(value) is np.ndarray
        and value.dtype.kind in "iu"
        and value.ndim == 2
        and value.shape[1] == 2
        and value.size
        and value.shape != shape
    ):
        try:  # every row counts, so sorting for duplicates is unnecessary
            return np.ravel_multi_index((value[:, 1], value[:, 0]), shape), None
        except (ValueError, TypeError):
            pass  # as_fixations raises the error
    fixated = as_fixations(value, shape, argument, name)
    return fixated.index, fixated.count if duplicates else None


def as_fixations(value, shape=None, argument: str = "fixations", name: str | None = None) -> Fixations:
    """Convert a map of counts or pixel coordinates (x, y) of shape (n, 2) to ``Fixations`` on a map of ``shape``."""
    subject = describe_argument(argument, name)
    shape = None if shape is None else tuple(shape)
    if isinstance(value, Fixations):
        if shape not in (None, value.shape):
            raise ValueError(
                f"{subject} must be on a map of shape {shape}, got fixations on a map of shape {value.shape}."
            )
        return value
    if getattr(value, "kind", None) == "density":  # datasets.Density, compared without importing it
        raise ValueError(f"{subject} must be fixations, got a density. Pass the fixations.")
    refuse_mask(value, subject)
    array = np.asarray(value)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(f"{subject} must be numbers, got dtype {array.dtype}.")
    if array.size == 0:
        raise ValueError(f"{subject} must have at least one fixation, got none. Leave the image out.")
    if array.ndim == 2:
        if array.shape == shape or (shape is None and array.shape[1] != 2):
            return _from_map(array, subject)
        if shape is not None and array.shape[1] == 2:
            return _from_coordinates(array, shape, subject)
    expected = "a map (with its shape)" if shape is None else f"a map of shape {shape}"
    raise ValueError(f"{subject} must be {expected} or coordinates of shape (n, 2), got shape {array.shape}.")


def _from_map(array: np.ndarray, subject: str) -> Fixations:
    index = np.flatnonzero(array != 0)  # flatnonzero is six times slower on floats than on booleans
    if index.size == 0:
        raise ValueError(f"{subject} must have at least one fixation, got a map of zeros.")
    count = array.reshape(-1)[index].astype(np.float64)
    if not np.isfinite(count).all():
        raise ValueError(f"{subject} must have finite values, got NaN or infinite values.")
    wrong = count[(count < 0) | (count != np.floor(count))]
    if wrong.size:
        raise ValueError(
            f"{subject} must have 0 or a whole number of fixations in every pixel, got values such as "
            f"{wrong[0]:.6g}. The map looks like a density. Pass the fixations."
        )
    if index.size > array.size / 2 and np.unique(count).size > _MAX_COUNTS:
        raise ValueError(
            f"{subject} must be 0 in most pixels, got a map with {index.size} of {array.size} pixels above 0 and "
            f"{np.unique(count).size} different values. The map looks like a density. Pass the fixations."
        )
    return _make_fixations(index, count, array.shape)


def _from_coordinates(array: np.ndarray, shape: tuple[int, int], subject: str) -> Fixations:
    pixels = np.floor(array.astype(np.float64))
    if not np.isfinite(pixels).all():
        raise ValueError(f"{subject} must have finite coordinates, got NaN or infinite values.")
    height, width = shape
    outside = (pixels < 0).any(axis=1) | (pixels[:, 0] >= width) | (pixels[:, 1] >= height)
    if outside.any():
        x, y = array[outside][0]
        raise ValueError(
            f"{subject} must have 0 <= x < {width} and 0 <= y < {height}, got {int(outside.sum())} outside, such as "
            f"({x:g}, {y:g}). Coordinates are 0-based, x first, in pixels of the map."
        )
    flat = pixels[:, 1].astype(np.int64) * width + pixels[:, 0].astype(np.int64)
    index, count = np.unique(flat, return_counts=True)
    return _make_fixations(index, count, shape)


def _make_fixations(index: np.ndarray, count: np.ndarray, shape: tuple[int, int]) -> Fixations:
    # the smallest type, because evaluate() keeps the fixations of all images
    small = np.int32 if shape[0] * shape[1] < 2**31 else np.int64
    return Fixations(index.astype(small), count.astype(np.int32), shape)


def ground_truth_shape(fixations) -> tuple[int, int] | None:
    """Return the shape of a ground-truth map, or None for coordinates."""
    if isinstance(fixations, Fixations | Map):
        return fixations.shape
    shape = np.shape(fixations)
    shape = shape[:-1] if len(shape) == 3 and shape[-1] == 1 else shape
    return None if len(shape) != 2 or shape[1] == 2 else shape


def map_and_fixations(saliency_map, fixations, resize: str | None, name: str | None) -> tuple[Map, Fixations]:
    """Check a saliency map and the fixations of an image; resize the map if its shape differs and ``resize`` is set."""
    check_resize(resize)
    shape_of_truth = None
    if not isinstance(saliency_map, Map):
        shape = np.shape(saliency_map)[:2]
        truth = ground_truth_shape(fixations)
        # transposed coordinates, or ones with a third column, would be taken for a tiny fixation map
        if truth and len(shape) == 2 and min(truth) < _MIN_SIDE and min(shape) >= 4 * min(truth):
            raise ValueError(
                f"{describe_argument('fixations', name)} must be a map of about the shape {shape} of the saliency "
                f"map, or an array of shape (n, 2) with one row (x, y) per fixation, got shape {truth}. Transpose the "
                "coordinates or drop the other columns."
            )
        shape_of_truth = truth if truth != shape else None  # if both are (H, 2), the fixations are a map
    checked = as_map(saliency_map, "saliency_map", name, shape=shape_of_truth, resize=resize)
    return checked, as_fixations(fixations, checked.shape, "fixations", name)
