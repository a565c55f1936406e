"""Gradient and path methods of kerasal beside captum's and PAIR's, on the same network.

    python benchmarks/path_equality.py [--only deeplift captum]

A difference is the largest one among the values of two inputs, relative to the largest value of the other's maps.
captum runs the networks of ``torch_twins.py``, PAIR's saliency the Keras model itself. The environment is that of
``attribution_equality.py`` with one package more:

    peers/bin/pip install --no-deps saliency==0.2.1
    peers/bin/pip install scikit-image

GradientSHAP gets kerasal's draws in place of captum's: shares of the way, baselines and noise. DeepLIFT of captum is
compared with a copy between a ReLU and its pooling (``captum_deeplift`` says why). PAIR's blur takes the difference of
two blurs for a derivative; with a step as wide as that between two points it is the change along the path, and a
gradient averaged over the two makes it the trapezoidal rule. XRAI gets kerasal's superpixels and contributions. PAIR
0.2.1 calls ``numpy.quantile`` with an argument that NumPy 2.4 has renamed.
"""

import argparse
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from attribution_equality import NETWORKS, Comparison
from torch import nn
from torch_peers import captum_integrated, twin
from torch_twins import CHANNELS

from kerasal import attribution
from kerasal.attribution.method_parts import normal_noise, value_range
from kerasal.attribution.methods import gradient_shap as shap_module
from kerasal.attribution.methods import xrai as xrai_module
from kerasal.attribution.superpixels import superpixels
from kerasal.hooks.trace import run_batches
from kerasal.objectives.targets import resolve

import tensorflow as tf

TOLERANCE = 1e-5
SEED = 4
SAMPLES = 12
STEPS = 20
MAX_SIGMA = 5.0
CELLS = (3, 5)
MIN_PIXELS = 4


def our_map(network: str, method: str, **options) -> np.ndarray:
    pair = twin(network)
    return getattr(attribution, method)(pair.model, pair.inputs, pair.targets, **options)


def baselines(network: str, count: int) -> np.ndarray:
    """Return random baselines (count, *positions, C), or one without its axis."""
    stack = np.random.default_rng(5).normal(size=(count, *twin(network).inputs.shape[1:])).astype(np.float32)
    return stack if count > 1 else stack[0]


def _first(array: np.ndarray) -> torch.Tensor:
    """Return an array (N, *positions, C) as PyTorch takes it, (N, C, *positions)."""
    return torch.from_numpy(np.moveaxis(array, -1, 1).copy())


def captum_shap(network: str, count: int, noise: float) -> np.ndarray:
    """Return captum's GradientSHAP with kerasal's draws, summed over channels."""
    from captum.attr import GradientShap

    pair, numbers = twin(network), tf.range(SAMPLES)
    shares, choices = (x.numpy() for x in shap_module._draw(numbers, SEED, count))
    x, rows = tf.constant(pair.inputs), len(pair.inputs)
    noisy = (noise * value_range(x) * normal_noise(x, numbers, SEED)).numpy()  # (samples, N, …)
    by_image = _first(np.moveaxis(noisy, 1, 0).reshape(-1, *pair.inputs.shape[1:]))
    stack = baselines(network, count)
    with (
        mock.patch("numpy.random.uniform", lambda low, high, size: np.tile(shares, rows)),
        mock.patch("numpy.random.choice", lambda total, size: np.tile(choices, rows)),
        mock.patch("torch.normal", lambda mean, deviation: by_image),
    ):
        maps = GradientShap(pair.module).attribute(
            pair.tensor,
            _first(stack if count > 1 else stack[None]),
            n_samples=SAMPLES,
            stdevs=1.0 if noise else 0.0,
            target=torch.tensor(pair.targets),
        )
    return maps.sum(dim=1).detach().numpy()


class _Copy(nn.Module):
    """Returns another tensor with the same values."""

    def forward(self, x):
        return x.clone()


def captum_deeplift(network: str, constant: bool, copied: bool = True) -> np.ndarray:
    """Return captum's DeepLIFT, summed over channels; ``copied`` puts a copy between a ReLU and its pooling.

    Both rules are hooks of the tensor between them. That of the ReLU runs first, so it sees the ordinary gradient of
    the pooling in place of the rule's, and the contributions do not add up to the change of the score.
    """
    from captum.attr import DeepLift

    pair = twin(network)
    parts = [part for layer in pair.module for part in (layer, *([_Copy()] if copied else []))]
    start = (
        0.5 * torch.ones_like(pair.tensor) if constant else _first(baselines(network, 1)[None]).expand_as(pair.tensor)
    )
    maps = DeepLift(nn.Sequential(*parts)).attribute(pair.tensor, start, target=torch.tensor(pair.targets))
    return maps.sum(dim=1).detach().numpy()


def _gradients(network: str, row: int) -> Callable:
    """Return the function that PAIR calls for the gradient of the score of input ``row`` at points (m, …)."""
    pair = twin(network)

    @tf.function
    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = pair.model(points)[:, pair.targets[row]]
        return tape.gradient(score, points)

    def call(points, call_model_args=None, expected_keys=None):
        return {"INPUT_OUTPUT_GRADIENTS": gradient(tf.constant(points, tf.float32)).numpy()}

    return call


def pair_blur(network: str) -> np.ndarray:
    """Return PAIR's blur IG of images, summed over channels, by the trapezoidal rule."""
    import saliency.core as saliency
    from saliency.core import blur_ig

    maps, step = [], MAX_SIGMA / STEPS
    for row, x in enumerate(twin(network).inputs.astype(np.float64)):
        call = _gradients(network, row)

        def average(points, call=call, x=x, **others):
            ends = [blur_ig.gaussian_blur(x, number * step) for number in range(STEPS + 1)]
            found = call(np.stack(ends))["INPUT_OUTPUT_GRADIENTS"]
            return {"INPUT_OUTPUT_GRADIENTS": (found[:-1] + found[1:]) / 2}

        options = {"max_sigma": MAX_SIGMA, "steps": STEPS, "grad_step": step, "batch_size": STEPS}
        maps.append(saliency.BlurIG().GetMask(x, average, **options).sum(axis=-1))
    return np.stack(maps)


def pair_guided(network: str, max_deviation: float) -> np.ndarray:
    """Return PAIR's guided IG, summed over channels."""
    import saliency.core as saliency

    quantile, maps = np.quantile, []

    def renamed(values, share, interpolation):
        return quantile(values, share, method=interpolation)

    with mock.patch("numpy.quantile", renamed):
        for row, x in enumerate(twin(network).inputs):
            options = {"x_baseline": baselines(network, 1), "x_steps": STEPS, "max_dist": max_deviation}
            maps.append(saliency.GuidedIG().GetMask(x, _gradients(network, row), **options).sum(axis=-1))
    return np.stack(maps)


def pair_xrai(network: str) -> np.ndarray:
    """Return PAIR's XRAI for kerasal's superpixels and contributions."""
    import saliency.core as saliency

    pair, maps = twin(network), []
    shares, _ = run_batches(_shares, pair.model, [pair.inputs], resolve(pair.targets, len(pair.inputs)))
    labels = [superpixels(tf.constant(pair.inputs), cells).numpy() for cells in CELLS]
    for row, x in enumerate(pair.inputs):
        sides = x.shape[:-1]
        regions = [(level[row] == number).reshape(sides) for level in labels for number in np.unique(level[row])]
        parameters = saliency.XRAIParameters()
        parameters.experimental_params["min_pixel_diff"] = MIN_PIXELS
        # PAIR takes the largest of the channels, which are all alike here, except of signals.
        base = shares[0][row] if len(sides) == 1 else np.repeat(shares[0][row][..., None], CHANNELS, axis=-1)
        maps.append(
            saliency.XRAI().GetMask(
                base, _gradients(network, row), segments=regions, base_attribution=base, extra_parameters=parameters
            )
        )
    return np.stack(maps)


def _shares(view):
    return xrai_module._contributions(view, STEPS)


def pair_contributions(network: str) -> np.ndarray:
    """Return PAIR's integrated gradients from a black and a white baseline: the mean, the largest of the channels.

    Its points have equal weights; the gradients at the first and last count for half here, and their sum is complete.
    """
    import saliency.core as saliency

    maps = []
    for row, x in enumerate(twin(network).inputs):
        call = _gradients(network, row)

        def halve(points, call=call, **others):
            found = call(points)["INPUT_OUTPUT_GRADIENTS"] * (STEPS + 1) / STEPS
            found[[0, -1]] /= 2
            return {"INPUT_OUTPUT_GRADIENTS": found}

        paths = [
            saliency.IntegratedGradients().GetMask(
                x, halve, x_baseline=np.full_like(x, value), x_steps=STEPS + 1, batch_size=STEPS + 1
            )
            for value in (x.min(), x.max())
        ]
        maps.append(np.mean(paths, axis=0).max(axis=-1))
    return np.stack(maps)


def our_shares(network: str) -> np.ndarray:
    pair = twin(network)
    return run_batches(_shares, pair.model, [pair.inputs], resolve(pair.targets, len(pair.inputs)))[0][0]


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared."""
    for network in NETWORKS:
        yield from captum_comparisons(network)
        yield from pair_comparisons(network)


def captum_comparisons(network: str) -> Iterator[Comparison]:
    for count, noise, note in ((1, 0.0, "a baseline, no noise"), (7, 0.1, "7 baselines, noise")):
        options = {"baselines": baselines(network, count), "noise": noise, "samples": SAMPLES, "seed": SEED}
        theirs = functools.partial(captum_shap, network, count, noise)
        yield _compare("captum", "gradient_shap", network, theirs, f"{note}; kerasal's draws", **options)
    if network != "vit":
        for constant, note in ((True, "baseline .5"), (False, "a random baseline")):
            start = 0.5 if constant else baselines(network, 1)
            theirs = functools.partial(captum_deeplift, network, constant)
            yield _compare("captum", "deeplift", network, theirs, f"{note}; a copy before the pooling", baseline=start)
        theirs = functools.partial(captum_deeplift, network, True, copied=False)
        note = "ignores its rule for pooling after a ReLU"
        yield _compare("captum", "deeplift", network, theirs, note, differs=True, baseline=0.5)
    note, theirs = (
        "its 21 weights, which sum to 20/21, times 21/20",
        functools.partial(captum_integrated, network, STEPS),
    )
    yield _compare("captum", "integrated_gradients", network, theirs, note, steps=STEPS)


def pair_comparisons(network: str) -> Iterator[Comparison]:
    if len(twin(network).inputs.shape) == 4:  # PAIR blurs images only
        options = {"steps": STEPS, "max_sigma": MAX_SIGMA}
        note = "blurs differ by a whole step; gradients averaged over its ends"
        yield _compare("PAIR", "blur_ig", network, functools.partial(pair_blur, network), note, **options)
    for deviation in (0.02, 0.3, 1.0):
        options = {"baseline": baselines(network, 1), "steps": STEPS, "max_deviation": deviation}
        theirs = functools.partial(pair_guided, network, deviation)
        yield _compare("PAIR", "guided_ig", network, theirs, f"max_deviation {deviation}", **options)
    theirs, note = functools.partial(pair_contributions, network), "black and white; the ends of a path count for half"
    yield Comparison("PAIR", "integrated_gradients", network, functools.partial(our_shares, network), theirs, note)
    options = {"steps": STEPS, "cells": CELLS, "min_pixels": MIN_PIXELS}
    note = "kerasal's contributions and superpixels"
    yield _compare("PAIR", "xrai", network, functools.partial(pair_xrai, network), note, **options)


def _compare(package: str, method: str, network: str, theirs: Callable, note: str, *, differs: bool = False, **options):
    ours = functools.partial(our_map, network, method, **options)
    return Comparison(package, method, network, ours, theirs, note, differs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="comparisons that contain a word")
    words = parser.parse_args().only
    tables: dict[bool, dict[tuple, dict[str, str]]] = {False: {}, True: {}}
    for comparison in comparisons():
        if any(word in comparison.name for word in words):
            difference = comparison.difference()
            text = f"{difference:.0e}".replace("e-0", "e-") if difference < 0.005 else f"{difference:.2f}"
            row = tables[comparison.differs].setdefault((comparison.package, comparison.method, comparison.note), {})
            row[comparison.network] = text
    for title, differs in (("options, and what was changed in the other's computation", False), ("why", True)):
        print(f"| package | method | {' | '.join(NETWORKS)} | {title} |")
        print("|---" * (len(NETWORKS) + 3) + "|")
        for (package, method, note), row in tables[differs].items():
            print(f"| {package} | {method} | {' | '.join(row.get(name, '–') for name in NETWORKS)} | {note} |")
        print()


if __name__ == "__main__":
    main()
