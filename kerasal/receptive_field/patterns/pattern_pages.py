"""Pictures of patterns: tiles, sheets, the spread of one, and the bars of its validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kerasal import images
from kerasal.receptive_field.patterns.comparison import Comparison
from kerasal.receptive_field.patterns.pattern_experiments import Propagation

_OWN, _OTHER = "#D55E00", "#0072B2"  # orange and blue of Okabe & Ito's palette


def paint_tiles(patterns: np.ndarray, *, limit: float | None = None, bgr: bool = False) -> np.ndarray:
    """Turn patterns (K, h, w, C) into uint8 (K, h, w, 3).

    Each runs from its own smallest value to its own largest, or all from 0 to ``limit``, beyond which they are cut off.
    ``bgr`` says that the channels are blue, green, red. Other than three channels become the gray of their mean. An
    empty pattern is black.
    """
    values = np.asarray(patterns, dtype=np.float64)
    values = values if values.shape[-1] == 3 else np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
    low = 0.0 if limit is not None else values.min(axis=(1, 2, 3), keepdims=True)
    span = limit if limit is not None else values.max(axis=(1, 2, 3), keepdims=True) - low
    scaled = np.divide(values - low, span, out=np.zeros_like(values), where=np.broadcast_to(span, values.shape) > 0)
    drawn = np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return drawn[..., ::-1] if bgr else drawn


def draw_patterns(
    patterns: np.ndarray, channels: Sequence[int], *, title: str = "", note: str = "", bgr: bool = False
) -> np.ndarray:
    """Lay patterns out eight per row, each under its channel's number; what paints nothing is said to be silent."""
    labels = [f"{n}" if one.any() else f"{n} silent" for n, one in zip(channels, patterns, strict=True)]
    scale = "each from its own darkest to its own brightest value"
    if not np.all([one.any() for one in patterns]):
        scale += "; silent: nothing positive is left"
    note = f"{note}; {scale}" if note else scale
    columns = min(8 if len(patterns) <= 64 else 16, len(patterns))
    return images.grid(list(paint_tiles(patterns, bgr=bgr)), labels, columns=columns, title=title, note=note, tile=84)


def draw_comparison(
    comparison: Comparison,
    titles: tuple[str, str],
    *,
    title: str = "",
    notes: tuple[str, str] = ("", ""),
    bgr: bool = False,
) -> np.ndarray:
    """Lay both models' patterns side by side, the same channel at the same place, with its similarity on the right."""
    labels = [f"{n}" for n in comparison.channels]
    alike = [
        f"{n}: " + ("silent" if np.isnan(one) else f"{one:.2f}")
        for n, one in zip(comparison.channels, comparison.table["similarity"], strict=True)
    ]
    right = "; ".join(filter(None, [notes[1], "after each number: cosine with the left"]))
    sides = ((comparison.left, labels, notes[0]), (comparison.right, alike, right))
    panels = [
        images.grid(
            list(paint_tiles(one, bgr=bgr)), names, columns=min(8, len(labels)), title=heading, note=note, tile=72
        )
        for (one, names, note), heading in zip(sides, titles, strict=True)
    ]
    return images.sheet(panels, columns=2, title=title)


def draw_propagation(found: Propagation, *, title: str = "", bgr: bool = False) -> np.ndarray:
    """Draw the pattern at each constant in one brightness range, 0 to its largest value at c = 1, and the area."""
    drawn = paint_tiles(found.patterns, limit=found.limit, bgr=bgr)
    labels = [f"c = {c:g}: {area} px" for c, area in zip(found.constants, found.table["area"], strict=True)]
    note = (
        f"all drawn from 0 to {found.limit:.3g}, the largest value at c = 1; area: pixels above {found.threshold:.3g}"
    )
    panels = images.grid(list(drawn), labels, columns=min(3, len(drawn)), title=title, note=note, tile=200)
    canvas, axes = _figure(panels.shape[1], 260)
    axes.plot(found.table["constant"], found.table["area"], "o-", color=_OTHER)
    axes.set_xlabel("c, the value that the unit is clamped to")
    axes.set_ylabel("pixels reached")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return np.concatenate([panels, _render(canvas)[:, : panels.shape[1]]])


def draw_validation(frame: pd.DataFrame, *, title: str = "") -> np.ndarray:
    """Draw every channel's answer to the pattern as a bar, the clamped one in orange, as uint8 RGB (H, W, 3)."""
    own, answers = frame.attrs["channel"], frame["activation"].to_numpy()
    canvas, axes = _figure(1100, 380)
    axes.bar(frame["channel"], answers, width=1.0 if len(answers) > 100 else 0.8, color=_OTHER)
    axes.bar([own], answers[own], width=max(0.8, len(answers) / 200), color=_OWN, label=f"clamped: {own}")
    axes.axhline(float(answers[own]), color=_OWN, linewidth=0.8, linestyle="--")
    axes.set_xlim(-1, len(answers))
    axes.set_xlabel(f"channel of {frame.attrs['layer']}")
    axes.set_ylabel("sum over the map")
    rank, above, silent = (frame.attrs[name] for name in ("rank", "above", "silent"))
    axes.set_title(f"{title}\nrank {rank} of {len(answers)}: {above} channels above, {silent} silent".strip())
    axes.legend(loc="upper right")
    return _render(canvas)


def _figure(width: int, height: int) -> tuple[FigureCanvasAgg, Any]:
    canvas = FigureCanvasAgg(Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained"))
    return canvas, canvas.figure.subplots()


def _render(canvas: FigureCanvasAgg) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
