"""What a gaze run writes beside its checkpoint: tables, curves, events for TensorBoard, and the net."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence

import pandas as pd

from kerasal.files import replacing
from kerasal.training import training_pictures
from kerasal.training.run_folder import CURVES, HISTORY
from kerasal.training.training_progress import Events

RUN, STEPS, EVENTS = "run.json", "steps.csv", "tensorboard"
_COLUMNS = ["epoch", "step", "rate", "loss", "val_loss", "val_mse", "val_cc", "seconds"]


@dataclasses.dataclass(frozen=True)
class Files:
    """The names of the files with the net's weights."""

    weights: str
    best: str
    whole: str

    @property
    def written(self) -> tuple[str, ...]:
        """All that a run writes, its checkpoint and the events apart."""
        return HISTORY, STEPS, CURVES, RUN, self.weights, self.best, self.whole


def files_of(name: str) -> Files:
    """Return the files of a net of that name."""
    return Files(f"{name}.weights.h5", f"{name}.best.weights.h5", f"{name}.keras")


class Journal:
    """A context that keeps history.csv, steps.csv and the events up with the rows of a run."""

    def __init__(self, output: pathlib.Path, name: str, rows: Sequence[dict], recipe, tensorboard: bool):
        self._output, self._files, self._recipe, self._rows = output, files_of(name), recipe, list(rows)
        self._name, self._events = name, Events(output / EVENTS) if tensorboard else None

    def __enter__(self) -> "Journal":
        # Both follow from the checkpoint: what a killed run wrote beyond it is dropped, and will come again.
        self._write_history()
        with replacing(self._output / STEPS) as path:
            self.steps().to_csv(path, index=False)
        return self

    def __exit__(self, *_) -> None:
        if self._events is not None:
            self._events.close()

    def add(self, row: dict) -> None:
        """Take in one epoch."""
        self._rows.append(row)
        self._write_history()
        with (self._output / STEPS).open("a", encoding="utf-8") as file:
            _steps([row]).to_csv(file, index=False, header=False)
        if self._events is not None:
            _tell(self._events, row)

    def results(self, net) -> None:
        """Write the curves and the trained net."""
        history, chosen = self.history(), self._best()
        title = f"{self._name}: validation CC {chosen['val_cc']:.3f}, MSE {chosen['val_mse']:.4f} (epoch "
        title += f"{chosen['epoch']}{', the best' if self._recipe.keep == 'best' else ''})"
        label = " + ".join(
            name if weight == 1 else f"{weight:g} {name}" for name, weight in _name_terms(self._recipe.loss).items()
        )
        with replacing(self._output / CURVES) as path:
            training_pictures.draw_steps(self.steps(), history, f"loss: {label}", title).savefig(path)
        with replacing(self._output / self._files.weights) as path:
            net.save_weights(path)
        with replacing(self._output / self._files.whole) as path:
            net.save(path)

    def history(self) -> pd.DataFrame:
        """Return one row an epoch."""
        return pd.DataFrame([{key: row[key] for key in _COLUMNS} for row in self._rows], columns=_COLUMNS).astype(
            {"val_loss": float, "val_mse": float, "val_cc": float}
        )

    def steps(self) -> pd.DataFrame:
        """Return one row a batch: step (from 1), epoch, loss."""
        return _steps(self._rows)

    def _best(self) -> dict:
        validated = [row for row in self._rows if row["val_loss"] is not None]
        return min(validated, key=lambda row: row["val_loss"]) if self._recipe.keep == "best" else validated[-1]

    def _write_history(self) -> None:
        with replacing(self._output / HISTORY) as path:
            self.history().to_csv(path, index=False)


class UnwrittenJournal(Journal):
    """The same in a process that is not the chief: it knows the rows and writes nothing."""

    def __enter__(self) -> "UnwrittenJournal":
        return self

    def add(self, row: dict) -> None:
        """Take in one epoch."""
        self._rows.append(row)

    def results(self, net) -> None:
        """Do nothing: the chief writes them."""


def _tell(events, row: dict) -> None:
    first = row["step"] - len(row["losses"]) + 1
    for number, loss in enumerate(row["losses"]):
        events.scalar("loss/batch", loss, first + number)
    for key in ("loss", "rate", "val_loss", "val_mse", "val_cc"):
        if row[key] is not None and math.isfinite(row[key]):
            events.scalar(f"epoch/{key}", row[key], row["step"])
    events.flush()


def _steps(rows: Sequence[dict]) -> pd.DataFrame:
    values = [
        (row["step"] - len(row["losses"]) + 1 + number, row["epoch"], loss)
        for row in rows
        for number, loss in enumerate(row["losses"])
    ]
    return pd.DataFrame(values, columns=["step", "epoch", "loss"])


def _name_terms(loss: Mapping[str, float]) -> dict[str, float]:
    """Return the weights by the names of what is minimised: -NSS, -CC."""
    negated = {
        "nss": "(−NSS)",
        "cc": "(−CC)",
        "similarity": "(−similarity)",
        "kld": "KLD",
        "mse": "MSE",
        "likelihood": "(−log-likelihood, bits)",
    }
    return {negated[name]: weight for name, weight in loss.items()}
