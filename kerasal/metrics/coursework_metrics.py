"""The evaluation script of the Bristol coursework, with its random draws replaced by their exact mean.

The script prints CC, shuffled AUC and AUC-Borji of 48 x 48 predictions against SALICON fixations at 640 x 480. The
report that this package reproduces has .69, .59 and .73 with batch normalization (.65, .55, .71 without it), Pan et al.
have .58, .67 and .83. These published numbers are for SALICON's validation images and were not measured here.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask
from kerasal.metrics._fixations import FixationsLike, as_fixations
from kerasal.metrics._maps import as_map, as_map_array, describe_argument
from kerasal.metrics.blur import SIGMAS, blur_fixations, gaussian_blur
from kerasal.metrics.distributions import cc
from kerasal.metrics.step_areas import auc_borji, auc_shuffled

DEFINITIONS = {
    "cc": "coursework: Pearson correlation with the fixations blurred by 19 px",
    "auc_shuffled": "coursework: thresholds every .1, pool = 10 random images, exact mean over the draws",
    "auc_borji": "coursework: thresholds every .1, exact mean over the draws",
}

SMOOTH = 2.0


def coursework_scores(
    prediction: ArrayLike,
    fixations: FixationsLike,
    other_fixations: FixationsLike,
    shape: tuple[int, int] | None = None,
    *,
    legacy: bool = False,
    name: str | None = None,
) -> dict[str, float]:
    """Return the three coursework scores of a raw model output: quantized to 8 bits, resized and blurred by 2 px.

    Args:
        prediction: a square map, or its flattened pixels (2304 = 48 x 48), with values in 0..1.
        fixations: map or coordinates, see ``kerasal.metrics``.
        other_fixations: fixations of other images for the shuffled AUC; the script takes ten random images.
        shape: (H, W) of the fixations; required for coordinates.
        legacy: reproduce two bugs of the original run: values outside 0..1 wrap around (-0.02 becomes 251) instead of
            being clipped, and the map is enlarged with nearest-neighbor (Pillow before 7) instead of bicubic
            interpolation.
        name: name of the image in error messages.

    Returns:
        A dictionary with ``cc``, ``auc_shuffled`` and ``auc_borji``.

    Raises:
        ValueError: invalid input, see ``kerasal.metrics``.
    """
    fixated = as_fixations(fixations, shape, "fixations", name)
    processed = as_map(coursework_map(prediction, fixated.shape, legacy=legacy, name=name), "saliency_map", name)
    density = blur_fixations(fixated, SIGMAS["coursework"], duplicates=False)
    return {
        "cc": cc(processed, density, name=name),
        "auc_shuffled": auc_shuffled(processed, fixated, other_fixations, name=name),
        "auc_borji": auc_borji(processed, fixated, name=name),
    }


def coursework_map(prediction, shape: tuple[int, int], *, legacy: bool = False, name=None) -> np.ndarray:
    """Return the map that the script scores: float64 of ``shape``, 0..1."""
    enlarged = enlarged_map(prediction, shape, legacy=legacy, name=name)
    if enlarged.min() == enlarged.max():  # rounding in the blur would make a constant map vary
        return enlarged
    return gaussian_blur(enlarged, SMOOTH)


def enlarged_map(prediction, shape: tuple[int, int], *, legacy: bool = False, name=None) -> np.ndarray:
    """Return ``coursework_map`` before the final blur of ``SMOOTH`` pixels."""
    from PIL import Image

    refuse_mask(prediction, describe_argument("saliency_map", name))
    raw = np.asarray(prediction)
    if raw.ndim == 1:
        side = math.isqrt(raw.size)
        if side * side != raw.size:
            raise ValueError(
                f"{describe_argument('saliency_map', name)} must be a flattened square, such as 48 × 48 = 2304 values, "
                f"got {raw.size} values. Pass a map of shape (H, W) if it is not square."
            )
        raw = raw.reshape(side, side)
    values = as_map_array(raw, "saliency_map", name)
    as_map(values, "saliency_map", name)
    if np.asarray(prediction).dtype == np.uint8:  # read from an image file
        values = values / 255
    scaled = np.trunc(values * 255)
    eight_bit = np.mod(scaled, 256) if legacy else np.clip(scaled, 0, 255)
    resampling = Image.Resampling.NEAREST if legacy else Image.Resampling.BICUBIC
    enlarged = Image.fromarray(eight_bit.astype(np.uint8)).resize((shape[1], shape[0]), resampling)
    return np.asarray(enlarged, np.float64) / 255
