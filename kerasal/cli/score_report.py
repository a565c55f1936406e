"""What ``kerasal score`` shows and writes: the table on screen, the CSV, the definitions, the box plot."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from kerasal._version import __version__
from kerasal.metrics.baselines import BASELINES
from kerasal.metrics.summary import summarize

_NAMED_FAILURES = 20


class Report:
    """A scored table: one row an image, a column a metric (baselines prefixed), and ``error``."""

    def __init__(self, table: pd.DataFrame, definitions: Mapping[str, str]):
        self.table, self.definitions = table, dict(definitions)
        self.failed = table["error"].dropna()
        self.scored = len(table) - len(self.failed)
        good = table[table["error"].isna()].drop(columns="error").astype(float)
        self.values = good
        self.summary = summarize(good) if self.scored else None

    @property
    def rows(self) -> list[str]:
        """The metrics without the baselines' columns."""
        return [c for c in self.definitions if not any(c.startswith(f"{baseline}_") for baseline in BASELINES)]

    @property
    def baselines(self) -> list[str]:
        """The baselines in the table."""
        return [baseline for baseline in BASELINES if f"{baseline}_{self.rows[0]}" in self.definitions]

    def write_csv(self, path: Path) -> None:
        """Write the table with all digits."""
        self.table.to_csv(path)

    def write_json(self, path: Path, settings: Mapping) -> None:
        """Write what the columns are, the settings and the summary."""
        summary = {} if self.summary is None else json.loads(self.summary.to_json(orient="index", double_precision=15))
        content = {"kerasal": __version__, "definitions": self.definitions, "settings": settings, "summary": summary}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def show(self, output: Path, notes: list[str]) -> None:
        """Print the summary and the definitions; notes and failures go to the error stream."""
        from rich.console import Console
        from rich.table import Table

        console, complaints = Console(), Console(stderr=True)
        if self.summary is not None:
            shown = Table(
                title=f"{self.scored} images", caption="mean ± standard error [95 % bootstrap interval over images]"
            )
            shown.add_column("metric", no_wrap=True)
            for column in ("maps", *self.baselines):
                shown.add_column(column, justify="right")
            for name in self.rows:
                cells = [
                    self._cell(column) for column in (name, *(f"{baseline}_{name}" for baseline in self.baselines))
                ]
                shown.add_row(name, *cells)
            console.print(shown)
            for name in self.rows:
                console.print(f"{name}: {self.definitions[name]}", markup=False, highlight=False)
            for baseline in self.baselines:
                console.print(f"{baseline}: {BASELINES[baseline]}", markup=False, highlight=False)
        console.print(
            f"Written: {output}, {output.with_suffix('.json').name}, {output.with_suffix('.png').name}", markup=False
        )
        for note in notes[:_NAMED_FAILURES]:
            complaints.print(note, markup=False, highlight=False)
        if self.failed.size:
            complaints.print(f"{self.failed.size} of {len(self.table)} images could not be scored:", markup=False)
            for name, reason in self.failed.items():
                complaints.print(f"  {name}: {reason}", markup=False, highlight=False, soft_wrap=True)

    def _cell(self, column: str) -> str:
        row = self.summary.loc[column]
        if column not in self.rows:
            return f"{row['mean']:.4f}"
        text = f"{row['mean']:.4f} ± {row['standard_error']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
        return text + (f" ({int(row['undefined'])} undefined)" if row["undefined"] else "")

    def draw(self, path: Path) -> None:
        """Draw one panel a metric: the images' values of the maps and of the baselines as boxes."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        kinds = ["maps", *self.baselines]
        columns = min(4, len(self.rows))
        lines = -(-len(self.rows) // columns)
        figure = Figure(figsize=(2.6 * columns, 2.8 * lines + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        panels = np.atleast_1d(figure.subplots(lines, columns)).reshape(-1)
        colours = ("#3b6ea5", "#c9c9c9", "#e0b35a")
        for panel, name in zip(panels, self.rows, strict=False):
            data = [self.values[c].dropna() for c in (name, *(f"{baseline}_{name}" for baseline in self.baselines))]
            boxes = panel.boxplot(data, tick_labels=kinds, widths=0.6, patch_artist=True, flierprops={"markersize": 2})
            for box, colour in zip(boxes["boxes"], colours, strict=False):
                box.set_facecolor(colour)
            for median in boxes["medians"]:
                median.set_color("black")
            panel.set_title(name, fontsize=10)
            panel.tick_params(labelsize=8)
            panel.grid(axis="y", alpha=0.3)
        for panel in panels[len(self.rows) :]:
            panel.set_visible(False)
        figure.suptitle(f"{self.scored} images", fontsize=10)
        figure.savefig(path, dpi=120)
