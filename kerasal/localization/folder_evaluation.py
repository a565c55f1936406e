"""Localization scores of a model on a folder of images with true boxes; a stopped run can be continued."""

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
from kerasal.files import atomic_write
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
    """Localization scores of a model on the images of a folder.

    Attributes:
        table: one row per image: ``missed_1`` and ``missed_top`` (ILSVRC's error with 1 and with ``top`` guesses),
            ``iou`` and ``correct`` (for known classes, the mean IoU and the share of classes whose IoU is high enough),
            ``guesses``, and ``error``: None, or the reason why the image has no scores.
        settings: the model and the arguments on which the scores depend.
        notes: sentences about images or boxes that were not used.
        failed: image name -> reason, for the images without scores.
        scored: number of images with scores.
        summary: ``metrics.summarize`` of the table; None if no image has scores.
    """

    def __init__(self, table: pd.DataFrame, settings: dict[str, Any], notes: list[str]):
        self.table, self.settings, self.notes = table, settings, notes
        self.failed = table["error"].dropna()
        self.scored = len(table) - len(self.failed)
        values = table.loc[table["error"].isna(), list(_SCORES)].astype(float)
        self.summary = summarize(values) if self.scored else None

    def write(self, output: str | os.PathLike) -> None:
        """Write the table as CSV, and the settings and the summary as JSON with the same name.

        Raises:
            OSError: a file cannot be written.
        """
        output = pathlib.Path(output)
        with atomic_write(output) as path:
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
    """Return the localization error (ILSVRC) and the IoU for known classes of a model on a folder of images.

    Images and boxes are matched by file name. Images that are unreadable or have no boxes get a reason in the column
    ``error``; the others are scored.

    Args:
        model: a classifier; see ``localize``.
        folder: a folder of images, at any depth.
        boxes: the true boxes: a folder of VOC or ImageNet .xml, a COCO .json, or a .csv; see ``read_boxes``.
        labels: class names in the order of the outputs.
        classes: a CSV that maps class names of the boxes to class indices: a column ``index`` and columns of names.
        inclusive: whether x_max and y_max of a CSV are the last pixel inside the box.
        top: number of guesses per image.
        iou: the smallest IoU of a good box.
        recipe: see ``localize``.
        method: see ``localize``.
        preprocessing: how pixels become model inputs; see ``localize``.
        output: a .csv file for the report; settings and summary are written to a .json with the same name. A stopped
            run continues when the function is called again with the same arguments.
        name: name of the model in the settings; by default ``model.name``.
        progress: whether to show a progress bar.
        **graphcut_options: see ``localize``.

    Returns:
        ``LocalizationReport``.

    Raises:
        ValueError: an option is invalid, no image has a box, or two images have the same name.
        UnknownClass: a ValueError; ``labels`` lack the class of a box. Pass ``classes`` with its index.
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
    with journal.open_appender() as add, progress_bar("Localizing", len(missing), progress) as advance:
        for image in missing:
            add(image, _score_row(locate, matched.files[image], truths[image], image, top, iou))
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


def _score_row(locate: Callable[..., pd.DataFrame], file, truths: list[Truth], name: str, top: int, iou: float) -> dict:
    """Return the row of an image: its scores, or the reason why there are none under ``error``."""
    try:
        image = images.read(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a constant map, whose box is the whole image
            warnings.simplefilter("default", hooks.NoLogits)
            return _compute_scores(locate, image, truths, name, top, iou)
    except (ValueError, OSError, MemoryError) as error:
        return {"error": (str(error).strip() or type(error).__name__).splitlines()[0]}


def _compute_scores(locate, image, truths: list[Truth], name: str, top: int, iou: float) -> dict[str, Any]:
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
    missed = [localization_error(guesses.assign(image=name), frame, top=count, iou=iou) for count in (1, top)]
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
