"""Time patterns on the smallest canvas, all channels in batches, beside single patterns on the full canvas.

    python benchmarks/receptive_field.py patterns [--rounds 5] [--channels 64] [--singles 4]

``patterns``: 64 patterns of block1_pool and the first 64 of block3_pool of VGG19 (random weights), computed in batches
on the smallest canvas, and by the same routine on the model's canvas of 224 × 224, one pattern at a time. Both are
traced beforehand. Rounds are interleaved; the ratio is the median over rounds of singles / batches in the same round.
All singles take the same time, so each round computes only ``--singles`` of them and multiplies their time. Both
pictures must be equal after cropping, to 1e-5 of the largest value.
"""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasal.receptive_field.patterns.pattern_projection import PatternProjector

import keras


def measure(function):
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def compare(model, layer, channels, singles, rounds):
    """Return both projectors, the seconds of all channels on both canvases per round, and the largest difference."""
    small, large = PatternProjector(model, layer), PatternProjector(model, layer, canvas=224)
    indices, ones = np.arange(channels), np.ones(channels)
    reference = small.canvas.crop(small.project(indices, ones))
    seconds, difference = [], 0.0
    large.project(indices[:1], ones[:1], batch_size=1)
    for number in range(rounds):
        chosen = (np.arange(singles) + number * singles) % channels
        _, fast = measure(lambda: small.project(indices, ones))
        results, slow = measure(
            lambda chosen=chosen: [large.project(np.array([k]), ones[:1], batch_size=1) for k in chosen]
        )
        cropped = np.concatenate([large.canvas.crop(pattern) for pattern in results])
        difference = max(difference, float(np.abs(cropped - reference[chosen]).max() / np.abs(reference[chosen]).max()))
        seconds.append((fast, slow * channels / singles))
    return small, large, np.array(seconds), difference


def time_patterns(arguments):
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG19(weights=None)
    table = Table(
        "layer", "canvas", "all in batches, ms", "224 px, one by one, ms", "ratio", "of the rounds", "difference"
    )
    for layer in ("block1_pool", "block3_pool"):
        small, _, seconds, difference = compare(model, layer, arguments.channels, arguments.singles, arguments.rounds)
        fast, slow = np.median(seconds, axis=0) * 1000
        ratios = seconds[:, 1] / seconds[:, 0]
        row = [f"{fast:.1f}", f"{slow:.0f}", f"{np.median(ratios):.0f}×", f"{ratios.min():.0f}–{ratios.max():.0f}"]
        table.add_row(layer, f"{small.canvas.size[0]} px", *row, f"{difference:.1e}")
        if not difference < 1e-5:
            raise SystemExit(
                f"{layer}: patterns must be equal to 1e-5 of the largest value, got a difference of {difference:.1e}."
            )
    Console(width=140).print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["patterns"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--singles", type=int, default=4)
    arguments = parser.parse_args()
    {"patterns": time_patterns}[arguments.what](arguments)


if __name__ == "__main__":
    main()
