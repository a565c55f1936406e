"""Deletion and insertion: closed forms on a linear model of any rank."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import evaluation
from kerasal.objectives import channel

import keras


@pytest.fixture(scope="module")
def linear():
    """S = w · x on 4 × 5 images of one channel, two classes; the weights of class 1 as (4, 5)."""
    model = keras.Sequential([keras.Input((4, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    return model, model.layers[-1].kernel.numpy()[:, 1].reshape(4, 5)


def curve_of(*arguments, metric=evaluation.deletion, **options):
    """Return the curve of the maps alone."""
    return metric(*arguments, random_maps=0, **options).details["curve"]


def test_deletion_and_insertion_of_a_linear_model(linear):
    model, weights = linear
    images = np.random.default_rng(0).normal(size=(3, 4, 5, 1)).astype(np.float32)
    shares = images[..., 0] * weights
    down = np.concatenate([[[0]] * 3, np.sort(shares.reshape(3, -1), axis=1)[:, ::-1].cumsum(axis=1)], axis=1)
    total = shares.sum((1, 2))[:, None]
    removed = curve_of(model, images, shares, 1, steps=20)
    np.testing.assert_allclose(removed.scores, total - down, rtol=1e-4, atol=1e-5)
    added = curve_of(model, images, shares, 1, steps=20, metric=evaluation.insertion)
    np.testing.assert_allclose(added.scores, down, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(added.auc, ((down[:, 1:] + down[:, :-1]) / 2).mean(1), rtol=1e-4)
    assert added.share.tolist() == pytest.approx(np.linspace(0, 1, 21).tolist())
    worse = curve_of(model, images, -shares, 1, steps=20)
    assert (worse.auc > removed.auc).all()
    scaled = curve_of(model, images, shares, 1, steps=20, normalize=True)
    np.testing.assert_allclose(scaled.scores, (total - down) / total, rtol=1e-3, atol=1e-4)


def test_both_ends_and_the_clean_images_class(make_model, batch):
    model = make_model("functional")
    probabilities = model(batch, training=False).numpy()
    maps = attribution.class_saliency(model, batch)
    curve = curve_of(model, batch, maps, steps=4)
    top = probabilities.argmax(1)
    np.testing.assert_allclose(curve.scores[:, 0], probabilities[range(3), top], rtol=1e-5)
    empty = model(np.zeros_like(batch), training=False).numpy()[range(3), top]
    np.testing.assert_allclose(curve.scores[:, -1], empty, rtol=1e-5)
    options = {"steps": 4, "fill": batch[::-1], "metric": evaluation.insertion}
    assert curve_of(model, batch, maps, channel("conv1", 0), **options).scores.shape == (3, 5)


def test_a_fill_of_images(linear):
    model, _ = linear
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 1)).astype(np.float32)
    other = images[::-1].copy()
    curve = curve_of(model, images, np.zeros((2, 4, 5)), 1, steps=1, fill=other)
    np.testing.assert_allclose(curve.scores[:, 1], curve.scores[::-1, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("maps", "options", "says"),
    [
        (np.zeros((3, 7, 8)), {}, r"the shape \(3, 8, 8\)"),
        (np.full((3, 8, 8), np.nan), {}, "maps must be finite"),
        (np.zeros((3, 8, 8)), {"steps": 0}, "steps must be a positive integer, got 0"),
        (np.zeros((3, 8, 8)), {"fill": np.zeros((2, 2))}, "fill must be"),
    ],
)
def test_what_does_not_fit(maps, options, says, make_model, batch):
    with pytest.raises(ValueError, match=says):
        evaluation.deletion(make_model("functional"), batch, maps, **options)


# The shape of an input, the axis of its channels and the layers in front that tell it.
RANKS = {
    "features": ((9,), None, []),
    "gray": ((4, 5), None, [keras.layers.Reshape((4, 5, 1)), keras.layers.Conv2D(1, 1)]),
    "signal": ((9, 2), 2, [keras.layers.Conv1D(2, 1)]),
    "volume": ((2, 3, 4, 2), 4, [keras.layers.Conv3D(2, 1)]),
    "volume, first": ((2, 2, 3, 4), 1, [keras.layers.Permute((2, 3, 4, 1)), keras.layers.Conv3D(2, 1)]),
    "video": ((3, 2, 4, 2), 4, [keras.layers.TimeDistributed(keras.layers.Conv2D(2, 1))]),
}


@pytest.mark.parametrize("kind", RANKS)
def test_a_linear_model_of_any_rank(kind):
    shape, channels, front = RANKS[kind]
    model = keras.Sequential([keras.Input(shape), *front, keras.layers.Flatten(), keras.layers.Dense(2)])
    random = np.random.default_rng(0)
    images, fill = random.normal(size=(3, *shape)).astype(np.float32), random.normal(size=shape).astype(np.float32)
    gradient = attribution.input_gradient(model, images, 1)
    shares = gradient * (images - fill)
    maps = shares if channels is None else shares.sum(axis=channels)
    scores = model(images, training=False).numpy()[:, 1]
    order = np.sort(maps.reshape(3, -1), axis=1)[:, ::-1].cumsum(axis=1)
    down = np.concatenate([np.zeros((3, 1)), order], axis=1)
    options = {"steps": maps[0].size, "fill": fill, "logits": True}
    removed = curve_of(model, images, maps, 1, **options)
    np.testing.assert_allclose(removed.scores, scores[:, None] - down, rtol=1e-4, atol=2e-5)
    added = curve_of(model, images, maps, 1, **options, metric=evaluation.insertion)
    np.testing.assert_allclose(added.scores, (scores - down[:, -1])[:, None] + down, rtol=1e-4, atol=2e-5)
    with pytest.raises(ValueError, match="maps must be finite and have the shape"):
        evaluation.deletion(model, images, maps[..., None], 1)
    for metric, best in ((evaluation.mu_fidelity, 1), (evaluation.sensitivity_n, 1), (evaluation.infidelity, 0)):
        result = metric(model, images, maps, 1, samples=20, fill=fill, logits=True, random_maps=0)
        np.testing.assert_allclose(result.values, best, atol=1e-4)
