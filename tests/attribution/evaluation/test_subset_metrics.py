"""Subset metrics, masked confidence, imputation and statistics against slow versions beside the definitions."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from kerasal.attribution import evaluation
from kerasal.attribution.evaluation import Scorer
from kerasal.attribution.evaluation.road import impute


@pytest.fixture(scope="module")
def maps():
    return np.random.default_rng(3).normal(size=(3, 8, 8))


def test_mu_fidelity_and_infidelity_follow_their_definitions(shared_model, batch, maps):
    model = shared_model("functional")
    scorer = Scorer(model, batch)
    regions = scorer.regions(4)
    removed, drops = scorer.subset_drops(regions, 5, 12, scorer.fill(0), 7)
    assert (removed.sum(1) == 5).all() and len(np.unique(removed, axis=0)) > 6
    top = model(batch, training=False).numpy().argmax(1)
    options = {"share": 5 / 16, "samples": 12, "cells": 4, "seed": 7, "random_maps": 0}
    fidelity = evaluation.mu_fidelity(model, batch, maps, **options).values
    ranks = evaluation.mu_fidelity(model, batch, maps, **options, correlation="spearman").values
    errors = evaluation.infidelity(model, batch, maps, **options, scale=False).values
    for image in range(3):
        sums, expected = [], []
        for subset in removed:
            mask = subset.reshape(4, 4).repeat(2, 0).repeat(2, 1)
            changed = np.where(mask[..., None], 0, batch[image])
            scores = model(np.stack([batch[image], changed]), training=False).numpy()[:, top[image]]
            sums.append(maps[image][mask].sum())
            expected.append(scores[0] - scores[1])
        np.testing.assert_allclose(drops[:, image], expected, rtol=1e-3, atol=1e-6)
        assert fidelity[image] == pytest.approx(pearsonr(sums, expected)[0], abs=1e-3)
        assert ranks[image] == pytest.approx(spearmanr(sums, expected)[0], abs=0.02)
        assert errors[image] == pytest.approx(np.mean((np.array(sums) - expected) ** 2), rel=1e-3)


def test_the_best_scale_and_maps_without_variation(shared_model, batch, maps):
    model = shared_model("functional")
    options = {"samples": 10, "random_maps": 0}
    scaled = evaluation.infidelity(model, batch, maps, **options).values
    np.testing.assert_allclose(evaluation.infidelity(model, batch, -50 * maps, **options).values, scaled, rtol=1e-6)
    assert (scaled <= evaluation.infidelity(model, batch, maps, **options, scale=False).values).all()
    assert evaluation.mu_fidelity(model, batch, np.zeros_like(maps), **options).values.tolist() == [0, 0, 0]
    # a fill that changes nothing: the score never drops
    same = evaluation.mu_fidelity(model, batch, maps, **options, fill=batch).values
    assert np.isnan(same).all()


def test_sensitivity_n_has_a_column_per_size(shared_model, batch, maps):
    result = evaluation.sensitivity_n(shared_model("functional"), batch, maps, shares=(0.2, 0.6), samples=8)
    assert result.details["correlations"].shape == (3, 2)
    np.testing.assert_allclose(result.details["correlations"].mean(1), result.values)


def test_average_drop_and_increase(shared_model, batch):
    model = shared_model("functional")
    clean = model(batch, training=False).numpy()
    top = clean.argmax(1)
    maps = np.random.default_rng(0).random((3, 8, 8)) - 0.3
    weights = np.maximum(maps, 0) / maps.max((1, 2), keepdims=True)
    kept = model(batch * weights[..., None].astype(np.float32), training=False).numpy()
    before, after = clean[range(3), top], kept[range(3), top]
    drop = evaluation.average_drop(model, batch, maps, random_maps=0).values
    np.testing.assert_allclose(drop, np.maximum(before - after, 0) / before, rtol=1e-4, atol=1e-6)
    rise = evaluation.increase_in_confidence(model, batch, maps, random_maps=0).values
    assert rise.tolist() == (after > before).astype(float).tolist()
    nothing = evaluation.average_drop(model, batch, np.ones((3, 8, 8)), random_maps=0).values
    np.testing.assert_allclose(nothing, 0, atol=1e-6)


def test_imputation_solves_the_means_of_neighbors():
    random = np.random.default_rng(0)
    values, removed = random.normal(size=(6, 7, 2)), random.random((6, 7)) < 0.5
    filled = impute(values, removed)
    np.testing.assert_array_equal(filled[~removed], values[~removed])
    for y, x in np.argwhere(removed):
        total = weight = 0
        for other_y in range(max(0, y - 1), min(6, y + 2)):
            for other_x in range(max(0, x - 1), min(7, x + 2)):
                part = {0: 0, 1: 1 / 6, 2: 1 / 12}[abs(other_y - y) + abs(other_x - x)]
                total, weight = total + part * filled[other_y, other_x], weight + part
        np.testing.assert_allclose(filled[y, x], total / weight, atol=1e-10)
    np.testing.assert_allclose(impute(values, np.ones((6, 7), bool))[2, 3], values.mean((0, 1)))
    line = impute(np.array([[0.0], [9], [9], [6]]), np.array([False, True, True, False]))
    np.testing.assert_allclose(line[:, 0], [0, 2, 4, 6])


def test_road_is_half_the_difference(shared_model, batch, maps):
    result = evaluation.road(shared_model("functional"), batch, maps, shares=(0.3, 0.5), random_maps=0)
    parts = result.details["weakest"] - result.details["strongest"]
    np.testing.assert_allclose(result.values, parts.mean(1) / 2)
    turned = evaluation.road(shared_model("functional"), batch, -maps, shares=(0.3, 0.5), noise=0, random_maps=0)
    straight = evaluation.road(shared_model("functional"), batch, maps, shares=(0.3, 0.5), noise=0, random_maps=0)
    np.testing.assert_allclose(turned.values, -straight.values, atol=1e-6)


def test_sparseness_and_complexity():
    maps = np.zeros((4, 2, 5))
    maps[0] = 3
    maps[1, 1, 2] = -7
    maps[2, 0, :2] = 1
    assert evaluation.sparseness(maps).values[:3] == pytest.approx([0, 0.9, 0.8])
    assert evaluation.complexity(maps).values[:3] == pytest.approx([np.log(10), 0, np.log(2)])
    assert np.isnan(evaluation.sparseness(maps).values[3]) and np.isnan(evaluation.complexity(maps).values[3])
    assert evaluation.sparseness(maps).verdict == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"share": 0}, "share must be a finite number above 0 and below 1, got 0"),
        ({"share": 1.0}, "share must be"),
        ({"samples": 2}, "samples must be at least 3, got 2"),
        ({"cells": 1}, "at least 2 regions"),
        ({"cells": 9}, "cells must be at most the sides"),
        ({"random_maps": -1}, "random_maps must be 0 or a positive integer"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_what_does_not_fit(options, says, shared_model, batch, maps):
    with pytest.raises(ValueError, match=says):
        evaluation.mu_fidelity(shared_model("functional"), batch, maps, **options)
