"""Tune a VGG for gaze at full width, and compare its patterns before and after (He & Pugeault 2017, section 4).

    python benchmarks/deep_saliency.py OSIE_FOLDER VGG16.npz -o RUNS [--models NAME ...] [--only NAME ...]
    python benchmarks/deep_saliency.py --small -o RUNS

VGG16.npz holds the convolutions of a VGG-16, such as ``block1_conv1/kernel``. ``deep_saliency`` is trained with the
recipe ``he_pugeault`` up to ``block5_pool``, on 450 training images of OSIE: twice from these weights, with different
orders of the images, and once from random weights. A stopped run continues where it was; finished runs, patterns and
scores are read. ``--small`` is a trial in seconds, with a narrow random model and generated images.

The tables are printed as Markdown, with the mean and the 95 % bootstrap interval over images or channels. They are also
written to RUNS/tables.md, and the pictures to RUNS. A finished experiment is only printed.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from deep_saliency_reports import (
    convolutions,
    draw_pairs,
    report_gaze,
    report_scores,
    report_similarity,
    report_validation,
)
from markdown_tables import print_lines, printed

import kerasal
from kerasal import gaze, receptive_field, training
from kerasal.datasets import GazeDataset, open_gaze
from kerasal.digests import digest
from kerasal.files import atomic_write
from kerasal.store import reading_arrays, write_arrays

import keras

LAYERS = [f"block{number}_pool" for number in range(1, 6)]
STARTS = {"before": True, "random": False}  # name -> from the pretrained weights
RUNS = {"tuned": (True, 0), "tuned again": (True, 1), "from scratch": (False, 0)}  # name -> pretrained, seed


def generate_data(count, seed):
    """Return images with one bright square, and fixations around it."""
    random, generated, points = np.random.default_rng(seed), [], []
    for _ in range(count):
        x, y = random.integers(12, 52), random.integers(10, 38)
        image = random.integers(0, 60, (48, 64, 3), np.uint8)
        image[y - 4 : y + 5, x - 4 : x + 5] = 230
        generated.append(image)
        points.append(np.clip(random.normal((x, y), 2, (20, 2)), 0, (63, 47)))
    return GazeDataset(generated, points)


class Experiment:
    """The models of the experiment, their patterns and their scores, all kept in a folder."""

    def __init__(self, arguments):
        self.folder, self.small, self.epochs = arguments.output, arguments.small, arguments.epochs
        self.count, self.weights = arguments.channels, arguments.backbone
        self.size = (48, 64) if self.small else tuple(arguments.size)
        self.layers = LAYERS[1:3] if self.small else LAYERS
        if self.small:
            train, self.test, self.epochs = generate_data(10, 0), generate_data(6, 1), 1
        else:
            train, self.test = (open_gaze(arguments.osie, split) for split in ("train", "test"))
        self.fit, self.validation = train.split(0.9, 0)
        self.models, self.histories = {}, {}
        self.folder.mkdir(parents=True, exist_ok=True)

    def create_model(self, pretrained):
        keras.utils.set_random_seed(0)
        options = {"width": 1 / 16, "from_layer": self.layers[-1]} if self.small else {}
        weights = self.weights if pretrained and not self.small else None
        shape = (*self.size, 3)
        return kerasal.create_model(
            "deep_saliency", backbone="vgg16", backbone_weights=weights, input_shape=shape, **options
        )

    def train(self, name):
        """Train a model, or read it if its run is finished."""
        pretrained, seed = RUNS[name]
        result = training.train_gaze(
            self.create_model(pretrained),
            self.fit,
            self.validation,
            "he_pugeault",
            self.folder / name.replace(" ", "-"),
            preprocessing="caffe",
            epochs=self.epochs,
            batch_size=10,
            validate_every=1,
            keep="best",
            mirror="half",
            seed=seed,
        )
        self.models[name], self.histories[name] = result.model, result.history

    def scores(self, name):
        """Return the scores of a model on the test images, one row per image."""
        path = self.folder / f"scores-{_digest(self.models[name])}.csv"
        if not path.is_file():
            table = gaze.evaluate(gaze.Predictor(self.models[name], "caffe"), self.test, seed=0)
            with atomic_write(path) as temporary:
                table.to_csv(temporary, index=False)
        return pd.read_csv(path)

    def patterns(self, model, layer, count=None):
        """Return the patterns of the first channels of a layer, signed; they are computed once per model."""
        count = min(count or self.count, model.get_layer(layer).output.shape[-1])
        path = self.folder / "patterns" / f"{layer}-{count}-{_digest(model)}.npz"
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            found = receptive_field.patterns(model, layer, range(count), final_relu=False)
            write_arrays(path, {"patterns": found})
        with reading_arrays(path) as arrays:
            return arrays["patterns"]

    def with_weights(self, weights_of):
        """Return a model whose k-th convolution has the weights ``weights_of(k)``."""
        model = self.create_model(False)
        for number, layer in enumerate(convolutions(model)):
            layer.set_weights(weights_of(number))
        return model


def _digest(model):
    return digest(*model.get_weights())[:12]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path, nargs="?", help="folder of OSIE: images and fixations.npz")
    parser.add_argument("backbone", type=pathlib.Path, nargs="?", help="weights of VGG-16's convolutions, .npz")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder of the runs and pictures")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training (default 4)")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128), help="height and width (default 96 128)")
    parser.add_argument("--channels", type=int, default=64, help="patterns per layer (default 64)")
    parser.add_argument("--only", nargs="+", choices=RUNS, help="train these models and stop")
    parser.add_argument("--models", nargs="+", choices=RUNS, default=list(RUNS), help="trainings (default: all three)")
    parser.add_argument("--small", action="store_true", help="a trial in seconds without data")
    arguments = parser.parse_args()
    if "tuned" not in arguments.models:
        parser.error("--models must contain tuned, which is compared with the model before.")
    if not arguments.small and None in (arguments.osie, arguments.backbone):
        parser.error("OSIE_FOLDER and VGG16.npz are required without --small.")
    experiment = Experiment(arguments)
    if arguments.only:
        for name in arguments.only:
            experiment.train(name)
        return
    experiment.models = {name: experiment.create_model(pretrained) for name, pretrained in STARTS.items()}
    height, width = experiment.size
    settings = (
        f"{experiment.models['before'].count_params():,} parameters, {len(experiment.fit)} training images of {height}"
        f" × {width}, {experiment.epochs} epochs; the first {experiment.count} channels of each layer"
    )
    if arguments.models != list(RUNS):
        settings += f"; only {', '.join(arguments.models)}"
    tables = experiment.folder / "tables.md"
    if tables.is_file():
        text = tables.read_text(encoding="utf-8")
        if not text.startswith(settings + "\n"):
            raise SystemExit(f"{tables} is of other settings: {text.splitlines()[0]}. Choose another folder.")
        print(text, end="")
        return
    print_lines(settings)
    for name in arguments.models:
        experiment.train(name)
    report_gaze(experiment)
    found = {
        name: {layer: experiment.patterns(model, layer) for layer in experiment.layers}
        for name, model in experiment.models.items()
    }
    draw_pairs(experiment, found)
    report_similarity(experiment, found)
    report_scores(experiment, found)
    report_validation(experiment, found)
    with atomic_write(tables) as temporary:
        temporary.write_text("\n".join(printed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
