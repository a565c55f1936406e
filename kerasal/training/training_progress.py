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

    def advance(self, epoch: int, text: str) -> None:
        """Count one batch of ``epoch`` (from 1) and say ``text`` about it."""
        if self._bar.tasks[0].completed < (epoch - 1) * self._steps:  # a run that goes on
            self._bar.update(self._task, completed=(epoch - 1) * self._steps)
        self._bar.update(self._task, advance=1, description=f"epoch {epoch}/{self._epochs}  {text}")

    def line(self, text: str) -> None:
        """Leave one line."""
        if not self._bar.disable:
            self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, epoch: int, loss: float, accuracy: float) -> None:
        """Count one batch; ``loss`` and ``accuracy`` are the means of the epoch so far."""
        self.advance(epoch, f"loss {loss:.4f}  accuracy {accuracy:.4f}")

    def row(self, row: dict) -> None:
        """Leave one line about a finished epoch."""
        self.line(
            f"{row['epoch']}/{self._epochs}  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}  "
            f"test loss {row['test_loss']:.4f}  test accuracy {row['test_accuracy']:.4f}  {row['seconds']:.1f} s"
        )
