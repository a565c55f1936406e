"""Train the gaze net with something left out, from scratch, and from another seed; score each beside the shipped one.

    python benchmarks/gaze_ablation.py OSIE_FOLDER CROWD_FOLDER LITE0.keras -o RUNS [--only NAME ...]

The first rows train the readout alone, on the frozen ImageNet encoder, by the recipe that begins the shipped net
(``kerasal gaze train gaze --recipe gaze``), each with one thing changed. "from scratch" is a net of half the filters,
without pretrained weights, all of it trained by the same recipe for 20 epochs. "tuned" goes on from the readout by the
recipe ``gaze_tune``, as the shipped net does, from the same seed and from another. The test splits chose nothing. A run
that was stopped goes on where it stood, and one that is there is not trained again.
"""

import argparse
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import gaze as scoring
from rich.console import Console
from rich.table import Table

import kerasal
from kerasal import gaze
from kerasal.datasets import open_gaze

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
SCRATCH = ["--recipe", "gaze", "--epochs", "20", "--net-option", "encoder_width=0.5"]
TUNE = ["--recipe", "gaze_tune"]
COLUMNS = ("NSS", "CC", "sAUC", "IG")


def commands(encoder, runs):
    """Return {name: (the run that must be there before, the arguments of ``gaze train``)}."""
    frozen = ["--recipe", "gaze", "--net-option", f"encoder_weights={encoder}", "--net-option", "frozen=True"]
    found = {
        name: (None, [*frozen, *(part for change in changes for part in ("--net-option", change))])
        for name, changes in READOUTS.items()
    }
    found["readout, seed 1"] = None, [*frozen, "--seed", "1"]
    found["from scratch"] = None, SCRATCH
    for name, before, more in (
        ("tuned", "readout", []),
        ("tuned by the likelihood alone", "readout", ["--loss", "likelihood"]),
        ("tuned, seed 1", "readout, seed 1", ["--seed", "1"]),
    ):
        found[name] = before, [*TUNE, *more, "--weights", str(folder_of(before, runs) / "gaze.best.weights.h5")]
    return found


def folder_of(name, runs):
    return runs / name.replace(", ", "-").replace(" ", "-")


def train(name, plan, data, runs):
    """Train one net, after the one that it starts from; return its folder."""
    before, arguments = plan[name]
    if before is not None:
        train(before, plan, data, runs)
    folder = folder_of(name, runs)
    if not (folder / "gaze.keras").exists():
        sets = [part for one in data for part in ("--data", str(one))]
        line = ["gaze", "train", "gaze", *sets, *arguments, "-o", str(folder)]
        print("kerasal", *line, flush=True)
        subprocess.run([sys.executable, "-m", "kerasal", *line], check=True)
    return folder


def row(folder, tests):
    """Return a net's parameters and its scores on each test set."""
    net = kerasal.load_model(folder / "gaze.keras")
    cells = [f"{net.count_params():,}"]
    predictor = gaze.Predictor(net, kerasal.model_spec("gaze").preprocessing)
    for test, prior in tests:
        found = scoring.scores(predictor, test, prior)[0]["net"]
        cells += [f"{found[column].mean():.3f}" for column in COLUMNS]
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=pathlib.Path)
    parser.add_argument("crowd", type=pathlib.Path)
    parser.add_argument("encoder", type=pathlib.Path, help="EfficientNet-Lite0 with its ImageNet weights, .keras")
    parser.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("runs/gaze-ablation"))
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="these rows only")
    options = parser.parse_args()
    data = (options.osie, options.crowd)
    plan = commands(options.encoder, options.output)
    if unknown := set(options.only) - set(plan):
        parser.error(f"no row {sorted(unknown)}; there are {', '.join(plan)}")
    chosen = [name for name in plan if not options.only or name in options.only]
    folders = {name: train(name, plan, data, options.output) for name in chosen}
    tests = [(open_gaze(one, "test"), scoring.mean_map(open_gaze(one, "train"))) for one in data]
    columns = [f"{one.name} {column}" for one in data for column in COLUMNS]
    table = Table("", "parameters", *columns, title="trained again, test splits")
    for name, folder in folders.items():
        table.add_row(name, *row(folder, tests))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
