"""Fixations as every metric takes them: checked, and as the pixels that they are on; what is wrong with which image."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask
from kerasal.metrics._maps import Map, check_resize, map_of, subject

_SLIVER = 5  # no map of fixations has a side so short
_MARKS = 16  # no map of fixations on most pixels has more different counts than this


@dataclasses.dataclass(frozen=True)
class Fixations:
    """The fixated pixels of an image: flat ``index``, ascending; the ``count`` on each; the ``shape`` of the map."""

    index: np.ndarray
    count: np.ndarray
    shape: tuple[int, int]

    def weights(self, duplicates: bool) -> np.ndarray:
        """Return the share of each fixated pixel: equal, or by its fixations where ``duplicates`` are counted."""
        count = self.count if duplicates else np.ones(self.index.size)
        return count / count.sum()

    @property
    def coordinates(self) -> np.ndarray:
        """The fixated pixels, each once, as (n, 2) coordinates (x, y)."""
        y, x = np.divmod(self.index, self.shape[1])
        return np.stack([x, y], axis=1)


FixationsLike = ArrayLike | Fixations


def flat_fixations(value, shape, argument: str, name: str | None, duplicates: bool):
    """Return the flat index of the fixations that count, and their weights (``None``: all equal)."""
    if (
        duplicates
        and type(value) is np.ndarray
        and value.dtype.kind in "iu"
        and value.ndim == 2
        and value.shape[1] == 2
        and value.size
        and value.shape != shape
    ):
        try:  # every row counts once, so there is no need to sort them
            return np.ravel_multi_index((value[:, 1], value[:, 0]), shape), None
        except (ValueError, TypeError):
            pass  # outside the map: said below
    fixated = fixations_of(value, shape, argument, name)
    return fixated.index, fixated.count if duplicates else None


def fixations_of(value, shape=None, argument: str = "fixations", name: str | None = None) -> Fixations:
    """Read fixations: a map of ``shape`` (non-zero = fixated, counts kept), or (n, 2) pixel coordinates (x, y)."""
    what = subject(argument, name)
    shape = None if shape is None else tuple(shape)
    if isinstance(value, Fixations):
        if shape not in (None, value.shape):
            raise ValueError(f"{what}: the fixations belong to a map of shape {value.shape}, the map has {shape}.")
        return value
    if getattr(value, "kind", None) == "density":  # of a GazeDataset, which marks its densities
        raise ValueError(f"{what}: expected fixations, received a density. Pass the fixations.")
    refuse_mask(value, what)
    array = np.asarray(value)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "biuf" and array.size:
        raise ValueError(f"{what}: expected numbers, received dtype {array.dtype}.")
    if array.size == 0:
        raise ValueError(f"{what}: there is no fixation; expected at least one. Leave the image out.")
    if array.ndim == 2:
        if array.shape == shape or (shape is None and array.shape[1] != 2):
            return _from_map(array, what)
        if shape is not None and array.shape[1] == 2:
            return _from_coordinates(array, shape, what)
    wanted = "a map (with its shape)" if shape is None else f"a map of shape {shape}"
    raise ValueError(f"{what}: expected {wanted} or coordinates of shape (n, 2), received {array.shape}.")


def _from_map(array: np.ndarray, what: str) -> Fixations:
    index = np.flatnonzero(array != 0)  # a comparison first: flatnonzero of floats is six times slower
    if index.size == 0:
        raise ValueError(f"{what}: there is no fixation in the map; expected at least one non-zero pixel.")
    count = array.reshape(-1)[index].astype(np.float64)
    if not np.isfinite(count).all():
        raise ValueError(f"{what}: expected finite values, received NaN or infinite ones.")
    wrong = count[(count < 0) | (count != np.floor(count))]
    if wrong.size:
        raise ValueError(
            f"{what}: expected 0 or a whole number of fixations in every pixel, received values such as "
            f"{wrong[0]:.6g}. That looks like a density; pass the fixations."
        )
    if index.size > array.size / 2 and np.unique(count).size > _MARKS:
        raise ValueError(
            f"{what}: expected a map of fixations, 0 in most pixels, received one with {index.size} of {array.size} "
            f"pixels above 0 and {np.unique(count).size} different values. That looks like a density; pass the "
            "fixations."
        )
    return _compact(index, count, array.shape)


def _from_coordinates(array: np.ndarray, shape: tuple[int, int], what: str) -> Fixations:
    place = np.floor(array.astype(np.float64))
    if not np.isfinite(place).all():
        raise ValueError(f"{what}: expected finite coordinates, received NaN or infinite ones.")
    height, width = shape
    outside = (place < 0).any(axis=1) | (place[:, 0] >= width) | (place[:, 1] >= height)
    if outside.any():
        x, y = array[outside][0]
        raise ValueError(
            f"{what}: expected (x, y) with 0 <= x < {width} and 0 <= y < {height}, received ({x:g}, {y:g}) "
            f"and {int(outside.sum()) - 1} more outside. Coordinates are 0-based, x first, in pixels of the map."
        )
    flat = place[:, 1].astype(np.int64) * width + place[:, 0].astype(np.int64)
    index, count = np.unique(flat, return_counts=True)
    return _compact(index, count, shape)


def _compact(index: np.ndarray, count: np.ndarray, shape: tuple[int, int]) -> Fixations:
    small = np.int32 if shape[0] * shape[1] < 2**31 else np.int64  # evaluate() keeps those of every image
    return Fixations(index.astype(small), count.astype(np.int32), shape)


def ground_truth_shape(fixations) -> tuple[int, int] | None:
    """Return the shape that a ground truth brings along: none for coordinates."""
    if isinstance(fixations, Fixations | Map):
        return fixations.shape
    shape = np.shape(fixations)
    shape = shape[:-1] if len(shape) == 3 and shape[-1] == 1 else shape
    return None if len(shape) != 2 or shape[1] == 2 else shape


def map_and_fixations(saliency_map, fixations, resize: str | None, name: str | None) -> tuple[Map, Fixations]:
    """Read both arguments of a metric at fixations; a map of another size is resized only where ``resize`` says so."""
    check_resize(resize)
    wanted = None
    if not isinstance(saliency_map, Map):
        shape = np.shape(saliency_map)[:2]
        truth = ground_truth_shape(fixations)
        # transposed coordinates, or some with a third column, would pass for a fixation map of that size
        if truth and len(shape) == 2 and min(truth) < _SLIVER and min(shape) >= 4 * min(truth):
            raise ValueError(
                f"{subject('fixations', name)}: expected a map of fixations about as large as the saliency map "
                f"{shape}, received shape {truth}. Coordinates are an array of shape (n, 2), one row (x, y) a "
                "fixation; transpose it or drop the other columns."
            )
        wanted = truth if truth != shape else None  # (H, 2) is a map of fixations where the saliency map is (H, 2) too
    checked = map_of(saliency_map, "saliency_map", name, shape=wanted, resize=resize)
    return checked, fixations_of(fixations, checked.shape, "fixations", name)
