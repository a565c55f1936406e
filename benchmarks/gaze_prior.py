"""Can a training let the class activation maps of a model predict where people look?

    python benchmarks/gaze_prior.py DATA/osie DATA/models/efficientnet_lite0_imagenet.keras -o RUNS [--seeds 3]

On the last features (7 × 7 × 1280, computed once and stored in RUNS) of a frozen ImageNet classifier, a small head
learns to give the classifier's probabilities: a convolution of 1 × 1 with 64 channels and ReLU, the mean over positions
and a softmax. It is trained on the 500 training images of OSIE and tested on the 200 test images. Rows:

``no prior``      the cross-entropy with the classifier's probabilities
``gaze``          with the term "gaze" of ``losses.AttributionPrior`` at the convolution: minus the correlation of the
                  class activation map with the density of the fixations
``other gaze``    the same with the fixations of other images, in a random order: what the mean of all gaze, as the
                  center bias, can teach

Columns: the correlation (CC) of the map of the head's own top class with the density of fixations on a test image, at
7 × 7, and the share of test images in which head and classifier have the same top class, each as the mean of the seeds
with its 95 % bootstrap interval over the images. Differences are paired and followed by that of each seed: of the CC to
``other gaze``, of the agreement to ``no prior``. Below are maps that know no image: the mean density of the training
images, and a Gaussian in the center.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from map_scores import center, use_one_thread
from markdown_tables import interval, print_table

from kerasal import datasets, images, losses, metrics, store, training

import keras
from keras import layers

GRID, CHANNELS, SIDE = 7, 64, 224


def read_split(model: keras.Model, osie: pathlib.Path, split: str, count: int | None) -> dict[str, np.ndarray]:
    """Return features, class probabilities and densities of fixations of a split."""
    data = datasets.open_gaze(osie, split)
    both = keras.Model(model.inputs[0], [model.get_layer("head_relu6").output, model.outputs[0]])
    features, probabilities, densities = [], [], []
    for index in range(len(data))[:count]:
        image = images.fit_image(data.image(index), (SIDE, SIDE), mode="stretch")
        found = both(((image.astype(np.float32) - 127) / 128)[None], training=False)
        features.append(found[0][0].numpy())
        probabilities.append(found[1][0].numpy())
        density = np.asarray(data.density(index), np.float32)
        densities.append(cv2.resize(density, (GRID, GRID), interpolation=cv2.INTER_AREA))
    return {
        "features": np.stack(features).astype(np.float16),
        "probabilities": np.stack(probabilities),
        "densities": np.stack(densities),
    }


def build(seed: int, classes: int, channels: int) -> keras.Model:
    """Return the head with random weights."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((GRID, GRID, channels)),
            layers.Conv2D(CHANNELS, 1, activation="relu", name="mix"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax", name="classes"),
        ]
    )


def maps_of(model: keras.Model, features: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class activation map (N, 7, 7) of a class of each image: Grad-CAM before its ReLU."""
    mixed = keras.Model(model.inputs, model.get_layer("mix").output).predict(features, verbose=0)
    return np.einsum("nhwc,cn->nhw", mixed, model.get_layer("classes").kernel.numpy()[:, classes])


def measure(model: keras.Model, test: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each test image the CC of the map with the density, and whether the top classes agree."""
    features = test["features"].astype(np.float32)
    classes = model.predict(features, verbose=0).argmax(axis=1)
    maps = maps_of(model, features, classes)
    cc = [
        metrics.cc(map_, density) if np.ptp(map_) else 0.0
        for map_, density in zip(maps, test["densities"], strict=True)
    ]
    return {"CC": np.array(cc), "agreement": (classes == test["probabilities"].argmax(axis=1)).astype(float)}


def train(data: dict[str, np.ndarray], gaze: np.ndarray, weight: float, seed: int, epochs: int) -> keras.Model:
    """Return a head trained with the term "gaze" of a weight."""
    features, truth = data["features"].astype(np.float32), data["probabilities"]
    model = build(seed, truth.shape[1], features.shape[-1])
    trainer = training.PriorModel(model, losses.AttributionPrior("gaze", weight, layer="mix")) if weight else model
    trainer.compile(keras.optimizers.Adam(2e-3), "categorical_crossentropy")
    keras.utils.set_random_seed(seed)  # the same batches in every row
    x = {"inputs": features, "gaze": gaze} if weight else features
    trainer.fit(x, truth, epochs=epochs, batch_size=32, verbose=0)
    return model


def table_rows(results: dict[str, list[dict[str, np.ndarray]]]) -> dict[str, dict[str, str]]:
    """Return the rows of the table, as text."""
    rows = {}
    for name, seeds in results.items():
        rows[name] = {}
        for key, other in (("CC", "other gaze"), ("agreement", "no prior")):
            differences = [seed[key] - base[key] for seed, base in zip(seeds, results[other], strict=True)]
            each = ", ".join(f"{difference.mean():+.3f}" for difference in differences)
            text = "–" if name == other else f"{interval(np.mean(differences, axis=0))}: {each}"
            rows[name] |= {key: interval(np.mean([seed[key] for seed in seeds], axis=0)), f"{key}, difference": text}
    return rows


def main(words=None) -> None:
    """Read the arguments, train, measure and print."""
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, help="efficientnet_lite0_imagenet.keras")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the features")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--small", action="store_true", help="a few images and one epoch, to try the script")
    arguments = parser.parse_args(words)
    arguments.output.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split in ("train", "test"):
        path = arguments.output / f"{split}.npz"
        if not path.exists():
            model = keras.models.load_model(arguments.model, compile=False)
            store.write_arrays(path, read_split(model, arguments.osie, split, 8 if arguments.small else None))
        with np.load(path) as stored:
            splits[split] = dict(stored)
    data, test = splits["train"], splits["test"]
    if arguments.small:
        arguments.seeds, arguments.epochs = 1, 1
    results: dict[str, list] = {"no prior": [], "gaze": [], "other gaze": []}
    for seed in range(arguments.seeds):
        order = np.random.default_rng(seed).permutation(len(data["densities"]))
        for name, weight, gaze in (
            ("no prior", 0.0, data["densities"]),
            ("gaze", arguments.weight, data["densities"]),
            ("other gaze", arguments.weight, data["densities"][order]),
        ):
            results[name].append(measure(train(data, gaze, weight, seed, arguments.epochs), test))
    rows = table_rows(results)
    for name, map_ in (("mean density", data["densities"].mean(axis=0)), ("center", center((GRID, GRID)))):
        values = [metrics.cc(map_, density) for density in test["densities"]]
        rows[name] = {**dict.fromkeys(rows["no prior"], "–"), "CC": interval(values)}
    print_table(f"OSIE, {len(test['densities'])} test images, {arguments.epochs} epochs", rows)


if __name__ == "__main__":
    use_one_thread()
    main()
