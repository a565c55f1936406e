"""The evaluation that the examiners of the Bristol coursework handed out, with its random draws averaged exactly.

The script printed CC, shuffled AUC and AUC-Borji of 48 x 48 predictions against 640 x 480 SALICON fixations; the group
whose report this package follows got .69, .59 and .73 with batch normalization (.65, .55, .71 without), Pan et al.
.58, .67 and .83. Those are their numbers on SALICON's validation images, not measured here.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from kerasal.checks import refuse_mask
from kerasal.metrics._fixations import FixationsLike, fixations_of
from kerasal.metrics._maps import array_of, map_of, subject
from kerasal.metrics.blur import SIGMAS, blur_fixations, gaussian_blur
from kerasal.metrics.distributions import cc
from kerasal.metrics.stepped import auc_borji, auc_shuffled

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
    """Score a raw network output as the examiners' script does: 8 bits, resized, blurred by 2 px, then three metrics.

    Args:
        prediction: a square map, or its pixels in a row (2304 = 48 x 48), meant to lie in 0..1.
        fixations: map or coordinates, see the package.
        other_fixations: the pool of the shuffled AUC; the script joins ten random images.
        shape: (H, W) of the fixations; needed for coordinates.
        legacy: keep two accidents of the original run: values outside 0..1 wrap around (-0.02 becomes 251) instead of
            being clipped, and the enlargement is the nearest pixel (Pillow before 7) instead of bicubic.
        name: the image, for messages.

    Returns:
        ``cc``, ``auc_shuffled`` and ``auc_borji``.

    Raises:
        ValueError: bad input.
    """
    fixated = fixations_of(fixations, shape, "fixations", name)
    processed = map_of(coursework_map(prediction, fixated.shape, legacy=legacy, name=name), "saliency_map", name)
    density = blur_fixations(fixated, SIGMAS["coursework"], duplicates=False)
    return {
        "cc": cc(processed, density, name=name),
        "auc_shuffled": auc_shuffled(processed, fixated, other_fixations, name=name),
        "auc_borji": auc_borji(processed, fixated, name=name),
    }


def coursework_map(prediction, shape: tuple[int, int], *, legacy: bool = False, name=None) -> np.ndarray:
    """Return the map that the script scores: float64 of ``shape`` in 0..1."""
    enlarged = enlarged_map(prediction, shape, legacy=legacy, name=name)
    if enlarged.min() == enlarged.max():  # rounding in the blur would give it a contrast, and so a score
        return enlarged
    return gaussian_blur(enlarged, SMOOTH)


def enlarged_map(prediction, shape: tuple[int, int], *, legacy: bool = False, name=None) -> np.ndarray:
    """Return the map before its last blur, of ``SMOOTH`` pixels; see ``coursework_map``."""
    from PIL import Image

    refuse_mask(prediction, subject("saliency_map", name))
    raw = np.asarray(prediction)
    if raw.ndim == 1:
        side = math.isqrt(raw.size)
        if side * side != raw.size:
            raise ValueError(
                f"{subject('saliency_map', name)}: expected a square number of pixels, received {raw.size}."
            )
        raw = raw.reshape(side, side)
    values = array_of(raw, "saliency_map", name)
    map_of(values, "saliency_map", name)
    if np.asarray(prediction).dtype == np.uint8:  # an image file instead of the network's output
        values = values / 255
    scaled = np.trunc(values * 255)
    eight_bit = np.mod(scaled, 256) if legacy else np.clip(scaled, 0, 255)
    how = Image.Resampling.NEAREST if legacy else Image.Resampling.BICUBIC
    enlarged = Image.fromarray(eight_bit.astype(np.uint8)).resize((shape[1], shape[0]), how)
    return np.asarray(enlarged, np.float64) / 255
