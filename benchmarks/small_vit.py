"""Do the maps of a small vision transformer belong to the class that they explain?

    python benchmarks/small_vit.py tiny_imagenet10 -o RUNS [--seeds 1] [--epochs 16]

A vision transformer of Keras layers alone, without a convolution and without a class token, as in the Keras examples:
cut patches of 8 × 8 pixels, 3 blocks, the mean of its tokens. It is trained on 5,000 images of ten classes of
64 × 64 pixels from scratch, once per seed, in about two minutes on a core. Two measurements on validation images:

``boxes``    the map of the true class beside the object's box: the pointing game, and "lift", the map's share in the
             box divided by the box's share of the image. "half" counts boxes that cover less than half of the image.
``classes``  two images side by side: the left half of an image of one class beside the right half of another one. The
             known truth is that the evidence for a class lies in its half. "own half" is the share of the map's sum in
             the half of its class, mean of the two classes; a map that is the same for both classes has .5. Scored are
             pairs whose two classes are the two with the highest scores; "all pairs" is printed, too.
             "correlation" is the rank correlation of the two maps: 1 is the same map for both.

Controls: the same network with shuffled weights, a random map of the size of the token grid, and the center. Models and
scores are stored in RUNS, and a stopped run continues there. ``--small`` uses a few images and one epoch.
"""

import argparse
import os
import pathlib
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from map_scores import (
    Rows,
    by_row,
    center,
    interval,
    lift,
    print_rows,
    rank_correlation,
    share_inside,
    shuffled,
    smooth_noise,
    stored_model,
    use_one_thread,
)

from kerasal import attribution, images
from kerasal.attribution.evaluation import pointing_game
from kerasal.progress import progress_bar

import keras
from keras import layers

SIDE, PATCH, WIDTH, HEADS, BLOCKS = 64, 8, 48, 4, 3
GRID = SIDE // PATCH
METHODS = {
    "gradcam": attribution.gradcam,
    "layercam": attribution.layercam,
    "transformer_relevance": attribution.transformer_relevance,
    "attention_gradcam": attribution.attention_gradcam,
    "attention_rollout": attribution.attention_rollout,
    "integrated_gradients": lambda model, x, target: attribution.integrated_gradients(model, x, target, steps=10),
    "class_saliency": attribution.class_saliency,
}
SHUFFLED = ("gradcam", "transformer_relevance")  # also computed with shuffled weights


@keras.saving.register_keras_serializable("kerasal.benchmarks")
class Place(layers.Layer):
    """Adds a learned vector per position."""

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], initializer="random_normal", name="places")

    def call(self, x):
        return x + self.places


def transformer(classes: int) -> keras.Model:
    """Return an untrained transformer of images in 0..255."""
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 64, offset=-2)(image)
    x = keras.ops.image.extract_patches(x, PATCH)
    x = Place()(layers.Dense(WIDTH)(layers.Reshape((GRID**2, 3 * PATCH**2))(x)))
    for _ in range(BLOCKS):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y)])
        y = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Dense(WIDTH)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(layers.Dropout(0.2)(x)), name="small_vit")


def augment(photos: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return photos that are mirrored at random and moved by up to 6 pixels, with mirrored borders."""
    padded = np.pad(photos, ((0, 0), (6, 6), (6, 6), (0, 0)), mode="reflect")
    result = np.empty(photos.shape, np.float32)
    for number, (y, x) in enumerate(random.integers(0, 13, (len(photos), 2))):
        view = padded[number, y : y + SIDE, x : x + SIDE]
        result[number] = view[:, ::-1] if random.random() < 0.5 else view
    return result


def train(photos: np.ndarray, labels: np.ndarray, classes: int, seed: int, epochs: int) -> keras.Model:
    """Return a transformer trained on augmented photos; a function of the seed."""
    keras.utils.set_random_seed(seed)
    model, random, batch = transformer(classes), np.random.default_rng(seed), 64
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * -(-len(photos) // batch), warmup_target=1e-3, warmup_steps=100
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), loss)
    truth = np.eye(classes, dtype=np.float32)[labels]
    with progress_bar(f"epochs of seed {seed}", epochs) as advance:
        for _ in range(epochs):
            model.fit(augment(photos, random), truth, batch, verbose=0)
            advance(1)
    return model


def read_images(folder: pathlib.Path, wnids: list[str], split: str, count: int):
    """Return the first images of each class, uint8 (N, 64, 64, 3), their labels and their names."""
    files = [sorted((folder / split / wnid).iterdir())[:count] for wnid in wnids]
    photos = [images.to_channels(images.read(file), 3) for part in files for file in part]
    names = [file.name for part in files for file in part]
    return np.stack(photos), np.repeat(range(len(wnids)), [len(part) for part in files]), names


def all_maps(models: dict[str, keras.Model], inputs, targets) -> dict[str, np.ndarray]:
    """Return the maps of each row, (N, 64, 64), for a batch of images with a class each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", attribution.ZeroMap)
        maps = {name: method(models["trained"], inputs, targets) for name, method in METHODS.items()}
        for name in SHUFFLED:
            maps[f"{name}, shuffled weights"] = METHODS[name](models["shuffled"], inputs, targets)
    return maps


def score_boxes(models, photos, labels, names, boxes: pd.DataFrame, seed: int) -> list[dict]:
    """Return the scores of the true class's maps by the boxes."""
    random, shape, scores = np.random.default_rng(seed), (SIDE, SIDE), []
    right = models["trained"].predict(photos, verbose=0).argmax(axis=1) == labels
    maps = all_maps(models, photos.astype(np.float32), labels)
    maps["random map"] = np.stack([smooth_noise(shape, (GRID, GRID), random) for _ in photos])
    maps["center"] = np.stack([center(shape)] * len(photos))
    for number, name in enumerate(names):
        x, y, x_last, y_last = (int(boxes.loc[name, side]) for side in ("xmin", "ymin", "xmax", "ymax"))
        inside = np.zeros(shape, bool)
        inside[y : y_last + 1, x : x_last + 1] = True
        for row, values in maps.items():
            box = [(x, y, x_last + 1, y_last + 1)]
            hit = np.nan_to_num(pointing_game(values[number][None], box, random_maps=0).values[0])
            measured = {"hit": float(hit), "lift": lift(values[number], inside), "area": inside.mean()}
            scores.append({"seed": seed, "image": name, "right": int(right[number]), "row": row, **measured})
    return scores


def halves(photos: np.ndarray, labels: np.ndarray, count: int):
    """Return images made of the left half of one class and the right half of another, and both classes of each."""
    random, half, pairs = np.random.default_rng(0), SIDE // 2, []
    while len(pairs) < count:
        first, second = random.integers(0, len(photos), 2)
        if labels[first] != labels[second]:
            pairs.append((first, second))
    first, second = np.array(pairs).T
    mixed = np.concatenate([photos[first, :, :half], photos[second, :, half:]], axis=2).astype(np.float32)
    return mixed, labels[first], labels[second]


def score_classes(models, photos, labels, count: int, seed: int) -> list[dict]:
    """Return the scores of the maps of two classes in images made of two halves; all seeds get the same images."""
    (mixed, *classes), scores = halves(photos, labels, count), []
    top = np.argsort(models["trained"].predict(mixed, verbose=0), axis=1)[:, -2:]
    left = np.broadcast_to(np.arange(SIDE) < SIDE // 2, (SIDE, SIDE))
    maps = [all_maps(models, mixed, chosen) for chosen in classes]
    for number, pair in enumerate(zip(*classes, strict=True)):
        both = set(pair) == set(top[number])
        for row in maps[0]:
            a, b = (part[row][number] for part in maps)
            own = np.mean([share_inside(a, left), share_inside(b, ~left)])
            measured = {"both": int(both), "own half": own, "correlation": rank_correlation(a, b)}
            scores.append({"seed": seed, "image": str(number), "row": row, **measured})
    return scores


def print_results(boxes: pd.DataFrame, classes: pd.DataFrame) -> None:
    """Print both tables, means over the seeds with intervals over images."""
    wide = by_row(boxes, "image")
    first = next(iter(wide.values()))
    print(f"\n### boxes, {len(first)} images, {boxes['seed'].nunique()} seeds\n")
    print(f"Right class: {interval(first['right'])}. Mean share of the box: {first['area'].mean():.3f}.")
    for part in wide.values():
        part["hit, half"], part["lift, half"] = (part[name].where(part["area"] < 0.5) for name in ("hit", "lift"))
    print_rows(wide, ["hit", "lift", "hit, half", "lift, half"], [("lift", "attention_rollout"), ("lift", "center")])
    chosen = by_row(classes[classes["both"] == 1], "image")
    print(f"\n### classes, {len(next(iter(chosen.values()), ()))} of {classes['image'].nunique()} pairs\n")
    everything = by_row(classes, "image")
    if chosen:
        print_rows(chosen, ["own half", "correlation"], [("own half", "attention_rollout")])
    print_rows({f"{row}, all pairs": part for row, part in everything.items()}, ["own half", "correlation"], [])


def main(words=None) -> None:
    """Read the arguments, train, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=pathlib.Path, help="folder with train, val, boxes.csv and classes.csv")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of models and scores")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--images", type=int, default=20, help="validation images of each class with a map")
    parser.add_argument("--pairs", type=int, default=200, help="images made of two halves")
    parser.add_argument("--small", action="store_true", help="a few images and one epoch, to try the script")
    arguments = parser.parse_args(words)
    if arguments.small:
        arguments.seeds, arguments.epochs, arguments.images, arguments.pairs = 1, 1, 1, 4
    folder, output = arguments.photos, arguments.output
    output.mkdir(parents=True, exist_ok=True)
    wnids = pd.read_csv(folder / "classes.csv")["wnid"].tolist()
    boxes = pd.read_csv(folder / "boxes.csv").query("split == 'val'").set_index("file")
    rows = {kind: Rows(output / f"{kind}.csv", "seed") for kind in ("boxes", "classes")}
    for seed in range(arguments.seeds):
        if all(str(seed) in part.done for part in rows.values()):
            continue

        def train_seed(seed=seed):
            photos, labels, _ = read_images(folder, wnids, "train", 20 if arguments.small else 500)
            return train(photos, labels, len(wnids), seed, arguments.epochs)

        model = stored_model(output / f"vit_{seed}.keras", train_seed)
        models = {"trained": model, "shuffled": shuffled(model, seed)}
        photos, labels, names = read_images(folder, wnids, "val", 50)
        accuracy = (model.predict(photos, verbose=0).argmax(axis=1) == labels).mean()
        print(f"seed {seed}: {accuracy:.3f} of {len(labels)} validation images right", flush=True)
        some = np.concatenate([np.flatnonzero(labels == label)[: arguments.images] for label in range(len(wnids))])
        chosen = [names[number] for number in some]
        if str(seed) not in rows["boxes"].done:
            rows["boxes"].add(score_boxes(models, photos[some], labels[some], chosen, boxes, seed))
        if str(seed) not in rows["classes"].done:
            rows["classes"].add(score_classes(models, photos, labels, arguments.pairs, seed))
    print_results(rows["boxes"].table, rows["classes"].table)


if __name__ == "__main__":
    use_one_thread()
    main()
