"""Metrics of Quantus and xplique on the model, images, maps, subsets, noise and random weights that kerasal gets.

``evaluation_equality.py`` compares their values with kerasal's. Quantus is made for models of Keras 2 and
PyTorch, so its metrics get an object that forwards to the Keras model.
"""

import os
import pathlib
import sys
from collections.abc import Iterator
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from kerasal import attribution
from kerasal.attribution import evaluation
from kerasal.attribution.evaluation.scorer import subset_size
from kerasal.attribution.perturbation.partition import make_regions

import keras
import tensorflow as tf

SIDES, CELLS, CLASSES, FILL = (16, 12), (4, 4), 4, 0.3
STEPS, SAMPLES, SEED = 16, 48, 5
SUBSETS = {"cells": CELLS, "samples": SAMPLES, "fill": FILL, "seed": SEED}
SHARES, ROAD_SHARES = (0.125, 0.25, 0.5, 0.75), (0.25, 0.5, 0.75)
REGIONS = make_regions(SIDES, CELLS)
RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.normal(size=(6, *SIDES, 3)).astype(np.float32)
MASKS = RANDOM.random((6, *SIDES)) < 0.4
METHOD = "gradient_x_input"  # for metrics that run a method again


def make_model() -> keras.Model:
    """Return a convolutional network with random weights and a softmax."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIDES, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    hidden = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.Flatten()(hidden)))


MODEL = make_model()


def probabilities(images: np.ndarray) -> np.ndarray:
    """Return the outputs of the model, float64 (n, classes)."""
    return MODEL(np.asarray(images, np.float32), training=False).numpy().astype(np.float64)


TARGETS = probabilities(IMAGES).argmax(axis=1)
TARGETS[::2] = (TARGETS[::2] + 1) % CLASSES  # so that scores rise and fall
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[TARGETS]


def make_gradients() -> np.ndarray:
    """Return the gradient of the probability of each image's class, float64 (6, 16, 12, 3)."""
    with tf.GradientTape() as tape:
        tape.watch(images := tf.constant(IMAGES))
        score = tf.reduce_sum(MODEL(images, training=False) * ONE_HOT)
    return tape.gradient(score, images).numpy().astype(np.float64)


GRADIENTS = make_gradients()
MAPS = (GRADIENTS * (IMAGES - np.float32(FILL))).sum(axis=-1)  # contributions, of both signs
POSITIVE = np.maximum(MAPS, 0)
OPPOSED = MAPS * np.resize([1, -1], (len(MAPS), 1, 1))  # half of them mark what lowers the score


def explain(images: np.ndarray = IMAGES, targets: np.ndarray = TARGETS) -> np.ndarray:
    """Return the maps of a method of kerasal."""
    return attribution.method_function(METHOD)(MODEL, images, targets)


def explain_for_quantus(model, inputs, targets, **_) -> np.ndarray:
    return explain(np.moveaxis(inputs, 1, -1), targets)[:, None]


def removed_regions(share: float) -> np.ndarray:
    """Return the subsets of regions that kerasal draws, bool (samples, regions)."""
    scorer = evaluation.Scorer(MODEL, IMAGES, TARGETS)
    return scorer.subset_drops(REGIONS, subset_size(share, REGIONS.count), SAMPLES, scorer.fill(FILL), SEED)[0]


def channels_first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1)


def removed_values(share: float) -> np.ndarray:
    """Return the indices of all channels of the removed positions, channels first, for each subset."""
    masks = np.repeat(removed_regions(share)[:, None, REGIONS.labels], 3, axis=1)
    return np.array([np.flatnonzero(mask) for mask in masks])


class QuantusModel:
    """What a metric of Quantus asks of a model: outputs for inputs whose channels are first."""

    random_layer_generator_length = 0

    def shape_input(self, x: np.ndarray, shape, **_) -> np.ndarray:
        return np.moveaxis(x, 1, -1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return probabilities(x)

    def get_model(self) -> "QuantusModel":
        return self

    def get_random_layer_generator(self, **_) -> Iterator[tuple[str, "QuantusModel"]]:
        return ((str(number), self) for number in range(self.random_layer_generator_length))


def quantus_values(name: str, maps: np.ndarray = MAPS, **options) -> np.ndarray:
    """Return what a metric of Quantus computes for the images, one value or curve each."""
    import quantus

    explain = options.pop("explain", None)
    metric = getattr(quantus, name)(disable_warnings=True, **options)
    metric.explain_func, metric.explain_func_kwargs = explain, {}
    batch = {"x_batch": channels_first(IMAGES), "y_batch": TARGETS, "a_batch": maps[:, None].copy()}
    return np.array(metric.evaluate_batch(model=QuantusModel(), s_batch=MASKS[:, None], **batch))


def quantus_correlation(kind: str) -> np.ndarray:
    """Return Quantus's FaithfulnessCorrelation with the subsets that kerasal draws."""
    import quantus

    subsets = removed_values(0.25)
    draws = [subset for subset in subsets for _ in IMAGES]
    similarity = getattr(quantus.similarity_func, f"correlation_{kind}")
    options = {"nr_runs": SAMPLES, "subset_size": subsets.shape[1], "perturb_baseline": FILL, "normalise": False}
    with mock.patch("numpy.random.choice", side_effect=draws):
        return quantus_values("FaithfulnessCorrelation", abs=False, similarity_func=similarity, **options)


def quantus_sensitivity_n() -> np.ndarray:
    """Return Quantus's SensitivityN at its first step, in which each copy of an image loses another subset."""
    import quantus

    columns = []
    for share in SHARES:
        removed = removed_values(share)
        order = np.array([[*subset, *np.setdiff1d(np.arange(IMAGES[0].size), subset)] for subset in removed])
        metric = quantus.SensitivityN(
            features_in_step=removed.shape[1],
            n_max_percentage=3,  # the last of which are all values
            perturb_baseline=FILL,
            normalise=False,
            disable_warnings=True,
        )
        column = []
        for image, values, target in zip(channels_first(IMAGES), MAPS, TARGETS, strict=True):
            x, a, y = (np.repeat(part[None], SAMPLES, axis=0) for part in (image, values[None], np.array(target)))
            with mock.patch("numpy.argsort", return_value=order):
                metric.evaluation_scores = metric.evaluate_batch(QuantusModel(), x, y, a)
            metric.custom_postprocess(x_batch=x)
            column.append(metric.evaluation_scores[0])
        columns.append(column)
    return np.transpose(columns)


def quantus_infidelity() -> np.ndarray:
    """Return Quantus's Infidelity of the gradient, with the subsets that kerasal draws in place of its 48 blocks."""
    flat = channels_first(IMAGES).reshape(len(IMAGES), -1)
    subsets = iter(removed_values(0.25))

    def remove(arr, indices, **_):
        changed = flat.copy()
        changed[:, next(subsets)] = FILL
        return changed

    import quantus

    metric = quantus.Infidelity(
        perturb_patch_sizes=[2], n_perturb_samples=1, perturb_func=remove, abs=False, disable_warnings=True
    )
    return metric.evaluate_batch(QuantusModel(), channels_first(IMAGES), TARGETS, channels_first(GRADIENTS))


def quantus_impute(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Return an image whose positions (flat indices) are imputed without noise, by Quantus."""
    from quantus.functions.perturb_func import noisy_linear_imputation

    return np.moveaxis(noisy_linear_imputation(channels_first(image[None])[0].astype(float), removed, noise=0), 0, -1)


def quantus_imputed(masks: np.ndarray) -> np.ndarray:
    """Return the images whose positions in the masks are imputed without noise, by Quantus."""
    return np.stack([quantus_impute(image, np.flatnonzero(mask)) for image, mask in zip(IMAGES, masks, strict=True)])


def quantus_road() -> np.ndarray:
    """Return half the difference of the probabilities of images that Quantus imputes."""
    halves = []
    for sign in (1, -1):
        order = np.argsort(-sign * MAPS.reshape(len(MAPS), -1), axis=1)
        counts = [int(MAPS[0].size * share) for share in ROAD_SHARES]
        images = [[quantus_impute(x, row[:count]) for x, row in zip(IMAGES, order, strict=True)] for count in counts]
        halves.append([probabilities(np.stack(batch))[np.arange(len(IMAGES)), TARGETS] for batch in images])
    return np.mean(np.subtract(halves[1], halves[0]), axis=0) / 2


def quantus_accuracy_of_road() -> np.ndarray:
    """Return what Quantus's ROAD computes; it fails, since it ranks the values of all channels as positions."""
    import quantus

    metric = quantus.ROAD(percentages=[25], normalise=False, disable_warnings=True)
    metric.a_size = MAPS[0].size
    return metric.evaluate_batch(QuantusModel(), channels_first(IMAGES), TARGETS, MAPS[:, None])[0]


def quantus_max_sensitivity(radius: float, samples: int) -> np.ndarray:
    """Return Quantus's MaxSensitivity of gradient × input with the noise that kerasal draws."""
    random = np.random.default_rng(SEED)
    ranges = np.ptp(IMAGES.reshape(len(IMAGES), -1), axis=1)[:, None, None, None]

    def add_noise(arr, **_):
        noise = random.uniform(-radius, radius, IMAGES.shape) * ranges
        return channels_first((IMAGES + noise).astype(np.float32)).reshape(arr.shape)

    options = {"nr_samples": samples, "perturb_func": add_noise, "abs": False, "normalise": False}
    return quantus_values("MaxSensitivity", explain(), explain=explain_for_quantus, **options)


def quantus_random_logit() -> np.ndarray:
    """Return Quantus's RandomLogit with the classes that kerasal draws."""
    import quantus

    others = evaluation.Subject(MODEL, IMAGES, METHOD, TARGETS).other_classes(TARGETS, SEED)
    options = {"num_classes": CLASSES, "similarity_func": quantus.similarity_func.correlation_spearman}
    with mock.patch("numpy.random.randint", return_value=others - (others > TARGETS)):
        return quantus_values(
            "RandomLogit", explain(), explain=explain_for_quantus, abs=False, normalise=False, **options
        )


def random_weight_maps() -> list[np.ndarray]:
    """Return the maps of which ``model_randomization`` computes correlations, the original ones first."""
    maps = []

    def method(model, inputs, target, **_):
        maps.append(attribution.method_function(METHOD)(model, inputs, target))
        return maps[-1]

    evaluation.model_randomization(MODEL, IMAGES, method, TARGETS, layers="each", seed=SEED, random_maps=0)
    return maps


def quantus_randomization(own_mean: bool = False) -> np.ndarray:
    """Return what Quantus's MPRT computes, given the maps under kerasal's random weights: the mean over layers.

    With ``own_mean`` it is that of Quantus, which includes the correlation of 1 under the original weights.
    """
    import quantus

    maps = random_weight_maps()
    model, given = QuantusModel(), iter([maps[0], *maps])
    model.random_layer_generator_length = len(maps) - 1
    batch = {"x_batch": channels_first(IMAGES), "y_batch": TARGETS, "a_batch": next(given)[:, None]}
    metric = quantus.MPRT(disable_warnings=True, normalise=False, return_average_correlation=own_mean)
    with mock.patch("quantus.helpers.utils.get_wrapped_model", return_value=model):
        scores = metric(model=model, channel_first=True, explain_func=lambda **_: next(given)[:, None], **batch)
    if own_mean:
        return np.array(scores)
    return np.mean([values for layer, values in scores.items() if layer != "original"], axis=0)


def xplique_each(name: str, maps: np.ndarray = MAPS, **options) -> np.ndarray:
    """Return what a metric of xplique, which returns means over images, computes for each image."""
    import xplique.metrics

    metric = getattr(xplique.metrics, name)
    inputs = zip(IMAGES[:, None], ONE_HOT[:, None], maps[:, None].astype(np.float32), strict=True)
    return np.array([metric(MODEL, image, target, **options)(values) for image, target, values in inputs])


def xplique_fidelity() -> np.ndarray:
    """Return xplique's MuFidelity with the subsets that kerasal draws."""
    draws = tf.constant(1 - removed_regions(0.25).astype(np.float32))
    options = {"grid_size": CELLS[0], "nb_samples": SAMPLES, "baseline_mode": FILL}
    with mock.patch("tensorflow.random.uniform", lambda *_, **__: draws):
        return xplique_each("MuFidelity", **options)


def xplique_masked(name: str) -> np.ndarray:
    """Return xplique's metric of images that are multiplied by the positive part of ``OPPOSED``."""
    import xplique.metrics

    arrays = (tf.constant(array, tf.float32) for array in (IMAGES, ONE_HOT, np.maximum(OPPOSED, 0)))
    return getattr(xplique.metrics, name)(MODEL, IMAGES, ONE_HOT).detailed_evaluate(*arrays)


def xplique_alone(name: str) -> np.ndarray:
    import xplique.metrics

    return getattr(xplique.metrics, name)().detailed_evaluate(MAPS)


def xplique_randomization() -> np.ndarray:
    """Return xplique's rank correlation of the maps under kerasal's random weights."""
    import xplique.metrics

    first, *others = (tf.constant(np.abs(maps)) for maps in random_weight_maps())
    metric = xplique.metrics.ModelRandomizationMetric(MODEL, IMAGES, ONE_HOT)
    return np.mean([metric._compute_similarity(first, maps) for maps in others], axis=0)
