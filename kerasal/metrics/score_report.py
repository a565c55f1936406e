"""A report of the scores of many images: table, summary, definitions and box plots."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasal._version import __version__
from kerasal.files import atomic_write
from kerasal.metrics.blur import BASELINES
from kerasal.metrics.summary import summarize
from kerasal.store import write_json

_COLORS = ("#3b6ea5", "#c9c9c9", "#e0b35a")


class ScoreReport:
    """The scores of many images, as ``metrics.evaluate_folder`` and ``gaze.evaluate`` return.

    Args:
        table: table with a row per image, a column per metric (with a prefix for baselines), and the column
            ``error``, which is None or the reason why the image has no scores.
        definitions: dictionary from column to definition; by default ``table.attrs["definitions"]``.
        settings: options that the scores depend on, to be written with the report.
        notes: remarks on the images.

    Attributes:
        failed: Series from name to reason for the images without scores.
        scored: number of images with scores.
        summary: ``metrics.summarize`` of the table, or None if no image has scores.
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
        has_scores = table["error"].isna()
        self.failed = table.loc[~has_scores, "error"]
        self.scored = len(table) - len(self.failed)
        self.values = table.loc[has_scores].drop(columns="error").astype(float)
        self.summary = summarize(self.values) if self.scored else None

    @property
    def rows(self) -> list[str]:
        """The columns of the metrics, without those of the baselines."""
        return [c for c in self.definitions if not any(c.startswith(f"{baseline}_") for baseline in BASELINES)]

    @property
    def baselines(self) -> list[str]:
        """The names of the baselines in the table."""
        return [baseline for baseline in BASELINES if f"{baseline}_{self.rows[0]}" in self.definitions]

    def columns(self, name: str) -> list[str]:
        """Return the columns of a metric, for the maps and for each baseline."""
        return [name, *(f"{baseline}_{name}" for baseline in self.baselines)]

    def write(self, output: str | os.PathLike) -> None:
        """Write the table to a CSV file, and definitions, settings, summary (.json) and box plots (.png) beside it.

        Raises:
            OSError: a file cannot be written.
        """
        output = pathlib.Path(output)
        with atomic_write(output) as path:
            self.table.to_csv(path)
        summary = "{}" if self.summary is None else self.summary.to_json(orient="index", double_precision=15)
        content = {"kerasal": __version__, "definitions": self.definitions, "settings": self.settings}
        write_json(output.with_suffix(".json"), content | {"summary": json.loads(str(summary))})
        if self.scored:
            with atomic_write(output.with_suffix(".png")) as path:
                self.draw(path)

    def draw(self, path: str | os.PathLike) -> None:
        """Draw a box plot per metric, with a box for the maps and for each baseline, and save it to ``path``."""
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
