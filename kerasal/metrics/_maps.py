"""Saliency maps and densities, checked for shape and finite values and flattened for the metrics."""

import dataclasses
import functools
import warnings

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask


@dataclasses.dataclass(frozen=True)
class Map:
    """A checked map: flattened float64 ``values``, the original ``shape``, and the lowest and highest value."""

    values: np.ndarray
    shape: tuple[int, int]
    low: float
    high: float

    @property
    def constant(self) -> bool:
        """Whether all values are equal; unlike the standard deviation, the comparison has no rounding errors."""
        return self.low == self.high


MapLike = ArrayLike | Map
"""The type of map arguments; metrics pass a ``Map`` on so that it is not checked twice."""


def describe_argument(argument: str, name: str | None) -> str:
    """Return the argument and, if known, the image as named in error messages."""
    return argument if name is None else f"{argument} of image {str(name)!r}"


def as_map_array(value, argument: str, name: str | None = None) -> np.ndarray:
    """Convert ``value`` to a float64 array (H, W), without a copy if it is such an array already."""
    subject = describe_argument(argument, name)
    refuse_mask(value, subject)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{subject} must be an array of real numbers, got dtype {array.dtype}.")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{subject} must be a single map of shape (H, W), got shape {array.shape}. "
            "Pass a single image with a single channel."
        )
    return np.ascontiguousarray(array, dtype=np.float64)


def as_map(
    value, argument: str, name: str | None = None, *, shape: tuple[int, int] | None = None, resize: str | None = None
) -> Map:
    """Convert a map to a checked ``Map`` of the ``shape`` of the ground truth; resize it only if ``resize`` is set."""
    if isinstance(value, Map) and (shape is None or value.shape == shape):
        return value
    array = value.values.reshape(value.shape) if isinstance(value, Map) else as_map_array(value, argument, name)
    low, high = _finite_range(array, argument, name)
    if shape is not None and array.shape != shape:
        if resize is None:
            raise ValueError(
                f"{describe_argument(argument, name)} must have the shape {shape} of the ground truth, got "
                f'{array.shape}. Resize it, or pass resize="matlab".'
            )
        # resizing a constant map would leave rounding errors of 1e-17, which metrics would scale up to 1
        array = np.full(shape, low) if low == high else imresize(array, shape)
        low, high = float(array.min()), float(array.max())
    largest = max(abs(low), abs(high))
    if (
        largest and not 2.0**-400 < largest < 2.0**400
    ):  # squares must not over- or underflow; metrics are scale-invariant
        factor = 2.0 ** -np.clip(np.floor(np.log2(largest)), -1000, 1000)
        array, low, high = array * factor, low * factor, high * factor
    rows, columns = array.shape
    return Map(array.reshape(-1), (rows, columns), low, high)


def _finite_range(array: np.ndarray, argument: str, name: str | None) -> tuple[float, float]:
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        count = int(array.size - np.count_nonzero(np.isfinite(array)))
        subject = describe_argument(argument, name)
        raise ValueError(f"{subject} must have finite values, got {count} of {array.size} NaN or infinite.")
    return low, high


def check_finite(array: np.ndarray, argument: str, name: str | None) -> None:
    """Refuse an array with NaN or infinite values.

    A finite sum of squares proves that all values are finite, and costs less than a minimum and a maximum. An infinite
    sum may also come from overflow, so then the range is checked.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.vecdot(array, array).sum()
    if not np.isfinite(total):
        _finite_range(array, argument, name)


def check_resize(resize: str | None) -> None:
    """Refuse anything but ``None`` and ``"matlab"``."""
    if resize not in (None, "matlab"):
        raise ValueError(f'resize must be None or "matlab", got {resize!r}.')


def warn_of_nan(metric: str, reason: str, name: str | None) -> float:
    """Warn that ``metric`` is undefined for an image, and return NaN."""
    image = "the image" if name is None else f"image {str(name)!r}"
    warnings.warn(f"{metric} of {image} is undefined (NaN): {reason}.", stacklevel=3)
    return float("nan")


def imresize(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a float64 array (H, W) to ``shape`` as Matlab's bicubic imresize does; values can overshoot the range."""
    return _resize(array, *(_resize_matrix(old, new, new / old) for old, new in zip(array.shape, shape, strict=True)))


def imresize_by(array: np.ndarray, factor: float) -> np.ndarray:
    """Resize a float64 array (H, W) by ``factor`` as Matlab's bicubic imresize does with a number instead of a shape.

    The new shape is rounded up, but positions are scaled by exactly ``factor``: the result differs from that of
    ``imresize`` to the same shape wherever ``factor`` times the size is not an integer.
    """
    # factor * size can be an integer plus a rounding error, which must not add a row
    sizes = [int(np.ceil(round(factor * old, 9))) for old in array.shape]
    return _resize(array, *(_resize_matrix(old, new, factor) for old, new in zip(array.shape, sizes, strict=True)))


def _resize(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    if len(rows) * array.shape[1] <= array.shape[0] * len(columns):  # the order with fewer multiplications
        return (rows @ array) @ columns.T
    return rows @ (array @ columns.T)


def _cubic_kernel(distance: np.ndarray) -> np.ndarray:
    """Return the cubic convolution kernel with a = -0.5 (Keys 1981, eq. 15)."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


@functools.lru_cache(maxsize=16)
def _resize_matrix(old: int, new: int, factor: float) -> np.ndarray:
    """Return the matrix (new, old) that resizes an axis by ``factor``; shrinking widens the kernel accordingly."""
    scale = min(factor, 1.0)
    width = 4 / scale
    center = (np.arange(1, new + 1) - 0.5) / factor + 0.5
    taps = np.floor(center - width / 2)[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = scale * _cubic_kernel(scale * (center[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    position = (taps.astype(np.int64) - 1) % (2 * old)  # symmetric edges
    position = np.where(position < old, position, 2 * old - 1 - position)
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], position), weights)
    matrix.setflags(write=False)
    return matrix
