"""Score a model's boxes on a folder of images against true ones, into a table; a stopped run goes on."""

import functools
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pandas as pd

from kerasal import hooks, images
from kerasal.checks import check_number
from kerasal.files import replacing
from kerasal.localization.boxes import localization_error, mean_iou
from kerasal.localization.ground_truth import Truth, fit_box, match_boxes
from kerasal.localization.localizer import localize
from kerasal.metrics.summary import summarize
from kerasal.preprocessing import Preprocessing
from kerasal.progress import progress_bar
from kerasal.row_journal import RowJournal, stamps
from kerasal.store import write_json

import keras

_SCORES = ("missed_1", "missed_top", "iou", "correct")


class LocalizationReport:
    """How well a model finds objects in the images of a folder.

    Attributes:
        table: one row per image: ``missed_1`` and ``missed_top`` (ILSVRC's error with one and with ``top`` guesses),
            ``iou`` and ``correct`` (mean IoU, and the share of boxes with enough of it, where the class is known),
            ``guesses``, and ``error``: None, or why the image has no scores.
        settings: what the scores depend on.
        notes: remarks.
        failed: name -> reason, of the images without scores.
        scored: how many images have scores.
        summary: ``metrics.summarize`` of the table; None if no image has scores.
    """

    def __init__(self, table: pd.DataFrame, settings: dict[str, Any], notes: list[str]):
        self.table, self.settings, self.notes = table, settings, notes
        self.failed = table["error"].dropna()
        self.scored = len(table) - len(self.failed)
        values = table.loc[table["error"].isna(), list(_SCORES)].astype(float)
        self.summary = summarize(values) if self.scored else None

    def write(self, output: str | os.PathLike) -> None:
        """Write the table as CSV, and settings and summary beside it (.json).

        Raises:
            OSError: it cannot be written.
        """
        output = pathlib.Path(output)
        with replacing(output) as path:
            self.table.to_csv(path)
        text = None if self.summary is None else self.summary.to_json(orient="index", double_precision=15)
        write_json(output.with_suffix(".json"), {"settings": self.settings, "summary": json.loads(text or "{}")})


def evaluate_folder(
    model: keras.Model,
    folder: str | os.PathLike,
    boxes: str | os.PathLike,
    *,
    labels: Sequence[str] = (),
    classes: str | os.PathLike | None = None,
    inclusive: bool = False,
    top: int = 5,
    iou: float = 0.5,
    recipe: Literal["tuned", "simonyan"] = "tuned",
    method: str | None = None,
    preprocessing: Preprocessing | str | None = "none",
    output: str | os.PathLike | None = None,
    name: str | None = None,
    progress: bool = False,
    **graphcut_options: float,
) -> LocalizationReport:
    """Score a model's boxes on a folder of images: ILSVRC's localization error, and the IoU where the class is known.

    Images and boxes find each other by the file's name. An image without boxes, or that cannot be read, has its reason
    in the column ``error``, and the others are scored.

    Args:
        model: see ``localize``.
        folder: of photographs, at any depth.
        boxes: see ``read_boxes``: a folder of VOC or ImageNet .xml, a COCO .json, or a .csv.
        labels: the model's class names.
        classes: a CSV from the boxes' class names to the model's numbers: any columns, and one named index.
        inclusive: x_max and y_max of a CSV are the last pixel inside.
        top: guesses that an image has.
        iou: intersection over union that is enough.
        recipe: see ``localize``.
        method: see ``localize``.
        preprocessing: what the model wants of pixels.
        output: a .csv file. The report is written there, with a .json beside it; a run that was stopped goes on when it
            is called again with the same arguments.
        name: of the model, in the settings; by default its own.
        progress: show a bar.
        **graphcut_options: see ``localize``.

    Raises:
        ValueError: options that do not fit; no image has a box; two images share a name.
        UnknownClass: a ValueError: the model has no class of a box's name; ``classes`` would give its number.
        OSError: the report cannot be written.
    """
    check_number("iou", iou, above=0, maximum=1)
    matched = match_boxes(folder, boxes, classes=classes, inclusive=inclusive)
    settings = {
        "model": [name or model.name, hooks.digest_model(model)],
        "preprocessing": repr(preprocessing),
        "recipe": recipe,
        "method": method,
        "top": top,
        "iou": iou,
        **graphcut_options,
    }
    locate = functools.partial(
        localize, model, recipe=recipe, method=method, preprocessing=preprocessing, **graphcut_options
    )
    truths = matched.truths(labels)
    items = {
        image: [stamps(file), truths[image]] for image, file in matched.files.items() if image not in matched.errors
    }
    journal = RowJournal(output, {"settings": settings}, items)
    missing = journal.missing
    with journal.adding() as add, progress_bar("Localizing", len(missing), progress) as advance:
        for image in missing:
            add(image, _row(locate, matched.files[image], truths[image], image, top, iou))
            advance(1)
    rows = journal.rows | {image: {"error": message} for image, message in matched.errors.items()}
    table = pd.DataFrame.from_dict({image: rows[image] for image in sorted(rows)}, orient="index")
    table.index.name = "image"
    table = table.reindex(columns=[*_SCORES, "guesses", "error"])
    report = LocalizationReport(table, settings, matched.notes + journal.notes)
    if output is not None:
        report.write(output)
        journal.remove()
    return report


def _row(locate: Callable[..., pd.DataFrame], file, truths: list[Truth], name: str, top: int, iou: float) -> dict:
    """Return the row of one image: its values, or why there are none under ``error``."""
    try:
        image = images.read(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map without any evidence: the whole image is the guess
            warnings.simplefilter("default", hooks.NoLogits)
            return _scores(locate, image, truths, name, top, iou)
    except (ValueError, OSError, MemoryError) as error:
        return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}


def _scores(locate, image, truths: list[Truth], name: str, top: int, iou: float) -> dict[str, Any]:
    boxes: dict[int, list] = {}
    for truth in truths:
        boxes.setdefault(truth.number, []).append(fit_box(truth, image.shape[:2], name))
    guesses = locate(image, top=top)
    box_of = dict(zip(guesses["class"], guesses["box"], strict=True))
    unguessed = [number for number in boxes if number not in box_of]
    if unguessed:
        more = locate(image, classes=unguessed)
        box_of |= dict(zip(more["class"], more["box"], strict=True))
    overlaps = [mean_iou([box_of[number]], [boxes[number]]) for number in boxes]
    rows = [(name, number, box) for number in boxes for box in boxes[number]]
    frame = pd.DataFrame(rows, columns=["image", "class", "box"])
    missed = [localization_error(guesses.assign(image=name), frame, top=most, iou=iou) for most in (1, top)]
    return {
        "missed_1": missed[0],
        "missed_top": missed[1],
        "iou": sum(overlaps) / len(overlaps),
        "correct": sum(overlap >= iou for overlap in overlaps) / len(overlaps),
        "guesses": "; ".join(
            f"{number}: {' '.join(map(str, box))}" for number, box in zip(guesses["class"], guesses["box"], strict=True)
        ),
        "error": None,
    }
