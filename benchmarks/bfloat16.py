"""Perturbation methods with forward passes in bfloat16, beside the same in float32: time, and how alike the maps are.

    python benchmarks/bfloat16.py [MODEL.keras ...] [--samples 500] [--rounds 5]

The models are efficientnet_lite0 of the zoo, and model files with pixels of 0..255 as inputs; the photo is the cup that
is installed with the package. Both precisions run in turn; the ratio of times is the median over the rounds, after a
round that traces. Beside it is the correlation of two maps in float32 with different seeds: what the sampling alone
changes.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

import kerasal
from kerasal import attribution, images
from kerasal.attribution.perturbation.lower_precision import has_bfloat16

ROOT = pathlib.Path(__file__).resolve().parents[1]
METHODS = ("rise", "lime", "kernel_shap", "hsic")


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="model files")
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not has_bfloat16():
        raise SystemExit("This processor does not run convolutions in bfloat16.")
    photo = images.read(ROOT / "kerasal" / "assets" / "coffee.jpg")
    print("| model | method | time in bfloat16 / float32 | correlation of the maps | of float32 with another seed |")
    print("|---|---|---|---|---|")
    for source in ["efficientnet_lite0", *arguments.models]:
        options = {} if source == "efficientnet_lite0" else {"preprocessing": "none"}
        model = kerasal.open_model(source, **options)
        inputs, target = model.inputs([photo]), None
        for name in METHODS:
            method, maps, ratios = getattr(attribution, name), {}, []
            for number in range(arguments.rounds + 1):
                times = {}
                for precision in ("float32", "bfloat16"):
                    start = time.perf_counter()
                    shared = {"samples": arguments.samples, "precision": precision}
                    maps[precision] = method(model.keras_model, inputs, target, **shared)
                    times[precision] = time.perf_counter() - start
                ratios += [times["bfloat16"] / times["float32"]] if number else []
            other = method(model.keras_model, inputs, target, samples=arguments.samples, seed=1)
            alike = correlation(maps["float32"], maps["bfloat16"]), correlation(maps["float32"], other)
            cells = [model.name, name, f"{statistics.median(ratios):.2f}", *(f"{value:.4f}" for value in alike)]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
