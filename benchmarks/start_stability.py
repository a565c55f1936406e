"""How much does an image that maximizes a class depend on the noise that it starts from?

    python benchmarks/start_stability.py SQUEEZENET.keras -o runs/start-stability

Tang, Yao, Jiang & Liu, section 5.2: because of the random start "the result can be quite unstable", but the pattern is
"kind of consistent". The images are made with the preset tang (20 steps), from several starts of noise: of goldfish,
ostrich and lemon with EfficientNet-Lite0 and SqueezeNet, and of its five classes with the included five_class_cnn. The
rows of the table compare pairs of images of a network:

* ``pixels``: the correlation over pixels and colors, after each color channel was centered;
* ``features``: the correlation of the mean features of *another* network (the last layer before its scores), centered
  on their mean over all images. That network has no part in the ascent.

The columns: ``same class`` (two starts) against ``different class`` (two starts) is the test of a consistent pattern,
and ``same start`` (two classes) shows what is left of the noise. ``probability`` is that of the class by the network
itself, least to most over the images; ``other``, that by the other network. An interval is of 95 %, from bootstrap
draws of the starts. ``--small`` takes two steps, three starts and the smallest network.
"""

import argparse
import itertools
import os
import pathlib
import sys
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import hooks, images, preprocessing, store

import keras

IMAGENET = {"goldfish": 1, "ostrich": 9, "lemon": 951}
# The outputs of five_class_cnn, and of an ImageNet model for the same classes.
FIVE = {"goldfish": 0, "lemon": 1, "king penguin": 2, "golden retriever": 3, "boa constrictor": 4}
FIVE_OF_IMAGENET = {"goldfish": 1, "lemon": 951, "king penguin": 145, "golden retriever": 207, "boa constrictor": 61}
FEATURES = {"EfficientNet-Lite0": "avg_pool", "SqueezeNet": "fire9_concat"}
OTHER = {"EfficientNet-Lite0": "SqueezeNet", "SqueezeNet": "EfficientNet-Lite0", "five_class_cnn": "EfficientNet-Lite0"}


class Network(NamedTuple):
    """A model, its pixel convention, and the outputs that belong to the classes."""

    model: keras.Model
    convention: str
    classes: dict[str, int]


def average(maps):
    """Return the mean of each channel of the maps of a convolution; other features are unchanged."""
    return keras.ops.mean(maps, axis=(1, 2)) if len(maps.shape) == 4 else maps


def make_images(network, starts, steps):
    """Return pixels 0..255 (class, start, H, W, 3) of the images from noise."""
    convention, targets = preprocessing.get(network.convention), list(network.classes.values())
    options = {"preset": "tang", "steps": steps, "preprocessing": convention, "copies": starts, "seed": 0}
    pixels = np.clip(convention.invert(kerasal.maximize(network.model, targets, **options).raw), 0, 255)
    return {"pixels": pixels.reshape(len(targets), starts, *pixels.shape[1:])}


def look(network, layer, pixels, outputs):
    """Return a network's mean features (class, start, channels) and its probabilities of outputs (class, start)."""
    size = network.model.input_shape[1:3]
    flat = np.stack([images.resize(image, size) for image in pixels.reshape(-1, *pixels.shape[2:])])
    inputs = preprocessing.get(network.convention).apply(flat)
    probabilities = network.model.predict_on_batch(inputs).reshape(*pixels.shape[:2], -1)
    own = np.stack([probabilities[i, :, index] for i, index in enumerate(outputs)])
    if layer is None:
        return None, own
    features = hooks.activations(network.model, [layer], inputs, reduce=average)[layer]
    return features.reshape(*pixels.shape[:2], -1), own


def similarities(vectors):
    """Return the correlation of every pair of images (class, start, class, start) from vectors (class, start, n)."""
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.einsum("csn,dtn->csdt", unit, unit)


def means_of_pairs(r, starts):
    """Return the mean of r over pairs of one class, of two classes, and of two classes with the same start.

    ``starts`` are the starts to use, with repetitions in a bootstrap draw; a start is never paired with itself, except
    in the last mean.
    """
    count, classes = len(starts), np.arange(r.shape[0])
    chosen = r[:, starts][:, :, :, starts]  # (class, start, class, start)
    different = starts[:, None] != starts[None]
    same_class = chosen[classes, :, classes][:, different].mean()
    pairs = list(itertools.combinations(classes, 2))
    other_class = np.mean([chosen[c, :, d][different].mean() for c, d in pairs])
    same_start = np.mean([chosen[c, range(count), d, range(count)].mean() for c, d in pairs])
    return np.array([same_class, other_class, same_start])


def bootstrap(r, draws=2000):
    """Return the three means of pairs, their intervals, and that of the first minus the second, as text."""
    count, random = r.shape[1], np.random.default_rng(0)
    drawn = [random.integers(0, count, count) for _ in range(draws)]
    drawn = np.array([means_of_pairs(r, starts) for starts in drawn if len(set(starts)) > 1])
    drawn = np.column_stack([drawn, drawn[:, 0] - drawn[:, 1]])
    values = means_of_pairs(r, np.arange(count))
    values = [*values, values[0] - values[1]]
    return [
        f"{value:.3f} [{low:.3f}, {high:.3f}]"
        for value, low, high in zip(values, *np.quantile(drawn, (0.025, 0.975), axis=0), strict=True)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squeezenet", type=pathlib.Path)
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/start-stability"))
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--small", action="store_true", help="two steps, three starts, one network, to try the script")
    options = parser.parse_args()
    steps, starts = (2, 3) if options.small else (20, options.starts)
    networks = {
        "EfficientNet-Lite0": Network(kerasal.load_model("efficientnet_lite0"), "mean=127,std=128", IMAGENET),
        "SqueezeNet": Network(kerasal.load_model(options.squeezenet), "caffe", IMAGENET),
        "five_class_cnn": Network(kerasal.create_model("five_class_cnn", "kerasal"), "unit", FIVE),
    }
    table = Table("", *("same class", "different class", "same start", "same − different"), "probability", "other")
    for name in ["five_class_cnn"] if options.small else networks:
        file = options.output / f"{name}-{steps}-{starts}.npz"
        if not file.is_file():
            print(name, flush=True)
            store.write_arrays(file, make_images(networks[name], starts, steps))
        with np.load(file) as stored:
            add_rows(table, name, networks, stored["pixels"])
    table.title = f"Similarity of images that maximize classes: {starts} starts, {steps} steps"
    Console(width=230).print(table)


def add_rows(table, name, networks, pixels):
    other, own = OTHER[name], list(networks[name].classes.values())
    outputs = list(FIVE_OF_IMAGENET.values()) if name == "five_class_cnn" else own
    features, other_probability = look(networks[other], FEATURES[other], pixels, outputs)
    own_probability = look(networks[name], None, pixels, own)[1]
    probabilities = [f"{values.min():.3f} to {values.max():.3f}" for values in (own_probability, other_probability)]
    centered = pixels - pixels.mean(axis=(2, 3), keepdims=True)
    table.add_row(f"{name}, pixels", *bootstrap(similarities(centered.reshape(*pixels.shape[:2], -1))), "", "")
    features = features - features.mean(axis=(0, 1))
    table.add_row(f"{name}, features of {other}", *bootstrap(similarities(features)), *probabilities)


if __name__ == "__main__":
    main()
