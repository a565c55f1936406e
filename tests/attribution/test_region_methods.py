"""Perturbation methods over regions: closed forms on additive and product models, NumPy beside the paper, bad input."""

import itertools
import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kerasal import attribution
from kerasal.attribution.perturbation.coalitions import kernel_masses, make_coalitions
from kerasal.attribution.perturbation.partition import make_regions

import keras
import tensorflow as tf

RNG = np.random.default_rng(3)
WEIGHTS = np.array([2.0, -1.0, 0.5, 3.0, 0.0, -2.5, 1.5, 1.0], np.float32)
FEATURES = RNG.uniform(0.5, 2, (3, 8)).astype(np.float32)
IMAGES = RNG.normal(size=(2, 9, 8, 3)).astype(np.float32)
REGION_METHODS = ("ablation", "hsic", "kernel_shap", "lime", "sobol")


def model_of(score, shape=(8,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.ops.expand_dims(score(inputs), -1))


@pytest.fixture(scope="module")
def additive():
    return model_of(lambda x: keras.ops.sum(x * WEIGHTS, axis=1))


@pytest.fixture(scope="module")
def interacting():
    return model_of(lambda x: x[:, 0] * x[:, 1] + 2 * x[:, 2] - x[:, 3] * x[:, 4] * x[:, 5])


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(4)
    inputs = keras.Input((9, 8, 3))
    hidden = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(hidden)))


def shapley(values, count):
    """Return the Shapley values of ``values(set of kept)``, by their definition."""
    result = np.zeros(count)
    for player in range(count):
        others = [other for other in range(count) if other != player]
        for size in range(count):
            share = 1 / (count * math.comb(count - 1, size))
            for kept in itertools.combinations(others, size):
                result[player] += share * (values({*kept, player}) - values(set(kept)))
    return result


@pytest.mark.parametrize("name", ["ablation", "kernel_shap"])
def test_each_feature_of_an_additive_score_gets_its_term(name, additive):
    maps = getattr(attribution, name)(additive, FEATURES, 0, fill=0.25)
    np.testing.assert_allclose(maps, WEIGHTS * (FEATURES - 0.25), rtol=1e-5, atol=1e-6)


def test_shapley_values_are_those_of_the_definition(interacting):
    maps = attribution.kernel_shap(interacting, FEATURES, 0)
    for row, x in zip(maps, FEATURES, strict=True):

        def value(kept, x=x):
            z = np.array([x[i] if i in kept else 0 for i in range(8)])
            return z[0] * z[1] + 2 * z[2] - z[3] * z[4] * z[5]

        np.testing.assert_allclose(row, shapley(value, 8), atol=1e-5)


def test_shapley_values_of_a_network_add_up_however_they_are_estimated(network):
    clean, covered = (np.asarray(network(x))[:, 1] for x in (IMAGES, np.zeros_like(IMAGES)))
    for options in ({"cells": 2}, {"cells": (4, 5), "samples": 90}):
        maps = attribution.kernel_shap(network, IMAGES, 1, **options)
        rows, columns = (2, 2) if options["cells"] == 2 else options["cells"]
        labels = make_regions((9, 8), (rows, columns)).labels
        sums = [sum(values[labels == region][0] for region in range(rows * columns)) for values in maps]
        np.testing.assert_allclose(sums, clean - covered, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_sampled_shapley_values_are_as_near_to_the_exact_ones_as_their_error_says(network):
    exact = attribution.kernel_shap(network, IMAGES, 1, cells=(4, 4), exact=True)
    scale = np.abs(exact).max((1, 2))
    for seed in range(3):
        maps, errors = attribution.kernel_shap(
            network, IMAGES, 1, cells=(4, 4), samples=1000, seed=seed, return_error=True
        )
        assert (np.abs(maps - exact).max((1, 2)) < 4 * errors * scale).all() and (errors < 0.2).all()
        assert np.abs(maps - exact).max() > 0


@pytest.mark.parametrize(("regions", "samples"), [(6, 62), (13, 200), (20, 500)])
@pytest.mark.quick("6-62", "20-500")
def test_coalitions_have_the_weights_of_the_shapley_kernel(regions, samples):
    coalitions = make_coalitions(regions, samples, 1)
    masses = kernel_masses(regions)
    expected = [math.comb(regions, size) / (math.comb(regions, size) * size * (regions - size)) for size in (1, 2)]
    assert masses[0] / masses[1] == pytest.approx(expected[0] / expected[1])
    assert coalitions.weights.sum() + coalitions.drawn_weight == pytest.approx(1)
    assert len(np.unique(coalitions.listed, axis=0)) == len(coalitions.listed) <= samples
    sizes = coalitions.listed.sum(axis=1)
    for size in np.unique(sizes):
        assert (sizes == size).sum() == math.comb(regions, int(size))
        assert coalitions.weights[sizes == size].sum() == pytest.approx(masses[size - 1])
    if samples == 2**regions - 2:
        assert coalitions.drawn_weight == 0
        return
    drawn = tf.function(coalitions.draw)(tf.range(4000)).numpy()
    np.testing.assert_array_equal(drawn[::2] + drawn[1::2], np.ones((2000, regions)))
    counts = np.bincount(drawn.sum(axis=1).astype(int), minlength=regions + 1)[coalitions.sizes]
    np.testing.assert_allclose(counts / 4000, coalitions.shares, atol=0.03)
    assert abs(drawn.mean(axis=0) - 0.5).max() < 0.03  # no region is preferred


def test_lime_is_the_ridge_regression_of_the_scores(network):
    options = {"samples": 40, "cells": (2, 3), "seed": 5}
    maps = attribution.lime(network, IMAGES, 2, kernel_width=0.4, penalty=0.5, fill=-1.0, **options)
    labels = make_regions((9, 8), (2, 3)).labels
    kept = np.array([tf.random.stateless_uniform([6], (5, number)).numpy() < 0.5 for number in range(40)])
    kept[0] = True
    distance = 1 - kept.sum(axis=1) / np.sqrt(kept.sum(axis=1) * 6 + 1e-300)
    weights = np.exp(-(distance**2) / (2 * 0.4**2))
    for values, image in zip(maps, IMAGES, strict=True):
        masked = np.where(kept[:, labels][..., None], image, -1.0)
        scores = np.asarray(network(masked.astype(np.float32)))[:, 2]
        expected = Ridge(alpha=0.5).fit(kept, scores, sample_weight=weights).coef_
        np.testing.assert_allclose(values, expected[labels], rtol=1e-4, atol=1e-5)


def test_hsic_is_the_trace_of_the_centered_kernels(network):
    options = {"samples": 60, "cells": (2, 3), "seed": 5}
    labels = make_regions((9, 8), (2, 3)).labels
    kept = tf.random.stateless_uniform([60, 6], (5, 0)).numpy() < 0.5
    center = np.eye(60) - 1 / 60
    for bandwidth in ("median distance", "median score", 0.7):
        maps = attribution.hsic(network, IMAGES, 2, bandwidth=bandwidth, **options)
        for values, image in zip(maps, IMAGES, strict=True):
            masked = np.where(kept[:, labels][..., None], image, 0.0).astype(np.float32)
            scores = np.asarray(network(masked), np.float64)[:, 2]
            distances = np.abs(scores[:, None] - scores)
            widths = {"median distance": np.median(distances[distances > 0]), "median score": np.median(scores)}
            width = widths.get(bandwidth, 0.7)
            kernel = np.exp(-0.5 * (distances / width) ** 2)
            same = (kept.T[:, :, None] == kept.T[:, None]).astype(float)
            traces = [np.trace(dirac @ center @ kernel @ center) / 60 for dirac in same]
            np.testing.assert_allclose(values, np.array(traces)[labels], rtol=1e-4, atol=1e-6)


def test_sobol_indices_of_an_additive_and_of_a_product_score(additive):
    indices = attribution.sobol(additive, FEATURES[:1], 0, designs=1024)[0]
    terms = (WEIGHTS * FEATURES[0]) ** 2
    np.testing.assert_allclose(indices, terms / terms.sum(), atol=0.01)
    product = attribution.sobol(model_of(lambda x: x[:, 0] * x[:, 5]), FEATURES[:1], 0, designs=1024)[0]
    np.testing.assert_allclose(product, np.where(np.isin(np.arange(8), (0, 5)), 4 / 7, 0), atol=0.01)


def test_rise_of_a_linear_score_tells_what_keeping_a_feature_adds(additive):
    maps, errors = attribution.rise(additive, FEATURES, 0, samples=2000, probability=0.3, return_error=True)
    expected = 0.7 * WEIGHTS * FEATURES
    scale = np.abs(maps).max(axis=1)
    assert (np.abs(maps - expected).max(axis=1) < 4 * errors * scale).all() and (errors < 0.2).all()


@pytest.mark.slow
def test_the_standard_error_is_that_of_repeated_runs(additive):
    options = {"samples": 200, "return_error": True}
    runs = [attribution.rise(additive, FEATURES, 0, seed=10 * seed, **options) for seed in range(20)]
    maps, errors = (np.stack(parts) for parts in zip(*runs, strict=True))
    spread = maps.std(axis=0).max(axis=1) / np.abs(maps).max(axis=2).mean(axis=0)
    assert (0.7 * spread < errors.mean(axis=0)).all() and (errors.mean(axis=0) < 1.7 * spread).all()


def counting_model():
    """An additive model of features and the list of the numbers of rows that it was run on."""
    rows = []

    def count(x):
        rows.append(len(x))
        return x

    def score(x):
        return keras.ops.sum(tf.ensure_shape(tf.numpy_function(count, [x], tf.float32), x.shape) * WEIGHTS, axis=1)

    inputs = keras.Input((8,))
    layer = keras.layers.Lambda(lambda x: keras.ops.expand_dims(score(x), -1), output_shape=(1,))
    return keras.Model(inputs, layer(inputs)), rows


@pytest.mark.parametrize("name", ["rise", "lime", "kernel_shap"])
@pytest.mark.quick("lime")
def test_a_tolerance_stops_early_and_keeps_each_map_as_it_was_alone(name):
    model, rows = counting_model()
    method, options = getattr(attribution, name), {"samples": 5000, "tolerance": 0.3, "return_error": True}
    if name == "kernel_shap":
        options["cells"] = None
        many = np.concatenate([FEATURES[:2], FEATURES[1:]], axis=1)  # sixteen features, more than are enumerated
        inputs = keras.Input((16,))
        model = keras.Model(inputs, model(inputs[:, :8] * inputs[:, 8:]))
        options["samples"] = 2000
    else:
        many = FEATURES[:2]
    maps, errors = method(model, many, 0, **options)
    assert (errors <= 0.3).all()
    assert sum(rows) < 2 * options["samples"]
    for number, x in enumerate(many):
        alone, error = method(model, x, 0, **options)
        np.testing.assert_allclose(maps[number], alone[0], rtol=1e-5, atol=1e-6)
        assert error[0] == pytest.approx(errors[number], rel=1e-4)


def test_regions_are_blocks_whose_sides_differ_by_one_at_most():
    regions = make_regions((7, 5), (3, 2))
    assert regions.count == 6
    np.testing.assert_array_equal(regions.labels[:, 0] // 2, [0, 0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(regions.labels[0], [0, 0, 0, 1, 1])
    assert make_regions((224, 224)).count == 49 and make_regions((5,), ordered=False).count == 5
    assert make_regions((3, 200)).count == 7 and make_regions((30,), by_position=True).count == 30


@pytest.mark.parametrize("name", REGION_METHODS)
def test_segments_are_regions_of_any_form(name, network):
    segments = RNG.integers(0, 3, (9, 8)) * 10 - 7
    segments[:, 4:] = 3
    method, options = getattr(attribution, name), {"hsic": {"samples": 20}, "lime": {"samples": 20}}.get(name, {})
    maps = method(network, IMAGES, 1, segments=segments, **options)
    for number in np.unique(segments):
        assert np.ptp(maps[:, segments == number], axis=1).max() == 0
    assert len(np.unique(maps[0])) == len(np.unique(segments))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lime", {"samples": 0}, r"samples must be a positive integer, got 0"),
        ("rise", {"samples": 9, "return_error": True}, r"samples must be at least 10 for a standard error, got 9"),
        ("lime", {"cells": 4, "samples": 16}, r"samples must be more than the 16 regions.*got 16"),
        ("rise", {"tolerance": 0.0}, r"tolerance must be a positive number or None, got 0.0"),
        ("lime", {"cells": 10}, r"cells must be at most the sides of the input, 9 × 8, got 10.*more regions than pos"),
        ("lime", {"cells": (2, 2, 2)}, r"cells must be an integer or one for each of the 2 sides"),
        ("lime", {"segments": np.zeros((8, 9), int)}, r"segments must have the positions of the input, 9 × 8, got"),
        ("lime", {"segments": np.zeros((9, 8))}, r"segments must be integers, .*got float64"),
        ("lime", {"segments": np.zeros((9, 8), int)}, r"segments must hold at least two regions, got 1"),
        ("lime", {"segments": np.eye(9, 8, dtype=int), "cells": 3}, r"cells must be None where segments are passed"),
        ("lime", {"fill": np.zeros((9, 8, 2))}, r"fill must be a number.*got shape \(9, 8, 2\)"),
        ("lime", {"kernel_width": 0.0}, r"kernel_width must be a positive number, got 0.0"),
        ("lime", {"penalty": -1.0}, r"penalty must be at least 0, got -1.0"),
        ("sobol", {"designs": 12}, r"designs must be a power of two, at least 2, got 12"),
        ("hsic", {"samples": 1}, r"samples must be at least 2, got 1"),
        ("hsic", {"bandwidth": -0.5}, r"bandwidth must be a positive number or the name of one, got -0.5"),
        ("kernel_shap", {"cells": 5, "exact": True}, r"exact must be False for more than 20 regions.*3.4e\+07 forward"),
        ("kernel_shap", {"cells": 5, "samples": 49}, r"samples must be at least 50 for 25 regions.*got 49"),
    ],
)
def test_bad_options_are_refused(name, options, message, network):
    with pytest.raises(ValueError, match=message):
        getattr(attribution, name)(network, IMAGES, 0, **options)


def test_a_covered_input_without_features_left_is_one_region():
    model = model_of(lambda x: 3 * x[:, 0], shape=(1,))
    np.testing.assert_allclose(attribution.kernel_shap(model, np.array([[2.0]], np.float32), 0), [[6.0]])


@pytest.mark.parametrize("name", (*REGION_METHODS, "rise"))
@pytest.mark.quick("lime", "rise")
def test_tokens_are_explained_at_their_embedding(name):
    keras.utils.set_random_seed(1)
    tokens = keras.Input((6,), dtype="int32")
    embedded = keras.layers.Embedding(9, 4, name="embed")(tokens)
    scores = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(embedded))
    model = keras.Model(tokens, scores)
    options = {"hsic": {"samples": 30}, "lime": {"samples": 30}, "rise": {"samples": 30}}.get(name, {})
    maps = getattr(attribution, name)(model, np.array([[1, 2, 3, 4, 5, 6]]), 1, layer="embed", **options)
    assert maps.shape == (1, 6) and len(np.unique(maps)) == 6
    if name in ("ablation", "kernel_shap"):  # the score is a mean over tokens
        each = np.asarray(model.get_layer("embed")(np.arange(1, 7))) @ np.asarray(model.layers[-1].kernel)[:, 1] / 6
        np.testing.assert_allclose(maps[0], each, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cells", [(3, 4), (2, 3)])
def test_blocks_are_ablated_in_parts_as_in_whole_passes(cells, network):
    maps = attribution.ablation(network, IMAGES, 1, cells=cells, fill="mean")
    labels = make_regions((9, 8), cells).labels
    assert (make_regions((9, 8), cells).block is None) == (cells == (2, 3))
    for values, image in zip(maps, IMAGES, strict=True):
        clean = np.asarray(network(image[None]))[0, 1]
        for region in range(labels.max() + 1):
            covered = np.where((labels == region)[..., None], image.mean((0, 1)), image)
            drop = clean - np.asarray(network(covered[None]))[0, 1]
            np.testing.assert_allclose(values[labels == region], drop, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", (*REGION_METHODS, "rise", "drise"))
@pytest.mark.quick("ablation", "rise")
def test_a_score_that_does_not_depend_on_the_input_gets_0_and_a_warning(name):
    model = model_of(lambda x: 0 * keras.ops.sum(x, axis=1) + 0.3)
    options = {} if name in ("ablation", "kernel_shap", "sobol") else {"samples": 60}
    with pytest.warns(attribution.ZeroMap):
        maps = getattr(attribution, name)(model, FEATURES, 0, **options)
    assert not maps.any()


def test_a_tolerance_that_is_not_reached_is_a_warning(additive):
    message = "rise reached a standard error of .*not the tolerance of 1e-05"
    with pytest.warns(attribution.ToleranceNotReached, match=message):
        maps = attribution.rise(additive, FEATURES, 0, samples=50, tolerance=1e-5)
    assert isinstance(maps, np.ndarray)


def test_cells_of_features_are_single_features(additive):
    with pytest.raises(ValueError, match="cells must be None for features and tokens, each of which is a cell, got 3"):
        attribution.rise(additive, FEATURES, 0, cells=3)
