"""Search the settings of the cut from a saliency map to a box, on images with known class and boxes.

    python benchmarks/localization_search.py MODEL IMAGES BOXES [--classes CSV] [--maps gradcam smoothgrad …]

The recipe "tuned" is the result for the first 15 training images of each of ten Tiny ImageNet classes:

    python benchmarks/localization_search.py efficientnet_lite0_imagenet.keras train boxes.csv --classes classes.csv \\
        --inclusive -p mean=127,std=128 \\
        --maps gradcam class_saliency smoothgrad gradcam+smoothgrad gradcam+layercam@block10_add

For each kind of map the search starts with the defaults of graphcut, which are the paper's. It goes through the
options, a few at a time, and keeps the values with the highest mean IoU + half the share of boxes with an IoU of at
least .5. It ends when a round changes nothing, and after two rounds at most. The cut is made at 64 pixels, for speed.
Plain thresholds of the same map, and center boxes that do not depend on the image, are searched in the same way. A kind
of map is an attribution method, ``METHOD@LAYER`` for a named layer, or ``A+B`` for the sum of two maps, each divided by
its maximum.

Maps and scores are stored in --folder, so that a stopped run continues, and another search over the same maps is quick.
Never search on the images for which the result will be reported.
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

# The options of a line are searched together: level has no effect without prior, and its best value depends on color.
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
    """A photo of a known class with its true boxes, resized to the input of the model."""

    name: str
    class_index: int
    boxes: list
    size: tuple[int, int]
    image: np.ndarray


def read_cases(arguments, image_model) -> list[Case]:
    """Return the first images of each class, in the order of the box file."""
    job = match_boxes(arguments.images, arguments.boxes, classes=arguments.classes, inclusive=arguments.inclusive)
    truths, counts, cases = job.truths(image_model.labels), {}, []
    for name in (name for name in job.boxes if name in truths):
        class_index = truths[name][0].number
        if counts.get(class_index, 0) == arguments.per_class:
            continue
        counts[class_index] = counts.get(class_index, 0) + 1
        photo = images.read(job.files[name])
        size = photo.shape[:2]
        boxes = [fit_box(truth, size, name) for truth in truths[name] if truth.number == class_index]
        cases.append(Case(name, class_index, boxes, size, images.resize(photo, image_model.input_size())))
    return cases


def make_maps(image_model, cases: list[Case], kind: str, folder: pathlib.Path) -> list[np.ndarray]:
    """Return the map of each case's class; maps that are in the folder are read."""
    if "+" in kind:
        parts = [make_maps(image_model, cases, part, folder) for part in kind.split("+")]
        return [sum(map_ / max(map_.max(), 1e-30) for map_ in maps) for maps in zip(*parts, strict=True)]
    method, _, layer = kind.partition("@")
    options = {**OPTIONS.get(method, {}), **({"layer": layer} if layer else {})}
    files = [folder / kind.replace("/", ":") / f"{case.name}.npy" for case in cases]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    missing = [index for index, file in enumerate(files) if not file.exists()]
    with progress_bar(f"Maps, {kind}", len(missing), sys.stderr.isatty()) as advance:
        for index in missing:
            inputs = image_model.preprocessing.apply(cases[index].image)[None]
            explain = getattr(attribution, method)
            values = np.abs(explain(image_model.keras_model, inputs, cases[index].class_index, **options)[0])
            with replacing(files[index]) as path, path.open("wb") as file:
                np.save(file, values.max(axis=-1) if values.ndim == 3 else values)
            advance(1)
    return [np.load(file) for file in files]


class Scores:
    """Mean IoU and share of good boxes of a function that makes masks; scores are stored in a file."""

    def __init__(self, cases: list[Case], file: pathlib.Path, about: list):
        self.cases, self.file = cases, file
        self.stored = json.loads(file.read_text()) if file.exists() else {"about": about, "found": {}}
        if self.stored["about"] != about:
            stored = self.stored["about"]
            raise SystemExit(f"{file.parent} must hold scores of {about}, got {stored}. Choose another --folder.")

    def score(self, title: str, make_mask, maps, settings: dict) -> tuple[float, float]:
        """Score ``make_mask(image, map, **settings)``; a constant map gives the whole image."""
        key = json.dumps([title, settings, [case.name for case in self.cases]])
        if key not in self.stored["found"]:
            boxes = []
            with progress_bar(f"{title} {settings}", len(self.cases), sys.stderr.isatty()) as advance:
                for case, values in zip(self.cases, maps, strict=True):
                    constant = np.ptp(values) == 0
                    mask = np.ones(values.shape, bool) if constant else make_mask(case.image, values, **settings)
                    boxes.append(localization.scale_box(localization.bounding_box(mask), mask.shape, case.size))
                    advance(1)
            overlaps = localization.overlaps(boxes, [case.boxes for case in self.cases])
            self.stored["found"][key] = float(overlaps.mean()), float((overlaps >= 0.5).mean())
            with replacing(self.file) as path:
                path.write_text(json.dumps(self.stored))
        return tuple(self.stored["found"][key])


def search(grid: tuple[dict, ...], settings: dict, score) -> tuple[dict, pd.DataFrame]:
    """Return the best settings, and a table of all that were tried."""
    rows, before = [], None
    for number in range(1, ROUNDS + 1 if len(grid) > 1 else 2):
        if settings == before:
            break
        before = settings
        for part in grid:
            candidates = [dict(zip(part, values, strict=True)) for values in itertools.product(*part.values())]
            scores = [score({**settings, **candidate}) for candidate in candidates]
            quality = [
                (round(mean + share / 2, 6), candidate.items() <= settings.items())
                for (mean, share), candidate in zip(scores, candidates, strict=True)
            ]
            best = candidates[quality.index(max(quality))]
            for values, candidate in zip(scores, candidates, strict=True):
                rows.append((number, *values, candidate, "<" * (candidate == best)))
            settings = {**settings, **best}
    return settings, pd.DataFrame(rows, columns=["round", "mean IoU", "IoU of .5", "settings", "best"])


def cut_mask(image, values, **settings):
    return localization.graphcut(image, values, **{"resolution": RESOLUTION, **settings})


def threshold_mask(image, values, **settings):
    return localization.largest_component(localization.threshold(values, **settings))


def center_mask(image, values, share):
    (height, width), margin = values.shape, (1 - share**0.5) / 2
    mask = np.zeros(values.shape, bool)
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
    image_model = open_model(arguments.model, preprocessing=arguments.preprocessing)
    cases = read_cases(arguments, image_model)
    digest = hooks.digest_model(image_model.keras_model)
    about = [arguments.model, digest, repr(image_model.preprocessing), str(arguments.images)]
    scores, rows = Scores(cases, arguments.folder / "scores.json", about), []
    print(f"{len(cases)} images of {len({case.class_index for case in cases})} classes")

    def run_search(title, make_mask, maps, grid, first):
        def score(settings):
            return scores.score(title, make_mask, maps, settings)

        best, table = search(grid, first, score)
        print(f"\n{title}: all settings that were tried\n{table.round(3).to_string(index=False)}", flush=True)
        rows.append((title, "first", *score(first), first))
        rows.append((title, "best", *score(best), best))
        return score

    not_constant = [np.eye(*case.image.shape[:2]) for case in cases]
    run_search("center box", center_mask, not_constant, CENTERS, {"share": 1.0})
    recipe = {name: value for name, value in localization.RECIPES["tuned"].items() if name != "method"}
    for kind in arguments.maps:
        maps = make_maps(image_model, cases, kind, arguments.folder)
        run_search(f"{kind}, threshold", threshold_mask, maps, THRESHOLDS, FIRST_THRESHOLD)
        score = run_search(f"{kind}, cut", cut_mask, maps, CUTS, FIRST_CUT)
        rows.append((f"{kind}, cut", "tuned", *score(recipe), recipe))
    print(
        "\nThe first settings, the best ones, and those of the recipe tuned: mean IoU, share with an IoU of at least .5"
    )
    for title, name, mean, share, settings in rows:
        print(f"{title:40} {name:6} {mean:.3f} {share:.3f}  {settings}")


if __name__ == "__main__":
    main()
