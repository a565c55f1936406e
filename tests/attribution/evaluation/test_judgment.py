"""Verdicts follow from intervals, control maps keep values and smoothness, and no pass runs twice."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import evaluation
from kerasal.attribution.evaluation import Evaluation, Scorer

import keras


def judge(values, random, better="higher"):
    return Evaluation("test", better, np.asarray(values, float), {"random": np.asarray(random, float)})


def test_verdicts():
    noise = np.random.default_rng(0).normal(size=40)
    assert judge(noise + 3, noise[::-1]).verdict == "better than random"
    assert judge(noise + 3, noise[::-1], "lower").verdict == "worse than random"
    assert judge(noise, noise[::-1]).verdict == "not distinguishable from random"
    assert judge(noise[:9] + 3, noise[:9]).verdict == "too few images (9)"
    missing = np.where(np.arange(40) < 32, np.nan, noise + 3)
    assert judge(missing, noise).verdict == "too few images (8)"
    assert judge(noise, noise, "").verdict == ""
    with pytest.raises(ValueError, match="better direction"):
        judge(noise, noise, "").advantage()
    with pytest.raises(ValueError, match="control must be one of random, got 'edges'"):
        judge(noise, noise).advantage("edges")


def test_the_interval_is_that_of_the_paired_differences():
    base = np.random.default_rng(0).normal(size=40) * 100
    mean, low, high = judge(base + 1, base).advantage()  # lost in the spread of the two means
    assert (mean, low, high) == pytest.approx((1, 1, 1))
    table = judge(base + 1, base).table()
    assert table.loc["map", "high"] - table.loc["map", "low"] > 10
    assert table.loc["random", "verdict"] == "better than random"
    assert np.isnan(table.loc["map", "advantage"])
    assert "better than random" in repr(judge(base + 1, base))


@pytest.mark.parametrize("shape", [(40,), (24, 32), (6, 8, 10)])
def test_a_random_map_has_the_values_and_the_smoothness(shape):
    random = np.random.default_rng(1)
    coarse = random.normal(size=[max(2, side // 6) for side in shape])
    for axis, side in enumerate(shape):
        coarse = np.repeat(coarse, -(-side // coarse.shape[axis]), axis=axis).take(range(side), axis=axis)
    maps = np.stack([coarse, random.normal(size=shape)])
    drawn = evaluation.random_maps_like(maps, 0)
    assert drawn.shape == maps.shape
    np.testing.assert_array_equal(np.sort(drawn[0], axis=None), np.sort(maps[0], axis=None))
    roughness = [np.abs(np.diff(values, axis=-1)).mean() for values in (maps[0], drawn[0])]
    shuffled = np.abs(np.diff(random.permutation(maps[0].ravel()).reshape(shape), axis=-1)).mean()
    assert abs(roughness[1] - roughness[0]) < 0.5 * (shuffled - roughness[0])
    several = [evaluation.random_maps_like(maps, seed)[0].ravel() for seed in range(30)]
    assert abs(np.mean([np.corrcoef(values, maps[0].ravel())[0, 1] for values in several])) < 0.3
    np.testing.assert_array_equal(evaluation.random_maps_like(maps, 0), drawn)
    assert (evaluation.random_maps_like(maps, 1) != drawn).any()


def test_center_and_edges():
    center = evaluation.center_maps((2, 5, 7))
    assert np.unravel_index(center[0].argmax(), (5, 7)) == (2, 3)
    assert center[0, 2, 5] == pytest.approx(np.exp(-((2 / 7) ** 2) / (2 / 16)))
    image = np.zeros((1, 6, 6, 2))
    image[:, :, 3:] = [2, -4]
    edges = evaluation.edge_maps(image, 3)
    assert edges[0, 0].tolist() == [0, 0, 3, 3, 0, 0]
    np.testing.assert_array_equal(evaluation.edge_maps(image.transpose(0, 3, 1, 2), 1), edges)


def test_no_pass_runs_twice(make_model, batch):
    model, maps = make_model("functional"), np.random.default_rng(0).random((3, 8, 8))
    scorer = Scorer(model, batch)
    run = {name: evaluation.metric_spec(name).run for name in ("deletion", "insertion", "mu_fidelity", "infidelity")}
    curve = {"steps": 4, "fill": 0.0, "normalize": False}
    run["deletion"](scorer, maps, curve)
    assert scorer.passes == 3 * 5
    run["insertion"](scorer, maps, curve)
    assert scorer.passes == 3 * (5 + 3)  # both ends are known
    run["insertion"](scorer, -maps, curve)
    assert scorer.passes == 3 * (5 + 3)  # the same images as those of the deletion
    subsets = {"share": 0.2, "samples": 6, "cells": None, "fill": 0.0, "seed": 0}
    run["mu_fidelity"](scorer, maps, subsets | {"correlation": "pearson"})
    count = scorer.passes
    run["infidelity"](scorer, maps * 2, subsets | {"scale": True})
    assert scorer.passes == count


def test_a_target_that_is_a_function_sees_the_whole_batch(make_model, batch):
    model, maps = make_model("functional"), np.random.default_rng(0).random((3, 8, 8))
    seen = []

    def score(output):
        seen.append(output.shape[0])
        return output[:, 1]

    result = evaluation.deletion(model, batch, maps, score, steps=3, logits=True, random_maps=0)
    expected = evaluation.deletion(model, batch, maps, 1, steps=3, logits=True, random_maps=0)
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-5)


@pytest.mark.parametrize("name", evaluation.list_metrics())
def test_every_metric_has_controls_and_a_table(name, shared_model, batch):
    """Values are (N,), the controls too, the model is as it was, and the first line and source are documented."""
    model, spec = shared_model("functional"), evaluation.metric_spec(name)
    before = [weight.numpy() for weight in model.weights]
    maps = np.random.default_rng(0).random((3, 8, 8))
    function, images = evaluation.metric_function(name), {"inputs": batch} if spec.uses == "truth" else {}
    small = {"samples": 5, "steps": 4, "shares": (0.5,), "radius": 0.01}
    options = {key: value for key, value in small.items() if key in spec.options}
    arguments = {
        "score": (model, batch, maps),
        "truth": (maps, [(2, 2, 5, 6)] * 3),
        "method": (model, batch, "class_saliency"),
        "": (maps,),
    }[spec.uses]
    result = function(*arguments, **options, **images, random_maps=2)
    assert result.values.shape == (3,) and result.metric == name
    expected = {"random", "center"} | (set() if spec.uses == "" else {"edges"})
    assert set(result.controls) == expected
    assert all(values.shape == (3,) for values in result.controls.values())
    assert set(result.table().index) == {"map"} | expected
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert spec.reference in function.__doc__ and spec.summary == function.__doc__.splitlines()[0]
    assert not function(*arguments, **options, random_maps=0).controls
    with pytest.raises(TypeError, match="option"):
        function(*arguments, unknown=1)


def test_tokens_and_features_have_no_center(make_model):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    features = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    maps = attribution.gradient_x_input(model, features)
    result = evaluation.deletion(model, features, maps, steps=6)
    assert set(result.controls) == {"random"}
    with pytest.raises(ValueError, match="neighboring positions"):
        evaluation.road(model, features, maps)


def test_unknown_names_and_several_inputs(batch):
    with pytest.raises(ValueError, match="metric"):
        evaluation.metric_spec("deletions")
    sides = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    model = keras.Model(sides, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Add()(sides))))
    with pytest.raises(ValueError, match="model must have a single input"):
        evaluation.deletion(model, [batch, batch], np.zeros((3, 8, 8)))
    with pytest.raises(AttributeError, match=r"kerasal\.attribution\.evaluation"):
        _ = attribution.faithfulness
