"""Train and score variants of the gaze model: with a part removed, from scratch, and from another seed.

    python benchmarks/gaze_ablation.py OSIE_FOLDER CROWD_FOLDER LITE0.keras -o RUNS [--only NAME ...]

The first rows train only the readout, on the frozen ImageNet encoder, with the recipe of the first stage of the model
of the package (``kerasal gaze train gaze --recipe gaze``), each with one change. "from scratch" is a model with half
the filters and without pretrained weights, all of it trained with the same recipe for 20 epochs. "tuned" continues from
the readout with the recipe ``gaze_tune``, as for the model of the package, from the same seed and from another. The
test splits are used for no choice. A stopped run continues where it was, and a finished one is not trained again.

NSS, CC and sAUC are those of ``kerasal gaze evaluate``. "bits" is the log-likelihood of the fixations above that of the
mean map of the train split, in bits per fixation; it is not the information gain of ``kerasal gaze evaluate``, which is
above the center Gaussian.
"""

import argparse
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import gaze, metrics
from kerasal.datasets import open_gaze
from kerasal.losses.scores import log_likelihood

READOUTS = {
    "readout": [],
    "tap 12 alone": ["taps=(12,)"],
    "tap 10 alone": ["taps=(10,)"],
    "tap 4 alone": ["taps=(4,)"],
    "taps 4 and 10": ["taps=(4, 10)"],
    "without prior": ["center_prior=False"],
    "without blur": ["blur=False"],
    "without both": ["center_prior=False", "blur=False"],
}
SCRATCH = ["--recipe", "gaze", "--epochs", "20", "--model-option", "encoder_width=0.5"]
TUNE = ["--recipe", "gaze_tune"]
COLUMNS = {"nss": "NSS", "cc": "CC", "auc_shuffled": "sAUC"}


def commands(encoder, runs):
    """Return {name: (the run that it starts from, the arguments of ``gaze train``)}."""
    frozen = ["--recipe", "gaze", "--model-option", f"encoder_weights={encoder}", "--model-option", "frozen=True"]
    plan = {
        name: (None, [*frozen, *(part for change in changes for part in ("--model-option", change))])
        for name, changes in READOUTS.items()
    }
    plan["readout, seed 1"] = None, [*frozen, "--seed", "1"]
    plan["from scratch"] = None, SCRATCH
    for name, start, more in (
        ("tuned", "readout", []),
        ("tuned by the likelihood alone", "readout", ["--loss", "likelihood"]),
        ("tuned, seed 1", "readout, seed 1", ["--seed", "1"]),
    ):
        plan[name] = start, [*TUNE, *more, "--weights", str(run_folder(start, runs) / "gaze.best.weights.h5")]
    return plan


def run_folder(name, runs):
    return runs / name.replace(", ", "-").replace(" ", "-")


def train(name, plan, data, runs):
    """Train a model, after the one that it starts from. Return the folder of its run."""
    start, arguments = plan[name]
    if start is not None:
        train(start, plan, data, runs)
    folder = run_folder(name, runs)
    if not (folder / "gaze.keras").exists():
        sources = [part for source in data for part in ("--data", str(source))]
        command = ["gaze", "train", "gaze", *sources, *arguments, "--size", "240x320", "-o", str(folder)]
        print("kerasal", *command, flush=True)
        subprocess.run([sys.executable, "-m", "kerasal", *command], check=True)
    return folder


def mean_map(train):
    """Return the blurred mean of all fixations on the images of a train split."""
    total = sum(np.asarray(train.fixation_map(name), np.float64) for name in train.names)
    return metrics.blur_fixations(total, 0.03 * total.shape[1])


def bits(values, fixations):
    """Return the mean log-likelihood of fixations in bits, relative to a uniform map."""
    return float(log_likelihood(np.asarray(fixations, np.float32)[None], np.asarray(values, np.float32)[None])[0])


def table_cells(folder, tests):
    """Return the number of parameters of a model, and its scores on each test set."""
    model = kerasal.load_model(folder / "gaze.keras")
    cells = [f"{model.count_params():,}"]
    predictor = gaze.Predictor(model, kerasal.model_spec("gaze").preprocessing)
    for test, prior in tests:
        table = gaze.evaluate(predictor, test, baselines=())
        cells += [f"{table[column].astype(float).mean():.3f}" for column in COLUMNS]
        fixations = [np.asarray(test.fixation_map(name)) for name in test.names]
        maps = [item.map for item in gaze.predict_many((test.image(name) for name in test.names), predictor)]
        above = [bits(*pair) - bits(prior, pair[1]) for pair in zip(maps, fixations, strict=True)]
        cells.append(f"{np.mean(above):.3f}")
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("encoder", type=pathlib.Path, help="EfficientNet-Lite0 with its ImageNet weights, .keras")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/gaze-ablation"))
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="train and score only these rows")
    options = parser.parse_args()
    data = (options.osie, options.crowd)
    plan = commands(options.encoder, options.output)
    if unknown := set(options.only) - set(plan):
        parser.error(f"--only must name rows of {', '.join(plan)}, got {', '.join(sorted(unknown))}.")
    chosen = [name for name in plan if not options.only or name in options.only]
    folders = {name: train(name, plan, data, options.output) for name in chosen}
    tests = [(open_gaze(folder, "test"), mean_map(open_gaze(folder, "train"))) for folder in data]
    columns = [f"{folder.name} {column}" for folder in data for column in (*COLUMNS.values(), "bits")]
    table = Table("", "parameters", *columns, title="Variants of the gaze model, test splits")
    for name, folder in folders.items():
        table.add_row(name, *table_cells(folder, tests))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
