"""Where the maps of a vision transformer lie: on the object of its class, and where people look.

    python benchmarks/transformer_maps.py MODELS/dinov2_small.py tiny_imagenet10 osie -o RUNS [--only objects gaze]

dinov2_small.py defines ``dinov2_small((height, width))``, the real DINOv2 ViT-S/14, whose output are its tokens.

``objects``  a logistic regression on the class token of training images makes it a classifier of ten classes; its last
             layer is that regression. On validation images, enlarged from 64 to 112 pixels, the maps of the true class
             are compared with the object's box. "hit" is the pointing game: the share of images whose largest value
             lies in the box. "in box" is the share of the map's (positive) sum in the box, "lift" that share divided by
             the box's share of the image: 1 is chance. "half" counts only images whose box covers less than half of the
             image, where the center is no good answer.
``gaze``     the maps as predictions of where people look, on test images of OSIE at 168 × 224 pixels. DINOv2 has no
             classes, so the score is the length of the class token. NSS at the fixations, of maps as they are, enlarged
             to the image and blurred with a standard deviation of 1 degree (24 of 800 pixels).

Controls: the center; a random map, noise of the size of the token grid enlarged in the same way; Grad-CAM at the patch
embedding, the last convolution of the network; and Grad-CAM of the same network with random weights below its last
layer. Intervals are 95 % bootstrap intervals over images, those of differences are paired. Scores are stored in RUNS,
and a stopped run continues there. ``--small`` uses a few images.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import warnings

import cv2
import numpy as np
import pandas as pd
from dinov2_classifier import SIDE, class_token, classifier, fit_head, load_backbone, randomized, to_inputs
from map_scores import Rows
from markdown_tables import interval

from kerasal import attribution, images, metrics
from kerasal.attribution.evaluation import pointing_game
from kerasal.datasets import open_gaze
from kerasal.progress import progress_bar

import tensorflow as tf

GAZE_SIZE = 168, 224
PATCHES = "patch_embedding"
METHODS = {
    "gradcam": lambda model, x, target: attribution.gradcam(model, x, target),
    "gradcam, patch embedding": lambda model, x, target: attribution.gradcam(model, x, target, layer=PATCHES),
    "layercam": lambda model, x, target: attribution.layercam(model, x, target),
    "attention_gradcam": lambda model, x, target: attribution.attention_gradcam(model, x, target),
    "transformer_relevance": lambda model, x, target: attribution.transformer_relevance(model, x, target),
    "attention_rollout": lambda model, x, target: attribution.attention_rollout(model, x, target),
    "class_saliency": lambda model, x, target: attribution.class_saliency(model, x, target),
}
REFERENCES = {
    "objects": ("random map", "gradcam, patch embedding"),
    "gaze": ("attention_rollout", "class_saliency"),
}


def random_map(shape, grid, random):
    return cv2.resize(random.random(grid).astype(np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR)


def center_map(shape):
    """Return a map that falls from the center, with the aspect of the image."""
    rows, columns = (np.linspace(-1, 1, size) for size in shape)
    return np.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) * 2).astype(np.float32)


def compute_maps(models: dict, x, target, random) -> dict[str, np.ndarray]:
    """Return the map of each row for an image."""
    model, shape = models["trained"], x.shape[1:3]
    grid = tuple(side // 14 for side in shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", attribution.ZeroMap)
        maps = {name: method(model, x, target)[0] for name, method in METHODS.items()}
        if "random" in models:
            maps["gradcam, random weights"] = attribution.gradcam(models["random"], x, target)[0]
    return maps | {"random map": random_map(shape, grid, random), "center": center_map(shape)}


def measure_objects(arguments, output: pathlib.Path) -> pd.DataFrame:
    """Score the maps of the true class by the boxes of validation images."""
    folder = arguments.photos
    boxes = pd.read_csv(folder / "boxes.csv").query("split == 'val'")
    wnids = pd.read_csv(folder / "classes.csv")["wnid"].tolist()
    rows, chosen = Rows(output / "objects.csv"), boxes.groupby("wnid", sort=False).head(arguments.images // len(wnids))
    if set(chosen["file"]) <= rows.done:
        return rows.table
    features_model = class_token(load_backbone(arguments.backbone, (SIDE, SIDE)))
    head = fit_head(features_model, folder, wnids, arguments.per_class)
    model = classifier(features_model, head)
    models = {"trained": model, "random": randomized(model, 0)}
    with progress_bar("maps of validation images", len(chosen)) as advance:
        for number, (_, row) in enumerate(chosen.iterrows()):
            advance(1)
            if row["file"] in rows.done:
                continue
            x = to_inputs([images.read(folder / "val" / row["wnid"] / row["file"])], (SIDE, SIDE))
            scale, target = SIDE / 64, wnids.index(row["wnid"])
            box = [row["xmin"] * scale, row["ymin"] * scale, (row["xmax"] + 1) * scale, (row["ymax"] + 1) * scale]
            x_min, y_min, x_max, y_max = (round(value) for value in box)
            area = (x_max - x_min) * (y_max - y_min) / SIDE**2
            right = int(model.predict_on_batch(x)[0].argmax() == target)
            scores = []
            for name, values in compute_maps(models, x, target, np.random.default_rng(number)).items():
                positive = np.maximum(values, 0)
                inside = positive[y_min:y_max, x_min:x_max].sum() / positive.sum() if positive.any() else np.nan
                hits = pointing_game(values[None], [(x_min, y_min, x_max, y_max)], random_maps=0).values
                hit = float(hits[0]) if positive.any() else 0.0
                scores.append({"row": name, "hit": hit, "in box": inside, "lift": inside / area, "area": area})
            rows.add([{"image": row["file"], "right": right, **score} for score in scores])
    return rows.table


def measure_gaze(arguments, output: pathlib.Path) -> pd.DataFrame:
    """Score the maps of the class token's length by the fixations of test images."""
    data = open_gaze(arguments.osie, "test")
    model, rows = load_backbone(arguments.backbone, GAZE_SIZE), Rows(output / "gaze.csv")

    def length(tokens):
        return tf.norm(tokens[:, 0], axis=-1)

    count = min(len(data), arguments.gaze_images)
    with progress_bar("maps of OSIE images", count) as advance:
        for number in range(count):
            advance(1)
            name, photo, fixations = data.names[number], data.image(number), data.fixations(number)
            if name in rows.done:
                continue
            maps = compute_maps(
                {"trained": model}, to_inputs([photo], GAZE_SIZE), length, np.random.default_rng(number)
            )
            scores = []
            for row, values in maps.items():
                large = cv2.resize(values, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)
                large = cv2.GaussianBlur(large, (0, 0), 24 / 800 * photo.shape[1])
                scores.append({"image": name, "row": row, "nss": metrics.nss(large, fixations)})
            rows.add(scores)
    return rows.table


def print_table(kind: str, table: pd.DataFrame) -> None:
    """Print the means as Markdown, with the paired differences from the reference rows."""
    column, name = ("hit", "hit") if kind == "objects" else ("nss", "NSS")
    wide = {row: part.set_index("image") for row, part in table.groupby("row", sort=False)}
    references = [row for row in REFERENCES[kind] if row in wide]
    first = next(iter(wide.values()))
    print(f"\n### {kind}, {len(first)} images\n")
    heads = [name, *(f"{name} − {row}" for row in references)]
    if kind == "objects":
        right, area = first["right"], first["area"]
        print(
            f"Right class: {interval(right)}. Mean share of the box: {area.mean():.3f}; {(area < 0.5).sum()} below half"
        )
        heads += ["hit, half", "lift", "lift, half"]
    print(f"\n| | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for row, part in wide.items():
        cells = [interval(part[column])]
        cells += ["–" if row == other else interval(part[column] - wide[other][column]) for other in references]
        if kind == "objects":
            half = part[part["area"] < 0.5]
            cells += [interval(half["hit"]), interval(part["lift"]), interval(half["lift"])]
        print(f"| {row} | {' | '.join(cells)} |")


def main(words=None) -> None:
    """Read the arguments, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=pathlib.Path, help="dinov2_small.py")
    parser.add_argument("photos", type=pathlib.Path, help="folder with train, val, boxes.csv and classes.csv")
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the scores")
    parser.add_argument("--only", nargs="+", choices=("objects", "gaze"), default=("objects", "gaze"))
    parser.add_argument("--images", type=int, default=200, help="validation images")
    parser.add_argument("--per-class", type=int, default=100, help="training images of each class")
    parser.add_argument("--gaze-images", type=int, default=100, help="test images of OSIE")
    parser.add_argument("--small", action="store_true", help="a few images, to try the script")
    arguments = parser.parse_args(words)
    if arguments.small:
        arguments.images, arguments.per_class, arguments.gaze_images = 10, 4, 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    for kind, measure in (("objects", measure_objects), ("gaze", measure_gaze)):
        if kind in arguments.only:
            print_table(kind, measure(arguments, arguments.output))


if __name__ == "__main__":
    main()
