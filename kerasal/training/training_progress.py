"""The progress of a training run: a progress bar and a line per epoch on stderr, and event files for TensorBoard."""

import io
import pathlib

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

import tensorflow as tf


class Progress:
    """A context manager that shows a progress bar of epochs and steps if ``visible``, and otherwise nothing."""

    def __init__(self, visible: bool, epochs: int, steps: int):
        self._epochs, self._steps = epochs, steps
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,  # at the end the bar is removed, the lines of the epochs remain
            disable=not visible,
        )
        self._task = self._bar.add_task("training", total=epochs * steps)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    def advance(self, epoch: int, text: str) -> None:
        """Advance by a batch of ``epoch`` (from 1) and show ``text``."""
        if self._bar.tasks[0].completed < (epoch - 1) * self._steps:  # a resumed run
            self._bar.update(self._task, completed=(epoch - 1) * self._steps)
        self._bar.update(self._task, advance=1, description=f"epoch {epoch}/{self._epochs}  {text}")

    def line(self, text: str, epoch: int | None = None) -> None:
        """Print a line, after the number of the epoch unless it is ``None``."""
        text = text if epoch is None else f"{epoch}/{self._epochs}  {text}"
        if not self._bar.disable:
            self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, epoch: int, loss: float, accuracy: float) -> None:
        """Advance by a batch; ``loss`` and ``accuracy`` are the means of the epoch so far."""
        self.advance(epoch, f"loss {loss:.4f}  accuracy {accuracy:.4f}")


_DATA = tf.compat.v1.SummaryMetadata


class Events:
    """Scalars and images in an event file for TensorBoard."""

    def __init__(self, path: pathlib.Path):
        self._writer = tf.summary.create_file_writer(str(path))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a number."""
        self._write(tag, tf.constant(value, tf.float32), step, "scalars", 1)

    def image(self, tag: str, image: np.ndarray, step: int) -> None:
        """Add an image, uint8 (H, W, 3)."""
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        height, width = image.shape[:2]
        self._write(tag, tf.constant([str(width), str(height), file.getvalue()]), step, "images", 3)

    def flush(self) -> None:
        """Write all pending events to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, tag: str, tensor: tf.Tensor, step: int, plugin: str, kind: int) -> None:
        metadata = _DATA(plugin_data=_DATA.PluginData(plugin_name=plugin), data_class=kind)
        with self._writer.as_default():
            tf.summary.write(tag, tensor, step=step, metadata=metadata)
