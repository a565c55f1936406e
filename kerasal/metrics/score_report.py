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

_COLORS = ("#3b6ea5", "#c9c9c9", "#e0b35a", "#5f9e6e")
_CEILING = "ceiling"


class ScoreReport:
    """The scores of many images, as ``metrics.evaluate_folder`` and ``gaze.evaluate`` return.

    Args:
        table: table with a row per image, a column per metric (with a prefix for baselines), and the column
            ``error``, which is None or the reason why the image has no scores.
        definitions: dictionary from column to definition; by default ``table.attrs["definitions"]``.
        settings: options that the scores depend on, to be written with the report.
        notes: remarks on the images.
        findings: conclusions from the scores, as sentences.

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
        findings: Sequence[str] = (),
    ):
        self.table, self.settings, self.notes = table, dict(settings or {}), list(notes)
        self.findings = list(findings)
        self.definitions: dict[str, str] = dict(table.attrs["definitions"] if definitions is None else definitions)
        has_scores = table["error"].isna()
        self.failed = table.loc[~has_scores, "error"]
        self.scored = len(table) - len(self.failed)
        self.values = table.loc[has_scores].drop(columns="error").astype(float)
        self.summary = summarize(self.values) if self.scored else None

    @property
    def rows(self) -> list[str]:
        """The columns of the metrics, without those of the baselines and of the ceiling."""
        prefixes = tuple(f"{name}_" for name in (*BASELINES, _CEILING))
        return [column for column in self.definitions if not column.startswith(prefixes)]

    @property
    def baselines(self) -> list[str]:
        """The names of the baselines in the table."""
        return [baseline for baseline in BASELINES if f"{baseline}_{self.rows[0]}" in self.definitions]

    @property
    def references(self) -> list[str]:
        """The names of the baselines in the table, and "ceiling" if it has one."""
        has_ceiling = any(column.startswith(f"{_CEILING}_") for column in self.definitions)
        return [*self.baselines, *[_CEILING] * has_ceiling]

    def columns(self, name: str) -> list[str]:
        """Return the columns of a metric, for the maps, for each baseline and for the ceiling, if they have it."""
        candidates = (name, *(f"{reference}_{name}" for reference in self.references))
        return [column for column in candidates if column in self.definitions]

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
        content |= {"explained": self.table.attrs["explained"]} if self.table.attrs.get("explained") else {}
        write_json(output.with_suffix(".json"), content | {"summary": json.loads(str(summary))})
        if self.scored:
            with atomic_write(output.with_suffix(".png")) as path:
                self.draw(path)

    def draw(self, path: str | os.PathLike) -> None:
        """Draw a box plot per metric, with boxes for maps, baselines and ceiling, and save it to ``path``."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        columns = min(4, len(self.rows))
        lines = -(-len(self.rows) // columns)
        figure = Figure(figsize=(2.6 * columns, 2.8 * lines + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(lines, columns)).reshape(-1)
        for panel, name in zip(panels, self.rows, strict=False):
            columns = self.columns(name)
            data = [self.values[column].dropna() for column in columns]
            ticks = [column.removesuffix(f"_{name}") if column != name else "maps" for column in columns]
            boxes = panel.boxplot(data, tick_labels=ticks, widths=0.6, patch_artist=True, flierprops={"markersize": 2})
            colors = dict(zip(("maps", *BASELINES, _CEILING), _COLORS, strict=True))
            for box, tick in zip(boxes["boxes"], ticks, strict=True):
                box.set_facecolor(colors[tick])
            for median in boxes["medians"]:
                median.set_color("black")
            panel.set_title(name, fontsize=10)
            panel.tick_params(labelsize=8)
            panel.grid(axis="y", alpha=0.3)
        for panel in panels[len(self.rows) :]:
            panel.set_visible(False)
        figure.suptitle(f"{self.scored} images", fontsize=10)
        figure.savefig(path, dpi=120)
