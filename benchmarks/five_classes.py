"""Compare five_class_cnn, trained on photos of five classes, with pretrained networks on the same photos.

    python benchmarks/five_classes.py PHOTOS SQUEEZENET.keras VGG16.npz -o runs/five-classes [--seeds 3]

The experiment of Tang, Yao, Jiang & Liu, section 4.1: their network has a test accuracy of .801 and VGG-16 .927. PHOTOS
has class folders below train and val (Tiny ImageNet); three of its classes replace three of theirs. The rows:

* ``five_class_cnn, seed N``: the recipe of the paper (5 epochs, Adam), once per seed;
* ``five_class_cnn, included``: the weights of the package (more epochs, mirrored photos);
* ``NAME, five of its outputs``: an ImageNet classifier as it is; the answer is the largest of its five scores;
* ``NAME, softmax on LAYER``: a softmax classifier, trained on the same training photos, on the frozen mean features of
  a layer. VGG16.npz has the convolutions of a VGG-16 that was tuned for edges after ImageNet. Its dense layers are
  missing, and it takes photos of 112 × 112 pixels here, since these have only 64 × 64.

"Gray photos" are the test photos without their colors: how much of the answers depends on color. Nothing is chosen by
the test photos. An interval is of 95 % from 10,000 bootstrap draws of the test photos; the difference from the included
weights is paired. The ImageNet models may have been trained on the test photos, which Tiny
ImageNet took from ImageNet. Trainings and answers are stored in the folder, and a stopped run continues there.
``--small`` uses every 25th photo and one epoch.
"""

import argparse
import os
import pathlib
import sys
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import kerasal
from kerasal import datasets, hooks, preprocessing, store, training

import keras

CLASSES = {"goldfish": 1, "lemon": 951, "king_penguin": 145, "golden_retriever": 207, "boa_constrictor": 61}
PAPER = {"five_class_cnn": 0.801, "VGG-16": 0.927}
SIDE = 224
INCLUDED = "five_class_cnn, included"


def load_photos(folder, side, small):
    """Return the training and test photos of the five classes, at most every 25th of them if ``small``."""
    parts = datasets.class_images(folder, (side, side, 3), classes=list(CLASSES))
    return [part.subset(np.arange(0, len(part), 25)) for part in parts] if small else parts


def train_from_scratch(parts, seed, output, small):
    """Train five_class_cnn by its recipe; return the class that it answers for each test photo."""
    recipe = {name: value for name, value in kerasal.model_spec("five_class_cnn").recipe.items() if name != "data"}
    recipe |= {"seed": seed} | ({"epochs": 1} if small else {})
    keras.utils.set_random_seed(seed)
    model = kerasal.create_model("five_class_cnn")
    training.train(model, *parts, output, preprocessing="unit", progress=False, **recipe)
    return answers(model, parts[1], "unit")


def answers(model, photos, convention, outputs=None, gray=False):
    """Return the index of the largest output, or of the largest of ``outputs``, for each photo."""
    scores = np.concatenate([model.predict_on_batch(inputs) for inputs in batches(photos, convention, gray)])
    return scores[:, outputs].argmax(axis=1) if outputs else scores.argmax(axis=1)


def batches(photos, convention, gray=False, size=50):
    convention = preprocessing.get(convention)
    for start in range(0, len(photos), size):
        pixels = photos.load_images(np.arange(start, min(start + size, len(photos)))).astype(np.float32)
        yield convention.apply(pixels.mean(axis=-1, keepdims=True).repeat(3, axis=-1) if gray else pixels)


def average(maps):
    """Return the mean of each channel of the maps of a convolution; other features are unchanged."""
    return keras.ops.mean(maps, axis=(1, 2)) if len(maps.shape) == 4 else maps


def features(model, layers, photos, convention):
    rows = [hooks.activations(model, layers, inputs, reduce=average) for inputs in batches(photos, convention)]
    return {layer: np.concatenate([row[layer] for row in rows]) for layer in layers}


def classify_features(model, layers, parts, convention):
    """Return what a softmax classifier on the frozen mean features of each layer answers for the test photos."""
    by_part = [features(model, layers, part, convention) for part in parts]
    found = {}
    for layer in layers:
        scaler = StandardScaler().fit(by_part[0][layer])
        classifier = LogisticRegression(C=0.01, max_iter=1000).fit(scaler.transform(by_part[0][layer]), parts[0].labels)
        found[layer] = classifier.predict(scaler.transform(by_part[1][layer]))
    return found


def head_rows(options, name, load, convention, layers, side=SIDE):
    """Return the answers of softmax classifiers on frozen features of a pretrained model."""
    heads = classify_features(load(), layers, load_photos(options.photos, side, options.small), convention)
    return {f"{name}, softmax on {layer}": heads[layer] for layer in layers}


def output_rows(options, name, load, convention, side=SIDE):
    """Return the answers of an ImageNet classifier, the largest of its five outputs, for photos and gray photos."""
    model, photos, five = load(), load_photos(options.photos, side, options.small)[1], list(CLASSES.values())
    gray = {f"{name}, the same, gray photos": answers(model, photos, convention, five, gray=True)}
    return {f"{name}, five of its outputs": answers(model, photos, convention, five)} | gray


def scratch_rows(options, seed):
    """Return the answers of five_class_cnn from a seed; None stands for the weights of the package."""
    parts = load_photos(options.photos, SIDE, options.small)
    if seed is None:
        model = kerasal.create_model("five_class_cnn", "kerasal")
        gray = {f"{INCLUDED}, gray photos": answers(model, parts[1], "unit", gray=True)}
        return {INCLUDED: answers(model, parts[1], "unit")} | gray
    run = options.output / f"seed-{seed}"
    return {f"five_class_cnn, seed {seed}": train_from_scratch(parts, seed, run, options.small)}


def groups(options):
    """Return {name of a file: a function that returns the answers of the rows in it}."""

    def load_vgg16():
        return kerasal.create_model("vgg16", options.vgg16, include_top=False, input_shape=(112, 112, 3))

    lite0 = options, "EfficientNet-Lite0", partial(kerasal.load_model, "efficientnet_lite0"), "mean=127,std=128"
    squeezenet = options, "SqueezeNet", partial(kerasal.load_model, options.squeezenet), "caffe"
    vgg16 = options, "VGG-16, edge-tuned", load_vgg16, "caffe"
    return {
        "included": partial(scratch_rows, options, None),
        **{f"seed-{seed}": partial(scratch_rows, options, seed) for seed in range(options.seeds)},
        "lite0": partial(output_rows, *lite0),
        "squeezenet": partial(output_rows, *squeezenet, side=227),
        "lite0-softmax": partial(head_rows, *lite0, ["avg_pool"]),
        "squeezenet-softmax": partial(head_rows, *squeezenet, ["fire9_concat"], side=227),
        "vgg16-softmax": partial(head_rows, *vgg16, ["block3_conv3", "block4_conv3", "block5_conv3"], side=112),
    }


def interval(values):
    return "[{:.3f}, {:.3f}]".format(*np.quantile(values, (0.025, 0.975)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("squeezenet", type=pathlib.Path)
    parser.add_argument("vgg16", type=pathlib.Path, help="convolutions of VGG-16 as LAYER/kernel and LAYER/bias, .npz")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/five-classes"))
    parser.add_argument("--seeds", type=int, default=3, help="number of trainings from scratch")
    parser.add_argument("--only", nargs="+", default=(), metavar="GROUP", help="compute only these rows")
    parser.add_argument("--small", action="store_true", help="every 25th photo and one epoch, to try the script")
    options = parser.parse_args()
    options.output /= "small" if options.small else ""
    truth = load_photos(options.photos, SIDE, options.small)[1].labels
    known = groups(options)
    if unknown := set(options.only) - set(known):
        parser.error(f"--only must name groups of {', '.join(known)}, got {', '.join(sorted(unknown))}.")
    right = {}
    for group, compute in known.items():
        file = options.output / f"{group}.npz"
        if options.only and group not in options.only and not file.is_file():
            continue
        if not file.is_file():
            print(group, flush=True)
            store.write_arrays(file, compute())
        with np.load(file) as stored:
            right |= {name: stored[name] == truth for name in stored.files}
    print_table(right)


def print_table(right):
    count = len(right[INCLUDED])
    draws = np.random.default_rng(0).integers(0, count, (10_000, count))
    table = Table("", "accuracy", "95 %", "above the included weights", "95 %", title=f"{count} test photos")
    for name, row in right.items():
        difference = row.astype(float) - right[INCLUDED]
        cells = (
            [f"{difference.mean():+.3f}", interval(difference[draws].mean(axis=1))] if name != INCLUDED else ["", ""]
        )
        table.add_row(name, f"{row.mean():.3f}", interval(row[draws].mean(axis=1)), *cells)
    Console(width=140).print(table)
    seeds = [row.mean() for name, row in right.items() if ", seed" in name]
    if len(seeds) > 1:
        print(f"Mean of {len(seeds)} seeds: {np.mean(seeds):.3f}, standard deviation {np.std(seeds, ddof=1):.3f}.")
    print(f"The paper, other photos: {PAPER['five_class_cnn']}, VGG-16 {PAPER['VGG-16']}.")


if __name__ == "__main__":
    main()
