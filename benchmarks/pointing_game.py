"""The pointing game as published: is the maximum of a map on the object of the class that it explains?

    python benchmarks/pointing_game.py DATA -o RUNS [--images 150] [--rise-images 60] [--only tiny coco] [--stored]

DATA holds tiny_imagenet10, coco128 and models/ with squeezenet_v1_1_imagenet_q8.keras and
efficientnet_lite0_imagenet.keras. Zhang et al. 2018 (section 4.2) count a hit where the maximum lies on an object of
the class, or at most 15 pixels beside it. The published order is deconvnet < center < gradient, guided < RISE,
Grad-CAM.

``tiny``  validation images of ten ImageNet classes, 64 × 64 pixels and enlarged, with a box per image. The tolerance is
          15 pixels of an image 500 pixels wide, about the size of ImageNet's, so 6.7 of 224 here.
``coco``  pairs of an image of COCO and a category that it shows, with masks, or boxes where there is no mask. The score
          of a category is the sum of the scores of the ImageNet classes that are kinds of it (``CATEGORIES``), whether
          the model recognizes it or not, as published. Categories without such classes are left out and counted. The
          tolerance is 15 pixels of the original image, in which the published one is measured. "difficult" are pairs
          whose object covers less than a quarter of an image that shows other categories.

The maps explain the score before the softmax. Gradients are the largest absolute value over the colors. A map of a
single value points nowhere and is a miss. Controls: the center, random maps with the values and the smoothness of each
map, and the same method with every weight array of the model shuffled. Intervals are 95 % bootstrap intervals over
images; an image with several pairs counts once, by their mean. Scores are stored in RUNS, and a stopped run continues
there; ``--stored`` prints what is there. ``--small`` uses a few images, to try the script.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from map_scores import Rows, shuffled, use_one_thread
from markdown_tables import interval
from PIL import Image

import kerasal
from kerasal import attribution, images
from kerasal.attribution import evaluation

import keras

TOLERANCE, PUBLISHED_WIDTH = 15, 500
METHODS = {
    "gradient": ("class_saliency", {}),
    "deconvnet": ("deconvnet", {}),
    "guided": ("guided_backprop", {}),
    "Grad-CAM": ("gradcam", {}),
    "RISE": ("rise", {"samples": 300}),
}
PUBLISHED = (
    ("center", "deconvnet"),
    ("gradient", "center"),
    ("guided", "center"),
    ("RISE", "gradient"),
    ("RISE", "guided"),
    ("Grad-CAM", "gradient"),
    ("Grad-CAM", "guided"),
)
"""Pairs (better, worse) of neighbors in the published order."""

MODELS = {
    "SqueezeNet": ("squeezenet_v1_1_imagenet_q8.keras", "caffe", "avg_pool"),
    "EfficientNet-Lite0": ("efficientnet_lite0_imagenet.keras", "mean=127,std=128", "logits"),
}
"""File, preprocessing, and the layer with the scores before the softmax."""

CATEGORIES: dict[str, tuple[int, list[int]]] = {
    "bicycle": (2, [444, 671]),
    "car": (3, [407, 436, 468, 511, 609, 627, 656, 661, 751, 817]),
    "motorcycle": (4, [665, 670]),
    "airplane": (5, [404, 895]),
    "bus": (6, [654, 779, 874]),
    "train": (7, [466, 547, 820]),
    "truck": (8, [555, 569, 675, 717, 864, 867]),
    "boat": (9, [472, 484, 554, 576, 625, 724, 780, 814, 871, 914]),
    "traffic light": (10, [920]),
    "bench": (15, [703]),
    "bird": (16, [*range(7, 25), *range(80, 101), *range(127, 147)]),
    "cat": (17, [*range(281, 286)]),
    "dog": (18, [*range(151, 269)]),
    "horse": (19, [339]),
    "elephant": (22, [385, 386]),
    "bear": (23, [*range(294, 298)]),
    "zebra": (24, [340]),
    "backpack": (27, [414]),
    "umbrella": (28, [879]),
    "handbag": (31, [748]),
    "tie": (32, [457, 906]),
    "skis": (35, [795]),
    "sports ball": (37, [429, 430, 522, 574, 722, 768, 805, 852, 890]),
    "tennis racket": (43, [752]),
    "bottle": (44, [440, 720, 737, 898, 907]),
    "wine glass": (46, [572]),
    "cup": (47, [504, 968]),
    "spoon": (50, [910]),
    "bowl": (51, [659, 809]),
    "banana": (52, [954]),
    "orange": (55, [950]),
    "broccoli": (56, [937]),
    "hot dog": (58, [934]),
    "pizza": (59, [963]),
    "chair": (62, [423, 559, 765, 857]),
    "couch": (63, [831]),
    "bed": (65, [564]),
    "dining table": (67, [532]),
    "toilet": (70, [861]),
    "tv": (72, [664, 851]),
    "laptop": (73, [620, 681]),
    "mouse": (74, [673]),
    "remote": (75, [761]),
    "cell phone": (77, [487]),
    "microwave": (78, [651]),
    "oven": (79, [827]),
    "sink": (81, [896]),
    "refrigerator": (82, [760]),
    "clock": (85, [409, 530, 892]),
    "vase": (86, [883]),
    "teddy bear": (88, [850]),
}
"""The number of a COCO category in the masks, and the ImageNet classes that are kinds of it in WordNet or in use."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """An image and a category that it shows, with the place of its objects, bool (H, W)."""

    key: str
    image: str
    photo: np.ndarray
    group: int
    mask: np.ndarray
    tolerance: float
    difficult: bool


def read_tiny(folder: pathlib.Path, count: int) -> tuple[list[Sample], list[list[int]], str]:
    """Return validation images with their boxes, the class of each group, and a sentence about them."""
    classes = pd.read_csv(folder / "classes.csv")
    boxes = pd.read_csv(folder / "boxes.csv").query("split == 'val'").groupby("wnid", sort=False)
    samples = []
    for group, wnid in enumerate(classes["wnid"]):
        for row in boxes.get_group(wnid).head(max(1, count // len(classes))).to_dict("records"):
            mask = np.zeros((64, 64), bool)
            mask[row["ymin"] : row["ymax"] + 1, row["xmin"] : row["xmax"] + 1] = True
            photo = images.to_channels(images.read(folder / "val" / wnid / row["file"]), 3)
            large = images.fit_mask(mask, (224, 224))
            samples.append(
                Sample(row["file"], row["file"], photo, group, large, TOLERANCE * 224 / PUBLISHED_WIDTH, False)
            )
    shares = np.array([sample.mask.mean() for sample in samples])
    return (
        samples,
        [[int(index)] for index in classes["imagenet_index"]],
        f"The box covers {shares.mean():.3f} on average.",
    )


def read_coco(folder: pathlib.Path, count: int) -> tuple[list[Sample], list[list[int]], str]:
    """Return pairs of an image and a category, the classes of each category, and a sentence about them."""
    table = pd.read_csv(folder / "images.csv", dtype={"image": str})
    boxes = pd.read_csv(folder / "boxes.csv", dtype={"image": str})
    names, samples, left_out, masked = list(CATEGORIES), [], 0, 0
    for row in table.head(count).to_dict("records"):
        own = boxes[boxes["image"] == row["image"]]
        shape, scale = (row["staged_height"], row["staged_width"]), row["staged_width"] / row["orig_width"]
        path = folder / "masks" / f"{row['image']}.png"
        numbers = np.asarray(Image.open(path)) if path.is_file() else None
        for name, part in own.groupby("class", sort=False):
            if name not in CATEGORIES:
                left_out += 1
                continue
            mask = np.zeros(shape, bool)
            if numbers is not None and (numbers == CATEGORIES[name][0]).any():
                mask, masked = numbers == CATEGORIES[name][0], masked + 1
            else:
                for box in part.to_dict("records"):
                    left, top = int(box["xmin"] * scale), int(box["ymin"] * scale)
                    right, bottom = (int(np.ceil(box[key] * scale)) for key in ("xmax", "ymax"))
                    mask[top : max(bottom, top + 1), left : max(right, left + 1)] = True
            photo = images.to_channels(images.read(folder / "images" / f"{row['image']}.jpg"), 3)
            difficult = mask.mean() < 0.25 and own["class"].nunique() > 1
            key = f"{row['image']}-{name}"
            samples.append(
                Sample(key, row["image"], photo, names.index(name), mask, TOLERANCE * scale, bool(difficult))
            )
    note = (
        f"{len(samples)} pairs of {len({sample.image for sample in samples})} images, {masked} with a mask, the others "
        f"with boxes; {sum(sample.difficult for sample in samples)} are difficult. {left_out} pairs of categories "
        "without ImageNet classes are left out."
    )
    return samples, [classes for _, classes in CATEGORIES.values()], note


def group_model(model: keras.Model, layer: str, groups: list[list[int]]) -> keras.Model:
    """Return a model whose outputs are the sums of the scores of groups of classes."""
    kernel = np.zeros((1000, len(groups)), np.float32)
    for group, classes in enumerate(groups):
        kernel[classes, group] = 1
    dense = keras.layers.Dense(len(groups), use_bias=False, name="groups")
    summed = keras.Model(model.input, dense(model.get_layer(layer).output))
    dense.set_weights([kernel])
    return summed


def open_grouped(folder: pathlib.Path, name: str, groups: list[list[int]], random: bool):
    """Return a model of groups of classes with its preprocessing; with ``random``, its weights are shuffled."""
    file, preprocessing, layer = MODELS[name]
    trained = keras.models.load_model(folder / file)
    grouped = group_model(shuffled(trained, 0) if random else trained, layer, groups)
    return kerasal.open_model(grouped, preprocessing=preprocessing, fit="stretch")


def measure(model, name: str, samples: list[Sample], rows: Rows, label: str) -> None:
    """Store whether the map of each sample points at the object, and how often random maps like it do."""
    method, options = METHODS[name]
    for number, sample in enumerate(samples, 1):
        if sample.key in rows.done:
            continue
        _, inputs = model.show(sample.photo)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", attribution.ZeroMap)
            values = np.asarray(getattr(attribution, method)(model.keras_model, inputs, sample.group, **options))[0]
        values = np.abs(values).max(axis=-1) if values.ndim == 3 else values
        placed = images.resize(values.astype(np.float32), sample.mask.shape)
        result = evaluation.pointing_game(placed[None], sample.mask[None], tolerance=sample.tolerance)
        hit, random = (float(part[0]) for part in (result.values, result.controls["random"]))
        center = float(result.controls["center"][0])
        scores = {
            "image": sample.image,
            "hit": hit,
            "random map": random,
            "center": center,
            "difficult": sample.difficult,
        }
        rows.add([{"sample": sample.key, **scores}])
        if number % 50 == 0:
            print(f"{label}: {number} of {len(samples)}", file=sys.stderr, flush=True)


def by_image(table: pd.DataFrame, column: str, difficult: bool = False) -> pd.Series:
    """Return the mean of a column by image; a map of a single value is a miss."""
    part = table[table["difficult"]] if difficult else table
    return part[column].fillna(0.0).astype(float).groupby(part["image"]).mean()


def print_model(
    model: str, tables: dict[str, pd.DataFrame], controls: dict[str, pd.DataFrame], difficult: bool
) -> None:
    """Print the hits of each method with the controls, and the verdict on each pair of the published order."""
    heads = ["hits", "− random map", "− shuffled weights", *(["hits, difficult"] if difficult else []), "images"]
    print(f"\n| {model} | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    first = next(iter(tables.values()))
    hits = {"center": by_image(first, "center"), **{name: by_image(table, "hit") for name, table in tables.items()}}
    for name, own in hits.items():
        table = tables.get(name, first)
        column = "center" if name == "center" else "hit"
        cells = [interval(own)]
        cells += ["–" if name == "center" else interval(own - by_image(table, "random map"))]
        cells += [interval((own - by_image(controls[name], "hit")).dropna()) if name in controls else "–"]
        cells += [interval(by_image(table, column, difficult=True))] if difficult else []
        print(f"| {name} | {' | '.join(cells)} | {len(own)} |")
    empty = {name: int(table["hit"].isna().sum()) for name, table in tables.items()}
    empty |= {f"{name} with shuffled weights": int(table["hit"].isna().sum()) for name, table in controls.items()}
    counts = ", ".join(f"{name} {count}" for name, count in empty.items() if count)
    print(f"\nMaps of a single value: {counts or 'none'}.")
    print("\n| published | difference | verdict |\n|---|---|---|")
    for better, worse in PUBLISHED:
        if better in hits and worse in hits:
            gap = (hits[better] - hits[worse]).dropna()
            text = interval(gap)
            low, high = (float(end) for end in text[text.index("[") + 1 : -1].split(","))
            verdict = "as published" if low > 0 else "the reverse" if high < 0 else "not distinguishable"
            verdict = verdict if len(gap) >= evaluation.FEWEST_IMAGES else f"too few images ({len(gap)})"
            print(f"| {worse} < {better} | {text} | {verdict} |")


def main(words=None) -> None:
    """Read the arguments, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=pathlib.Path, help="folder with tiny_imagenet10, coco128 and models")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the scores")
    parser.add_argument("--only", nargs="+", choices=("tiny", "coco"), default=["tiny", "coco"])
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS))
    parser.add_argument("--images", type=int, default=150, help="images of each data set")
    parser.add_argument("--rise-images", type=int, default=60, help="samples for RISE, which needs 300 passes each")
    parser.add_argument("--stored", action="store_true", help="print the scores that are stored, and compute nothing")
    parser.add_argument("--small", action="store_true", help="a few images, to try the script")
    arguments = parser.parse_args(words)
    if arguments.small:
        arguments.images, arguments.rise_images = 10, 2
    arguments.output.mkdir(parents=True, exist_ok=True)
    use_one_thread()
    readers = {"tiny": (read_tiny, "tiny_imagenet10"), "coco": (read_coco, "coco128")}
    data = {}
    for kind in arguments.only:
        reader, folder = readers[kind]
        data[kind] = reader(arguments.data / folder, arguments.images)
    found: dict[tuple[str, str, bool], dict[str, pd.DataFrame]] = {}
    for slow in (False, True):
        for kind, (samples, groups, _) in data.items():
            spread = np.random.default_rng(0).permutation(len(samples))[: arguments.rise_images]
            for name in arguments.models:
                for random in (False, True):
                    model = None if arguments.stored else open_grouped(arguments.data / "models", name, groups, random)
                    for method in METHODS:
                        if (method == "RISE") != slow or (slow and random):
                            continue
                        chosen = [samples[number] for number in sorted(spread)] if slow else samples
                        label = f"{kind}, {name}, {method}{', shuffled weights' if random else ''}"
                        path = arguments.output / f"{label.replace(', ', '-').replace(' ', '_')}.csv"
                        rows = Rows(path, "sample")
                        if not arguments.stored:
                            measure(model, method, chosen, rows, label)
                        if not len(rows.table):
                            continue
                        table = rows.table[rows.table["sample"].isin([sample.key for sample in chosen])]
                        found.setdefault((kind, name, random), {})[method] = table
    for kind, (_, _, note) in data.items():
        print(f"\n### {kind}\n\n{note}")
        for name in arguments.models:
            if (kind, name, False) in found:
                print_model(name, found[kind, name, False], found.get((kind, name, True), {}), kind == "coco")


if __name__ == "__main__":
    main()
