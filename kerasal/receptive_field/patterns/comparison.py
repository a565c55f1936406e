"""Measures of patterns: the center-surround score of a pattern, and the similarity of the patterns of two models.

For the center-surround score, a pattern (h, w, C) is projected on the color direction with the most energy, which gives
a signed map (h, w).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from kerasal.checks import refuse_mask
from kerasal.names import RenamedAttribute
from kerasal.receptive_field.patterns.pattern_projection import patterns

import keras


@dataclasses.dataclass(frozen=True)
class CenterSurround:
    """How far a pattern is a bright center in a dark surround, or the reverse.

    Attributes:
        symmetry: share of the energy explained by the distance from the middle alone, from 0 (an edge) to 1 (rings).
        fit: share of the radial profile's energy explained by a difference of Gaussians, from 0 to 1.
        balance: ratio of the volumes of center and surround, the smaller over the larger, from 0 to 1; 0 if there is no
            surround of the opposite sign.
        score: product of ``symmetry``, ``fit`` and ``balance``, from 0 to 1.
        polarity: 1 if the center is positive along ``color``, -1 if it is negative, 0 for an empty pattern.
        color: unit vector (C,), the color direction with the most energy; its largest entry is positive.
        widths: standard deviations of center and surround in pixels.
    """

    symmetry: float
    fit: float
    balance: float
    score: float
    polarity: int
    color: np.ndarray
    widths: tuple[float, float]

    colour = RenamedAttribute("color")


def center_surround(pattern: np.ndarray) -> CenterSurround:
    """Return how well a difference of Gaussians around the middle explains a pattern, with its color and widths.

    The radial profile m(r), the mean of the values v over the ring at distance r, is fitted by the difference of
    Gaussians DoG(r) = a·exp(-r² / 2s²) - b·exp(-r² / 2t²) with a, b >= 0 and s < t, where each ring is weighted by its
    number of pixels. The measures are symmetry = Σ m(r(x))² / Σ v(x)², fit = 1 - Σ (m - DoG)² / Σ m², and
    balance = min(q, 1/q), where q is the volume of the DoG below 0 divided by the volume above 0, over the pattern.
    (The ratio b·t² / a·s² is not used, since two Gaussians that almost cancel can fit a cone, or any blob that falls
    to 0 faster than a Gaussian, without being negative anywhere.) Below about 9 pixels on a side there are too few
    rings for a meaningful fit.

    Args:
        pattern: float (h, w) or (h, w, C), signed. Compute it with ``final_relu=False``, since a final ReLU removes the
            surround.

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
    flat = values.reshape(-1, values.shape[2])
    color = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    color = color * (np.sign(color[np.abs(color).argmax()]) or 1)
    signed = values @ color
    energy = float((signed**2).sum())
    if energy <= 1e-30:
        return CenterSurround(0.0, 0.0, 0.0, 0.0, 0, color, (0.0, 0.0))
    radius, profile, count = _radial_profile(signed)
    symmetry = float((count * profile**2).sum() / energy)
    polarity = 1 if profile[0] >= 0 else -1
    fit, balance, widths = _fit_gaussians(radius, polarity * profile, count)
    return CenterSurround(symmetry, fit, balance, symmetry * fit * balance, polarity, color, widths)


def _radial_profile(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean radius, mean value and number of pixels of each ring of a width of one pixel."""
    height, width = values.shape
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    ring = np.round(distance).astype(int).ravel()
    count = np.bincount(ring)
    sums, radii = np.bincount(ring, values.ravel()), np.bincount(ring, distance.ravel())
    nonempty = count > 0
    return radii[nonempty] / count[nonempty], sums[nonempty] / count[nonempty], count[nonempty]


def _fit_gaussians(radius, profile, count) -> tuple[float, float, tuple[float, float]]:
    """Return the explained share, the balance of volumes and the two widths of the best difference of Gaussians."""
    weight, total = np.sqrt(count), float((count * profile**2).sum())
    if total <= 0:
        return 0.0, 0.0, (0.0, 0.0)
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
    fitted = count * curve(best.x)
    center, surround = np.maximum(fitted, 0).sum(), np.maximum(-fitted, 0).sum()
    balance = min(center, surround) / max(center, surround) if max(center, surround) > 0 else 0.0
    return fit, float(balance), (float(s), float(s * wider))


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The patterns of a layer in two models, with their similarity and center-surround scores.

    Attributes:
        channels: int (K,), indices of the channels.
        left: float32 (K, h, w, C), patterns of the first model.
        right: float32 (K, h, w, C), patterns of the second model.
        table: one row per channel with the columns ``channel``; ``similarity``, the cosine of the two patterns from 0
            to 1, or NaN if a pattern is empty; ``center_surround_left`` and ``center_surround_right``, the scores from
            0 to 1 (see ``center_surround``); ``symmetry_left`` and ``symmetry_right``, a factor of these scores.
    """

    channels: np.ndarray
    left: np.ndarray
    right: np.ndarray
    table: pd.DataFrame


def compare_patterns(
    model_a: keras.Model,
    model_b: keras.Model,
    layer: str,
    channels: Sequence[int] | None = None,
    *,
    progress: bool = False,
) -> Comparison:
    """Return the patterns of a layer in two models, and their similarity for each channel.

    The similarity is that of the rectified patterns, as they are drawn. The center-surround score is that of the signed
    patterns, since the final ReLU would remove the surround. A typical use is a model before and after fine-tuning.

    Args:
        model_a: the first model; it is not changed.
        model_b: the second model, with a layer of the same name, number of channels and receptive field; it is not
            changed.
        layer: name or path of the layer in both models.
        channels: indices of the channels; by default all.
        progress: show a progress bar.

    Raises:
        ValueError: under the conditions of ``patterns``, or if the layers differ in channels or receptive field.

    Source: He & Pugeault 2017, section 4, figures 4.1 to 4.5.
    """
    signed = []
    for model in (model_a, model_b):
        signed.append(patterns(model, layer, channels, final_relu=False, progress=progress))
    if signed[0].shape != signed[1].shape:
        raise ValueError(
            f"Layer {layer!r} must have the same channels and receptive field in both models, but its patterns have "
            f"shape {signed[0].shape} in {model_a.name!r} and {signed[1].shape} in {model_b.name!r}."
        )
    numbers = np.arange(len(signed[0])) if channels is None else np.atleast_1d(np.asarray(channels))
    left, right = (np.maximum(pattern, 0) for pattern in signed)
    scores = [[center_surround(pattern) for pattern in model_patterns] for model_patterns in signed]
    table = pd.DataFrame({"channel": numbers, "similarity": _cosines(left, right)})
    for side, measures in zip(("left", "right"), scores, strict=True):
        table[f"center_surround_{side}"] = [pattern.score for pattern in measures]
        table[f"symmetry_{side}"] = [pattern.symmetry for pattern in measures]
    return Comparison(numbers, left, right, table)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (patterns.reshape(len(patterns), -1).astype(np.float64) for patterns in (left, right))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide((left * right).sum(axis=1), lengths, out=np.full(len(left), np.nan), where=lengths > 0)
