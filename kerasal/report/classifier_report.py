"""The content of the report of a classifier."""

import math
import pathlib
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal.metrics import summarize
from kerasal.models import open_model
from kerasal.report import classifier_examples
from kerasal.report.report_content import Chart, Meaning, Report, Table
from kerasal.report.report_page import draw_svg
from kerasal.report.run_facts import RunFacts
from kerasal.training.results import CONFUSION
from kerasal.training.training_pictures import draw_quantity

_MOST_CLASSES = 25  # of which the confusion matrix is shown
_MEANINGS = (
    Meaning("Accuracy", "The share of the test images whose most probable class is their true class."),
    Meaning(
        "95 % interval",
        "The range of the middle 95 % of the means of 2,000 samples of the test images, drawn with replacement. It "
        "says how much the number depends on the choice of test images, not how much another training would change it; "
        "for that, train again with another seed.",
        "Efron & Tibshirani 1993, chapter 13.",
    ),
    Meaning("Most frequent class, chance", "What a model that never looks at the image gets: one that always answers "
            "the class with most training images, and one that draws a class at random."),
    Meaning(
        "Precision, recall, F1",
        "Of the images that the model assigns to a class, precision is the share that belongs to it; of the images of "
        "a class, recall is the share that the model finds; F1 is their harmonic mean, and the macro F1 the mean over "
        "classes, each with the same weight.",
        "Manning, Raghavan & Schütze 2008, chapter 8.",
    ),
    Meaning("Confusion matrix", "The number of test images by true class (row) and predicted class (column); the color "
            "is the share of the row, so a perfect model has a dark diagonal."),
    Meaning("Loss", "The mean of −ln of the probability of the true class, in nats. Training loss and accuracy are "
            "means over an epoch, while the weights change and with dropout; the test values are measured after it."),
    Meaning(
        "Grad-CAM",
        "Where the last convolutional features raise the score of the predicted class; yellow is strong. It is as "
        "coarse as these features, and shows what the score reacts to, not why.",
        "Selvaraju et al. 2017.",
    ),
)  # fmt: skip


def collect_classifier(run: RunFacts, data: pathlib.Path | None, *, unsafe: bool, progress: bool) -> Report:
    """Return the report of a classifier; see ``collect_report``."""
    facts, last = run.facts, run.history.iloc[-1]
    table = run.folder / CONFUSION
    counts = pd.read_csv(table, index_col=0).to_numpy() if table.is_file() else None
    names = [str(name) for name in facts.get("labels") or ()]
    model = open_model(run.folder, unsafe=unsafe)
    notes: list[str] = []
    found = classifier_examples.collect_examples(run, model, names, data, notes, progress=progress)
    training = run.part("training").get("classes") or {}
    scores, lead = _score(run, counts, [training.get(name, 0) for name in names])
    chance = f" Chance is ln {len(names)} = {math.log(len(names)):.2f}." if names else ""
    captions: dict[Literal["accuracy", "loss"], str] = {
        "accuracy": f"Accuracy by epoch. After the last epoch, {last['test_accuracy']:.3f} on the test images.",
        "loss": f"Cross-entropy by epoch, in nats.{chance}",
    }
    curves = [
        Chart(draw_svg(draw_quantity(run.history, quantity), quantity), caption)
        for quantity, caption in captions.items()
    ]
    return Report(
        title=model.keras_model.name,
        kind="Classifier",
        lead=lead,
        scores=scores,
        curves=curves,
        details=[] if counts is None else _describe_classes(names, counts),
        example_note="Test images in the order of the probability that the model gives to their true class: the "
        "highest, those in the middle and the lowest. Beside each, what raises the predicted class (Grad-CAM).",
        examples=found.ranked,
        data=[_describe_data(run, names)] if training else [],
        data_examples=found.training,
        settings=run.settings(),
        commands=list_commands(run, "kerasal report", data),
        meanings=[item for item in _MEANINGS if found.ranked or item.term != "Grad-CAM"],
        notes=notes,
    )


def list_commands(run: RunFacts, command: str, data: pathlib.Path | None) -> list[tuple[str, str]]:
    """Return what to do to get the run and its report again."""
    sessions = run.facts.get("sessions") or []
    commands = []
    for session in sessions:
        epochs = f"epochs {session['first_epoch']} to {session['last_epoch'] or '?'}"
        what = "The training" if len(sessions) == 1 else f"The training, {epochs}"
        commands.append((f"{what}. With the versions above, on a CPU, it gives the same weights.", session["command"]))
    if not sessions:
        commands.append(("The command of the training was not recorded: the run is from an older version.", "—"))
    return [
        *commands,
        (
            "This report, from the folder of the run:",
            f"{command} {run.folder.name}{'' if data is None else f' --data {data}'}",
        ),
    ]


def _score(run: RunFacts, counts: np.ndarray | None, training: list[int]) -> tuple[list[Table], list[str]]:
    """Return the table of scores with baselines, and what they say in sentences."""
    if counts is None:
        accuracy = run.history.iloc[-1]["test_accuracy"]
        table = Table(("", "accuracy"), [("this model", f"{accuracy:.3f}")])
        return [table], [f"The model names the right class for {_percent(accuracy)} of the test images."]
    images, classes = int(counts.sum()), len(counts)
    frequent = int(np.argmax(training)) if any(training) else int(counts.sum(axis=1).argmax())
    truth, answer = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    values = pd.DataFrame({"model": truth == answer, "majority": truth == frequent}).astype(float)
    values["above"] = values["model"] - values["majority"]
    summary = summarize(values)
    rows = [
        ("this model", *_cells(summary.loc["model"]), f"{macro_f1(counts):.3f}"),
        (
            f"always “{run.facts['labels'][frequent]}”",
            *_cells(summary.loc["majority"]),
            f"{_constant_f1(counts, frequent):.3f}",
        ),
        ("chance", f"{1 / classes:.3f}", "", ""),
    ]
    model, majority, above = (summary.loc[name] for name in ("model", "majority", "above"))
    accuracy, low, high = (_percent(model[key]) for key in ("mean", "low", "high"))
    sentence = (
        f"The model names the right class for {accuracy} of the {images:,} test images (95 % interval {low} to "
        f"{high}), which have {classes} classes. A model that ignores the image and always answers the class with most "
        f"training images is right for {_percent(majority['mean'])}."
    )
    gain = f"{100 * above['mean']:.1f} points [{100 * above['low']:.1f}, {100 * above['high']:.1f}]"
    clear = "clearly" if above["low"] > 0 else "not reliably"
    lead = [sentence, f"The difference is {gain}: the model is {clear} better than one that ignores the image."]
    return [Table(("", "accuracy", "95 % interval", "macro F1"), rows)], lead


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cells(row: Any) -> tuple[str, str]:
    return f"{row['mean']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"


def class_scores(counts: np.ndarray) -> pd.DataFrame:
    """Return the columns images, precision, recall and f1 by class; a class that is never predicted has precision 0."""
    hits, true, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = hits / np.maximum(predicted, 1), hits / np.maximum(true, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    return pd.DataFrame({"images": true, "precision": precision, "recall": recall, "f1": f1})


def macro_f1(counts: np.ndarray) -> float:
    """Return the mean F1 over the classes of a confusion matrix."""
    return float(np.mean(class_scores(counts)["f1"]))


def _constant_f1(counts: np.ndarray, answer: int) -> float:
    constant = np.zeros_like(counts)
    constant[:, answer] = counts.sum(axis=1)
    return macro_f1(constant)


def _describe_classes(names: list[str], counts: np.ndarray) -> list[Table]:
    scores = class_scores(counts)
    rows = [
        (name, f"{row['images']:,.0f}", f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}")
        for name, row in zip(names, scores.to_dict("records"), strict=True)
    ]
    tables = [Table(("class", "test images", "precision", "recall", "F1"), [*rows], "")]
    if len(names) <= _MOST_CLASSES:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        cells = [(name, *map(str, line)) for name, line in zip(names, counts, strict=True)]
        title = "True class by row, predicted class by column"
        tables.append(Table(("", *names), cells, title, shares=shares.tolist()))
    mistakes = counts - np.diag(counts.diagonal())
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    note = (
        f"The most frequent mistake: {mistakes[row, column]} of {counts[row].sum()} images of “{names[row]}” are taken "
        f"for “{names[column]}”."
    )
    last = tables[-1]
    tables[-1] = Table(last.columns, last.rows, last.title, note if mistakes.any() else "", last.shares)
    return tables


def _describe_data(run: RunFacts, names: list[str]) -> Table:
    parts = [run.part(name).get("classes") or {} for name in ("training", "test")]
    rows = [(name, *(f"{part.get(name, 0):,}" for part in parts)) for name in names]
    rows.insert(0, ("all", *(f"{sum(part.values()):,}" for part in parts)))
    split, folder = run.facts.get("split") or {}, ", ".join(run.facts.get("data") or ()) or "arrays"
    skipped = sum(len(part) for part in (run.facts.get("skipped") or {}).values())
    note = f"Data: {folder}. Split: {split.get('how', 'unknown')}. {skipped} files were skipped."
    return Table(("class", "training images", "test images"), rows, "", note)
