"""What objectives score, against the same sums in NumPy; their algebra; what is refused."""

import numpy as np
import pytest

from kerasal import attribution, objectives
from kerasal.hooks.trace import cached_trace
from kerasal.hooks.view import Settings
from kerasal.objectives import channel, class_score, direction, layer, neuron, stack, top_class
from kerasal.objectives.targets import resolve

import keras
import tensorflow as tf


def scores(model, images, objective, logits=True):
    """Return the (N,) scores through the machinery that every routine uses."""
    objective = resolve(objective, len(images))
    trace = cached_trace(lambda view: [view.score()], model, [images], objective, Settings(logits=logits))
    trace.check(objective)
    return trace([images], list(objective.parameters))[0]


@pytest.fixture(scope="module")
def setting(request):
    make = request.getfixturevalue("make_model")
    model, images = make("functional"), request.getfixturevalue("batch")
    hidden = keras.Model(model.input, model.get_layer("conv1").output)(images).numpy()
    return model, images, hidden


def test_each_objective_is_its_sum(setting):
    model, images, hidden = setting
    vector = np.float32([1, -2, 0.5, 0])
    expected = {
        channel("conv1", 2): hidden[..., 2].mean((1, 2)),
        channel("conv1", [0, 1, 3]): hidden[[0, 1, 2], ..., [0, 1, 3]].mean((1, 2)),
        neuron("conv1", 1): hidden[:, 4, 4, 1],
        neuron("conv1", 1, (2, 6)): hidden[:, 6, 2, 1],
        layer("conv1"): (hidden**2).mean((1, 2, 3)),
        direction("conv1", vector): (hidden.mean((1, 2)) @ vector),
        2 * channel("conv1", 2) - neuron("conv1", 1) + 1: 2 * hidden[..., 2].mean((1, 2)) - hidden[:, 4, 4, 1] + 1,
        channel("conv1", 0) * channel("conv1", 1): hidden[..., 0].mean((1, 2)) * hidden[..., 1].mean((1, 2)),
        -channel("conv1", 0): -hidden[..., 0].mean((1, 2)),
        3 - channel("conv1", 0): 3 - hidden[..., 0].mean((1, 2)),
    }
    for objective, value in expected.items():
        np.testing.assert_allclose(
            scores(model, images, objective), value, rtol=1e-4, atol=1e-6, err_msg=repr(objective)
        )


def test_class_scores_are_logits_unless_asked_otherwise(setting):
    model, images, _ = setting
    probabilities = model(images, training=False).numpy()
    logits = scores(model, images, class_score([0, 3, 5]))
    np.testing.assert_allclose(
        scores(model, images, [0, 3, 5], logits=False), probabilities[[0, 1, 2], [0, 3, 5]], rtol=1e-5
    )
    others = np.stack([scores(model, images, i) for i in range(6)], axis=1)
    np.testing.assert_allclose(
        np.exp(others) / np.exp(others).sum(1, keepdims=True), probabilities, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(logits, others[[0, 1, 2], [0, 3, 5]], rtol=1e-6)
    np.testing.assert_allclose(scores(model, images, top_class()), others.max(1), rtol=1e-6)


def test_segmentation_scores_average_over_positions():
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(
        scores(model, images, 1), model(images).numpy()[..., 1].mean((1, 2)), rtol=1e-4, atol=1e-6
    )


def test_operands_are_not_changed():
    one, two = channel("a", 1), channel("b", 2)
    before = (one.structure, one.description)
    _ = one + two, 2 * one, one - two
    assert (one.structure, one.description) == before
    assert repr(one - two) == "(a:1 + (b:2 * -1))"


def test_channels_share_a_structure_and_stack():
    assert channel("a", 1).structure == channel("a", 7).structure
    assert stack([channel("a", 1), channel("a", 7)]).parameters[0].tolist() == [1, 7]
    assert stack([2 * channel("a", 1), 3 * channel("a", 7)]).batch == 2
    with pytest.raises(ValueError, match="differ only in"):
        stack([channel("a", 1), class_score(1)])


def test_a_list_of_objectives_is_one_an_image(setting):
    model, images, hidden = setting
    found = scores(model, images, [channel("conv1", i) for i in (3, 0, 2)])
    np.testing.assert_allclose(found, hidden[[0, 1, 2], ..., [3, 0, 2]].mean((1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: channel("conv1", -1), ValueError, "must be at least 0, got -1"),
        (lambda: channel("conv1", 1.5), TypeError, "must be an integer"),
        (lambda: class_score([]), TypeError, "must be an integer"),
        (lambda: neuron("conv1", 0, (1, 2, 3, 4)), ValueError, r"\(x, y\)"),
        (lambda: neuron("conv1", 0, (-1, 2)), ValueError, r"\(x, y\)"),
        (lambda: direction("conv1", [[1]]), ValueError, "vector must be finite"),
        (lambda: channel("conv1", 0) + "x", TypeError, "objectives or numbers"),
    ],
)
def test_wrong_objectives(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (channel("conv1", 4), "There are 4 channels of 'conv1'"),
        (channel("convl", 0), "Did you mean conv"),
        (neuron("conv1", 0, (8, 0)), "There are 8 × 8 positions"),
        (neuron("predictions", 0, (0, 0)), r"\(N, h, w, C\) for a position of 2 numbers, got 'predictions'"),
        (direction("conv1", [1, 2]), "vector must have 4 numbers, one per channel of 'conv1', got 2"),
        (channel("conv1", [0, 1]), "one entry per image, 3, got 2"),
        (lambda output: output, r"shape \(N,\)"),
        (lambda output: tf.reduce_sum(output), r"shape \(N,\)"),
    ],
)
def test_objectives_that_do_not_fit_the_model(objective, says, setting):
    model, images, _ = setting
    with pytest.raises(ValueError, match=says):
        attribution.class_saliency(model, images, objective)


def test_public_names():
    for name in objectives.__all__:
        assert getattr(objectives, name).__doc__


@pytest.mark.parametrize(
    ("make", "shape", "position"),
    [
        (lambda: keras.layers.Conv1D(3, 3), (9, 2), 4),
        (lambda: keras.layers.Conv1D(3, 3), (9, 2), (6,)),
        (lambda: keras.layers.LSTM(3, return_sequences=True), (9, 2), 8),
        (lambda: keras.layers.Conv3D(3, 2), (4, 5, 6, 2), (4, 3, 1)),
    ],
)
def test_a_unit_of_a_layer_of_any_rank(make, shape, position):
    model = keras.Sequential([keras.Input(shape), make(), keras.layers.Flatten(), keras.layers.Dense(2)])
    name = model.layers[0].name
    inputs = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    maps = keras.Model(model.inputs[0], model.layers[0].output)(inputs).numpy()
    place = tuple(np.atleast_1d(position))[::-1]  # x counts along the last position axis
    expected = maps[(slice(None), *place, 1)]
    np.testing.assert_allclose(scores(model, inputs, neuron(name, 1, position)), expected, rtol=1e-5)
    outside = (99,) * len(place)
    with pytest.raises(ValueError, match=r"index must be in range, got \[99.*positions.* of"):
        scores(model, inputs, neuron(name, 1, outside))
    with pytest.raises(ValueError, match="Pass one number per position axis"):
        scores(model, inputs, neuron(name, 1, (0, 0)))


def test_a_token_is_a_unit():
    inputs = keras.Input((8, 8, 3))
    tokens = keras.layers.Reshape((4, 5), name="tokens")(keras.layers.Conv2D(5, 4, strides=4)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(tokens)))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    expected = keras.Model(inputs, tokens)(images).numpy()[:, 3, 2]
    np.testing.assert_allclose(scores(model, images, neuron("tokens", 2, 3)), expected, rtol=1e-5)
    assert neuron("tokens", 2, 3).description == "tokens:2 at 3"
    for position in (-1, (1, 2, 3, 4), 1.5, "first"):
        with pytest.raises(ValueError, match="position must be"):
            neuron("tokens", 2, position)
