"""Perturbation methods of kerasal beside shap, lime, xplique and captum, on a small network with random weights.

    python benchmarks/perturbation_equality.py [--only shap captum]

A difference is the largest one among the maps of two images, relative to the largest value of the other's maps. Where a
method is random, the other package gets the masks that kerasal draws. Packages that are not installed are left out.
Two environments hold all of them, since xplique requires an older TensorFlow than kerasal; nothing that is used here
depends on it:

    python -m venv peers
    peers/bin/pip install '.[test]' torch captum==0.9.0 tqdm

    python -m venv explainers
    explainers/bin/pip install '.[test]' shap==0.51.0 lime==0.2.0.1
    explainers/bin/pip install tensorflow-probability==0.25.0 tf_keras einops deprecated
    explainers/bin/pip install --no-deps xplique==2.0.2
"""

import argparse
import dataclasses
import importlib.util
import itertools
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.stats import qmc

from kerasal import attribution
from kerasal.attribution.perturbation.partition import make_regions
from kerasal.attribution.perturbation.random_masks import make_masks

import keras
import tensorflow as tf

TOLERANCE = 1e-5
SIDES, CELLS, CLASS, FILL = (16, 12), (3, 3), 1, 0.3
REGIONS = make_regions(SIDES, CELLS)
RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.normal(size=(2, *SIDES, 3)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The maps of a method and the same by another package, (2, 16, 12).

    Attributes:
        package, method: what is compared.
        ours, theirs: functions that return the maps.
        note: what is made equal first.
    """

    package: str
    method: str
    ours: Callable[[], np.ndarray]
    theirs: Callable[[], np.ndarray]
    note: str = ""

    def difference(self) -> float:
        """Return the largest difference, relative to the largest value of the other's maps."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the packages
            ours, theirs = (np.asarray(run(), np.float64) for run in (self.ours, self.theirs))
        if ours.shape != theirs.shape or not np.abs(theirs).max() > 0:
            raise ValueError(f"{self.method}: maps must have one shape and a value, got {ours.shape}, {theirs.shape}.")
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def make_model() -> keras.Model:
    """Return a convolutional network of three classes with random weights."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIDES, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))


MODEL = make_model()


def scores(images: np.ndarray) -> np.ndarray:
    """Return the score of the class for images (n, 16, 12, 3)."""
    return MODEL(np.asarray(images, np.float32), training=False).numpy()[:, CLASS].astype(np.float64)


def cover(image: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return copies of an image in which regions are covered, from the value of each region (n, regions) in 0..1."""
    masks = np.asarray(kept, np.float32)[:, REGIONS.labels][..., None]
    return masks * image + (1 - masks) * np.float32(FILL)


def our_map(method: str, **options) -> np.ndarray:
    options = {"fill": FILL, "cells": CELLS, **options}
    return getattr(attribution, method)(MODEL, IMAGES, CLASS, **options)


def spread(values: list[np.ndarray]) -> np.ndarray:
    """Return maps from the values of regions of each image."""
    return np.stack([np.asarray(one, np.float64)[REGIONS.labels] for one in values])


def drawn_presence(samples: int, seed: int) -> np.ndarray:
    """Return the regions that ``lime`` keeps in each sample."""
    kept = [tf.random.stateless_uniform([REGIONS.count], (seed, number)).numpy() < 0.5 for number in range(samples)]
    return np.vstack([np.ones(REGIONS.count, bool), np.array(kept)[1:]]).astype(np.float64)


def shap_values() -> np.ndarray:
    """Return the Shapley values of shap's KernelExplainer, which enumerates the coalitions of 9 regions."""
    import shap

    values = []
    for image in IMAGES:
        explainer = shap.KernelExplainer(lambda kept, x=image: scores(cover(x, kept)), np.zeros((1, REGIONS.count)))
        values.append(explainer.shap_values(np.ones(REGIONS.count), nsamples=2**9, l1_reg=False, silent=True))
    return spread(values)


def lime_weights(samples: int, seed: int) -> np.ndarray:
    """Return the weights of lime's linear model of the presence that kerasal draws."""
    from lime.lime_base import LimeBase

    kept, values = drawn_presence(samples, seed), []
    explainer = LimeBase(lambda distances: np.sqrt(np.exp(-(distances**2) / 0.25**2)))
    norms = np.linalg.norm(kept, axis=1)
    distances = 1 - kept.sum(axis=1) / (np.maximum(norms, 1e-300) * norms[0])
    for image in IMAGES:
        labels = scores(cover(image, kept))[:, None]
        weights = dict(explainer.explain_instance_with_data(kept, labels, distances, 0, REGIONS.count, "none")[1])
        values.append(np.array([weights[region] for region in range(REGIONS.count)]))
    return spread(values)


def captum_ablation() -> np.ndarray:
    import captum.attr
    import torch

    ablation = captum.attr.FeatureAblation(lambda x: torch.tensor(scores(x.numpy())))
    mask = torch.tensor(np.repeat(REGIONS.labels[..., None], 3, axis=2))[None]
    maps = ablation.attribute(torch.tensor(IMAGES), baselines=FILL, feature_mask=mask)
    return maps.numpy()[..., 0]


def captum_shap() -> np.ndarray:
    """Return captum's Shapley values, of all orders of 4 regions."""
    import captum.attr
    import torch

    regions = make_regions(SIDES, (2, 2))
    shapley = captum.attr.ShapleyValueSampling(lambda x: torch.tensor(scores(x.numpy())))
    mask = torch.tensor(np.repeat(regions.labels[..., None], 3, axis=2))[None]
    maps = []
    for image in IMAGES:
        shapley.permutation_generator = lambda features, samples: itertools.permutations(range(features))
        x = torch.tensor(image[None])
        maps.append(shapley.attribute(x, baselines=FILL, feature_mask=mask, n_samples=24).numpy()[0, ..., 0])
    return np.stack(maps)


def xplique_rise(samples: int, seed: int) -> np.ndarray:
    """Return xplique's RISE with the masks that kerasal draws, in place of its own enlarged and cut out ones."""
    from unittest import mock

    from xplique.attributions import Rise

    drawn = make_masks(SIDES, CELLS, 0.5, seed).draw(tf.range(samples))

    def apply(single_input, masks, mask_value=0.0):
        chosen = tf.gather(drawn, tf.cast(masks[:, 0, 0, 0], tf.int32))[..., None]
        return single_input[None] * chosen + (1 - chosen) * mask_value, chosen

    numbers = tf.reshape(tf.range(samples, dtype=tf.float32), [-1, 1, 1, 1])
    explainer = Rise(MODEL, nb_samples=samples, grid_size=3, mask_value=FILL)
    with (
        mock.patch.object(Rise, "_get_masks", staticmethod(lambda *_, **__: numbers)),
        mock.patch.object(Rise, "_apply_masks", staticmethod(apply)),
    ):
        maps = explainer(IMAGES, np.eye(3, dtype=np.float32)[[CLASS] * len(IMAGES)])
    return np.asarray(maps).reshape(len(IMAGES), *SIDES)


def xplique_sobol(designs: int, seed: int) -> np.ndarray:
    """Return xplique's Jansen estimator of the scores under kerasal's designs."""
    from xplique.attributions.global_sensitivity_analysis import JansenEstimator

    count = REGIONS.count
    points = qmc.Sobol(2 * count, scramble=True, rng=seed).random(designs).astype(np.float32)
    first, second = points[:, :count], points[:, count:]
    replaced = [np.where(np.arange(count) == column, second, first) for column in range(count)]
    masks = np.concatenate([first, second, *replaced])
    values = [
        JansenEstimator()(tf.constant(masks.reshape(-1, *CELLS, 1)), tf.constant(scores(cover(x, masks))), designs)
        for x in IMAGES
    ]
    return spread([np.ravel(one) for one in values])


def xplique_hsic(samples: int, seed: int) -> np.ndarray:
    """Return xplique's estimator of the scores under kerasal's masks, with the median score as bandwidth."""
    from xplique.attributions.global_sensitivity_analysis import BinaryEstimator

    kept = tf.cast(tf.random.stateless_uniform([samples, REGIONS.count], (seed, 0)) < 0.5, tf.float32)
    masks = tf.reshape(kept, [-1, *CELLS, 1])
    values = [BinaryEstimator()(masks, tf.constant(scores(cover(x, kept.numpy()))), samples) for x in IMAGES]
    return spread([np.ravel(one) for one in values])


def comparisons() -> Iterator[Comparison]:
    """Yield everything that is compared."""
    yield Comparison("shap", "kernel_shap", lambda: our_map("kernel_shap"), shap_values, "9 regions, all coalitions")
    ours = {"samples": 80, "seed": 4}
    note = "its linear model of the same samples"
    yield Comparison("lime", "lime", lambda: our_map("lime", **ours), lambda: lime_weights(**ours), note)
    yield Comparison("captum", "ablation", lambda: our_map("ablation"), captum_ablation)
    note = "4 regions, its sampling given all 24 orders"
    yield Comparison("captum", "kernel_shap", lambda: our_map("kernel_shap", cells=(2, 2)), captum_shap, note)
    rise = {"samples": 60, "seed": 2}
    paper = {"subtract_mean": False, **rise}
    yield Comparison(
        "xplique", "rise", lambda: our_map("rise", **paper), lambda: xplique_rise(**rise), "the same masks"
    )
    sobol = {"designs": 16, "seed": 5}
    note = "its estimator of the same designs"
    yield Comparison("xplique", "sobol", lambda: our_map("sobol", **sobol), lambda: xplique_sobol(**sobol), note)
    hsic = {"samples": 100, "seed": 6}
    note = "its estimator of the same samples, bandwidth='median score'"
    by_score = {"bandwidth": "median score", **hsic}
    yield Comparison("xplique", "hsic", lambda: our_map("hsic", **by_score), lambda: xplique_hsic(**hsic), note)


def main() -> None:
    """Print the table, and exit with 1 if a difference is larger than 1e-5."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("shap", "lime", "captum", "xplique"), help="packages to compare")
    only, failed = parser.parse_args().only, False
    print("| package | method | difference | note |")
    print("|---|---|---|---|")
    for comparison in comparisons():
        if (only and comparison.package not in only) or importlib.util.find_spec(comparison.package) is None:
            continue
        difference = comparison.difference()
        failed |= difference > TOLERANCE
        print(f"| {comparison.package} | `{comparison.method}` | {difference:.0e} | {comparison.note} |", flush=True)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
