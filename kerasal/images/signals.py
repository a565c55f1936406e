"""Draw signals with a map: a line per channel that is colored where the map is strong, with axes in real units."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kerasal.checks import check_int, check_number, refuse_mask
from kerasal.images.colormaps import choose_colors
from kerasal.images.drawings import scale_map
from kerasal.images.image_check import check_map
from kerasal.images.lettering import FAINT, INK, LINE, abbreviate, font, line_height, type_size

MOST_CHANNELS = 32
_MARGIN, _GAP = 12, 6
_QUIET = np.array((125, 125, 125), np.float64)  # the line where the map is 0
_FRACTION = 4  # bits of OpenCV's coordinates below one pixel
_LANE = (230, 40)  # height of the lane of a single channel, and the least height of one of many
_LANES = 620  # height of all lanes together, where the channels are many


@dataclasses.dataclass(frozen=True)
class _Lane:
    """Where a channel is drawn: its pixels on the page, and the values at its lower and upper edge."""

    top: int
    bottom: int
    low: float
    high: float

    def y(self, values: np.ndarray) -> np.ndarray:
        return self.bottom - (np.asarray(values) - self.low) / (self.high - self.low) * (self.bottom - self.top)


def signal(
    series: np.ndarray,
    values: np.ndarray | None = None,
    *,
    signed: bool | None = None,
    rate: float | None = None,
    names: Sequence[str] | None = None,
    strength: float = 0.6,
    colormap: str | None = None,
    width: int = 900,
) -> np.ndarray:
    """Return a signal as a line per channel, colored by a map, on white with axes, uint8 RGB (height, width, 3).

    The line is thin and gray where the map is 0, thick and colored where it is strong, and the ground behind it is
    tinted in the same color. Unsigned maps run from gray through orange to dark red; in signed maps positive values are
    red and negative values blue. Each channel has its own vertical scale; all channels share the colors. A signal with
    more samples than pixels is drawn with the range of values, and the strongest value of the map, of each column.

    Args:
        series: the signal, (T,) or (T, C). Of more than 32 channels, those with the strongest map are drawn.
        values: the map, a value per sample, (T,) for all channels or (T, C); None draws the signal alone.
        signed: whether negative values of the map are drawn; otherwise they count as zero. By default they are if there
            are any.
        rate: samples per second, for an axis in seconds; by default the axis counts samples.
        names: names of the channels; by default their numbers if there are several.
        strength: opacity of the colors, 0..1.
        colormap: name of a colormap of matplotlib, diverging for a signed map and sequential for others.
        width: width of the picture in pixels.

    Raises:
        ValueError: not a signal, a map of another length or number of channels, NaN or infinite values, another number
            of names than channels, or an invalid ``rate``, ``strength``, ``colormap`` or ``width``.
    """
    series = check_signal(series)
    check_int("width", width, 200)
    strength = check_number("strength", strength, minimum=0, maximum=1)
    rate = None if rate is None else check_number("rate", rate, above=0, none="None")
    if names is not None and len(names) != series.shape[1]:
        raise ValueError(f"names must hold {series.shape[1]} texts, one per channel, got {len(names)}.")
    heat = _check_heat(values, series)
    signed = bool((heat < 0).any()) if signed is None else signed
    scaled = scale_map(heat if signed else np.maximum(heat, 0), None)
    palette = choose_colors(colormap, signed=signed, usual="signal").astype(np.float64)
    shown = _choose_channels(scaled)
    titles = list(names) if names is not None else [f"channel {number}" for number in range(series.shape[1])]
    titles = [str(titles[number]) for number in shown] if series.shape[1] > 1 or names is not None else [""]

    face = font(type_size(width))
    left, lanes = _lay_out(series[:, shown], titles, face, width)
    right = width - _MARGIN
    canvas = np.full((lanes[-1].bottom + _GAP + 2 * line_height(face) + 12, width, 3), 255, np.uint8)
    for lane, channel in zip(lanes, shown, strict=True):
        at, drawn, weights = _columns(series[:, channel], scaled[:, channel], left, right)
        colors = palette[np.round(127.5 + 127.5 * weights if signed else 255 * weights).astype(int)]
        _tint(canvas[lane.top : lane.bottom + 1], at, colors, 0.45 * strength * np.abs(weights))
        _draw_line(canvas, at, lane.y(drawn), colors, np.minimum(2 * np.abs(weights), 1) * min(1.0, 2 * strength))
    page = Image.fromarray(canvas)
    draw = ImageDraw.Draw(page)
    for lane, title in zip(lanes, titles, strict=True):
        _label_lane(draw, lane, title, left, right, face)
    _draw_axis(draw, len(series), rate, left, right, lanes[-1].bottom, face)
    return np.array(page)


def check_signal(values: np.ndarray) -> np.ndarray:
    """Return a signal as float64 (T, C); raise ValueError for another shape, other values than numbers, or NaN."""
    refuse_mask(values, "the signal")
    series = np.asarray(values)
    if series.ndim == 1:
        series = series[:, None]
    if series.ndim != 2 or not series.size or series.dtype.kind not in "biuf":
        raise ValueError(
            f"A signal must be numbers (T,) or (T, C) with at least one sample, got {np.asarray(values).dtype} "
            f"{np.shape(values)}. Pass one signal at a time."
        )
    series = series.astype(np.float64)
    if not np.isfinite(series).all():
        bad = np.count_nonzero(~np.isfinite(series))
        raise ValueError(f"A signal must be finite, got {bad} NaN or infinite values. Replace them first.")
    return series


def _check_heat(values: np.ndarray | None, series: np.ndarray) -> np.ndarray:
    """Return the map as (T, C), zeros without a map."""
    if values is None:
        return np.zeros_like(series)
    heat = check_map(values, "(T,)", "(T, C)")
    heat = heat[:, None] if heat.ndim == 1 else heat
    if len(heat) != len(series) or heat.shape[1] not in (1, series.shape[1]):
        raise ValueError(
            f"The map must be {(len(series),)} or {series.shape}, as the signal, got {np.shape(values)}. Pass the "
            "map of this signal."
        )
    return np.broadcast_to(heat, series.shape)


def _choose_channels(scaled: np.ndarray) -> list[int]:
    """Return the numbers of the channels to draw: all, or those with the strongest map."""
    order = np.argsort(-np.abs(scaled).max(axis=0), kind="stable")
    return sorted(int(channel) for channel in order[:MOST_CHANNELS])


def _lay_out(
    series: np.ndarray, titles: Sequence[str], face: ImageFont.FreeTypeFont, width: int
) -> tuple[int, list[_Lane]]:
    """Return the left end of the lines, right of all texts, and the lane of each channel."""
    count = series.shape[1]
    largest, least = _LANE
    height = max(least, 2 * line_height(face) + 4, min(largest, _LANES // count))
    lanes = []
    for channel in range(count):
        low, high = float(series[:, channel].min()), float(series[:, channel].max())
        room = 0.06 * (high - low) or max(abs(high), 1.0) / 2
        top = _MARGIN + channel * (height + _GAP)
        lanes.append(_Lane(top, top + height, low - room, high + room))
    texts = [*titles, *(text for lane in lanes for text in _limits(lane))]
    return min(width // 3, int(max(face.getlength(text) for text in texts)) + _MARGIN + 8), lanes


def _limits(lane: _Lane) -> tuple[str, str]:
    """Return the lower and upper limit of a lane as texts with as many digits as tell them apart."""
    span = lane.high - lane.low
    digits = int(np.clip(1 - np.floor(np.log10(span)), 0, 6)) if np.isfinite(np.log10(span)) else 0
    if max(abs(lane.low), abs(lane.high)) >= 1e5 or span < 1e-4:
        return f"{lane.low:.2g}", f"{lane.high:.2g}"
    return f"{lane.low:.{digits}f}", f"{lane.high:.{digits}f}"


def _columns(
    series: np.ndarray, weights: np.ndarray, left: int, right: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the x positions, values and weights of the points of a line, two per pixel where samples are many."""
    count, pixels = len(series), right - left - 1
    if count <= 2 * pixels:
        at = left + (np.arange(count) + 0.5) * (right - left) / count
        return at, series, weights
    edges = np.linspace(0, count, pixels + 1).astype(int)[:-1]
    lows, highs = np.minimum.reduceat(series, edges), np.maximum.reduceat(series, edges)
    most, least = np.maximum.reduceat(weights, edges), np.minimum.reduceat(weights, edges)
    strongest = np.where(most >= -least, most, least)
    at = left + 0.5 + np.arange(pixels)
    return np.repeat(at, 2), np.stack([lows, highs], axis=1).ravel(), np.repeat(strongest, 2)


def _tint(lane: np.ndarray, at: np.ndarray, colors: np.ndarray, opacity: np.ndarray) -> None:
    """Color the columns of a lane, interpolated between its points."""
    columns = np.arange(int(at[0]), int(np.ceil(at[-1])) + 1)
    weight = np.interp(columns, at, opacity)[:, None]
    ground = np.stack([np.interp(columns, at, colors[:, band]) for band in range(3)], axis=1)
    lane[:, columns] = np.round(255 * (1 - weight) + ground * weight)


def _draw_line(canvas: np.ndarray, at: np.ndarray, y: np.ndarray, colors: np.ndarray, weights: np.ndarray) -> None:
    """Draw a line between points; strong parts are thicker and drawn last, above weak ones."""
    points = np.round(np.stack([at, y], axis=1) * 2**_FRACTION).astype(int)
    if len(points) == 1:
        points, weights, colors = points.repeat(2, axis=0), weights.repeat(2), colors.repeat(2, axis=0)
    middle = (weights[:-1] + weights[1:]) / 2
    mixed = _QUIET * (1 - weights[:, None]) + colors * weights[:, None]
    mixed = (mixed[:-1] + mixed[1:]) / 2
    for number in np.argsort(middle, kind="stable"):
        ends = points[number].tolist(), points[number + 1].tolist()
        thickness = 1 + round(3 * float(middle[number]))
        cv2.line(canvas, *ends, mixed[number].tolist(), thickness, cv2.LINE_AA, _FRACTION)


def _label_lane(
    draw: ImageDraw.ImageDraw, lane: _Lane, title: str, left: int, right: int, face: ImageFont.FreeTypeFont
) -> None:
    """Draw the frame of a lane, and its name between the limits of its values."""
    draw.rectangle((left, lane.top, right, lane.bottom), outline=LINE)
    end, room = left - 6, left - 6 - _MARGIN
    low, high = _limits(lane)
    for text, y in ((high, lane.top), (low, lane.bottom - line_height(face))):
        draw.text((end - face.getlength(text), y), text, fill=FAINT, font=face)
    if title and lane.bottom - lane.top >= 3 * line_height(face):
        line = abbreviate(title, face, room)
        y = (lane.top + lane.bottom - line_height(face)) / 2
        draw.text((end - face.getlength(line), y), line, fill=INK, font=face)
    elif title:
        draw.text((left + 6, lane.top + 2), abbreviate(title, face, right - left), fill=INK, font=face)


def _draw_axis(
    draw: ImageDraw.ImageDraw,
    count: int,
    rate: float | None,
    left: int,
    right: int,
    y: int,
    face: ImageFont.FreeTypeFont,
) -> None:
    """Draw ticks at round numbers of samples or seconds below the lanes, and the unit below them."""
    length = count / rate if rate else float(count)
    step = _round_step(length * 90 / (right - left))
    step = step if rate else max(1.0, step)
    for value in np.arange(0, length, step):
        x = left + (value + (0 if rate else 0.5)) / length * (right - left)
        draw.line((x, y, x, y + 4), fill=INK)
        text = f"{value:g}"
        draw.text((x - face.getlength(text) / 2, y + 5), text, fill=FAINT, font=face)
    unit = "seconds" if rate else "sample"
    draw.text((right - face.getlength(unit), y + 5 + line_height(face)), unit, fill=INK, font=face)


def _round_step(least: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of 10 that is at least ``least``."""
    power = 10.0 ** np.floor(np.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
