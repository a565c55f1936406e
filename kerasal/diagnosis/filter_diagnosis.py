"""The diagnosis of a convolution: ``model, layer, images -> a row a filter``, and its filters as pictures."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import images as drawing
from kerasal import preprocessing as conventions
from kerasal.checks import check_number
from kerasal.diagnosis import filter_spectra
from kerasal.diagnosis.filter_spectra import find_kernels, respond
from kerasal.hooks.model_inputs import chunk_size
from kerasal.models.image_model import ImageModel
from kerasal.models.image_sources import ImageSource, open_source
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
    """Tell of each filter of a convolution which frequencies it sees, what its stride loses, and whether it is dead.

    A step of s pixels represents frequencies up to 1 / (2 s) cycles a pixel; whatever the filter lets through above
    that comes out as a lower frequency which is not there (aliasing). Zeiler & Fergus found AlexNet's first layer, 11 ×
    11 in steps of 4, full of extremely low and high frequencies with little between, its second full of aliasing, and
    made it 7 × 7 in steps of 2.

    Args:
        model: any built Keras model; it is not changed.
        layer: name or path of a convolution; by default the first one.
        images: what ``kerasal.receptive_field.top_exemplars`` takes: files or a folder, an array, or batches. Without
            any, only the weights are judged.
        low: frequencies below count as low, in cycles a pixel; by default those of waves longer than 8 pixels.
        high: frequencies from here on count as high; by default waves up to 4 pixels long.
        dead_below: a filter is dead whose strongest activation on all images (without images, whose RMS weight) is at
            most this share of the median filter's, or not above 0.
        preprocessing: the model's pixel convention, for files and uint8.
        fit: cut pictures to the model's shape (``"crop"``), or ``"stretch"`` them.
        size: (height, width) for a model that takes any; 224 × 224 by default.
        batch_size: images in one forward pass.
        progress: show a bar.

    Returns:
        A row a filter, with the columns

        ``channel``; ``rms``, of its weights;
        ``low``, ``middle``, ``high``, the shares of its energy at these frequencies, and ``extreme``, low and high
        together. Random weights have .05, .15 and .80 at the default bounds;
        ``aliasing``, the share of its energy above what the stride represents: what would be lost of white noise.
        Random weights have 1 − 1 / s², .75 for a step of 2, .94 for 4;
        ``nearest``, the largest |cosine| to another filter of the layer, 1 for a copy; NaN for a single filter;
        ``dead``; a filter with NaN or infinite weights is not dead but broken: a warning names it, its numbers are NaN;
        and with images ``peak``, the strongest activation on all of them, ``active``, the share of positions at which
        it is above 0, and ``aliasing_images``, the share of the response's variation on these images above what the
        stride represents. A filter without weights has NaN shares.

        ``attrs`` has ``layer``, ``kernel``, ``stride``, ``images`` and ``skipped``.

    Raises:
        ValueError: an unknown layer, one that is no convolution, unusable bounds, or no readable image.

    Source: Zeiler & Fergus 2014, section 4.1 and figure 6. The measures are ours: the paper judges by eye.
    """
    if not 0 < low < high <= 0.5:
        raise ValueError(f"Bounds are 0 < low < high <= 0.5 cycles a pixel. Received: low={low!r}, high={high!r}.")
    check_number("dead_below", dead_below, minimum=0, below=1)
    path, kernels, stride, dilation = find_kernels(model, layer)
    flat = kernels.reshape(-1, kernels.shape[-1]).astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(flat).all(axis=0))
    if broken.size:
        warnings.warn(
            f"{len(broken)} filters of {path!r} hold NaN or infinite weights: {broken.tolist()}.", stacklevel=2
        )
    spectra = filter_spectra.measure_power(kernels, dilation)
    below, between, above = filter_spectra.share_bands(*spectra, low, high)
    table = pd.DataFrame(
        {
            "channel": np.arange(flat.shape[1]),
            "rms": np.sqrt(np.square(flat).mean(axis=0)),
            "low": below,
            "middle": between,
            "high": above,
            "extreme": below + above,
            "aliasing": filter_spectra.share_lost(*spectra, stride),
            "nearest": _nearest(flat),
        }
    )
    seen, skipped = 0, []
    if images is not None:
        convention = None if preprocessing is None else conventions.get(preprocessing)
        own = ImageModel(model, convention, size=size, fit=fit)
        seen, skipped, found = _on_images(open_source(images, own), path, batch_size, progress)
        table = table.assign(**found)
    strength = table["rms" if images is None else "peak"].to_numpy(np.float64).copy()
    strength[broken] = np.nan  # a maximum of NaN may come out as 0
    table["dead"] = _dead(strength, dead_below)
    table.attrs = {"layer": path, "kernel": kernels.shape[:2], "stride": stride, "images": seen, "skipped": skipped}
    return table


def describe_filters(table: pd.DataFrame) -> list[str]:
    """Return what a diagnosis says, as lines: sizes, frequencies, aliasing, dead and doubled filters.

    Args:
        table: of ``filter_diagnosis``.
    """
    about, mean = table.attrs, table.mean(numeric_only=True)
    height, width = about["kernel"]
    lines = [
        f"{about['layer']}: {len(table)} filters of {height} × {width} in steps of {_format_stride(about['stride'])}",
        f"energy at low, middle and high frequencies: {mean['low']:.2f}, {mean['middle']:.2f}, {mean['high']:.2f} "
        "(random weights: .05, .15, .80)",
        f"energy above what the steps represent: {mean['aliasing']:.2f} "
        f"(random weights: {1 - 1 / (about['stride'][0] * about['stride'][1]):.2f})",
    ]
    if about["images"]:
        lines.append(f"of the responses to {about['images']:,} images: {mean['aliasing_images']:.2f}")
    dead = table.loc[table["dead"], "channel"].tolist()
    shown = ", ".join(map(str, dead[:20])) + (", …" if len(dead) > 20 else "")
    lines.append(f"dead (at most 1 % of the median filter's strength): {len(dead)}" + (f" ({shown})" if dead else ""))
    lines.append(f"doubled (|cosine| to another filter above .9): {np.count_nonzero(table['nearest'] > 0.9)}")
    return lines


def _on_images(source: ImageSource, path: str, batch_size, progress: bool) -> tuple[int, list, dict]:
    """Return how many images were looked at, the unreadable ones, and the columns that they give."""
    batch_size = batch_size or chunk_size([np.broadcast_to(0.0, (1, *source.shape))])
    seen, peak = 0, []
    active = energy = beyond = np.zeros(1, np.float32)
    with progress_bar("Responses", source.total, progress) as advance:
        for numbers, inputs in source.batches(batch_size):
            strongest, above, whole, part = respond(source.model.keras_model, path, inputs)
            peak.append(strongest.max(axis=0))
            active, energy, beyond = active + above.sum(axis=0), energy + whole.sum(axis=0), beyond + part.sum(axis=0)
            seen += len(numbers)
            advance(len(numbers))
    if not seen:
        raise ValueError(f"Not one image could be read: {source.skipped[:5]}.")
    # A response that is constant has no variation but rounding errors.
    negligible = energy <= 1e-10 * np.max(energy)
    columns = {
        "peak": np.max(peak, axis=0),
        "active": active / seen,
        "aliasing_images": np.where(negligible, np.nan, filter_spectra.divide(beyond, energy)),
    }
    return seen, [name for name, _ in source.skipped], columns


def _format_stride(stride: tuple[int, int]) -> str:
    return " × ".join(str(side) for side in dict.fromkeys(stride))


def _nearest(flat: np.ndarray) -> np.ndarray:
    """Return each filter's largest |cosine| to another; NaN for one that is not finite, or that has no other."""
    norms = np.linalg.norm(flat, axis=0)
    sound = np.isfinite(norms)
    unit = np.where(sound, flat, 0) / np.where(sound & (norms > 0), norms, 1)
    cosines = np.abs(unit.T @ unit)
    np.fill_diagonal(cosines, -1)
    cosines[:, ~sound] = -1
    found = cosines.max(axis=1)
    return np.where(sound & (found >= 0), found, np.nan)


def _dead(strength: np.ndarray, dead_below: float) -> np.ndarray:
    """Tell which filters are dead; one whose strength is not finite is broken, which its ``rms`` says."""
    sound = np.isfinite(strength)
    if not sound.any():
        return np.zeros(len(strength), bool)
    return sound & (np.where(sound, strength, 0) <= max(dead_below * np.median(strength[sound]), 0))


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
    """Draw the kernels of a convolution that sees 1 or 3 channels: middle gray is 0, colors are those of the weights.

    Args:
        model: a built model.
        layer: name or path; by default the first convolution.
        table: what ``filter_diagnosis`` said; then dead filters are marked.
        channels: which, in this order; by default all.
        bgr: the model's preprocessing swaps the channels.
        scale: each filter by its own largest weight, or all by that of the layer, so that weak ones look weak.
        columns: filters a row.
        tile: side of a picture in pixels.
        title: above everything; by default the layer, its kernel and its stride.

    Returns:
        uint8 RGB.

    Raises:
        ValueError: filters that see neither 1 nor 3 channels, or no such layer or channel.
    """
    path, kernels, stride, _ = find_kernels(model, layer)
    height, width, seen, count = kernels.shape
    if seen not in (1, 3):
        raise ValueError(
            f"The filters of {path!r} see {seen} channels; only those that see 1 or 3 have colors. "
            "kerasal.receptive_field.patterns draws the others."
        )
    chosen = list(range(count)) if channels is None else list(channels)
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise ValueError(f"There are {count} filters, counted from 0. Received: {channels!r}.")
    if bgr:
        kernels = kernels[:, :, ::-1]
    limit = float(np.abs(kernels).max()) or 1.0
    own = np.abs(kernels).max(axis=(0, 1, 2))
    pictures = [
        drawing.relief(kernels[..., one], limit=limit if scale == "layer" else float(own[one]) or 1.0) for one in chosen
    ]
    dead = set() if table is None else set(table.loc[table["dead"], "channel"])
    steps = _format_stride(stride)
    return drawing.grid(
        pictures,
        [f"{one} dead" if one in dead else str(one) for one in chosen],
        columns=min(columns, len(chosen)),
        title=f"{model.name}, {path}: {height} × {width} in steps of {steps}" if title is None else title,
        note="middle gray is 0; each filter up to its own largest weight"
        if scale == "filter"
        else f"middle gray is 0; full color is a weight of {limit:.3g}",
        tile=tile,
    )
