"""The files of a finished classifier, beside its checkpoint."""

import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasal.files import replacing, write_text
from kerasal.preprocessing import Preprocessing
from kerasal.store import write_json
from kerasal.training import run_folder, training_pictures

CONFUSION, CONFUSION_PICTURE, LABELS, RUN = "confusion.csv", "confusion.png", "labels.txt", "run.json"
_COLUMNS = ["epoch", "loss", "accuracy", "test_loss", "test_accuracy", "seconds"]


def files(name: str) -> tuple[str, ...]:
    """Return the names of what a run of the model ``name`` writes beside its checkpoint."""
    return (run_folder.HISTORY, run_folder.CURVES, *_model_files(name), CONFUSION, CONFUSION_PICTURE, LABELS, RUN)


def write_history(output: pathlib.Path, rows: list[dict]) -> None:
    """Write the history of the epochs so far."""
    with replacing(output / run_folder.HISTORY) as temporary:
        pd.DataFrame(rows, columns=_COLUMNS).to_csv(temporary, index=False)


def write(
    output: pathlib.Path, model, history: pd.DataFrame, counts: pd.DataFrame | None, convention: Preprocessing | None
) -> None:
    """Write curves, weights and model, and, where the classes have names, what tells them."""
    weights, whole = _model_files(model.name)
    title = f"{model.name}: test accuracy {history.iloc[-1]['test_accuracy']:.4f}"
    with replacing(output / run_folder.CURVES) as temporary:
        training_pictures.draw_curves(history, title).savefig(temporary)
    with replacing(output / weights) as temporary:
        model.save_weights(temporary)
    with replacing(output / whole) as temporary:
        model.save(temporary)
    if counts is not None:
        _write_names(output, whole, list(counts.columns), convention)
        with replacing(output / CONFUSION) as temporary:
            counts.to_csv(temporary)
        with replacing(output / CONFUSION_PICTURE) as temporary:
            _save(
                training_pictures.draw_confusion(counts, f"{title}, {counts.to_numpy().sum():,} test images"), temporary
            )


def _save(figure, path: pathlib.Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a class may be named in letters that the font has not
        figure.savefig(path)


def _write_names(output: pathlib.Path, whole: str, names: Sequence[str], convention: Preprocessing | None) -> None:
    write_text(output / LABELS, "".join(f"{name}\n" for name in names))
    facts = {"model_file": whole, "task": "classification", "labels": list(names)}
    if convention is not None:
        facts["preprocessing"] = convention.name
    write_json(output / RUN, facts)


def size(variables) -> int:
    """Return the bytes of float32 variables."""
    return sum(4 * int(np.prod(variable.shape)) for variable in variables)


def _model_files(name: str) -> tuple[str, str]:
    return f"{name}.weights.h5", f"{name}.keras"
