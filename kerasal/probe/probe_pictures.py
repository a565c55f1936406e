"""The accuracies of a probe by depth, as curves."""

from collections.abc import Mapping

import pandas as pd


def draw_probe(tables: pd.DataFrame | Mapping[str, pd.DataFrame], title: str = ""):
    """Draw the accuracies of one or several probes by layer, with their standard deviations.

    Args:
        tables: what ``layer_probe`` returned; several, by what to call them, all of the same layers.
        title: above the curves.

    Returns:
        A matplotlib ``Figure``; ``savefig`` writes it.
    """
    from matplotlib.figure import Figure

    tables = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    layers = list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))
    figure = Figure(figsize=(max(6.0, 1.0 + 0.9 * len(layers)), 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, table) in enumerate(tables.items()):
        lines = table.groupby(["classifier", "per_class"], sort=False)
        for style, ((kind, count), rows) in zip(_styles(len(lines)), lines, strict=True):
            label = ", ".join(part for part in (name, kind, f"{count} a class") if part)
            places = [layers.index(layer) for layer in rows["layer"]]
            spread = rows["std"].fillna(0)
            axes.errorbar(places, rows["mean"], spread, label=label, color=f"C{number}", capsize=3, **style)
    chance = {table.attrs["chance"] for table in tables.values() if "chance" in table.attrs}
    if len(chance) == 1:
        axes.axhline(chance.pop(), color="0.6", linewidth=1)
        axes.annotate("chance", (0.01, axes.lines[-1].get_ydata()[0]), xycoords=("axes fraction", "data"), va="bottom")
    axes.set_xticks(range(len(layers)), layers, rotation=30, ha="right")
    axes.set(ylim=(0, 1.02), ylabel="accuracy of the classifier", title=title)
    axes.legend(fontsize=8)
    return figure


def _styles(count: int) -> list[dict]:
    lines, marks = ("-", "--", ":", "-."), "os^Dv"
    return [{"linestyle": lines[i % len(lines)], "marker": marks[i % len(marks)]} for i in range(count)]
