"""Markdown tables of means with their bootstrap intervals, for scripts that score maps."""

import numpy as np
import pandas as pd

from kerasal.metrics import summarize

printed = []  # every line of print_lines, for scripts that also write them to a file


def interval(values, digits: int = 3) -> str:
    """Return the mean and its 95 % bootstrap interval as text.

    Values that are not numbers are left out; without any number, the text is a dash.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    row = summarize(pd.DataFrame({"": values})).iloc[0]
    return f"{row['mean']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"


def table_lines(rows: dict[str, dict]) -> list[str]:
    """Return the lines of a Markdown table of {row: {column: text}}."""
    columns = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {name} | {' | '.join(str(row[column]) for column in columns)} |" for name, row in rows.items()]


def print_lines(*lines: str) -> None:
    """Print lines, and append them to ``printed``."""
    printed.extend(lines)
    print(*lines, sep="\n", flush=True)


def print_table(title: str, rows: dict[str, dict]) -> None:
    """Print {row: {column: text}} as a Markdown table below its title."""
    print_lines("", f"### {title}", "", *table_lines(rows))


def transpose(rows: dict[str, dict]) -> dict[str, dict]:
    """Return {column: {row: text}} of {row: {column: text}}."""
    return {column: {name: row[column] for name, row in rows.items()} for column in next(iter(rows.values()))}
