"""From a map to a mask, and from a mask to its box."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import check_choice, check_number, refuse_mask
from kerasal.images import resize as _resize


def check_map(saliency_map) -> np.ndarray:
    """Return a map (H, W) as float64.

    Raises:
        ValueError: another shape, or NaN or infinite values.
    """
    refuse_mask(saliency_map, "the map")
    values = np.asarray(saliency_map, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        advice = " Reduce its channels first, as by abs(map).max(axis=-1)." if values.ndim == 3 else ""
        raise ValueError(f"Expected a map (H, W). Received shape {values.shape}.{advice}")
    if not np.isfinite(values).all():
        raise ValueError(f"The map holds {np.count_nonzero(~np.isfinite(values))} NaN or infinite values.")
    return values


def check_varied_map(saliency_map) -> np.ndarray:
    """Return a map (H, W) as float64 that is not the same everywhere.

    Raises:
        ValueError: as ``check_map``, or a constant map, which says nothing about where the object is.
    """
    values = check_map(saliency_map)
    if values.min() == values.max():
        raise ValueError(
            f"The map is {values.flat[0]:g} everywhere, so it does not say where the object is. Check that the score "
            "depends on the image: another target, method or layer may."
        )
    return values


def threshold(
    saliency_map: ArrayLike, level: float = 0.2, *, of: Literal["max", "quantile"] = "max", blur: float = 0.0
) -> np.ndarray:
    """Return where a map is strong, as a bool mask (H, W): the plain alternative to ``graphcut``.

    Args:
        saliency_map: (H, W), the larger the stronger; take ``abs`` of signed maps first if sign does not matter.
        level: a share of the map's maximum, or the quantile of its values, 0 to 1; what exceeds it is in the mask.
        of: which of the two.
        blur: standard deviation of a Gaussian that the map is blurred by first, as a share of its longer side.

    Raises:
        ValueError: not a map, a constant map, a map without positive values, or a level out of range.
    """
    values = blur_map(check_varied_map(saliency_map), blur)
    check_number("level", level, minimum=0, below=1)
    check_choice("of", of, ("max", "quantile"))
    if of == "quantile":
        return values > min(np.quantile(values, level), np.nextafter(values.max(), -np.inf))
    if values.max() <= 0:
        raise ValueError(f"The map's maximum is {values.max():g}; a share of it says nothing. Use of='quantile'.")
    return values > level * values.max()


def blur_map(values: np.ndarray, blur: float) -> np.ndarray:
    """Blur a map by a Gaussian whose standard deviation is a share of the map's longer side; 0 leaves it as it is."""
    check_number("blur", blur, minimum=0, below=1)
    return cv2.GaussianBlur(values, (0, 0), blur * max(values.shape)) if blur else values


def fit_map(saliency_map: np.ndarray, size: tuple[int, int], resize: bool) -> np.ndarray:
    """Return a map of the image's (height, width); another size is resized only if that is asked for."""
    if saliency_map.shape == tuple(size):
        return saliency_map
    if not resize:
        raise ValueError(
            f"The image is {size[0]} × {size[1]} (height × width), the map {saliency_map.shape[0]} × "
            f"{saliency_map.shape[1]}. Give them the same size, or resize=True if the map covers the whole image."
        )
    return _resize(saliency_map, size)


def largest_component(mask: ArrayLike) -> np.ndarray:
    """Return the largest 8-connected part of a bool mask (H, W); of equal ones the first, row by row; none of none."""
    mask = _check_mask(mask)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask.copy()
    return labels == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()


def bounding_box(mask: ArrayLike) -> tuple[int, int, int, int]:
    """Return the smallest box (x_min, y_min, x_max, y_max), upper bounds exclusive, around a bool mask (H, W).

    Raises:
        ValueError: not a mask, or one in which nothing is set.
    """
    mask = _check_mask(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("The mask is empty, so it has no bounding box.")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _check_mask(mask) -> np.ndarray:
    refuse_mask(mask, "the mask")
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise ValueError(f"Expected a bool mask (H, W). Received {mask.dtype} of shape {mask.shape}.")
    return mask
