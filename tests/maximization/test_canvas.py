"""A canvas as small as the layer allows: its size, and that on it the same is computed as by the layers alone."""

import numpy as np
import pytest

import kerasal
from kerasal.objectives import channel, class_score, layer, neuron

import keras


@pytest.fixture(scope="module")
def stack():
    """Fields of 3, 4 and 8 pixels at strides 1, 2 and 2, then a dense layer that only 40 × 36 fits."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((40, 36, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="low")(inputs)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Conv2D(5, 3, activation="relu", name="high")(x)
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = keras.layers.Multiply(name="gated")([x, mean])
    return keras.Model(inputs, keras.layers.Dense(6, name="dense")(keras.layers.Flatten()(x)), name="stack")


def shape(model, objective, **options):
    return kerasal.maximize(
        model, objective, steps=1, **{"preset": "channel", "preprocessing": "none", **options}
    ).raw.shape[1:3]


def test_the_automatic_canvas_has_room_for_eight_fields(stack):
    assert shape(stack, channel("low", 1), canvas="auto") == (10, 10)
    assert shape(stack, neuron("high", 1), canvas="auto") == (22, 22)
    assert shape(stack, [channel("low", 1), layer("high")], canvas="auto") == (22, 22)


@pytest.mark.parametrize(
    "objective", [1, channel("dense", 1), neuron("low", 0, (30, 20)), channel("gated", 1), 2 * class_score(1)]
)
def test_what_needs_the_whole_image_gets_it(stack, objective):
    assert shape(stack, objective, canvas="auto") == (40, 36)


def test_the_small_canvas_is_the_layers_alone(stack):
    below = keras.Model(stack.input, stack.get_layer("high").output)
    small = keras.models.clone_model(below, input_tensors=keras.Input((12, 14, 3)))
    small.set_weights(below.get_weights())
    objectives = [channel("high", i) for i in range(5)]
    found = kerasal.maximize(stack, objectives, size=(12, 14), steps=5, preset="channel", preprocessing="none")
    wanted = kerasal.maximize(small, objectives, steps=5, preset="channel", preprocessing="none")
    np.testing.assert_allclose(found.raw, wanted.raw, rtol=1e-4, atol=1e-4)
    assert stack(np.zeros((1, 40, 36, 3), np.float32)).shape == (1, 6)
    with pytest.raises(ValueError, match=r"shape|dimension"):
        stack(np.zeros((1, 12, 14, 3), np.float32))


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested", "subclassed"])
def test_every_kind_of_model(kind, shared_model):
    raw = kerasal.maximize(
        shared_model(kind), channel("conv2", 1), size=(10, 9), steps=2, preset="channel", preprocessing="none"
    ).raw
    np.testing.assert_allclose(
        raw,
        kerasal.maximize(
            shared_model("functional"),
            channel("conv2", 1),
            size=(10, 9),
            steps=2,
            preset="channel",
            preprocessing="none",
        ).raw,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("objective", "options", "says"),
    [
        (channel("high", 0), {"size": (7, 12)}, "at least 8 × 8 pixels.*canvas"),
        (channel("low", 0), {"size": (1, 1)}, "at least 3 × 3 pixels"),
        (channel("low", 0), {"size": (0, 9)}, r"\(height, width\), two positive integers, got"),
        (channel("low", 0), {"size": (9.5, 9)}, r"\(height, width\), two positive integers, got"),
        (channel("dense", 0), {"size": (12, 12)}, "'dense'.*has no spatial map"),
        (channel("gated", 0), {"size": (12, 12)}, "see the whole image"),
        (class_score(1), {"size": (12, 12)}, r"must be \(40, 36\) for class 1"),
        (neuron("low", 0, (20, 3)), {"size": (12, 12)}, "There are 12 × 12 positions"),
        (channel("low", 0), {"canvas": "small"}, "canvas must be one of input, auto, got"),
        (channel("low", 0), {"canvas": "auto", "size": (9, 9)}, "must be None with canvas"),
    ],
)
def test_what_cannot_be(stack, objective, options, says):
    with pytest.raises(ValueError, match=says):
        kerasal.maximize(stack, objective, **{"preset": "channel", "preprocessing": "none", **options})
