"""A ``Ranking`` of attribution methods as an HTML page and as an image."""

import functools
import io
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from kerasal._version import __version__
from kerasal.attribution import comparison_pages
from kerasal.attribution.evaluation import Evaluation, metric_spec
from kerasal.attribution.evaluation.judgment import known_mean
from kerasal.names import group_skipped
from kerasal.page_templates import make_environment

_TEMPLATES = pathlib.Path(comparison_pages.__file__).parent / "templates"
_COLUMN = 0.2  # width of a column of numbers, as a share of the axes
_INK, _QUIET, _ACCENT, _PAPER = "#1b1b1a", "#63635e", "#0f6b6b", "#fcfcfa"
ORDER_NOTE = (
    "For each image and metric, methods and controls are ranked from the best; the mean over metrics and images orders "
    "them. A random map (of the same values and smoothness), a spot at the center and the edges of the image know "
    "nothing of the model: a method that is not better than they are has not shown that it does."
)


FILL_NOTE = (
    "Unless another fill was chosen, metrics replace what they remove by 0 of the model's input, which is black, the "
    "mean color or another value, by the preprocessing; so do methods with a fill or baseline."
)


def draw_html(ranking: Any, title: str, facts: Sequence[str]) -> str:
    """Return a self-contained HTML page: what follows, the order, each metric, and suggested options."""
    rows = _order_rows(ranking)
    return _template().render(
        title=title,
        facts=facts,
        sentences=ranking.conclusions,
        order=rows,
        order_note=ORDER_NOTE,
        metrics=[_metric_rows(ranking, name) for name in ranking.metrics],
        notes=ranking.notes,
        fill_note=FILL_NOTE,
        suggestions=[_suggestion_row(row) for row in ranking.suggestions.itertuples()],
        left_out=group_skipped(ranking.left_out),
        version=__version__,
    )


def draw_sheet(ranking: Any, title: str, facts: Sequence[str]) -> np.ndarray:
    """Return the order with intervals, verdicts, times and metrics as an image, uint8 RGB."""
    rows = _order_rows(ranking)
    lines = [line for text in [*facts, *ranking.conclusions, ORDER_NOTE] for line in textwrap.wrap(text, 150)]
    notes = len(textwrap.wrap(ORDER_NOTE, 150))
    height = 1.6 + 0.2 * len(lines) + 0.34 * len(rows)  # inches
    figure = Figure(figsize=(12, height), dpi=140, facecolor=_PAPER)
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=14, fontweight="bold", color=_INK)
    for number, line in enumerate(lines):
        is_quiet = number < len(facts) or number >= len(lines) - notes
        figure.text(0.02, 1 - (0.6 + 0.2 * number) / height, line, fontsize=9, color=_QUIET if is_quiet else _INK)
    columns = _sheet_columns(ranking)
    width = 0.79 / (1 + _COLUMN * len(columns))
    axes = figure.add_axes((0.19, 0.5 / height, width, 0.34 * len(rows) / height), facecolor=_PAPER)
    at_left = axes.get_yaxis_transform()
    for place, row in enumerate(reversed(rows)):
        color = _QUIET if row["control"] else _ACCENT
        axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=1.6, solid_capstyle="round")
        axes.plot(row["mean"], place, "o", color=color, markersize=6)
        style = {"fontsize": 9, "va": "center", "color": _QUIET if row["control"] else _INK}
        axes.text(-0.02, place, row["name"], ha="right", transform=at_left, **style)
        for column, values in enumerate(columns.values(), 1):
            axes.text(1 + _COLUMN * column, place, values[row["name"]], ha="right", transform=at_left, **style)
    for column, head in enumerate(columns, 1):
        style = {"ha": "right", "fontsize": 8, "color": _QUIET, "transform": at_left}
        axes.text(1 + _COLUMN * column, len(rows) - 0.3, head, **style)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_yticks([])
    axes.set_xlabel("mean rank (1 is best), 95 % interval over images", fontsize=8, color=_QUIET)
    axes.tick_params(labelsize=8, colors=_QUIET)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return np.array(Image.open(content).convert("RGB"))


def _sheet_columns(ranking: Any) -> dict[str, dict[str, str]]:
    """Return the columns beside the ranks, ``{head: {row: text}}``: metrics, the verdict and the time."""
    columns = {}
    for metric in ranking.metrics:
        means = ranking.order[metric].to_dict() if metric in ranking.order else {}
        results = {name: rows[metric].mean for name, rows in ranking.evaluations.items() if metric in rows}
        values = {name: means.get(name, results.get(name, np.nan)) for name in ranking.order.index}
        head = f"{metric}\n({metric_spec(metric).better})"
        columns[head] = {name: "" if np.isnan(value) else _number(value) for name, value in values.items()}
    verdicts = ranking.order["against_random"].str.removesuffix(" than random").str.removesuffix(" from random")
    columns["against a\nrandom map"] = verdicts.str.replace("not distinguishable", "not better").to_dict()
    seconds = ranking.order["seconds"].to_dict()
    columns["seconds\nper image"] = {name: "" if np.isnan(value) else f"{value:.2g}" for name, value in seconds.items()}
    return columns


def _order_rows(ranking: Any) -> list[dict[str, Any]]:
    """Return the rows of the order; places are in percent of the widest row."""
    order = ranking.order
    lows, highs = order["low"].fillna(order["mean_rank"]), order["high"].fillna(order["mean_rank"])
    first, last = float(np.min(lows)), float(np.max(highs))
    scale = 96 / max(last - first, 1e-9)
    rows = []
    for name, row in order.to_dict("index").items():
        mean, low, high = row["mean_rank"], float(lows[name]), float(highs[name])
        rows.append(
            {
                "name": str(name),
                "control": name not in ranking.evaluations,
                "mean": mean,
                "low": low,
                "high": high,
                "left": round(2 + (low - first) * scale, 1),
                "width": round((high - low) * scale, 1),
                "place": round(2 + (mean - first) * scale, 1),
                "rank": f"{mean:.1f}" if np.isnan(row["low"]) else f"{mean:.1f} [{low:.1f}, {high:.1f}]",
                "verdict": row["against_random"],
                "is_worse": name in ranking.evaluations and row["against_random"].startswith(("worse", "not")),
                "seconds": "" if np.isnan(row["seconds"]) else f"{row['seconds']:.2g}",
            }
        )
    return rows


def _metric_rows(ranking: Any, metric: str) -> dict[str, Any]:
    spec = metric_spec(metric)
    rows = []
    for method in ranking.methods:
        if metric not in ranking.evaluations[method]:
            continue
        result = ranking.evaluations[method][metric]
        low, high = result.interval
        controls = {name: _control(result, name) for name in ("random", "center", "edges")}
        verdict = result.verdict
        rows.append(
            {
                "name": method,
                "mean": _number(result.mean) + ("" if np.isnan(low) else f" [{_number(low)}, {_number(high)}]"),
                "verdict": verdict,
                "is_worse": verdict.startswith(("worse", "not")),
                **controls,
            }
        )
    better = spec.better.capitalize() if spec.better else "Neither"
    return {"name": metric, "summary": spec.summary, "reference": spec.reference, "better": better, "rows": rows}


def _control(result: Evaluation, name: str) -> str:
    values = result.controls.get(name)
    return "" if values is None or not np.isfinite(values).any() else _number(known_mean(values))


def _suggestion_row(row: Any) -> dict[str, str]:
    return {
        "method": row.method,
        "option": f"{row.option}={row.value!r}",
        "default": "" if row.default is None else repr(row.default),
        "share": f"{100 * row.share:.0f} % [{100 * row.low:.0f}, {100 * row.high:.0f}]",
        "holds": "yes" if row.holds else "no",
    }


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1g}"


@functools.cache
def _template() -> jinja2.Template:
    return make_environment(jinja2.FileSystemLoader(_TEMPLATES), {}).get_template("ranking.html")
