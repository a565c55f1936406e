"""Diagnosis of the filters of a convolution: frequencies, aliasing, dead and duplicate filters, and pictures."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import images as drawing
from kerasal import preprocessing as conventions
from kerasal.checks import check_number
from kerasal.diagnosis import filter_spectra
from kerasal.diagnosis.filter_spectra import find_kernels, response_statistics
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import ImageSource, open_source
from kerasal.names import describe_skipped
from kerasal.progress import progress_bar

import keras


def filter_diagnosis(
    model: keras.Model,
    layer: str | None = None,
    images: Any = None,
    *,
    low: float = 0.125,
    high: float = 0.25,
    dead_below: float = 0.01,
    preprocessing: str | conventions.Preprocessing | None = None,
    fit: Literal["crop", "stretch"] = "crop",
    size: tuple[int, int] | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Return the frequencies of each filter of a convolution, its aliasing, and whether it is dead or a duplicate.

    A stride of s pixels represents frequencies up to 1 / (2 s) cycles per pixel. Higher frequencies that a filter
    passes appear as lower frequencies that are not in the image (aliasing). Zeiler & Fergus saw mostly very low and
    very high frequencies in AlexNet's first layer, with 11 × 11 filters and stride 4, and aliasing in the second. They
    changed the first layer to 7 × 7 filters and stride 2.

    Args:
        model: any built Keras model; it is not changed.
        layer: name or path of a convolution; by default the first one.
        images: files, a folder, an array, or an iterable of batches, as in ``kerasal.receptive_field.top_exemplars``.
            Without images, only the weights are analyzed.
        low: upper bound of low frequencies, in cycles per pixel; by default that of a wavelength of 8 pixels.
        high: lower bound of high frequencies, in cycles per pixel; by default that of a wavelength of 4 pixels.
        dead_below: a filter is dead if its maximum activation over all images is not above 0, or is at most this share
            of the median over filters. Without images, its RMS weight is used.
        preprocessing: the model's pixel convention, for files and uint8 arrays.
        fit: how images are fitted to the model's input size: ``"crop"`` around the center, or ``"stretch"``.
        size: (height, width) of the input for a model that takes any size; 224 × 224 by default.
        batch_size: number of images per forward pass.
        progress: show a progress bar.

    Returns:
        A frame with one row per filter and the columns

        - ``channel``, index of the filter, and ``rms``, the root mean square of its weights.
        - ``low``, ``middle``, ``high``: shares of its energy at these frequencies, and ``extreme``: that of low and
            high. Random weights have .05, .15 and .80 with the default bounds; a filter without weights has NaN.
        - ``aliasing``: share of its energy at frequencies that the stride s cannot represent, which is the share of
            white noise that is aliased. Random weights have 1 − 1 / s², .75 for stride 2 and .94 for stride 4.
        - ``nearest``: largest |cosine| to another filter of the layer, 1 for a duplicate; NaN for a single filter.
        - ``dead``: whether the filter is dead.
        - with images, ``peak``: maximum activation; ``active``: share of positions with an activation above 0;
            ``aliasing_images``: share of the energy of its response, without the mean, that is aliased.

        A filter with NaN or infinite weights is not dead; its measures are NaN, and a warning lists it. The ``attrs``
        hold ``layer``, ``kernel``, ``stride``, ``images`` (a number) and ``skipped`` (unreadable files).

    Raises:
        ValueError: if the layer is unknown or not a convolution, the bounds are invalid, or no image is readable.

    Source: Zeiler & Fergus 2014, section 4.1 and figure 6. The measures are specific to this package.
    """
    if not 0 < low < high <= 0.5:
        raise ValueError(
            f"low and high must satisfy 0 < low < high <= 0.5 cycles per pixel, got low={low!r} and high={high!r}."
        )
    check_number("dead_below", dead_below, minimum=0, below=1)
    path, kernels, stride, dilation = find_kernels(model, layer)
    flat = kernels.reshape(-1, kernels.shape[-1]).astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=0))
    if broken.size:
        warnings.warn(f"Filters of {path!r} have NaN or infinite weights: {broken.tolist()}.", stacklevel=2)
    spectra = filter_spectra.power_spectra(kernels, dilation)
    below, between, above = filter_spectra.band_shares(*spectra, low, high)
    table = pd.DataFrame(
        {
            "channel": np.arange(flat.shape[1]),
            "rms": np.sqrt(np.square(flat).mean(axis=0)),
            "low": below,
            "middle": between,
            "high": above,
            "extreme": below + above,
            "aliasing": filter_spectra.aliased_share(*spectra, stride),
            "nearest": _nearest_cosines(flat),
        }
    )
    seen, skipped = 0, []
    if images is not None:
        convention = None if preprocessing is None else conventions.get(preprocessing)
        source = open_source(images, ImageModel(model, convention, size=size, fit=fit))
        seen, skipped, response_columns = _summarize_responses(source, path, batch_size, progress)
        table = table.assign(**response_columns)
    strength = table["rms" if images is None else "peak"].to_numpy(np.float64).copy()
    strength[broken] = np.nan  # the maximum over NaN may be 0
    table["dead"] = _find_dead(strength, dead_below)
    table.attrs = {"layer": path, "kernel": kernels.shape[:2], "stride": stride, "images": seen, "skipped": skipped}
    return table


def describe_filters(table: pd.DataFrame) -> list[str]:
    """Return a summary of ``table``, the result of ``filter_diagnosis``, as lines of text."""
    attrs, mean = table.attrs, table.mean(numeric_only=True)
    height, width = attrs["kernel"]
    lines = [
        f"{attrs['layer']}: {len(table)} filters of {height} × {width} with stride {_format_stride(attrs['stride'])}",
        f"energy at low, middle and high frequencies: {mean['low']:.2f}, {mean['middle']:.2f}, {mean['high']:.2f} "
        "(random weights: .05, .15, .80)",
        f"share of energy aliased by the stride: {mean['aliasing']:.2f} "
        f"(random weights: {1 - 1 / (attrs['stride'][0] * attrs['stride'][1]):.2f})",
    ]
    if attrs["images"]:
        lines.append(f"share of the responses to {attrs['images']:,} images aliased: {mean['aliasing_images']:.2f}")
    dead = table.loc[table["dead"], "channel"].tolist()
    listed = ", ".join(map(str, dead[:20])) + (", …" if len(dead) > 20 else "")
    lines.append(f"dead (at most 1 % of the median filter's strength): {len(dead)}" + (f" ({listed})" if dead else ""))
    lines.append(f"near duplicates (|cosine| to another filter above .9): {np.count_nonzero(table['nearest'] > 0.9)}")
    return lines


def _summarize_responses(source: ImageSource, path: str, batch_size, progress: bool) -> tuple[int, list, dict]:
    """Return the number of readable images, the unreadable files, and the columns measured on the images."""
    batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, *source.shape))])
    seen, peak = 0, []
    active = energy = lost = np.zeros(1, np.float32)
    with progress_bar("Responses", source.total, progress) as advance:
        for numbers, inputs in source.batches(batch_size):
            strongest, positive, total, aliased = response_statistics(source.model.keras_model, path, inputs)
            peak.append(strongest.max(axis=0))
            active, energy, lost = active + positive.sum(axis=0), energy + total.sum(axis=0), lost + aliased.sum(axis=0)
            seen += len(numbers)
            advance(len(numbers))
    if not seen:
        raise ValueError(f"images must contain a readable image, but there is none. {describe_skipped(source.skipped)}")
    # The energy of a constant response is rounding error.
    negligible = energy <= 1e-10 * np.max(energy)
    columns = {
        "peak": np.max(peak, axis=0),
        "active": active / seen,
        "aliasing_images": np.where(negligible, np.nan, filter_spectra.divide(lost, energy)),
    }
    return seen, [name for name, _ in source.skipped], columns


def _format_stride(stride: tuple[int, int]) -> str:
    return " × ".join(str(side) for side in dict.fromkeys(stride))


def _nearest_cosines(flat: np.ndarray) -> np.ndarray:
    """Return the largest |cosine| of each filter to another filter; NaN if the filter or all others are not finite."""
    norms = np.linalg.norm(flat, axis=0)
    finite = np.isfinite(norms)
    unit = np.where(finite, flat, 0) / np.where(finite & (norms > 0), norms, 1)
    cosines = np.abs(unit.T @ unit)
    np.fill_diagonal(cosines, -1)
    cosines[:, ~finite] = -1
    largest = cosines.max(axis=1)
    return np.where(finite & (largest >= 0), largest, np.nan)


def _find_dead(strength: np.ndarray, dead_below: float) -> np.ndarray:
    """Return a mask of the dead filters; filters whose strength is not finite are not dead."""
    finite = np.isfinite(strength)
    if not finite.any():
        return np.zeros(len(strength), bool)
    return finite & (np.where(finite, strength, 0) <= max(dead_below * np.median(strength[finite]), 0))


def draw_filters(
    model: keras.Model,
    layer: str | None = None,
    *,
    table: pd.DataFrame | None = None,
    channels: Sequence[int] | None = None,
    bgr: bool = False,
    scale: Literal["filter", "layer"] = "filter",
    columns: int = 16,
    tile: int = 56,
    title: str | None = None,
) -> np.ndarray:
    """Draw the filters of a convolution with 1 or 3 input channels in the colors of their weights; middle gray is 0.

    Args:
        model: any built Keras model; it is not changed.
        layer: name or path of a convolution; by default the first one.
        table: result of ``filter_diagnosis``, to mark dead filters.
        channels: indices of the filters to draw, in this order; by default all.
        bgr: whether the input channels are blue, green, red.
        scale: ``"filter"`` scales each filter by its largest weight, ``"layer"`` all filters by the largest weight of
            the layer.
        columns: number of filters per row.
        tile: side of a filter's picture in pixels.
        title: line above the picture; by default the model, the layer, the kernel size and the stride.

    Returns:
        uint8 RGB (H, W, 3).

    Raises:
        ValueError: if the layer is unknown, does not have 1 or 3 input channels, or does not have these filters.
    """
    path, kernels, stride, _ = find_kernels(model, layer)
    height, width, input_channels, count = kernels.shape
    if input_channels not in (1, 3):
        raise ValueError(
            f"layer must have 1 or 3 input channels, got {path!r} with {input_channels}. Use "
            "kerasal.receptive_field.patterns for other layers."
        )
    chosen = [*(range(count) if channels is None else channels)]
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise ValueError(f"channels must be in 0..{count - 1}, got {channels!r}. Layer {path!r} has {count} filters.")
    kernels = kernels[:, :, ::-1] if bgr else kernels
    peaks = np.abs(kernels).max(axis=(0, 1, 2))
    limit = float(peaks.max()) or 1.0
    pictures = [
        drawing.relief(kernels[..., channel], limit=limit if scale == "layer" else float(peaks[channel]) or 1.0)
        for channel in chosen
    ]
    dead = () if table is None else set(table.loc[table["dead"], "channel"])
    stride_text = _format_stride(stride)
    return drawing.grid(
        pictures,
        [f"{channel}: dead" if channel in dead else str(channel) for channel in chosen],
        columns=min(columns, len(chosen)),
        title=f"{model.name}, {path}: {height} × {width} filters with stride {stride_text}" if title is None else title,
        note=("Each filter has its own scale." if scale == "filter" else "All filters have the same scale.")
        + " Middle gray: weight 0."
        + " Colors: the weights of the red, green and blue channels." * (input_channels == 3),
        legend=[("gray", "negative weight", "positive weight")]
        if scale == "filter"
        else [("gray", f"weight {-limit:.3g}", f"{limit:.3g}")],
        tile=tile,
    )
