"""Which class is taken for which: a table and its picture."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_NUMBERED, _NAMED = 25, 60  # classes up to which cells carry their counts, and axes their names


def table(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """Count images: a row for each true class, a column for each predicted one."""
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, predicted), 1)
    return pd.DataFrame(counts, index=pd.Index(names, name="true class"), columns=list(names))


def draw(counts: pd.DataFrame, title: str) -> Figure:
    """Draw a table of ``table``: colours are shares of each row, numbers are images; save with ``savefig``."""
    classes = len(counts)
    side = min(4.0 + 0.45 * classes, 14.0)
    figure = Figure(figsize=(side + 1, side), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    values = counts.to_numpy()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_title(title)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if classes <= _NAMED:
        axes.set_xticks(range(classes), counts.columns, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), counts.index)
    if classes <= _NUMBERED:
        for row, column in np.ndindex(values.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(values[row, column]), ha="center", va="center", color=colour)
    return figure
