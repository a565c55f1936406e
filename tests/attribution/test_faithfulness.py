"""Deletion, insertion, pointing and randomization: closed forms on a linear model, and a model left as it was."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.attribution import faithfulness
from kerasal.objectives import channel

import keras


@pytest.fixture(scope="module")
def linear():
    """S = w · x on 4 × 5 images of one channel, two classes; the weights of class 1 as (4, 5)."""
    model = keras.Sequential([keras.Input((4, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    return model, model.layers[-1].kernel.numpy()[:, 1].reshape(4, 5)


def test_deletion_and_insertion_of_a_linear_model(linear):
    model, weights = linear
    images = np.random.default_rng(0).normal(size=(3, 4, 5, 1)).astype(np.float32)
    shares = images[..., 0] * weights
    down = np.concatenate([[[0]] * 3, np.sort(shares.reshape(3, -1), axis=1)[:, ::-1].cumsum(axis=1)], axis=1)
    total = shares.sum((1, 2))[:, None]
    removed = faithfulness.deletion(model, images, shares, 1, steps=20)
    np.testing.assert_allclose(removed.scores, total - down, rtol=1e-4, atol=1e-5)
    added = faithfulness.insertion(model, images, shares, 1, steps=20)
    np.testing.assert_allclose(added.scores, down, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(added.auc, ((down[:, 1:] + down[:, :-1]) / 2).mean(1), rtol=1e-4)
    assert added.share.tolist() == pytest.approx(np.linspace(0, 1, 21).tolist())
    worse = faithfulness.deletion(model, images, -shares, 1, steps=20)
    assert (worse.auc > removed.auc).all()


def test_both_ends_and_the_clean_images_class(make_model, batch):
    model = make_model("functional")
    probabilities = model(batch, training=False).numpy()
    maps = attribution.class_saliency(model, batch)
    curve = faithfulness.deletion(model, batch, maps, steps=4)
    top = probabilities.argmax(1)
    np.testing.assert_allclose(curve.scores[:, 0], probabilities[range(3), top], rtol=1e-5)
    empty = model(np.zeros_like(batch), training=False).numpy()[range(3), top]
    np.testing.assert_allclose(curve.scores[:, -1], empty, rtol=1e-5)
    filled = faithfulness.insertion(model, batch, maps, channel("conv1", 0), steps=4, fill=batch[::-1])
    assert filled.scores.shape == (3, 5)


def test_a_fill_of_images(linear):
    model, _ = linear
    images = np.random.default_rng(0).normal(size=(2, 4, 5, 1)).astype(np.float32)
    other = images[::-1].copy()
    curve = faithfulness.deletion(model, images, np.zeros((2, 4, 5)), 1, steps=1, fill=other)
    np.testing.assert_allclose(curve.scores[:, 1], curve.scores[::-1, 0], rtol=1e-5)


def test_pointing():
    maps = np.zeros((3, 10, 12))
    maps[0, 3, 5] = maps[1, 3, 5] = maps[2, 9, 11] = 1
    boxes = [(5, 3, 6, 4), (6, 3, 9, 9), (0, 0, 12, 10)]
    assert faithfulness.pointing_game(maps, boxes).tolist() == [True, False, True]
    assert faithfulness.pointing_game(maps, boxes, tolerance=1).tolist() == [True, True, True]


def test_randomization_goes_from_the_output_down_and_the_weights_come_back(make_model, batch):
    model = make_model("nested")
    before = [weight.numpy().copy() for weight in model.weights]
    found = faithfulness.cascading_randomization(model, batch, attribution.class_saliency)
    assert found["layer"].tolist() == ["predictions", "encoder/conv2", "encoder/norm", "encoder/innermost/conv1"]
    assert (found["correlation"].abs() < 0.95).all()
    for new, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)

    def fails(*_, calls=[0]):  # noqa: B006
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return np.ones((3, 8, 8))

    with pytest.raises(KeyboardInterrupt):
        faithfulness.cascading_randomization(model, batch, fails)
    for new, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(new.numpy(), old)


def test_a_map_that_ignores_the_model_is_caught(make_model, batch):
    def edges(model, inputs, target):
        return np.abs(np.diff(inputs, axis=1)).sum(-1)

    found = faithfulness.cascading_randomization(make_model("functional"), batch, edges)
    assert (found["correlation"] > 0.999).all()


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
        faithfulness.deletion(make_model("functional"), batch, maps, **options)


def test_boxes_that_are_none():
    with pytest.raises(ValueError, match="boxes"):
        faithfulness.pointing_game(np.zeros((2, 4, 4)), [(0, 0, 1, 1)])
    with pytest.raises(ValueError, match="non-empty"):
        faithfulness.pointing_game(np.zeros((1, 4, 4)), [(2, 0, 2, 1)])


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
    removed = faithfulness.deletion(model, images, maps, 1, steps=maps[0].size, fill=fill, logits=True)
    np.testing.assert_allclose(removed.scores, scores[:, None] - down, rtol=1e-4, atol=2e-5)
    added = faithfulness.insertion(model, images, maps, 1, steps=maps[0].size, fill=fill, logits=True)
    np.testing.assert_allclose(added.scores, (scores - down[:, -1])[:, None] + down, rtol=1e-4, atol=2e-5)
    with pytest.raises(ValueError, match="maps must be finite and have the shape"):
        faithfulness.deletion(model, images, maps[..., None], 1)


def test_pointing_in_signals_and_volumes():
    signals = np.zeros((2, 12))
    signals[:, 7] = 1
    assert faithfulness.pointing_game(signals, [(7, 8), (8, 12)]).tolist() == [True, False]
    assert faithfulness.pointing_game(signals, [(7, 8), (8, 12)], tolerance=1).all()
    volumes = np.zeros((3, 6, 8, 10))
    volumes[:, 1, 3, 9] = 1  # z, y, x
    boxes = [(9, 3, 1, 10, 4, 2), (1, 3, 9, 2, 4, 10), (8, 2, 2, 10, 5, 6)]
    assert faithfulness.pointing_game(volumes, boxes).tolist() == [True, False, False]
    assert faithfulness.pointing_game(volumes, boxes, tolerance=1).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"\(N, T\) and \(N, 2\), got \(2, 12\) and \(2, 4\)"):
        faithfulness.pointing_game(signals, np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"non-empty \(x_min, y_min, z_min, x_max, y_max, z_max\)"):
        faithfulness.pointing_game(volumes, np.ones((3, 6)))


@pytest.mark.parametrize("method", ["class_saliency", "occlusion"])
@pytest.mark.quick("occlusion")
def test_randomization_of_a_model_of_signals(method):
    keras.utils.set_random_seed(0)
    parts = [keras.layers.Conv1D(6, 3, activation="relu", name="conv"), keras.layers.LSTM(5, name="lstm")]
    model = keras.Sequential([keras.Input((16, 2)), *parts, keras.layers.Dense(3, name="scores")])
    signals = np.random.default_rng(0).normal(size=(2, 16, 2)).astype(np.float32)
    found = faithfulness.cascading_randomization(model, signals, getattr(attribution, method), 0)
    assert found["layer"].tolist() == ["scores", "lstm/lstm_cell", "conv"]
    assert (found["correlation"].abs() < 0.95).all()
