"""From an image and its saliency map to the object's mask, by one minimum cut between two color models."""

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
from kerasal.localization.graph_cut import MOST, cut_by_color, cut_by_evidence, fit_colors, log_density
from kerasal.localization.masks import blur_map, check_varied_map, fit_map, largest_component
from kerasal.names import unknown_name_message

# Beyond this log-ratio of densities a pixel's color counts no more: a tight cluster is no proof.
_MOST_EVIDENCE = 10.0


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """What a cut used and found, all bool (H, W): the seeds, and the mask with all its parts and its largest one."""

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
    """Segment the object that a saliency map points at: colors of the seeds, one cut, the largest component.

    Simonyan, Vedaldi & Zisserman 2013, section 3.2: pixels above the map's 95 % quantile seed the color model of the
    object, those below its 30 % quantile that of the background; "GraphCut color segmentation" does the rest.

    What equals Boykov & Jolly 2001: the energy E(mask) = Σ_p U_p + Σ_pq V_pq over 8 neighbors, whose exact minimum is
    found by one cut, and seeds that are kept with ``clamp=True``, their hard constraints. What is GrabCut's (Rother,
    Kolmogorov & Blake 2004): the Gaussian mixtures as color models (Boykov & Jolly have histograms),
    V_pq = 50 exp(-β‖z_p - z_q‖²) / dist(p, q) with β = 1 / (2 mean ‖z_p - z_q‖²), and ``iterations`` above 1, which fit
    the colors anew to each cut. OpenCV clusters the colors and makes the cut. Left open by the paper: the number of
    Gaussians, V, and whether seeds are kept; they are not by default, since it calls them seeds of the color models.

    With ``prior`` the map itself takes part in the cut: U_p(background) - U_p(object) is
    ``color`` · clip(log p(z | object) / p(z | background), ±10) + ``prior`` · log(M_p / (``level`` · max M)), which is
    this package's own, and not the paper's. OpenCV cannot be told such a U; SciPy's maximum flow makes that cut.

    Args:
        image: uint8 RGB (H, W, 3).
        saliency_map: (H, W), the larger the stronger. Signed maps: take ``abs`` first if sign does not matter.
        foreground: quantile above which pixels seed the object.
        background: quantile below which pixels seed the background.
        components: Gaussians of each color model, 1 to 5.
        clamp: keep the seeds where they are.
        iterations: cuts; after each but the last the colors are fitted anew, to all of its object and background.
        blur: standard deviation of a Gaussian over the map, as a share of its longer side: a raw gradient's seeds are
            scattered grains.
        prior: weight of the map in the cut, 0 for the paper's.
        color: weight of the colors, with a prior.
        level: share of the map's maximum that speaks neither for nor against, with a prior.
        resolution: longest side at which the cut is made; the mask comes back at the image's size.
        resize: bring a map of another size to the image's; it must cover the whole image.
        seed: of the clustering.
        older: ``colour``, which ``color`` was called.

    Returns:
        bool (H, W), the object: the largest 8-connected part of the cut. If the cut leaves no object, the largest part
        of the foreground seeds.

    Raises:
        ValueError: a map that is constant, holds NaN or does not fit the image, an image of one color with
            ``prior=0``, a map without positive values with a prior, or options out of range.
    """
    options = {name: value for name, value in locals().items() if name in DEFAULTS}
    return segment(image, saliency_map, **options, **older).mask


# Its options and their defaults, which ``segment`` shares.
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(graphcut).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
}


def segment(image: np.ndarray, saliency_map: np.ndarray, **options: Any) -> Segmentation:
    """Do what ``graphcut`` does, with the same options and errors, and return the seeds and all parts too."""
    options = {**DEFAULTS, **check_names(options, DEFAULTS)}
    picture = check_cut_image(image)
    _check_options(**options)
    values = blur_map(fit_map(check_varied_map(saliency_map), picture.shape[:2], options["resize"]), options["blur"])
    full = picture.shape[:2]
    scale = min(1.0, (options["resolution"] or max(full)) / max(full))
    small = max(1, round(full[0] * scale)), max(1, round(full[1] * scale))
    picture, values = _resize(picture, small), _resize(values, small)
    if options["prior"] and values.max() <= 0:
        raise ValueError(
            f"The map's maximum is {values.max():g}, so no part of it speaks for the object. Take abs(map) if the sign "
            "does not matter, or prior=0."
        )
    foreground, background = seeds(values, options["foreground"], options["background"])
    if not options["prior"] and (picture == picture[0, 0]).all():
        raise ValueError(
            "The image has one color, so colors cannot tell the object from the background. Use threshold(), or "
            "prior=20, which lets the map itself take part."
        )
    whole = _cut(picture, values, (foreground, background), **options)
    mask = largest_component(whole if whole.any() else foreground)
    return Segmentation(*(enlarge_mask(one, full) for one in (foreground, background, whole, mask)))


def check_names(options: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return options of ``graphcut``, an old name by its new one; refuse an unknown name."""
    if "colour" in options:
        warnings.warn("The option colour of graphcut is called color now.", DeprecationWarning, stacklevel=4)
        options = {"color" if name == "colour" else name: value for name, value in options.items()}
    for name in options:
        if name not in known:
            raise TypeError(unknown_name_message(name, known, "option of graphcut"))
    return options


def seeds(saliency_map: np.ndarray, foreground: float = 0.95, background: float = 0.30) -> tuple[np.ndarray, ...]:
    """Return the seeds of object and background, bool (H, W): above the one quantile, and below the other.

    Where equal values leave a side without seeds, as the zeros of a class activation map do, those equal to the
    quantile are its seeds.
    """
    high, low = np.quantile(saliency_map, [foreground, background])
    above, below = saliency_map > high, saliency_map < low
    above = above if above.any() else saliency_map >= high
    below = below if below.any() else saliency_map <= low
    return above, below & ~above


def _cut(picture, values, seeded, *, components, clamp, iterations, prior, color, level, seed, **_):
    """Return the cut's object, with all its parts."""
    labels = np.full(values.shape, cv2.GC_PR_BGD, np.uint8)
    if clamp:
        labels[seeded[0]], labels[seeded[1]] = cv2.GC_FGD, cv2.GC_BGD
    inner, outer = seeded
    for _again in range(iterations):
        models = [fit_colors(picture[part], components, seed) for part in (inner, outer)]
        if prior:
            whole = cut_by_evidence(picture, _weigh_evidence(picture, values, models, labels, prior, color, level))
        else:
            whole = cut_by_color(picture, *models, labels)
        if not whole.any() or whole.all():
            break
        inner, outer = whole, ~whole
    return whole


def _weigh_evidence(picture, values, models, labels, prior: float, color: float, level: float) -> np.ndarray:
    """Return what speaks for the object rather than the background, pixel by pixel, in units of the pairwise costs."""
    strength = np.maximum(values, 0) / max(values.max(), np.finfo(float).tiny)
    evidence = prior * np.log(np.maximum(strength, 1e-4) / level)
    if color:
        ratio = log_density(picture, models[0]) - log_density(picture, models[1])
        evidence = evidence + color * np.clip(ratio, -_MOST_EVIDENCE, _MOST_EVIDENCE)
    evidence[labels == cv2.GC_FGD] = 1e6
    evidence[labels == cv2.GC_BGD] = -1e6
    return evidence


def enlarge_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a mask at another (height, width), each pixel that of the nearest."""
    if mask.shape == tuple(size):
        return mask
    return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)


def check_cut_image(image) -> np.ndarray:
    """Return a uint8 RGB image (H, W, 3), in one piece in memory; refuse anything else."""
    image = check_image(image, "The image, not model inputs,")
    if min(image.shape[:2]) < 2:
        raise ValueError(f"An image of {image.shape[:2]} pixels has nothing to cut.")
    return np.ascontiguousarray(image)


def _check_options(*, foreground, background, components, iterations, prior, color, level, resolution, **_) -> None:
    if not 0 < background <= foreground < 1:
        raise ValueError(
            "foreground and background are quantiles with 0 < background <= foreground < 1. Received: "
            f"{foreground!r} and {background!r}."
        )
    check_int("components", components, maximum=MOST)
    check_int("iterations", iterations, maximum=100)
    if not (0 <= prior < np.inf and 0 <= color < np.inf and 0 < level < 1):
        raise ValueError(
            f"prior and color are weights from 0 on, level a share between 0 and 1. Received: {prior!r}, {color!r}, "
            f"{level!r}."
        )
    if resolution is not None:
        check_int("resolution", resolution, 8, none="None")
