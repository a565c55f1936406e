"""What a run writes beside its checkpoint: tables, curves, the model, and how it was made."""

import math
import pathlib
import warnings
from collections.abc import Sequence

import pandas as pd

from kerasal.files import replacing, write_text
from kerasal.preprocessing import Preprocessing
from kerasal.store import write_json
from kerasal.training import training_pictures
from kerasal.training.run_folder import CURVES, HISTORY
from kerasal.training.training_progress import Events
from kerasal.training.training_recipes import LOSSES, Recipe

CONFUSION, CONFUSION_PICTURE, LABELS, RUN = "confusion.csv", "confusion.png", "labels.txt", "run.json"
STEPS, EVENTS = "steps.csv", "tensorboard"
_COLUMNS = ["epoch", "loss", "accuracy", "test_loss", "test_accuracy", "seconds"]
_GAZE_COLUMNS = ["epoch", "step", "rate", "loss", "val_loss", "val_mse", "val_cc", "seconds"]


def files(name: str) -> tuple[str, ...]:
    """Return the names of what a run of the classifier ``name`` writes beside its checkpoint."""
    return (HISTORY, CURVES, *model_files(name), CONFUSION, CONFUSION_PICTURE, LABELS, RUN)


def gaze_files(name: str) -> tuple[str, ...]:
    """Return the names of what a run of the gaze model ``name`` writes beside its checkpoint and the events."""
    return (HISTORY, STEPS, CURVES, RUN, best_file(name), *model_files(name))


def model_files(name: str) -> tuple[str, str]:
    """Return the names of the files with a model's weights, and with all of it."""
    return f"{name}.weights.h5", f"{name}.keras"


def best_file(name: str) -> str:
    """Return the name of the file with the weights that validated best."""
    return f"{name}.best.weights.h5"


def write_table(path: pathlib.Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table as CSV."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=index)


def write_history(output: pathlib.Path, rows: list[dict]) -> None:
    """Write the history of a classifier's epochs so far."""
    write_table(output / HISTORY, pd.DataFrame(rows, columns=_COLUMNS))


def write(
    output: pathlib.Path, model, history: pd.DataFrame, counts: pd.DataFrame | None, convention: Preprocessing | None
) -> None:
    """Write a classifier's curves, weights and model, and, where the classes have names, what tells them."""
    title = f"{model.name}: test accuracy {history.iloc[-1]['test_accuracy']:.4f}"
    _save(training_pictures.draw_curves(history, title), output / CURVES)
    _save_model(model, output)
    if counts is not None:
        names = list(counts.columns)
        write_text(output / LABELS, "".join(f"{name}\n" for name in names))
        facts = {"model_file": model_files(model.name)[1], "task": "classification", "labels": names}
        write_json(output / RUN, facts | ({} if convention is None else {"preprocessing": convention.name}))
        write_table(output / CONFUSION, counts, index=True)
        title = f"{title}, {counts.to_numpy().sum():,} test images"
        _save(training_pictures.draw_confusion(counts, title), output / CONFUSION_PICTURE)


class Journal:
    """A context that keeps history.csv, steps.csv and the events up with the ``rows`` of a gaze run, as they grow."""

    def __init__(self, output: pathlib.Path, rows: Sequence[dict], recipe: Recipe, tensorboard: bool):
        self._output, self._rows, self._recipe = output, rows, recipe
        self._events = Events(output / EVENTS) if tensorboard else None

    def __enter__(self) -> "Journal":
        # Both follow from the checkpoint: what a killed run wrote beyond it is dropped, and will come again.
        write_table(self._output / HISTORY, gaze_history(self._rows))
        write_table(self._output / STEPS, gaze_steps(self._rows))
        return self

    def __exit__(self, *_) -> None:
        if self._events is not None:
            self._events.close()

    def add(self, row: dict) -> None:
        """Take in the last row."""
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

    def results(self, net) -> None:
        """Write the curves and the trained net."""
        validated, best = [row for row in self._rows if row["val_loss"] is not None], self._recipe.keep == "best"
        chosen = min(validated, key=lambda row: row["val_loss"]) if best else validated[-1]
        title = f"{net.name}: validation CC {chosen['val_cc']:.3f}, MSE {chosen['val_mse']:.4f} (epoch "
        title += f"{chosen['epoch']}{', the best' if best else ''})"
        terms = [(LOSSES[name], weight) for name, weight in self._recipe.loss.items()]
        label = " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in terms)
        steps, history = gaze_steps(self._rows), gaze_history(self._rows)
        _save(training_pictures.draw_steps(steps, history, f"loss: {label}", title), self._output / CURVES)
        _save_model(net, self._output)


def gaze_history(rows: Sequence[dict]) -> pd.DataFrame:
    """Return one row an epoch of a gaze run."""
    table = pd.DataFrame([{key: row[key] for key in _GAZE_COLUMNS} for row in rows], columns=_GAZE_COLUMNS)
    return table.astype({"val_loss": float, "val_mse": float, "val_cc": float})


def gaze_steps(rows: Sequence[dict]) -> pd.DataFrame:
    """Return one row a batch of a gaze run: step (from 1), epoch, loss."""
    values = [
        (row["step"] - len(row["losses"]) + 1 + number, row["epoch"], loss)
        for row in rows
        for number, loss in enumerate(row["losses"])
    ]
    return pd.DataFrame(values, columns=["step", "epoch", "loss"])


def _save(figure, path: pathlib.Path) -> None:
    with warnings.catch_warnings(), replacing(path) as temporary:
        warnings.filterwarnings("ignore", "Glyph")  # a class may be named in letters that the font has not
        figure.savefig(temporary)


def _save_model(model, output: pathlib.Path) -> None:
    for name, save in zip(model_files(model.name), (model.save_weights, model.save), strict=True):
        with replacing(output / name) as temporary:
            save(temporary)
