"""Progress bars for long work, drawn on the error stream so that they never mix with results."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextlib.contextmanager
def progress_bar(description: str, total: int | None, shown: bool = True) -> Iterator[Callable[..., None]]:
    """Yield a function that advances the bar by a number of steps; without ``shown`` there is no bar.

    ``total`` is the number of steps, or None if it is unknown; the function takes it as an optional second argument.
    """
    if not shown:
        yield lambda count, total=None: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count, total=None: bar.update(task, advance=count, total=total)
