"""Where the maps of a detector lie: in the box that is asked about, or in that of the other object.

    python benchmarks/detector.py [--images 20] [--samples 1000] [-o detector.jpg]

The images, 64 × 64 pixels, are rendered here: two objects, disks or squares of random colors and sizes, on noise.
A one-stage detector of five convolutions, with a detection per cell of 8 × 8 pixels, is trained on 2000 of them with a
seed (about a minute on one core). On test images, whose two objects it finds both, every map is made for each of the
two boxes: the target is ``objectives.box`` with the cosine of D-RISE and the objectness.

"asked" is the share of the map's positive sum in the box asked about, "other" the share in the other object's box, both
the mean over the two boxes of an image; with 95 % bootstrap intervals over images. A map of 0 counts as a
share of 0. The random map is noise of the size of Grad-CAM's maps, enlarged. The picture shows one of the images: for
each of its two boxes the photo and three maps.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from PIL import Image

from kerasal import attribution, images, objectives

import keras

SIDE, CELL = 64, 8
CELLS = SIDE // CELL
NAMES = ("disk", "square")
METHODS = {
    "gradcam": {},
    "layercam": {},
    "class_saliency": {},
    "integrated_gradients": {"baseline": 0.5},
    "occlusion": {"window": 12, "stride": 4, "fill": 0.5},
    "drise": {"cells": 10, "fill": 0.5},
}
DRAWN = ("gradcam", "occlusion", "drise")


def render(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images of two objects, float32 (N, 64, 64, 3) in 0..1, their boxes (N, 2, 4) and classes (N, 2)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    photos = random.normal(0.5, 0.12, (count, SIDE, SIDE, 3))
    boxes, classes = np.zeros((count, 2, 4), int), random.integers(0, 2, (count, 2))
    for photo, pair, kinds in zip(photos, boxes, classes, strict=True):
        while True:
            sides = random.integers(14, 23, 2)
            corners = random.integers(0, SIDE - sides[:, None], (2, 2))
            pair[:] = np.concatenate([corners, corners + sides[:, None]], axis=1)
            gaps = np.maximum(pair[0, :2] - pair[1, 2:], pair[1, :2] - pair[0, 2:])
            if gaps.max() >= 4:  # the boxes are apart
                break
        for (left, top, right, bottom), kind in zip(pair, kinds, strict=True):
            inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
            if NAMES[kind] == "disk":
                center = (top + bottom - 1) / 2, (left + right - 1) / 2
                inside &= np.hypot(rows - center[0], columns - center[1]) <= (right - left) / 2
            color = random.uniform(0, 1, 3)
            photo[inside] = np.where(np.abs(color - 0.5).max() < 0.35, np.round(color), color)
    return np.clip(photos, 0, 1).astype(np.float32), boxes, classes


def make_detector() -> keras.Model:
    """Return a model with the outputs boxes (N, 64, 4) in pixels, scores (N, 64, 2) and objectness (N, 64, 1)."""
    layers = keras.layers
    inputs = x = keras.Input((SIDE, SIDE, 3))
    for number, filters in enumerate((16, 24, 32)):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name=f"conv{number}")(x)
    for number in (3, 4):
        x = layers.Conv2D(48, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    raw = layers.Reshape((CELLS**2, 7))(layers.Conv2D(7, 1, name="head")(x))
    cells = np.stack(np.meshgrid(np.arange(CELLS), np.arange(CELLS)), axis=-1).reshape(1, -1, 2)
    centers = (keras.ops.sigmoid(raw[..., :2]) + cells.astype(np.float32)) * CELL
    half = keras.ops.sigmoid(raw[..., 2:4]) * SIDE / 4
    boxes = layers.Concatenate(name="boxes")([centers - half, centers + half])
    scores = layers.Softmax(name="scores")(raw[..., 4:6])
    objectness = layers.Activation("sigmoid", name="objectness")(raw[..., 6:])
    return keras.Model(inputs, {"boxes": boxes, "scores": scores, "objectness": objectness}, name="detector")


def _place(boxes: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the training targets per cell: the box and class of the object whose center it holds."""
    found = np.zeros((len(boxes), CELLS**2, 6), np.float32)  # box, class, whether there is an object
    for row, (pair, kinds) in enumerate(zip(boxes, classes, strict=True)):
        for box, kind in zip(pair, kinds, strict=True):
            x, y = (box[:2] + box[2:]) / 2 // CELL
            found[row, int(y) * CELLS + int(x)] = *box, kind, 1
    return {"boxes": found[..., [0, 1, 2, 3, 5]], "scores": found[..., 4:], "objectness": found[..., 5:]}


def _box_loss(wanted, found):
    return keras.ops.sum(keras.ops.mean(keras.ops.abs(wanted[..., :4] - found), -1) * wanted[..., 4]) / (2 * CELL)


def _class_loss(wanted, found):
    chosen = keras.ops.where(wanted[..., 0] > 0, found[..., 1], found[..., 0])
    return -keras.ops.sum(keras.ops.log(chosen + 1e-7) * wanted[..., 1])


def _object_loss(wanted, found):
    return keras.ops.sum(keras.losses.binary_crossentropy(wanted, found))


def train(epochs: int, count: int, seed: int) -> keras.Model:
    """Return a detector that was trained on ``count`` rendered images."""
    keras.utils.set_random_seed(seed)
    model = make_detector()
    photos, boxes, classes = render(count, seed)
    batch = 32
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * count // batch)
    losses = {"boxes": _box_loss, "scores": _class_loss, "objectness": _object_loss}
    model.compile(keras.optimizers.Adam(rate), losses)
    model.fit(photos, _place(boxes, classes), batch_size=batch, epochs=epochs, verbose=0)
    return model


def find_images(model: keras.Model, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return images whose objects the model both finds, their boxes and classes, and the share of objects found.

    An object is found if the best detection at its box (IoU × class score × objectness) scores at least .5.
    """
    photos, boxes, classes = render(10 * count, seed)
    found = model.predict(photos, verbose=0)
    scores = np.zeros(classes.shape)
    for place in range(2):
        asked = boxes[:, place, None]
        sides = np.minimum(found["boxes"][..., 2:], asked[..., 2:]) - np.maximum(
            found["boxes"][..., :2], asked[..., :2]
        )
        common = np.clip(sides, 0, None).prod(-1)
        areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (found["boxes"], asked)]
        by_class = np.take_along_axis(found["scores"], classes[:, place, None, None], axis=2)[..., 0]
        overlaps = common / (areas[0] + areas[1] - common)
        scores[:, place] = (overlaps * by_class * found["objectness"][..., 0]).max(1)
    both = np.flatnonzero((scores >= 0.5).all(1))[:count]
    return photos[both], boxes[both], classes[both], float((scores >= 0.5).mean())


def ask(boxes: np.ndarray, classes: np.ndarray) -> list:
    """Return the target per image: the object of a class in a box."""
    options = {"boxes": "boxes", "scores": "scores", "objectness": "objectness", "match": "cosine"}
    return [objectives.box(box, int(kind), **options) for box, kind in zip(boxes, classes, strict=True)]


def make_maps(model, name: str, photos, boxes, classes, options) -> np.ndarray:
    """Return the maps for the box of each image in the size of the image."""
    spec = attribution.method_spec(name)
    maps = attribution.method_function(name)(model, photos, ask(boxes, classes), **options)
    return np.stack([spec.to_pixels(one, (SIDE, SIDE), options) for one in maps])


def share(maps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the share of each map's positive sum that lies in a box."""
    parts = np.maximum(maps, 0)
    inside = [part[y0:y1, x0:x1].sum() for part, (x0, y0, x1, y1) in zip(parts, boxes, strict=True)]
    return np.array(inside) / np.maximum(parts.sum((1, 2)), 1e-12)


def interval(values: np.ndarray) -> str:
    """Return the mean over images and its 95 % bootstrap interval as text."""
    random = np.random.default_rng(0)
    means = values[random.integers(0, len(values), (10000, len(values)))].mean(1)
    return f"{values.mean():.2f} [{np.quantile(means, 0.025):.2f}, {np.quantile(means, 0.975):.2f}]"


def outline(photo: np.ndarray, boxes, colors) -> np.ndarray:
    """Return a photo, uint8, four times as large, with boxes."""
    large = cv2.resize(photo, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    for (x0, y0, x1, y1), color in zip(boxes, colors, strict=True):
        cv2.rectangle(large, (int(4 * x0), int(4 * y0)), (int(4 * x1) - 1, int(4 * y1) - 1), color, 2)
    return large


def draw(photos, boxes, classes, maps: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Return a picture of the first image of a disk and a square: for each box, a row of the photo and the maps."""
    tiles, captions = [], []
    for number in np.flatnonzero(classes[:, 0] != classes[:, 1])[:1]:
        photo = np.round(255 * photos[number]).astype(np.uint8)
        for place in range(2):
            box = boxes[number, place]
            tiles.append(outline(photo, [box], [(255, 220, 0)]))
            captions.append(f"the {NAMES[classes[number, place]]} in the box?")
            for name in DRAWN:
                signed = attribution.method_spec(name).is_signed(METHODS[name])
                over = images.overlay(photo, maps[name][place][number], signed=signed, strength=0.9)
                tiles.append(outline(over, [box], [(255, 220, 0)]))
                captions.append({"gradcam": "Grad-CAM", "drise": "D-RISE"}.get(name, name))
    return images.grid(tiles, captions, columns=1 + len(DRAWN), tile=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20, help="number of test images")
    parser.add_argument("--samples", type=int, default=1000, help="number of D-RISE's masks")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--train-images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", metavar="PICTURE", help="draw the maps of an image")
    arguments = parser.parse_args()
    model = train(arguments.epochs, arguments.train_images, arguments.seed)
    photos, boxes, classes, found = find_images(model, arguments.images, arguments.seed + 1)
    print(f"{found:.0%} of the objects found; {len(photos)} images; boxes are {_area(boxes):.1%} of an image\n")
    random = np.random.default_rng(arguments.seed)
    noise = random.normal(size=(2, len(photos), CELLS, CELLS))
    maps = {"random": [np.stack([cv2.resize(one, (SIDE, SIDE)) for one in part]) for part in noise]}
    for name, options in METHODS.items():
        options = options | ({"samples": arguments.samples} if name == "drise" else {})
        maps[name] = [make_maps(model, name, photos, boxes[:, i], classes[:, i], options) for i in range(2)]
    print("| map | asked | other | larger in the box asked about |\n|---|---|---|---|")
    for name, pair in maps.items():
        asked, other = (np.mean([share(pair[i], boxes[:, (i + k) % 2]) for i in range(2)], axis=0) for k in range(2))
        wins = np.mean([share(pair[i], boxes[:, i]) > share(pair[i], boxes[:, 1 - i]) for i in range(2)])
        print(f"| {name} | {interval(asked)} | {interval(other)} | {wins:.0%} |")
    if arguments.output:
        Image.fromarray(draw(photos, boxes, classes, maps)).save(arguments.output, quality=80)


def _area(boxes: np.ndarray) -> float:
    return float((boxes[..., 2:] - boxes[..., :2]).prod(-1).mean()) / SIDE**2


if __name__ == "__main__":
    main()
