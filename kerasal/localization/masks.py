"""Masks from saliency maps, and bounding boxes from masks."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import check_choice, check_number, refuse_mask
from kerasal.images import resize as _resize


def check_map(saliency_map) -> np.ndarray:
    """Return a map (H, W) as float64.

    Raises:
        ValueError: the shape is not (H, W), or values are NaN or infinite.
    """
    refuse_mask(saliency_map, "saliency_map")
    values = np.asarray(saliency_map, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        remedy = " Reduce its channels first, for example by abs(map).max(axis=-1)." if values.ndim == 3 else ""
        raise ValueError(f"saliency_map must have shape (H, W), got {values.shape}.{remedy}")
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"saliency_map must have finite values, got {count} that are NaN or infinite.")
    return values


def check_varied_map(saliency_map) -> np.ndarray:
    """Return a map (H, W) that is not constant, as float64.

    Raises:
        ValueError: the map is constant, which does not locate an object, or ``check_map`` refuses it.
    """
    values = check_map(saliency_map)
    if values.min() == values.max():
        raise ValueError(
            f"saliency_map must vary, got a map that is {values.flat[0]:g} everywhere. Check that the score depends on "
            "the image, or try another target, method or layer."
        )
    return values


def threshold(
    saliency_map: ArrayLike, level: float = 0.2, *, of: Literal["max", "quantile"] = "max", blur: float = 0.0
) -> np.ndarray:
    """Return the mask of the pixels whose values exceed a level, bool (H, W): a simple alternative to ``graphcut``.

    Args:
        saliency_map: (H, W) with larger values for stronger evidence; take ``abs`` of signed maps first if the sign
            does not matter.
        level: a fraction of the map's maximum, or a quantile of its values, 0 to 1.
        of: ``"max"`` or ``"quantile"``: the meaning of ``level``.
        blur: standard deviation of a Gaussian blur applied first, as a fraction of the map's longer side.

    Raises:
        ValueError: the map is not (H, W), is constant or has no positive values, or an argument is out of range.
    """
    values = blur_map(check_varied_map(saliency_map), blur)
    check_number("level", level, minimum=0, below=1)
    check_choice("of", of, ("max", "quantile"))
    if of == "quantile":
        return values > min(np.quantile(values, level), np.nextafter(values.max(), -np.inf))
    if values.max() <= 0:
        raise ValueError(
            f"saliency_map must have positive values, got a maximum of {values.max():g}. Pass of='quantile'."
        )
    return values > level * values.max()


def blur_map(values: np.ndarray, blur: float) -> np.ndarray:
    """Return a map after a Gaussian blur with the standard deviation ``blur`` × the longer side; 0 does not blur."""
    check_number("blur", blur, minimum=0, below=1)
    return cv2.GaussianBlur(values, (0, 0), blur * max(values.shape)) if blur else values


def fit_map(saliency_map: np.ndarray, size: tuple[int, int], resize: bool) -> np.ndarray:
    """Return a map resized to the image's (height, width); ValueError if the sizes differ without ``resize``."""
    if saliency_map.shape == tuple(size):
        return saliency_map
    if not resize:
        raise ValueError(
            f"saliency_map must have the size of the image, {size[0]} × {size[1]} (height × width), got "
            f"{saliency_map.shape[0]} × {saliency_map.shape[1]}. Pass resize=True if the map covers the whole image."
        )
    return _resize(saliency_map, size)


def largest_component(mask: ArrayLike) -> np.ndarray:
    """Return the largest 8-connected component of a mask, bool (H, W).

    Of components of equal size, the first in row-major order is returned; an empty mask stays empty.

    Raises:
        ValueError: ``mask`` is not bool (H, W).
    """
    mask = _check_mask(mask)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask.copy()
    return labels == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()


def bounding_box(mask: ArrayLike) -> tuple[int, int, int, int]:
    """Return the smallest box (x_min, y_min, x_max, y_max), upper bounds exclusive, around a mask, bool (H, W).

    Raises:
        ValueError: ``mask`` is not bool (H, W), or it is empty.
    """
    mask = _check_mask(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("mask must contain pixels that are True, got an empty mask.")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _check_mask(mask) -> np.ndarray:
    refuse_mask(mask, "mask")
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise ValueError(f"mask must be bool (H, W), got {mask.dtype} {mask.shape}. Pass values > level for a mask.")
    return mask
