"""Maps as every metric takes them: checked for shape and finite values, and flat; what is wrong with which image."""

import dataclasses
import functools
import warnings

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask


@dataclasses.dataclass(frozen=True)
class Map:
    """A checked map: float64 ``values`` in one dimension, its ``shape``, and the smallest and largest value."""

    values: np.ndarray
    shape: tuple[int, int]
    low: float
    high: float

    @property
    def constant(self) -> bool:
        """Whether all values are equal: by minimum and maximum, because a standard deviation is rarely exactly zero."""
        return self.low == self.high


MapLike = ArrayLike | Map
"""What public functions take for a map, and one another's."""


def subject(argument: str, name: str | None) -> str:
    """Return how messages call ``argument``: with the image's name where there is one."""
    return argument if name is None else f"{argument} of image {str(name)!r}"


def array_of(value, argument: str, name: str | None = None) -> np.ndarray:
    """Return ``value`` as a two-dimensional float64 array (the same memory where it already is one)."""
    what = subject(argument, name)
    refuse_mask(value, what)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what}: expected an array of real numbers, received dtype {array.dtype}.")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{what}: expected one map of shape (H, W), received shape {array.shape}. "
            "Pass one image at a time and one channel."
        )
    return np.ascontiguousarray(array, dtype=np.float64)


def map_of(
    value, argument: str, name: str | None = None, *, shape: tuple[int, int] | None = None, resize: str | None = None
) -> Map:
    """Check a map against NaN, infinite values and, where one is given, the ground truth's ``shape``."""
    if isinstance(value, Map) and (shape is None or value.shape == shape):
        return value
    array = value.values.reshape(value.shape) if isinstance(value, Map) else array_of(value, argument, name)
    low, high = _range(array, argument, name)
    if shape is not None and array.shape != shape:
        if resize is None:
            raise ValueError(
                f"{subject(argument, name)}: expected the ground truth's shape {shape}, received {array.shape}. "
                'Resize it, or pass resize="matlab".'
            )
        # rounding would give a constant map a contrast of 1e-17, which metrics would scale up to 1
        array = np.full(shape, low) if low == high else imresize(array, shape)
        low, high = float(array.min()), float(array.max())
    largest = max(abs(low), abs(high))
    if largest and not 2.0**-400 < largest < 2.0**400:  # squares would over- or underflow; no metric notices the scale
        factor = 2.0 ** -np.clip(np.floor(np.log2(largest)), -1000, 1000)
        array, low, high = array * factor, low * factor, high * factor
    rows, columns = array.shape
    return Map(array.reshape(-1), (rows, columns), low, high)


def _range(array: np.ndarray, argument: str, name: str | None) -> tuple[float, float]:
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        what = subject(argument, name)
        raise ValueError(f"{what}: expected finite values, received {bad} NaN or infinite ones among {array.size}.")
    return low, high


def check_finite(array: np.ndarray, argument: str, name: str | None) -> None:
    """Refuse NaN and infinite values in one pass: a finite sum proves that there are none, another one only suspects.

    By a product of every row with itself, which costs less than a minimum and a maximum.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.vecdot(array, array).sum()
    if not np.isfinite(total):
        _range(array, argument, name)


def check_resize(resize: str | None) -> None:
    """Refuse anything but ``None`` and ``"matlab"``."""
    if resize not in (None, "matlab"):
        raise ValueError(f'resize: expected None or "matlab", received {resize!r}.')


def undefined(metric: str, why: str, name: str | None) -> float:
    """Warn that ``metric`` has no value for this image, and return NaN."""
    image = "the image" if name is None else f"image {str(name)!r}"
    warnings.warn(f"{metric} of {image} is undefined (NaN): {why}.", stacklevel=3)
    return float("nan")


def imresize(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a two-dimensional float64 ``array`` to ``shape``; the result can overshoot, also below zero."""
    rows, columns = (_weights(old, new) for old, new in zip(array.shape, shape, strict=True))
    if shape[0] * array.shape[1] <= array.shape[0] * shape[1]:  # the axis that shrinks first leaves less work
        return (rows @ array) @ columns.T
    return rows @ (array @ columns.T)


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the Keys kernel with a = -0.5 (Keys 1981, eq. 15)."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@functools.lru_cache(maxsize=16)
def _weights(old: int, new: int) -> np.ndarray:
    """Return the (new, old) matrix that resizes one axis; shrinking widens the kernel by the same factor."""
    scale = min(new / old, 1.0)
    width = 4 / scale
    center = (np.arange(1, new + 1) - 0.5) * old / new + 0.5
    taps = np.floor(center - width / 2)[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = scale * _cubic(scale * (center[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    place = (taps.astype(np.int64) - 1) % (2 * old)  # beyond an edge the signal runs backwards
    place = np.where(place < old, place, 2 * old - 1 - place)
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], place), weights)
    matrix.setflags(write=False)
    return matrix
