"""Train and score the coursework's model: batch normalization, a center-bias regularizer, and SGD beside Adam.

    python benchmarks/shallow_saliency.py OSIE_FOLDER CROWD_FOLDER -o RUNS [--only ROW ...]

Every row of the table is trained from each of the ``--seeds``, on 810 images of the train splits; 90 others choose the
epoch that is kept (not for the two rows of the report's recipe, which keep the last epoch). The seed determines the
starting weights, these 90 images and the order of the images, the same for all rows. Rows:

    plain                the model without batch normalization, recipe "default" (Adam, MSE - .3 CC, cosine schedule)
    batch norm           the same with batch normalization; same recipe, same number of epochs
    toward the center    plain, and .1 × the squared distance of the map from the center Gaussian in the loss
    away from center     plain, and .1 × the correlation of the map with the center Gaussian in the loss
    SGD of the report    recipe "coursework" with its ten learning rates, but over --sgd-epochs instead of 1,000 epochs
    Adam instead         the same recipe with Adam, which starts from a learning rate of .0003 and has no weight decay

The test splits are used for no choice. CC, sAUC and AUC-Borji are the means of the examiners' definitions
(``coursework_cc`` …) over the test images and the seeds; "CC, legacy" is the first with their cast to 8 bits, which
wraps around, and "below 0" is the share of the pixels that do. "CC − plain" has the 95 % interval of 10,000 bootstrap
samples of seeds and of images, the same ones for both rows. A stopped run continues where it was; finished runs and
their scores are read from RUNS. ``--small`` trains a tiny model for one epoch, to try the script.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from kerasal import gaze, training
from kerasal.datasets import open_gaze
from kerasal.files import atomic_write
from kerasal.training.samples import Samples, prepare_samples

import keras
import tensorflow as tf

SCORES = {"coursework_cc": "CC", "coursework_auc_shuffled": "sAUC", "coursework_auc_borji": "AUC-Borji"}
BASELINES = {"center": "center Gaussian", "mean": "mean map"}
DRAWS = 10_000


def rows(options):
    """Return {row: (options of the model, recipe)}."""
    compressed = training.StepFloor(0.03, 0.55, max(1, options.sgd_epochs // 10), 1e-4)
    every = max(1, options.sgd_epochs // 10)
    report = {"recipe": "coursework", "epochs": options.sgd_epochs, "rate": compressed, "validate_every": every}
    adam = {"optimizer": "adam", "rate": training.StepFloor(3e-4, 0.55, every, 1e-6)}
    default = {"recipe": "default", "epochs": options.epochs}
    return {
        "plain": ({}, default),
        "batch norm": ({"batch_norm": True}, default),
        "toward the center": ({}, default | {"loss": "mse=1,cc=0.3,center_distance=0.1"}),
        "away from center": ({}, default | {"loss": "mse=1,cc=0.3,center_correlation=0.1"}),
        "SGD of the report": ({}, report),
        "Adam instead": ({}, report | adam),
    }


class Data:
    """The training images, prepared once, and the test sets."""

    def __init__(self, folders, limit):
        first, *others = [open_gaze(folder, "train") for folder in folders]
        self.train = first.concatenate(*others)
        tests = {folder.name: open_gaze(folder, "test") for folder in folders}
        if limit:
            self.train = self.train.subset(range(limit))
            tests = {name: test.subset(range(min(limit, len(test)))) for name, test in tests.items()}
        self.tests, self._samples = tests, None

    def split(self, seed):
        """Return the images to train on and to validate on, those of ``kerasal gaze train --seed``."""
        self._samples = self._samples or prepare_samples(self.train, "training", (96, 96), (48, 48))
        index = {name: i for i, name in enumerate(self._samples.names)}
        return [self._select([index[name] for name in part.names]) for part in self.train.split(0.9, seed)]

    def _select(self, index):
        samples = self._samples
        return Samples(samples.pixels[index], samples.density[index], None, [samples.names[i] for i in index])


def run(name, seed, data, options):
    """Train a row from a seed, unless this is done. Return the output folder."""
    folder = options.output / f"{name.replace(' ', '-')}-{seed}"
    if not (folder / "shallow_saliency.keras").exists():
        model_options, recipe = rows(options)[name]
        size = {"filters": (2, 3, 4), "hidden": 8} if options.small else {"preset": options.preset}
        setup = training.prepare_gaze("shallow_saliency", options={**size, **model_options}, seed=seed)
        print(f"{name}, seed {seed}: {setup.model.count_params():,} parameters", flush=True)
        training.train_gaze(setup.model, *data.split(seed), output=folder, seed=seed, **recipe)
    return folder


def score(folder, data):
    """Return the scores of a run, one row per test image, with the name of its set in the column "set"."""
    path = folder / "scores.csv"
    if not path.exists():
        tables, predictor = [], gaze.Predictor(keras.saving.load_model(folder / "shallow_saliency.keras"))
        for name, test in data.tests.items():
            table = gaze.evaluate(predictor, test)
            legacy = gaze.evaluate(predictor, test, baselines=(), legacy=True)
            below = [float((raw < 0).mean()) for raw in predictor.raw(test.image(image) for image in test.names)]
            tables.append(table.assign(set=name, legacy_cc=legacy["coursework_cc"], below=below))
        with atomic_write(path) as temporary:
            pd.concat(tables).to_csv(temporary)
    return pd.read_csv(path, index_col="image", dtype={"image": str, "set": str})


def interval(first, second, random):
    """Return the mean difference of two arrays (seeds, images), and its bootstrap interval over seeds and images."""
    difference = first - second
    seeds, images = difference.shape
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        chosen = difference[random.integers(seeds, size=seeds)]
        means[draw] = chosen[:, random.integers(images, size=images)].mean()
    return difference.mean(), *np.quantile(means, (0.025, 0.975))


def table(name, scores, random):
    """Return the printed table of a test set; ``scores`` are those of ``score`` by row and seed."""
    columns = (*SCORES.values(), "CC of the seeds", "CC − plain, 95 % interval", "CC, legacy", "below 0")
    printed = Table("", *columns, title=f"{name}, test split")
    values = {}
    for row, seeds in scores.items():
        parts = [table[table["set"] == name] for table in seeds.values()]
        means = [np.mean([part[column].mean() for part in parts]) for column in (*SCORES, "legacy_cc", "below")]
        cc = values[row] = np.stack([part["coursework_cc"].to_numpy(float) for part in parts])
        plain, change = values.get("plain"), "–"
        if plain is not None and row != "plain" and plain.shape == cc.shape:
            change = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(cc, plain, random))
        each = " ".join(f"{value:.3f}" for value in cc.mean(axis=1))
        cells = [f"{value:.3f}" for value in means[: len(SCORES)]]
        printed.add_row(row, *cells, each, change, f"{means[-2]:.3f}", f"{means[-1]:.1%}")
    for baseline, title in BASELINES.items():
        part = next(iter(next(iter(scores.values())).values()))
        part = part[part["set"] == name]
        printed.add_row(title, *(f"{part[f'{baseline}_{column}'].mean():.3f}" for column in SCORES), "", "", "", "")
    return printed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/shallow_saliency"))
    parser.add_argument("--only", nargs="+", metavar="ROW", help="train and score only these rows")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--threads", type=int, help="threads of TensorFlow, to run rows and seeds as parallel processes"
    )
    parser.add_argument("--epochs", type=int, default=20, help="epochs of the recipe default")
    parser.add_argument("--sgd-epochs", type=int, default=30, help="epochs of the report's recipe")
    parser.add_argument("--preset", choices=("small", "full"), default="small", help="size of the model")
    parser.add_argument("--small", action="store_true", help="a tiny model and few images, to try the script")
    options = parser.parse_args()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    if options.small:
        options.epochs = options.sgd_epochs = 1
    plan = rows(options)
    if unknown := set(options.only or ()) - set(plan):
        parser.error(f"--only must name rows of {', '.join(plan)}, got {', '.join(sorted(unknown))}.")
    data = Data((options.osie, options.crowd), 12 if options.small else None)
    scores = {
        row: {seed: score(run(row, seed, data, options), data) for seed in options.seeds}
        for row in (options.only or plan)
    }
    for name in data.tests:
        Console(width=150).print(table(name, scores, np.random.default_rng(0)))


if __name__ == "__main__":
    main()
