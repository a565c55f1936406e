"""Search the settings of the cut that turns a saliency map into a box, on images whose class and boxes are known.

    python benchmarks/localization_search.py MODEL IMAGES BOXES [--classes CSV] [--maps gradcam smoothgrad …]

The recipe "tuned" came from the first 15 training images of each of ten Tiny ImageNet classes:

    python benchmarks/localization_search.py efficientnet_lite0_imagenet.keras train boxes.csv --classes classes.csv \\
        --inclusive -p mean=127,std=128 \\
        --maps gradcam class_saliency smoothgrad gradcam+smoothgrad gradcam+layercam@block10_add

For each kind of map it begins at graphcut's defaults, which are the paper's, and goes through the options, a few at
once, keeping the values with the highest mean IoU + half the share of boxes with an IoU of at least .5, until a round
changes nothing, at most twice. The cut is made at 64 pixels, for speed. Plain thresholds of the same map, and boxes
that look at nothing, are searched likewise. A kind of map is an attribution method, ``METHOD@LAYER`` for one of a named
layer, or a sum ``A+B`` of maps divided by their maxima.

Maps and scores are kept in --folder, so that a run which was stopped goes on, and another search over the same maps is
quick. Never search on the images that the result is to be reported on.
"""

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from kerasal import attribution, hooks, images, localization
from kerasal.files import replacing
from kerasal.localization.ground_truth import fit_box, match_boxes
from kerasal.models import open_model
from kerasal.progress import progress_bar

# Each line at once: without a prior the level means nothing, and the stronger the colors, the lower the best level.
CUTS = (
    {"prior": (0.0, 10.0, 25.0, 40.0)},
    {"level": (0.08, 0.1, 0.12, 0.15, 0.2), "color": (0.0, 1.0, 2.5, 4.0)},
    {"blur": (0.0, 0.018, 0.036, 0.054)},
    {"foreground": (0.8, 0.9, 0.95), "background": (0.2, 0.3)},
)
FIRST_CUT = {"foreground": 0.95, "background": 0.3, "prior": 0.0, "color": 1.0, "level": 0.2, "blur": 0.0}
THRESHOLDS = ({"level": (0.1, 0.15, 0.2, 0.25, 0.3, 0.4), "blur": (0.0, 0.018, 0.036, 0.054, 0.072)},)
FIRST_THRESHOLD = {"level": 0.15, "blur": 0.0}
CENTERS = ({"share": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)},)
ROUNDS, RESOLUTION = 2, 64
OPTIONS = {"smoothgrad": {"samples": 16}}


@dataclasses.dataclass
class Case:
    """One photograph of a known class, as it is and as the model sees it."""

    name: str
    number: int
    boxes: list
    size: tuple[int, int]
    picture: np.ndarray


def read_cases(arguments, opened) -> list[Case]:
    """Return the first images of each class, in the order of the box file."""
    job = match_boxes(arguments.images, arguments.boxes, classes=arguments.classes, inclusive=arguments.inclusive)
    truths, taken, found = job.truths(opened.labels), {}, []
    for name in (name for name in job.boxes if name in truths):
        number = truths[name][0].number
        if taken.get(number, 0) == arguments.per_class:
            continue
        taken[number] = taken.get(number, 0) + 1
        photograph = images.read(job.files[name])
        boxes = [fit_box(one, photograph.shape[:2], name) for one in truths[name] if one.number == number]
        found.append(Case(name, number, boxes, photograph.shape[:2], images.resize(photograph, opened.input_size())))
    return found


def make_maps(opened, cases: list[Case], kind: str, folder: pathlib.Path) -> list[np.ndarray]:
    """Return a map of each case's class, from the folder where it is there."""
    if "+" in kind:
        parts = [make_maps(opened, cases, part, folder) for part in kind.split("+")]
        return [sum(one / max(one.max(), 1e-30) for one in maps) for maps in zip(*parts, strict=True)]
    method, _, layer = kind.partition("@")
    options = {**OPTIONS.get(method, {}), **({"layer": layer} if layer else {})}
    files = [folder / kind.replace("/", ":") / f"{case.name}.npy" for case in cases]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    missing = [place for place, file in enumerate(files) if not file.exists()]
    with progress_bar(f"Maps, {kind}", len(missing), sys.stderr.isatty()) as advance:
        for place in missing:
            inputs = opened.preprocessing.apply(cases[place].picture)[None]
            found = np.abs(getattr(attribution, method)(opened.keras_model, inputs, cases[place].number, **options)[0])
            with replacing(files[place]) as path, path.open("wb") as file:
                np.save(file, found.max(axis=-1) if found.ndim == 3 else found)
            advance(1)
    return [np.load(file) for file in files]


class Scores:
    """Mean IoU and share of good boxes of a way to make masks; what was once scored is kept in a file."""

    def __init__(self, cases: list[Case], file: pathlib.Path, about: list):
        self.cases, self.file = cases, file
        self.kept = json.loads(file.read_text()) if file.exists() else {"about": about, "found": {}}
        if self.kept["about"] != about:
            raise SystemExit(f"{file.parent} is of {self.kept['about']}, not {about}: give another --folder.")

    def of(self, title: str, way, maps, settings: dict) -> tuple[float, float]:
        """Score ``way(picture, map, **settings) -> mask``; a constant map gives the whole image."""
        key = json.dumps([title, settings, [case.name for case in self.cases]])
        if key not in self.kept["found"]:
            boxes = []
            with progress_bar(f"{title} {settings}", len(self.cases), sys.stderr.isatty()) as advance:
                for case, one in zip(self.cases, maps, strict=True):
                    mask = np.ones(one.shape, bool) if np.ptp(one) == 0 else way(case.picture, one, **settings)
                    boxes.append(localization.scale_box(localization.bounding_box(mask), mask.shape, case.size))
                    advance(1)
            overlaps = localization.overlaps(boxes, [case.boxes for case in self.cases])
            self.kept["found"][key] = float(overlaps.mean()), float((overlaps >= 0.5).mean())
            with replacing(self.file) as path:
                path.write_text(json.dumps(self.kept))
        return tuple(self.kept["found"][key])


def search(grid: tuple[dict, ...], settings: dict, score) -> tuple[dict, pd.DataFrame]:
    """Return the best settings, and a table of all that was tried on the way."""
    rows, before = [], None
    for number in range(1, ROUNDS + 1 if len(grid) > 1 else 2):
        if settings == before:
            break
        before = settings
        for part in grid:
            tried = [dict(zip(part, values, strict=True)) for values in itertools.product(*part.values())]
            found = [score({**settings, **one}) for one in tried]
            quality = [
                (round(mean + share / 2, 6), one.items() <= settings.items())
                for (mean, share), one in zip(found, tried, strict=True)
            ]
            best = tried[quality.index(max(quality))]
            rows += [(number, *values, one, "<" * (one == best)) for values, one in zip(found, tried, strict=True)]
            settings = {**settings, **best}
    return settings, pd.DataFrame(rows, columns=["round", "mean IoU", "IoU of .5", "tried", "kept"])


def cut(picture, one, **settings):
    return localization.graphcut(picture, one, **{"resolution": RESOLUTION, **settings})


def cross(picture, one, **settings):
    return localization.largest_component(localization.threshold(one, **settings))


def center(picture, one, share):
    (height, width), margin = one.shape, (1 - share**0.5) / 2
    mask = np.zeros(one.shape, bool)
    mask[round(height * margin) : round(height * (1 - margin)), round(width * margin) : round(width * (1 - margin))] = 1
    return mask


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("boxes", type=pathlib.Path)
    parser.add_argument("--classes", type=pathlib.Path)
    parser.add_argument("--inclusive", action="store_true")
    parser.add_argument("-p", "--preprocessing")
    parser.add_argument("--per-class", type=int, default=15)
    parser.add_argument("--maps", nargs="+", default=["gradcam", "class_saliency", "smoothgrad"])
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("localization_search"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    opened = open_model(arguments.model, preprocessing=arguments.preprocessing)
    cases = read_cases(arguments, opened)
    about = [arguments.model, hooks.digest_model(opened.keras_model), repr(opened.preprocessing), str(arguments.images)]
    scores, rows = Scores(cases, arguments.folder / "scores.json", about), []
    print(f"{len(cases)} images of {len({case.number for case in cases})} classes")

    def searched(title, way, maps, grid, first):
        def score(settings):
            return scores.of(title, way, maps, settings)

        best, tried = search(grid, first, score)
        print(f"\n{title}, a few options after the other\n{tried.round(3).to_string(index=False)}", flush=True)
        rows.append((title, "first", *score(first), first))
        rows.append((title, "best", *score(best), best))
        return score

    anything = [np.eye(*case.picture.shape[:2]) for case in cases]
    searched("center box", center, anything, CENTERS, {"share": 1.0})
    recipe = {name: value for name, value in localization.RECIPES["tuned"].items() if name != "method"}
    for kind in arguments.maps:
        maps = make_maps(opened, cases, kind, arguments.folder)
        searched(f"{kind}, threshold", cross, maps, THRESHOLDS, FIRST_THRESHOLD)
        score = searched(f"{kind}, cut", cut, maps, CUTS, FIRST_CUT)
        rows.append((f"{kind}, cut", "tuned", *score(recipe), recipe))
    print("\nThe first settings, the best, and those of the recipe tuned")
    for title, which, mean, share, settings in rows:
        print(f"{title:40} {which:6} {mean:.3f} {share:.3f}  {settings}")


if __name__ == "__main__":
    main()
