"""Pictures of patterns: tiles, sheets, the propagation of a pattern, and the bar chart of its validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kerasal import images
from kerasal.names import renamed_arguments
from kerasal.receptive_field.patterns.comparison import Comparison
from kerasal.receptive_field.patterns.pattern_experiments import Propagation

_HIGHLIGHT_COLOR, _BAR_COLOR = "#D55E00", "#0072B2"  # orange and blue of Okabe & Ito's palette


def render_tiles(patterns: np.ndarray, *, limit: float | None = None, bgr: bool = False) -> np.ndarray:
    """Return patterns (K, h, w, C) as RGB images, uint8 (K, h, w, 3).

    Each pattern is scaled from its smallest to its largest value. With ``limit``, all are scaled from 0 to ``limit``,
    and larger values are clipped. ``bgr=True`` means that the channels are blue, green, red. Unless there are three
    channels, their mean is drawn in gray. An empty pattern is black.
    """
    values = np.asarray(patterns, dtype=np.float64)
    values = values if values.shape[-1] == 3 else np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
    low = 0.0 if limit is not None else values.min(axis=(1, 2, 3), keepdims=True)
    span = limit if limit is not None else values.max(axis=(1, 2, 3), keepdims=True) - low
    scaled = np.divide(values - low, span, out=np.zeros_like(values), where=np.broadcast_to(span, values.shape) > 0)
    tiles = np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return tiles[..., ::-1] if bgr else tiles


def draw_patterns(
    patterns: np.ndarray, channels: Sequence[int], *, title: str = "", note: str = "", bgr: bool = False
) -> np.ndarray:
    """Draw patterns in a grid, each labeled with the number of its channel; silent channels are listed below it.

    Args:
        patterns: float (K, h, w, C), result of ``patterns``.
        channels: the K channel numbers.
        title: line above the picture.
        note: line below the picture, before the description of the scale.
        bgr: whether the channels of the patterns are blue, green, red.

    Returns:
        uint8 RGB (H, W, 3), with up to 8 patterns per row, or 16 for more than 64 patterns.
    """
    drawn = [bool(pattern.any()) for pattern in patterns]
    drawn = drawn if any(drawn) else [True] * len(drawn)
    sentences = [f"{note}."] if note else []
    sentences.append("Each pattern has its own scale.")
    if patterns.shape[-1] == 3:
        sentences.append("Colors: its red, green and blue channels.")
    silent = [str(channel) for channel, shown in zip(channels, drawn, strict=True) if not shown]
    if silent:
        verb = "is" if len(silent) == 1 else "are"
        sentences.append(
            f"{len(silent)} of {len(patterns)} channels {verb} silent, their patterns have no positive values: "
            f"{', '.join(silent)}."
        )
    tiles = [tile for tile, shown in zip(render_tiles(patterns, bgr=bgr), drawn, strict=True) if shown]
    labels = [str(channel) for channel, shown in zip(channels, drawn, strict=True) if shown]
    columns = min(8 if len(tiles) <= 64 else 16, len(tiles))
    legend = [("gray", "smallest value of the pattern", "largest")]
    return images.grid(tiles, labels, columns=columns, title=title, note=" ".join(sentences), legend=legend, tile=84)


def draw_comparison(
    comparison: Comparison,
    titles: tuple[str, str],
    *,
    title: str = "",
    notes: tuple[str, str] = ("", ""),
    bgr: bool = False,
) -> np.ndarray:
    """Draw the patterns of two models side by side, with each channel at the same position on both sides.

    Args:
        comparison: result of ``compare_patterns``.
        titles: names of the two models, above their sides.
        title: line above the picture.
        notes: a line below each side.
        bgr: whether the channels of the patterns are blue, green, red.

    Returns:
        uint8 RGB (H, W, 3); the labels on the right contain the cosine similarity to the left.
    """
    labels = [f"{channel}" for channel in comparison.channels]
    similarities = [
        f"{channel}: " + ("silent" if np.isnan(similarity) else f"{similarity:.2f}")
        for channel, similarity in zip(comparison.channels, comparison.table["similarity"], strict=True)
    ]
    right = "; ".join(
        filter(None, [notes[1], "channel: cosine similarity to the left; silent: a pattern without positive values"])
    )
    sides = ((comparison.left, labels, notes[0]), (comparison.right, similarities, right))
    panels = [
        images.grid(
            list(render_tiles(patterns, bgr=bgr)), names, columns=min(8, len(labels)), title=heading, note=note, tile=72
        )
        for (patterns, names, note), heading in zip(sides, titles, strict=True)
    ]
    return images.sheet(panels, columns=2, title=title)


@renamed_arguments(found="propagation")
def draw_propagation(propagation: Propagation, *, title: str = "", bgr: bool = False) -> np.ndarray:
    """Draw the patterns of a propagation on a common brightness scale, and the covered area as a curve below.

    Args:
        propagation: result of ``propagation``.
        title: line above the picture.
        bgr: whether the channels of the patterns are blue, green, red.

    Returns:
        uint8 RGB (H, W, 3); brightness runs from 0 to the largest value at c = 1.
    """
    tiles = render_tiles(propagation.patterns, limit=propagation.limit, bgr=bgr)
    labels = [f"c = {c:g}: {area} px" for c, area in zip(propagation.constants, propagation.table["area"], strict=True)]
    note = f"px: number of pixels above {propagation.threshold:.3g}. All patterns have the same scale."
    legend = [("gray", "0", f"{propagation.limit:.3g}, the largest value at c = 1")]
    panels = images.grid(
        list(tiles), labels, columns=min(3, len(tiles)), title=title, note=note, legend=legend, tile=200
    )
    canvas, axes = _figure(panels.shape[1], 260)
    axes.plot(propagation.table["constant"], propagation.table["area"], "o-", color=_BAR_COLOR)
    axes.set_xlabel("c: value that the unit is clamped to")
    axes.set_ylabel("pixels above threshold")
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.grid(alpha=0.3)
    return np.concatenate([panels, _render(canvas)[:, : panels.shape[1]]])


def draw_validation(frame: pd.DataFrame, *, title: str = "") -> np.ndarray:
    """Draw the response of every channel to a pattern as a bar chart, with the pattern's own channel in orange.

    Args:
        frame: result of ``validate_pattern``.
        title: line above the chart.

    Returns:
        uint8 RGB (H, W, 3).
    """
    channel, responses = frame.attrs["channel"], frame["activation"].to_numpy()
    canvas, axes = _figure(1100, 380)
    axes.bar(frame["channel"], responses, width=1.0 if len(responses) > 100 else 0.8, color=_BAR_COLOR)
    axes.bar(
        [channel],
        responses[channel],
        width=max(0.8, len(responses) / 200),
        color=_HIGHLIGHT_COLOR,
        label=f"channel of the pattern: {channel}",
    )
    axes.axhline(float(responses[channel]), color=_HIGHLIGHT_COLOR, linewidth=0.8, linestyle="--")
    axes.set_xlim(-1, len(responses))
    axes.set_xlabel(f"channel of {frame.attrs['layer']}")
    axes.set_ylabel("response, summed over the map")
    rank, above, silent = (frame.attrs[name] for name in ("rank", "above", "silent"))
    summary = f"channel {channel} has rank {rank} of {len(responses)}: {above} respond more, {silent} not at all"
    axes.set_title(f"{title}\n{summary}".strip())
    canvas.figure.legend(loc="outside lower right")  # inside it would cover the tallest bars
    return _render(canvas)


def _figure(width: int, height: int) -> tuple[FigureCanvasAgg, Any]:
    canvas = FigureCanvasAgg(Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained"))
    return canvas, canvas.figure.subplots()


def _render(canvas: FigureCanvasAgg) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
