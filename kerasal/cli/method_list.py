"""``kerasal attribute --list``: the attribution methods by family, with their cost in passes of the model."""

import re

import typer

from kerasal.cli.method_table import MethodRow, families, method_names, read_method
from kerasal.cli.session import results

_COST = 18  # characters of the column
_PAPER = re.compile(r" \([^()]* (19|20)\d\d\)(?=\.)")


def rows_by_family() -> dict[str, list[MethodRow]]:
    """Return the built-in methods by the title of their family, in the order of the families."""
    rows = [row for name in method_names() if (row := read_method(name)) is not None]
    groups = {title: [row for row in rows if row.family == family] for family, title in families().items()}
    return {title: members for title, members in groups.items() if members}


def print_methods(value: bool) -> None:
    """Print the methods and exit; the callback of ``--list``."""
    if not value:
        return
    from rich.table import Table

    groups = rows_by_family()
    width = max(len(row.name) for rows in groups.values() for row in rows)
    for title, rows in groups.items():
        table = Table(
            title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2, 0, 0)
        )
        table.add_column(width=width, no_wrap=True)
        table.add_column(width=_COST)
        table.add_column()
        for row in rows:
            table.add_row(row.name, row.cost, _PAPER.sub("", row.summary))
        results().print(table)
        results().print()
    results().print("A pass is a forward and backward pass of the model.", style="dim")
    results().print("kerasal attribute METHOD --help describes a method.", style="dim")
    raise typer.Exit
