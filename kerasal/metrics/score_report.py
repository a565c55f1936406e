"""A table of scores as people read it: summary, definitions, the files, a box plot of every metric."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasal._version import __version__
from kerasal.files import replacing
from kerasal.metrics.blur import BASELINES
from kerasal.metrics.summary import summarize
from kerasal.store import write_json

_COLORS = ("#3b6ea5", "#c9c9c9", "#e0b35a")


class ScoreReport:
    """Scores of many images, from ``metrics.evaluate_folder`` or ``gaze.evaluate``.

    Args:
        table: one row per image, one column per metric (those of baselines prefixed), and ``error``: None, or why the
            image has no scores.
        definitions: column -> what it holds; by default ``table.attrs["definitions"]``.
        settings: what the scores depend on, for the file.
        notes: remarks on single images or the whole.

    Attributes:
        failed: name -> reason, of the images without scores.
        scored: how many images have scores.
        summary: ``metrics.summarize`` of the table; None if no image has scores.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        definitions: Mapping[str, str] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ):
        self.table, self.settings, self.notes = table, dict(settings or {}), list(notes)
        self.definitions: dict[str, str] = dict(table.attrs["definitions"] if definitions is None else definitions)
        fine = table["error"].isna()
        self.failed = table.loc[~fine, "error"]
        self.scored = len(table) - len(self.failed)
        self.values = table.loc[fine].drop(columns="error").astype(float)
        self.summary = summarize(self.values) if self.scored else None

    @property
    def rows(self) -> list[str]:
        """The metrics without the baselines' columns."""
        return [c for c in self.definitions if not any(c.startswith(f"{baseline}_") for baseline in BASELINES)]

    @property
    def baselines(self) -> list[str]:
        """The baselines in the table."""
        return [baseline for baseline in BASELINES if f"{baseline}_{self.rows[0]}" in self.definitions]

    def columns(self, name: str) -> list[str]:
        """Return the columns of a metric: the maps' and the baselines'."""
        return [name, *(f"{baseline}_{name}" for baseline in self.baselines)]

    def write(self, output: str | os.PathLike) -> None:
        """Write the table as CSV; beside it definitions, settings and summary (.json) and the box plot (.png).

        Raises:
            OSError: it cannot be written.
        """
        output = pathlib.Path(output)
        with replacing(output) as path:
            self.table.to_csv(path)
        summary = "{}" if self.summary is None else self.summary.to_json(orient="index", double_precision=15)
        content = {"kerasal": __version__, "definitions": self.definitions, "settings": self.settings}
        write_json(output.with_suffix(".json"), content | {"summary": json.loads(str(summary))})
        if self.scored:
            with replacing(output.with_suffix(".png")) as path:
                self.draw(path)

    def draw(self, path: str | os.PathLike) -> None:
        """Draw one panel per metric: the images' values of the maps and of the baselines as boxes."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        columns = min(4, len(self.rows))
        lines = -(-len(self.rows) // columns)
        figure = Figure(figsize=(2.6 * columns, 2.8 * lines + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(lines, columns)).reshape(-1)
        for panel, name in zip(panels, self.rows, strict=False):
            data = [self.values[column].dropna() for column in self.columns(name)]
            ticks = ["maps", *self.baselines]
            boxes = panel.boxplot(data, tick_labels=ticks, widths=0.6, patch_artist=True, flierprops={"markersize": 2})
            for box, color in zip(boxes["boxes"], _COLORS, strict=False):
                box.set_facecolor(color)
            for median in boxes["medians"]:
                median.set_color("black")
            panel.set_title(name, fontsize=10)
            panel.tick_params(labelsize=8)
            panel.grid(axis="y", alpha=0.3)
        for panel in panels[len(self.rows) :]:
            panel.set_visible(False)
        figure.suptitle(f"{self.scored} images", fontsize=10)
        figure.savefig(path, dpi=120)
