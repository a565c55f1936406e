"""Copies of one objective: they differ by their start, and the more so the more diversity is asked for."""

import numpy as np
import pytest

import kerasal
from kerasal.maximization.ascent import Diversity
from kerasal.objectives import channel, class_score

import tensorflow as tf


def cosine_of_grams(maps):
    """Return the mean cosine similarity of the Gram matrix of each of (k, h, w, C) with the others', one by one."""
    grams = [np.einsum("hwc,hwd->cd", one, one).ravel() for one in maps]
    units = [gram / max(np.linalg.norm(gram), 1e-9) for gram in grams]
    return [np.mean([a @ b for j, b in enumerate(units) if j != i]) for i, a in enumerate(units)]


def test_overlap_is_the_cosine_of_gram_matrices():
    maps = np.random.default_rng(0).normal(size=(6, 4, 5, 7)).astype(np.float32)
    wanted = np.concatenate([cosine_of_grams(maps[:3]), cosine_of_grams(maps[3:])])
    np.testing.assert_allclose(Diversity(3, 1.0).overlap(tf.constant(maps)), wanted, rtol=1e-4)


def test_copies_stand_one_after_the_other_and_the_first_is_the_only_one(make_model):
    model = make_model("functional")
    found = kerasal.maximize(
        model, [channel("conv2", 1), channel("conv2", 3)], copies=3, steps=4, preset="channel", preprocessing="none"
    )
    alone = kerasal.maximize(model, channel("conv2", 3), steps=4, preset="channel", preprocessing="none")
    np.testing.assert_allclose(found.raw[3], alone.raw[0], rtol=1e-4, atol=1e-5)
    assert len(found.raw) == len(found.objectives) == 6
    assert [one.description for one in found.objectives] == ["conv2:1"] * 3 + ["conv2:3"] * 3
    assert all(np.abs(found.raw[i] - found.raw[j]).max() > 1 for i in range(3) for j in range(i))
    assert found.history["copy"].tolist() == [copy for _ in range(2) for copy in range(3) for _ in range(5)]


@pytest.mark.parametrize(("kind", "layer"), [("functional", None), ("nested", "conv1")])
@pytest.mark.quick("nested-conv1")
def test_diversity_drives_copies_apart(kind, layer, shared_model):
    model = shared_model(kind)
    objectives = [class_score(2), class_score(4)]

    def overlap(**options):
        found = kerasal.maximize(
            model,
            objectives,
            copies=3,
            steps=30,
            normalize="total",
            **{"preset": "channel", "preprocessing": "none", **options},
        )
        maps = kerasal.feature_maps(model, found.raw, layer or "conv2")
        assert not found.dead
        return np.mean(cosine_of_grams(maps[:3]) + cosine_of_grams(maps[3:]))

    assert overlap(diversity=2.0, diversity_layer=layer) < overlap() - 0.05


def test_diversity_leaves_other_objectives_alone(make_model):
    model = make_model("functional")
    options = {"copies": 2, "diversity": 1.0, "steps": 4}
    together = kerasal.maximize(
        model,
        [class_score(2), class_score(4)],
        batch_size=4,
        **{"preset": "channel", "preprocessing": "none", **options},
    )
    alone = kerasal.maximize(model, class_score(4), **{"preset": "channel", "preprocessing": "none", **options})
    np.testing.assert_allclose(together.raw[2:], alone.raw, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"copies": 0}, "copies must be a positive integer, got 0"),
        ({"diversity": 1.0}, "copies=4"),
        ({"copies": 2, "diversity": -1}, "diversity must be a finite number of at least 0, got -1"),
        ({"copies": 2, "init": "zero"}, "differ only by their start"),
        ({"copies": 2, "init": np.zeros((8, 8, 3))}, "differ only by their start"),
        ({"copies": 2, "preset": "simonyan"}, 'init must be "normal"'),
        (
            {"copies": 2, "diversity": 1.0, "diversity_layer": "predictions"},
            r"must have a map \(N, …, C\) with positions",
        ),
        ({"copies": 2, "diversity": 1.0, "diversity_layer": "conv9"}, "Did you mean"),
    ],
)
def test_wrong_arguments(options, says, make_model):
    with pytest.raises(ValueError, match=says):
        kerasal.maximize(make_model("functional"), 1, **{"preset": "channel", "preprocessing": "none", **options})
