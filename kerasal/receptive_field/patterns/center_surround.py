"""The center-surround score of a pattern: a center, and a ring around it that differs from both sides.

Patterns that were projected through ReLUs are never negative, so the surround of a bright center need not be below 0,
and the center and the surround may differ in color alone. The score therefore compares a ring with what is inside and
outside of it, along several color axes, rather than with 0.
"""

import dataclasses
import itertools

import numpy as np
from scipy.optimize import least_squares

from kerasal.checks import refuse_mask
from kerasal.names import RenamedAttribute


@dataclasses.dataclass(frozen=True)
class CenterSurround:
    """How far a pattern is a center in a surround that differs from it, in brightness or in color.

    Attributes:
        symmetry: share of the variance explained by the distance from the middle alone, from 0 (an edge) to 1 (rings).
        balance: volume of the surround over that of the center, at most 1; 0 if there is no surround.
        contrast: difference between center and surround, as a share of the range of the pattern's values.
        score: product of ``symmetry``, ``balance`` and ``contrast``, from 0 to 1.
        polarity: 1 if the center is above the surround along ``color``, -1 if it is below, 0 for an empty pattern.
        color: unit vector (C,), the color axis with the highest score; its largest entry is positive. It is the axis
            with the most energy if no axis has a surround.
        fit: share of the radial profile's energy, from the level outside of the surround, that is explained by a
            difference of Gaussians, from 0 to 1. It is not a factor of the score.
        widths: standard deviations of the two Gaussians in pixels.
    """

    symmetry: float
    fit: float
    balance: float
    score: float
    polarity: int
    color: np.ndarray
    widths: tuple[float, float]
    contrast: float = 0.0

    colour = RenamedAttribute("color")


@dataclasses.dataclass(frozen=True)
class _Ring:
    """The surround found in a radial profile, and the level outside of it."""

    balance: float = 0.0
    contrast: float = 0.0
    level: float = 0.0


def center_surround(pattern: np.ndarray) -> CenterSurround:
    """Return how clearly a pattern is a center in a surround, with its color axis and widths.

    The pattern is reduced to one number v per pixel along several color axes: all unit vectors that have entries of one
    size and any signs, or 0, such as a single channel, the mean, and the difference of two channels; and the axis with
    the most energy. (With more than four channels: the channels, the mean, the differences and that axis.) Along each
    axis, m(r) is the mean over the ring of pixels at distance r from the middle, up to the largest circle inside the
    pattern. A surround is a ring that is lower than something inside and something outside of it, or, for the other
    polarity, higher. Its level L is the lower one of the highest value inside and the highest value outside; its volume
    is Σ(L - m) over its pixels, and that of the center is Σ max(m - L, 0) over all pixels inside. Then

    * symmetry = variance of m(r) / variance of v, over the pixels of the circle,
    * balance = min(1, surround / center), and
    * contrast = (highest m inside - lowest m of the ring) / largest range of v along any of the axes.

    The score is their product, for the axis, the polarity and the ring for which it is highest. A surround may also
    extend to the edge of the pattern, with 0 outside of it; its balance is then the smaller volume over the larger one.

    A difference of Gaussians whose volumes cancel has the score 1, around 0 and also on a gray ground, and so has a red
    center in a blue ring on black. A blob, an edge or noise has a score near 0. A bright ring around a dark center
    counts even if the ground is as dark as the center, because rectified patterns have nothing darker. With fewer than
    about 9 pixels on a side the rings are few, and chance alone gives high scores: compare with random weights.

    Args:
        pattern: float (h, w) or (h, w, C), signed. Compute it with ``final_relu=False``, since a final ReLU removes
            surrounds below 0.

    Raises:
        ValueError: if the shape is another, a side has fewer than 3 pixels, or values are not finite.

    Source: Rodieck 1965, "Quantitative analysis of cat retinal ganglion cell response to visual stimuli", for the
        profile. The three measures and their product are specific to this package.
    """
    refuse_mask(pattern, "pattern")
    values = np.asarray(pattern, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or min(values.shape[:2]) < 3:
        raise ValueError(
            "pattern must have the shape (h, w) or (h, w, C) and sides of at least 3 pixels, got shape "
            f"{np.shape(pattern)}."
        )
    if not np.isfinite(values).all():
        raise ValueError("pattern must have finite values, got NaN or infinite values.")
    axes = _color_axes(values)
    if float((values**2).sum()) <= 1e-30:
        return CenterSurround(0.0, 0.0, 0.0, 0.0, 0, axes[0], (0.0, 0.0))
    radius, profiles, count, pixels = _radial_profiles(values)
    span = max(float(np.ptp(values @ axis)) for axis in axes)
    candidates = []
    for axis in axes:
        profile = profiles @ axis
        symmetry = _explained_share(pixels @ axis, profile, count)
        for polarity in (1, -1) if profile[0] >= 0 else (-1, 1):
            ring = _find_surround(polarity * profile, count, span)
            candidates.append((symmetry * ring.balance * ring.contrast, symmetry, ring, polarity, axis, profile))
    highest = max(candidate[0] for candidate in candidates)
    score, symmetry, ring, polarity, axis, profile = next(c for c in candidates if c[0] >= highest - 1e-9)
    fit, widths = _fit_gaussians(radius, polarity * profile - ring.level, count)
    return CenterSurround(symmetry, fit, ring.balance, score, polarity, axis, widths, ring.contrast)


def _color_axes(values: np.ndarray) -> list[np.ndarray]:
    """Return unit vectors (C,), each with a positive largest entry; the one with the most energy is the first."""
    flat = values.reshape(-1, values.shape[2])
    axes = [np.linalg.eigh(flat.T @ flat)[1][:, -1]]
    count = values.shape[2]
    if 1 < count <= 4:
        axes += [np.array(signs) for signs in itertools.product((1, 0, -1), repeat=count) if signs > (0,) * count]
    elif count > 4:
        identity = np.eye(count)
        axes += [np.ones(count), *identity, *(a - b for a, b in itertools.combinations(identity, 2))]
    return [axis / np.linalg.norm(axis) * (np.sign(axis[np.abs(axis).argmax()]) or 1) for axis in axes]


def _radial_profiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean radius (K,), mean colors (K, C) and number of pixels (K,) of rings one pixel wide, and the pixels.

    Only the largest circle inside the pattern counts: the rings in its corners are incomplete.
    """
    height, width, channels = values.shape
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    inside = distance <= min(height, width) / 2
    pixels, distance = values[inside], distance[inside]
    ring = np.round(distance).astype(int)
    count = np.bincount(ring)
    kept = count > 0
    sums = np.stack([np.bincount(ring, pixels[:, channel]) for channel in range(channels)], axis=1)
    radii = np.bincount(ring, distance)
    return radii[kept] / count[kept], sums[kept] / count[kept, None], count[kept], pixels


def _explained_share(pixels: np.ndarray, profile: np.ndarray, count: np.ndarray) -> float:
    """Return the share of the variance of the pixels that their distance from the middle explains."""
    variance = float(((pixels - pixels.mean()) ** 2).sum())
    if variance <= 1e-12 * float((pixels**2).sum()):
        return 0.0
    return min(1.0, float((count * (profile - pixels.mean()) ** 2).sum()) / variance)


def _find_surround(profile: np.ndarray, count: np.ndarray, span: float) -> _Ring:
    """Return the ring, lower than something on either side, with the largest product of balance and contrast."""
    inner, best = np.maximum.accumulate(profile), _Ring()
    for beyond in (-np.inf, 0.0):  # what is outside of the pattern: nothing, or 0
        outer = np.maximum.accumulate(np.append(profile, beyond)[::-1])[::-1][:-1]
        level = np.minimum(inner, outer)  # as rain would fill the profile
        filled = level - profile > 1e-9 * span
        edges = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(int)))
        for start, stop in edges.reshape(-1, 2):
            surround = float((count[start:stop] * (level[start] - profile[start:stop])).sum())
            center = float((count[:start] * np.maximum(profile[:start] - level[start], 0)).sum())
            balance = 1.0 if surround >= center else surround / center
            if stop == len(profile) and surround > center:
                balance = center / surround
            contrast = float(profile[:start].max() - profile[start:stop].min()) / span
            if balance * contrast > best.balance * best.contrast:
                best = _Ring(balance, contrast, float(level[start]))
    return best


def _fit_gaussians(radius, profile, count) -> tuple[float, tuple[float, float]]:
    """Return the explained share of the energy and the two widths of the best difference of Gaussians."""
    weight, total = np.sqrt(count), float((count * profile**2).sum())
    if total <= 0:
        return 0.0, (0.0, 0.0)
    largest, peak = radius.max(), np.abs(profile).max()

    def curve(p):
        a, b, s, wider = p
        return a * np.exp(-(radius**2) / (2 * s**2)) - b * np.exp(-(radius**2) / (2 * (s * wider) ** 2))

    bounds = ([0, 0, 0.2, 1.05], [20 * peak, 20 * peak, largest, 10])
    fallen = np.flatnonzero(profile < 0.4 * profile[0])
    start = np.clip(radius[fallen[0]] / 1.2 if fallen.size else largest / 3, 0.3, 0.99 * largest)
    best = least_squares(
        lambda p: weight * (curve(p) - profile) / peak,
        [1.5 * peak, 0.5 * peak, start, 1.6],
        bounds=bounds,
        max_nfev=100,
    )
    _, _, s, wider = best.x
    fit = max(0.0, 1 - float((count * (curve(best.x) - profile) ** 2).sum()) / total)
    return fit, (float(s), float(s * wider))
