"""Patterns in numbers: how much one is a bright center in a dark surround, and how alike those of two models are.

For the first, a pattern (h, w, C) is made one signed map: its projection on the color direction that holds most of its
energy.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from kerasal.checks import refuse_mask
from kerasal.receptive_field.patterns.pattern_projection import patterns

import keras


@dataclasses.dataclass(frozen=True)
class CenterSurround:
    """What a pattern looks like from its middle outwards.

    Attributes:
        symmetry: share of the energy that depends on the distance from the middle alone, from 0 (an edge) to 1 (rings).
        fit: share of the radial profile's energy that the difference of Gaussians explains, from 0 to 1.
        balance: how nearly the surround makes up for the center, volume by volume: 0 without values of the other sign
            around it, 1 equal.
        score: the product of the three, from 0 to 1.
        polarity: 1 for a center that is positive along ``color``, -1 for a negative one, 0 for an empty pattern.
        color: unit vector (C,), the direction in color; its largest entry is positive.
        widths: standard deviations of center and surround in pixels.
    """

    symmetry: float
    fit: float
    balance: float
    score: float
    polarity: int
    color: np.ndarray
    widths: tuple[float, float]

    @property
    def colour(self) -> np.ndarray:
        """``color`` by its old name."""
        warnings.warn("CenterSurround.colour is called color now.", DeprecationWarning, stacklevel=2)
        return self.color


def center_surround(pattern: np.ndarray) -> CenterSurround:
    """Measure how far a pattern is a difference of Gaussians around its middle.

    The profile m(r), the mean over the ring at distance r, is fitted by
    a·exp(-r² / 2s²) - b·exp(-r² / 2t²) with a, b >= 0 and s < t, each ring weighted by its pixels. Then symmetry =
    Σ m(r(x))² / Σ v(x)², fit = 1 - Σ (m - DoG)² / Σ m², balance = min(q, 1/q) with q the volume of the DoG below 0 over
    that above, on the pattern. (Not b·t² / a·s²: two nearly equal Gaussians that almost cancel fit a cone, or any blob
    that ends sooner than a Gaussian, and are positive everywhere.)
    A pattern of fewer than some 9 pixels has too few rings for the fit to tell much.

    Args:
        pattern: float (h, w) or (h, w, C), signed: a pattern painted with ``final_relu=False``, since a ReLU cuts the
            surround off.

    Raises:
        ValueError: another shape, fewer than 3 pixels on a side, or values that are not finite.

    Source: for the profile, Rodieck 1965, "Quantitative analysis of cat retinal ganglion cell response to visual
        stimuli"; the three shares and their product are this package's own.
    """
    refuse_mask(pattern, "pattern")
    values = np.asarray(pattern, dtype=np.float64)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or min(values.shape[:2]) < 3 or not np.isfinite(values).all():
        raise ValueError(
            f"A pattern is a finite (h, w) or (h, w, C) of 3 pixels a side or more. Received {values.shape}."
        )
    flat = values.reshape(-1, values.shape[2])
    color = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    color = color * (np.sign(color[np.abs(color).argmax()]) or 1)
    signed = values @ color
    energy = float((signed**2).sum())
    if energy <= 1e-30:
        return CenterSurround(0.0, 0.0, 0.0, 0.0, 0, color, (0.0, 0.0))
    radius, profile, count = _profile(signed)
    symmetry = float((count * profile**2).sum() / energy)
    polarity = 1 if profile[0] >= 0 else -1
    fit, balance, widths = _fit_gaussians(radius, polarity * profile, count)
    return CenterSurround(symmetry, fit, balance, symmetry * fit * balance, polarity, color, widths)


def _profile(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return radius, mean and number of pixels of each ring one pixel wide that fits into the map."""
    height, width = values.shape
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    ring = np.round(distance).astype(int).ravel()
    count = np.bincount(ring)
    sums, radii = np.bincount(ring, values.ravel()), np.bincount(ring, distance.ravel())
    kept = count > 0
    return radii[kept] / count[kept], sums[kept] / count[kept], count[kept]


def _fit_gaussians(radius, profile, count) -> tuple[float, float, tuple[float, float]]:
    """Fit the difference of Gaussians; return the share explained, the balance of volumes, and the two widths."""
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
    """What ``compare_patterns`` found.

    Attributes:
        channels: the K channels.
        left: float32 (K, h, w, C), the patterns of the first model.
        right: those of the second.
        table: a row for each channel: ``channel``, ``similarity`` (cosine of the two patterns, from 0 to 1; NaN where
            one is empty), ``center_surround_left`` and ``center_surround_right`` (from 0 to 1, see
            ``center_surround``), and their ``symmetry_left`` and ``symmetry_right``.
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
    """Compare the patterns of one layer in two models, such as before and after fine-tuning, channel by channel.

    Patterns are compared as they are shown, without their negative part; the center-surround score is that of the whole
    signed pattern, since the final ReLU would cut the surround off.

    Args:
        model_a: the first model; neither is changed.
        model_b: the second, with a layer of the same name, number of channels and receptive field.
        layer: name or path of the layer in both.
        channels: which; by default all.
        progress: show a progress bar.

    Raises:
        ValueError: what ``patterns`` refuses, or layers that differ in channels or receptive field.

    Source: He & Pugeault 2017, section 4, figures 4.1 to 4.5.
    """
    signed = []
    for model in (model_a, model_b):
        signed.append(patterns(model, layer, channels, final_relu=False, progress=progress))
    if signed[0].shape != signed[1].shape:
        raise ValueError(
            f"The patterns of {layer!r} have the shape {signed[0].shape} in {model_a.name!r}, but {signed[1].shape} in "
            f"{model_b.name!r}. Expected two models with this layer, its channels and its receptive field alike."
        )
    numbers = np.arange(len(signed[0])) if channels is None else np.atleast_1d(np.asarray(channels))
    left, right = (np.maximum(one, 0) for one in signed)
    scores = [[center_surround(one) for one in each] for each in signed]
    table = pd.DataFrame({"channel": numbers, "similarity": _cosines(left, right)})
    for side, found in zip(("left", "right"), scores, strict=True):
        table[f"center_surround_{side}"] = [one.score for one in found]
        table[f"symmetry_{side}"] = [one.symmetry for one in found]
    return Comparison(numbers, left, right, table)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = (one.reshape(len(one), -1).astype(np.float64) for one in (left, right))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide((left * right).sum(axis=1), lengths, out=np.full(len(left), np.nan), where=lengths > 0)
