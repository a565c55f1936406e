"""The files that a run writes in addition to its checkpoint and run.json: tables, curves and the model."""

import math
import pathlib
import warnings
from collections.abc import Sequence

import pandas as pd

from kerasal.files import atomic_write, write_text
from kerasal.training import training_pictures
from kerasal.training.run_folder import CURVES, HISTORY
from kerasal.training.run_record import RUN
from kerasal.training.training_progress import Events
from kerasal.training.training_recipes import Recipe, describe_loss

CONFUSION, CONFUSION_PICTURE, LABELS = "confusion.csv", "confusion.png", "labels.txt"
STEPS, EVENTS = "steps.csv", "tensorboard"
_COLUMNS = ["epoch", "loss", "accuracy", "test_loss", "test_accuracy", "seconds"]
_GAZE_COLUMNS = ["epoch", "step", "rate", "loss", "val_loss", "val_mse", "val_cc", "seconds"]


def files(name: str) -> tuple[str, ...]:
    """Return the names of the files, besides the checkpoint, that a run of the classifier ``name`` writes."""
    return (HISTORY, CURVES, *model_files(name), CONFUSION, CONFUSION_PICTURE, LABELS, RUN)


def gaze_files(name: str) -> tuple[str, ...]:
    """Return the names of the files, besides checkpoint and events, that a run of the gaze model ``name`` writes."""
    return (HISTORY, STEPS, CURVES, RUN, best_file(name), *model_files(name))


def model_files(name: str) -> tuple[str, str]:
    """Return the names of the weights file and of the file of the whole model."""
    return f"{name}.weights.h5", f"{name}.keras"


def best_file(name: str) -> str:
    """Return the name of the file with the weights of the best validation loss."""
    return f"{name}.best.weights.h5"


def write_table(path: pathlib.Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table as CSV."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=index)


def write_history(output: pathlib.Path, rows: list[dict]) -> None:
    """Write the history of a classifier run."""
    write_table(output / HISTORY, pd.DataFrame(rows, columns=_COLUMNS))


def write_results(output: pathlib.Path, model, history: pd.DataFrame, counts: pd.DataFrame | None) -> None:
    """Write a classifier's curves, weights and model; if its classes have names, also labels and confusion."""
    title = f"{model.name}: test accuracy {history.iloc[-1]['test_accuracy']:.4f}"
    _save_figure(training_pictures.draw_curves(history, title), output / CURVES)
    _save_model(model, output)
    if counts is not None:
        names = list(counts.columns)
        write_text(output / LABELS, "".join(f"{name}\n" for name in names))
        write_table(output / CONFUSION, counts, index=True)
        title = f"{title}, {counts.to_numpy().sum():,} test images"
        _save_figure(training_pictures.draw_confusion(counts, title), output / CONFUSION_PICTURE)


class Journal:
    """A context manager that writes the growing ``rows`` of a gaze run to history.csv, steps.csv and TensorBoard."""

    def __init__(self, output: pathlib.Path, rows: Sequence[dict], recipe: Recipe, tensorboard: bool):
        self._output, self._rows, self._recipe = output, rows, recipe
        self._events = Events(output / EVENTS) if tensorboard else None

    def __enter__(self) -> "Journal":
        # Epochs that a killed run wrote after its last checkpoint are removed here; they are computed again.
        write_table(self._output / HISTORY, gaze_history(self._rows))
        write_table(self._output / STEPS, gaze_steps(self._rows))
        return self

    def __exit__(self, *_) -> None:
        if self._events is not None:
            self._events.close()

    def add(self, row: dict) -> None:
        """Write ``row``, the last row of the run."""
        write_table(self._output / HISTORY, gaze_history(self._rows))
        steps = gaze_steps([row])
        with (self._output / STEPS).open("a", encoding="utf-8") as file:
            steps.to_csv(file, index=False, header=False)
        if self._events is not None:
            for step, _, loss in steps.itertuples(index=False):
                self._events.scalar("loss/batch", loss, step)
            for key in ("loss", "rate", "val_loss", "val_mse", "val_cc"):
                if row[key] is not None and math.isfinite(row[key]):
                    self._events.scalar(f"epoch/{key}", row[key], row["step"])
            self._events.flush()

    def write_results(self, model) -> None:
        """Write the curves and the trained model."""
        validated, best = [row for row in self._rows if row["val_loss"] is not None], self._recipe.keep == "best"
        chosen = min(validated, key=lambda row: row["val_loss"]) if best else validated[-1]
        title = f"{model.name}: validation CC {chosen['val_cc']:.3f}, MSE {chosen['val_mse']:.4f} (epoch "
        title += f"{chosen['epoch']}{', the best' if best else ''})"
        label = describe_loss(self._recipe.loss)
        steps, history = gaze_steps(self._rows), gaze_history(self._rows)
        _save_figure(training_pictures.draw_steps(steps, history, f"loss: {label}", title), self._output / CURVES)
        _save_model(model, self._output)


def gaze_history(rows: Sequence[dict]) -> pd.DataFrame:
    """Return the history of a gaze run, one row per epoch."""
    table = pd.DataFrame([{key: row[key] for key in _GAZE_COLUMNS} for row in rows], columns=_GAZE_COLUMNS)
    return table.astype({"val_loss": float, "val_mse": float, "val_cc": float})


def gaze_steps(rows: Sequence[dict]) -> pd.DataFrame:
    """Return the losses of a gaze run, one row per batch: step (from 1), epoch and loss."""
    values = [
        (row["step"] - len(row["losses"]) + 1 + number, row["epoch"], loss)
        for row in rows
        for number, loss in enumerate(row["losses"])
    ]
    return pd.DataFrame(values, columns=["step", "epoch", "loss"])


def _save_figure(figure, path: pathlib.Path) -> None:
    with warnings.catch_warnings(), atomic_write(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph")  # the font may lack characters of class names
        figure.savefig(temporary)


def _save_model(model, output: pathlib.Path) -> None:
    for name, save in zip(model_files(model.name), (model.save_weights, model.save), strict=True):
        with atomic_write(output / name) as temporary:
            save(temporary)
