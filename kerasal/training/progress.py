"""The progress of a training run on stderr: one bar for the whole run, one line an epoch."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A context manager that shows steps and epochs, or, unless ``visible``, nothing at all."""

    def __init__(self, visible: bool, epochs: int, steps: int):
        self._epochs, self._steps = epochs, steps
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,  # the lines of the epochs stay; the bar goes
            disable=not visible,
        )
        self._task = self._bar.add_task("training", total=epochs * steps)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def step(self, epoch: int, loss: float, accuracy: float) -> None:
        """Count one batch; ``loss`` and ``accuracy`` are the means of the epoch so far."""
        description = f"epoch {epoch}/{self._epochs}  loss {loss:.4f}  accuracy {accuracy:.4f}"
        if self._bar.tasks[0].completed < (epoch - 1) * self._steps:  # a run that goes on
            self._bar.update(self._task, completed=(epoch - 1) * self._steps)
        self._bar.update(self._task, advance=1, description=description)

    def row(self, row: dict) -> None:
        """Leave one line about a finished epoch."""
        if not self._bar.disable:
            self._bar.console.print(
                f"{row['epoch']}/{self._epochs}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}  "
                f"test loss {row['test_loss']:.4f}  test accuracy {row['test_accuracy']:.4f}  {row['seconds']:.1f} s",
                highlight=False,
                soft_wrap=True,
            )
