"""Score the localization method of Simonyan et al. 2013 (section 3.2) beside boxes that do not look at the map.

    python benchmarks/localization_error.py MODEL IMAGES BOXES [--classes CSV] [--inclusive] [-p PREPROCESSING]

The method is followed to the letter: the class predictions are the mean of ten crops, and so is the saliency map; seeds
are the pixels above the 95 % and below the 30 % quantile of the map; the cut is made at the full size of the map, and
the box encloses the largest component. As in ILSVRC, an image is right if one of five guesses has the class and a box
with an IoU of at least .5. Only the box of the true class can be right, so only this box is computed, for images whose
class is not guessed too; with it the table also has the IoU for a known class.

All rows have the same labels, so that they differ in the box alone:

    labels alone           the true box: no box can have a smaller error
    whole image            a box that does not look at the image
    center box             80 % of the image, the share that was best on training images (localization_search.py)
    paper                  the method
    paper, clamped         its seeds also keep their side in the cut; the paper does not say which of the two it does
    paper, one map         the map of the whole image instead of ten crops; the same cut
    paper, other map       a control: the map is that of the image before, which is of another class
    tuned                  the recipe of kerasal.localization: Grad-CAM, and a cut by the map and the colors

"box if label" is the share of right boxes among the images whose class is one of the five guesses: the part of the
error that is the box's own. On ILSVRC-2013 the paper has 46.4 % of wrong boxes (test set) and 17.7 % of wrong labels
(validation set), so about (1 - .464) / (1 - .177) = .651.

The images are the first of each class in the order of the box file, class after class in turn. Images with boxes of
several classes are skipped and counted. Intervals are 95 % bootstrap intervals over images; those of differences are
paired. Scores are stored next to --output, so that a stopped run continues.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import itertools
import warnings

import numpy as np
import pandas as pd

from kerasal import hooks, images, localization
from kerasal.files import atomic_write
from kerasal.localization.ground_truth import fit_box, match_boxes
from kerasal.localization.localizer import ten_crops
from kerasal.metrics.summary import summarize
from kerasal.models import open_model
from kerasal.progress import progress_bar
from kerasal.row_journal import RowJournal, stamps

BASELINES = ("labels alone", "whole image", "center box")
CUTS = ("paper", "paper, clamped", "paper, one map", "paper, other map", "tuned")
CENTER = 0.8


def choose_images(job, labels, per_class: int) -> tuple[dict[str, int], dict[str, list], int]:
    """Return {image: class index} and {image: true boxes} of the first images of each class, and the number skipped."""
    truths, by_class, skipped = job.truths(labels), {}, 0
    for name in (name for name in job.boxes if name in truths):
        numbers = {truth.number for truth in truths[name]}
        if len(numbers) == 1:
            by_class.setdefault(numbers.pop(), []).append(name)
        else:
            skipped += 1
    in_turn = itertools.zip_longest(
        *([(number, name) for name in names[:per_class]] for number, names in by_class.items())
    )
    chosen = {pair[1]: pair[0] for pairs in in_turn for pair in pairs if pair}
    return chosen, {name: truths[name] for name in chosen}, skipped


class Scorer:
    """The scores of all kinds of boxes for one image after the other."""

    def __init__(self, opened, files, truths):
        self.opened, self.files, self.truths = opened, files, truths
        self.map_of = {}

    def find(self, name, class_index, **options):
        """Return the localization of a class in an image."""
        photo = images.read(self.files[name])
        model, convention = self.opened.keras_model, self.opened.preprocessing
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a constant map, whose box is the whole image
            (found,) = localization.find_objects(
                model, photo, classes=[class_index], preprocessing=convention, **options
            )
        return photo, found

    def rank(self, name, class_index) -> int:
        """Return the number of classes above the true one in the mean output of the ten crops."""
        height, width = self.opened.input_size()
        large = images.resize(images.read(self.files[name]), (round(8 / 7 * height), round(8 / 7 * width)))
        crops = np.concatenate([self.opened.to_inputs(crop[None]) for crop in ten_crops(large, (height, width))])
        with hooks.unchanged(self.opened.keras_model):
            outputs = np.asarray(self.opened.keras_model(crops, training=False)).mean(axis=0)
        return int((outputs > outputs[class_index]).sum())

    def score(self, name, class_index, other) -> dict[str, float | int | None]:
        """Return the rank of the true class and the IoU of each kind of box with the true boxes."""
        photo, found = self.find(name, class_index, recipe="simonyan")
        height, width = photo.shape[:2]
        other_name, other_class = other
        if other_name not in self.map_of:
            self.map_of = {other_name: self.find(other_name, other_class, recipe="simonyan")[1].map}
        strange = self.map_of[other_name]
        self.map_of = {name: found.map}
        margin = (1 - CENTER**0.5) / 2
        boxes = {
            "whole image": (0, 0, width, height),
            "center box": (width * margin, height * margin, width * (1 - margin), height * (1 - margin)),
            "paper": found.box,
            "paper, clamped": cut_box(found.picture, found.map, photo, clamp=True),
            "paper, one map": self.find(name, class_index, recipe="simonyan", method="class_saliency")[1].box,
            "paper, other map": cut_box(found.picture, strange, photo),
            "tuned": self.find(name, class_index)[1].box,
        }
        truth = [fit_box(truth, photo.shape[:2], name) for truth in self.truths[name]]
        row = {kind: float(np.max(localization.iou(box, truth))) for kind, box in boxes.items()}
        return {"rank": self.rank(name, class_index), "labels alone": 1.0, **row, "error": None}


def cut_box(picture, values, photo, **options):
    """Return the box of the cut of a map in pixels of the photo; for a constant map, the whole photo."""
    if values.min() == values.max():
        return (0, 0, photo.shape[1], photo.shape[0])
    mask = localization.graphcut(picture, values, **options)
    return localization.scale_box(localization.bounding_box(mask), mask.shape, photo.shape[:2])


def measures(rows: pd.DataFrame, kind: str, iou: float = 0.5) -> pd.DataFrame:
    """Return the errors, the measures for a known class, and whether the box is right if the label is, NaN if not."""
    good, labeled = rows[kind] >= iou, rows["rank"] < 5
    return pd.DataFrame(
        {
            "top-1 error": 1.0 - (good & (rows["rank"] < 1)),
            "top-5 error": 1.0 - (good & labeled),
            "box if label": good.astype(float).where(labeled),
            "mean IoU": rows[kind],
            "IoU of .5": good.astype(float),
        }
    )


def tabulate(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of each kind of box, and the paired differences between some of them."""
    by_kind = {kind: measures(rows, kind) for kind in (*BASELINES, *CUTS)}
    table = {kind: _cells(values, "{:.3f}") for kind, values in by_kind.items()}
    pairs = [(kind, "whole image") for kind in CUTS] + [("paper", kind) for kind in CUTS if kind != "paper"]
    gains = {f"{one} - {two}": _cells(by_kind[one] - by_kind[two], "{:+.3f}") for one, two in pairs}
    return pd.DataFrame(table).T, pd.DataFrame(gains).T


def _cells(values: pd.DataFrame, style: str) -> dict[str, str]:
    text = f"{style} [{style}, {style}]"
    return {name: text.format(r["mean"], r["low"], r["high"]) for name, r in summarize(values).iterrows()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("boxes", type=pathlib.Path)
    parser.add_argument("--classes", type=pathlib.Path, help="CSV that maps class names of the boxes to class numbers")
    parser.add_argument("--inclusive", action="store_true", help="x_max and y_max are the last pixels inside the box")
    parser.add_argument("-p", "--preprocessing")
    parser.add_argument("--per-class", type=int, default=30, help="number of images per class")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("localization_error.csv"))
    options = parser.parse_args(arguments)
    opened = open_model(options.model, preprocessing=options.preprocessing, fit="stretch")
    job = match_boxes(options.images, options.boxes, classes=options.classes, inclusive=options.inclusive)
    chosen, truths, skipped = choose_images(job, opened.labels, options.per_class)
    if len(chosen) < 2:
        parser.error(f"at least two images must have boxes of a single class, got {len(chosen)}.")
    before = dict(zip(chosen, [*list(chosen.items())[-1:], *list(chosen.items())[:-1]], strict=True))
    items = {
        name: [stamps(job.files[name]), chosen[name], before[name], [t.box for t in truths[name]]] for name in chosen
    }
    header = [hooks.digest_model(opened.keras_model), repr(opened.preprocessing), CENTER]
    journal, scorer = RowJournal(options.output, header, items), Scorer(opened, job.files, truths)
    with journal.open_appender() as add, progress_bar("Images", len(journal.missing), sys.stderr.isatty()) as advance:
        for name in journal.missing:
            add(name, scorer.score(name, chosen[name], before[name]))
            advance(1)
    rows = pd.DataFrame.from_dict({name: journal.rows[name] for name in chosen}, orient="index")
    with atomic_write(options.output) as path:
        rows.drop(columns="error").to_csv(path, index_label="image")
    journal.remove()
    table, gains = tabulate(rows)
    print(f"{opened.name}: {len(rows)} images of {len(set(chosen.values()))} classes, {skipped} of several skipped")
    print(table.to_string())
    print("\nDifferences of two scores, paired:")
    print(gains.to_string())
    return rows


if __name__ == "__main__":
    main()
