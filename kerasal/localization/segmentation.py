"""Segmentation of the object at which a saliency map points, by a minimum cut between two color models."""

import dataclasses
import inspect
import warnings
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from kerasal.checks import check_int
from kerasal.images import check_image
from kerasal.images import resize as _resize
from kerasal.localization.graph_cut import COMPONENTS, cut_by_color, cut_by_evidence, fit_colors, log_density
from kerasal.localization.masks import blur_map, check_varied_map, fit_map, largest_component
from kerasal.names import unknown_name_message

# Limits the log-ratio of densities, because a narrow cluster of colors is not proof.
_MAX_COLOR_EVIDENCE = 10.0


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The seeds and the result of a graph cut, all bool (H, W).

    Attributes:
        foreground: seeds of the object.
        background: seeds of the background.
        whole: the object with all its components.
        mask: the largest component of the object.
    """

    foreground: np.ndarray
    background: np.ndarray
    whole: np.ndarray
    mask: np.ndarray


def graphcut(
    image: np.ndarray,
    saliency_map: np.ndarray,
    *,
    foreground: float = 0.95,
    background: float = 0.30,
    components: int = 5,
    clamp: bool = False,
    iterations: int = 1,
    blur: float = 0.0,
    prior: float = 0.0,
    color: float = 1.0,
    level: float = 0.2,
    resolution: int | None = None,
    resize: bool = False,
    seed: int = 0,
    **older: Any,
) -> np.ndarray:
    """Return the mask of the object at which a saliency map points, bool (H, W), by a graph cut of the image's colors.

    Follows Simonyan, Vedaldi & Zisserman 2013, section 3.2: pixels above the map's 95 % quantile seed the color model
    of the object, pixels below its 30 % quantile that of the background; a "GraphCut color segmentation" follows.

    As in Boykov & Jolly 2001, the energy E(mask) = Σ_p U_p + Σ_pq V_pq over 8 neighbors is minimized exactly by a
    single cut, and ``clamp=True`` makes the seeds hard constraints. As in GrabCut (Rother, Kolmogorov & Blake 2004),
    color models are Gaussian mixtures (histograms in Boykov & Jolly),
    V_pq = 50 exp(-β‖z_p - z_q‖²) / dist(p, q) with β = 1 / (2 mean ‖z_p - z_q‖²), and ``iterations`` > 1 refit the
    color models after each cut. OpenCV clusters the colors and makes the cut. Simonyan et al. leave open the number of
    Gaussians, V, and whether seeds are constraints; by default they are not, because the paper uses them only to
    estimate color models.

    With a ``prior``, an extension of kerasal, the map itself takes part in the cut: U_p(background) - U_p(object) is
    ``color`` · clip(log p(z | object) / p(z | background), ±10) + ``prior`` · log(M_p / (``level`` · max M)). SciPy's
    maximum flow makes this cut, because OpenCV does not support such a U.

    Args:
        image: uint8 RGB (H, W, 3).
        saliency_map: (H, W) with larger values for stronger evidence; take ``abs`` of signed maps first if the sign
            does not matter.
        foreground: quantile above which pixels are seeds of the object.
        background: quantile below which pixels are seeds of the background.
        components: number of Gaussians in each color model, 1 to 5.
        clamp: whether seeds keep their label in the cut.
        iterations: number of cuts; after each but the last, the color models are fitted to its object and background.
        blur: standard deviation of a Gaussian blur of the map, as a fraction of its longer side; without it, the seeds
            of a raw gradient are scattered.
        prior: weight of the map in the cut; 0 as in the paper.
        color: weight of the colors, with a prior.
        level: fraction of the map's maximum that is evidence neither for nor against the object, with a prior.
        resolution: longer side at which the cut is made; the mask is enlarged to the size of the image.
        resize: resize a map of another size to that of the image; it must cover the whole image.
        seed: seed of the clustering.
        older: ``colour``, the deprecated name of ``color``.

    Returns:
        The largest 8-connected component of the object, bool (H, W); if the cut has no object, the largest component
        of the foreground seeds.

    Raises:
        ValueError: the map is constant, not finite or of another size than the image; it has no positive values but
            there is a prior; the image has a single color and there is no prior; or an option is out of range.
        TypeError: an option is unknown.
    """
    options = {name: value for name, value in locals().items() if name in DEFAULTS}
    return segment(image, saliency_map, **options, **older).mask


# The options of graphcut and their defaults, which segment shares.
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(graphcut).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
}


def segment(image: np.ndarray, saliency_map: np.ndarray, **options: Any) -> Segmentation:
    """Return the mask of ``graphcut`` together with its seeds and all components; see there for options and errors."""
    options = {**DEFAULTS, **check_names(options, DEFAULTS)}
    image = check_cut_image(image)
    _check_options(**options)
    values = blur_map(fit_map(check_varied_map(saliency_map), image.shape[:2], options["resize"]), options["blur"])
    full = image.shape[:2]
    scale = min(1.0, (options["resolution"] or max(full)) / max(full))
    small = max(1, round(full[0] * scale)), max(1, round(full[1] * scale))
    image, values = _resize(image, small), _resize(values, small)
    if options["prior"] and values.max() <= 0:
        raise ValueError(
            f"saliency_map must have positive values with a prior, got a maximum of {values.max():g}. Pass abs(map) if "
            "the sign does not matter, or prior=0."
        )
    foreground, background = seeds(values, options["foreground"], options["background"])
    if not options["prior"] and (image == image[0, 0]).all():
        raise ValueError(
            "image must have more than one color without a prior, got a single color. Use threshold(), or prior=20 to "
            "include the map in the cut."
        )
    whole = _cut_graph(image, values, (foreground, background), **options)
    mask = largest_component(whole if whole.any() else foreground)
    return Segmentation(*(enlarge_mask(part, full) for part in (foreground, background, whole, mask)))


def check_names(options: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return options of ``graphcut`` with deprecated names replaced; raise a TypeError for an unknown name."""
    if "colour" in options:
        warnings.warn("The option colour of graphcut is called color now.", DeprecationWarning, stacklevel=4)
        options = {"color" if name == "colour" else name: value for name, value in options.items()}
    for name in options:
        if name not in known:
            raise TypeError(unknown_name_message(name, known, "option of graphcut"))
    return options


def seeds(saliency_map: np.ndarray, foreground: float = 0.95, background: float = 0.30) -> tuple[np.ndarray, ...]:
    """Return the seeds of object and background, two bool masks (H, W): the pixels above and below the quantiles.

    If no pixel is above (or below) a quantile, as with the many zeros of a class activation map, the pixels equal to it
    are seeds too.

    Args:
        saliency_map: (H, W) with larger values for stronger evidence.
        foreground: quantile above which pixels are seeds of the object.
        background: quantile below which pixels are seeds of the background.
    """
    high, low = np.quantile(saliency_map, [foreground, background])
    above, below = saliency_map > high, saliency_map < low
    above = above if above.any() else saliency_map >= high
    below = below if below.any() else saliency_map <= low
    return above, below & ~above


def _cut_graph(image, values, seed_masks, *, components, clamp, iterations, prior, color, level, seed, **_):
    """Return the mask of the object after the iterated cuts, with all connected components, bool (H, W)."""
    labels = np.full(values.shape, cv2.GC_PR_BGD, np.uint8)
    if clamp:
        labels[seed_masks[0]], labels[seed_masks[1]] = cv2.GC_FGD, cv2.GC_BGD
    inner, outer = seed_masks
    for _iteration in range(iterations):
        models = [fit_colors(image[part], components, seed) for part in (inner, outer)]
        if prior:
            whole = cut_by_evidence(image, _weigh_evidence(image, values, models, labels, prior, color, level))
        else:
            whole = cut_by_color(image, *models, labels)
        if not whole.any() or whole.all():
            break
        inner, outer = whole, ~whole
    return whole


def _weigh_evidence(image, values, models, labels, prior: float, color: float, level: float) -> np.ndarray:
    """Return U(background) - U(object) of each pixel, float64 (H, W); positive values are evidence for the object."""
    strength = np.maximum(values, 0) / max(values.max(), np.finfo(float).tiny)
    evidence = prior * np.log(np.maximum(strength, 1e-4) / level)
    if color:
        ratio = log_density(image, models[0]) - log_density(image, models[1])
        evidence = evidence + color * np.clip(ratio, -_MAX_COLOR_EVIDENCE, _MAX_COLOR_EVIDENCE)
    evidence[labels == cv2.GC_FGD] = 1e6
    evidence[labels == cv2.GC_BGD] = -1e6
    return evidence


def enlarge_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a mask resized to another (height, width) by nearest neighbors."""
    if mask.shape == tuple(size):
        return mask
    return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


def check_cut_image(image) -> np.ndarray:
    """Return a uint8 RGB image (H, W, 3), contiguous in memory; raise a ValueError for anything else."""
    image = check_image(image, "image (not model inputs)")
    if min(image.shape[:2]) < 2:
        raise ValueError(f"image must be at least 2 × 2 pixels, got {image.shape[0]} × {image.shape[1]}.")
    return np.ascontiguousarray(image)


def _check_options(*, foreground, background, components, iterations, prior, color, level, resolution, **_) -> None:
    if not 0 < background <= foreground < 1:
        raise ValueError(
            "foreground and background must be quantiles with 0 < background <= foreground < 1, got "
            f"foreground={foreground!r} and background={background!r}."
        )
    check_int("components", components, maximum=COMPONENTS)
    check_int("iterations", iterations, maximum=100)
    if not (0 <= prior < np.inf and 0 <= color < np.inf and 0 < level < 1):
        raise ValueError(
            "prior and color must be 0 or positive and level between 0 and 1, got "
            f"prior={prior!r}, color={color!r} and level={level!r}."
        )
    if resolution is not None:
        check_int("resolution", resolution, 8, none="None")
