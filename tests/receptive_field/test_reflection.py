"""Reflection padding: a unit at the border sees mirrored pixels, which are pixels of the image."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, objectives, receptive_field
from kerasal.layers import ReflectionPadding2D

import keras
import tensorflow as tf

L = keras.layers
SIZE = (13, 11)


def pad(amounts, mode):
    return L.Lambda(lambda x: tf.pad(x, [[0, 0], *amounts, [0, 0]], mode))


def model_of(*layers):
    layers[-1].name = "end"
    model = keras.Sequential([keras.Input((*SIZE, 2)), *layers])
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, one.shape) for one in model.get_weights()])
    return model


def own_support(model):
    """Return the first and last row and column with a gradient, plus 1, for each unit, by a tape: (h, w, 4)."""
    x = tf.ones((1, *SIZE, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        units = tf.reduce_sum(model(x)[0], axis=-1)
    jacobian = np.abs(tape.jacobian(units, x)[:, :, 0]).sum(axis=-1) > 0
    found = np.zeros((*units.shape, 4), int)
    for row, column in np.ndindex(*units.shape):
        rows, columns = (np.flatnonzero(jacobian[row, column].any(axis=axis)) for axis in (1, 0))
        found[row, column] = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return found


NETWORKS = {
    "one": lambda: [ReflectionPadding2D(1), L.Conv2D(2, 3)],
    "wider than the kernel": lambda: [ReflectionPadding2D(4), L.Conv2D(2, 3)],
    "symmetric": lambda: [pad([[3, 1], [0, 5]], "SYMMETRIC"), L.Conv2D(2, (2, 3))],
    "as wide as the image": lambda: [pad([[12, 12], [10, 10]], "REFLECT"), L.Conv2D(2, 2)],
    "symmetric, all of it": lambda: [pad([[13, 13], [11, 11]], "SYMMETRIC"), L.Conv2D(2, 2)],
    "three": lambda: [layer for _ in range(3) for layer in (ReflectionPadding2D(2), L.Conv2D(2, 5))],
    "strides": lambda: [ReflectionPadding2D(3), L.Conv2D(2, 4, strides=2), ReflectionPadding2D(2), L.Conv2D(2, 3)],
    "zeros too": lambda: [L.Conv2D(2, 3, padding="same"), ReflectionPadding2D(2), L.Conv2D(2, 3, padding="same")],
    "enlarged": lambda: [L.Conv2D(2, 2), L.UpSampling2D(2), ReflectionPadding2D(3), L.Conv2D(2, 4)],
    "averaged": lambda: [ReflectionPadding2D(2), L.AveragePooling2D(3), pad([[1, 2], [2, 0]], "SYMMETRIC")],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_the_support_of_the_gradient(name):
    model = model_of(*NETWORKS[name]())
    expected = own_support(model)
    field = receptive_field.field(model, "end", input_size=SIZE)
    assert not field.whole
    assert field.map_size == expected.shape[:2]
    for row, column in np.ndindex(*field.map_size):
        left, top, right, bottom = field.box(row, column, clip=True)
        assert (top, bottom, left, right) == tuple(expected[row, column])


def test_no_canvas_of_a_pattern_shows_a_reflection():
    """The pattern is the gradient of a unit of a large image, far from its border; networks without ReLU."""
    model = model_of(ReflectionPadding2D(2), L.Conv2D(2, 5), ReflectionPadding2D(3), L.Conv2D(2, 3))
    found = receptive_field.patterns(model, "end", 1, final_relu=False)
    x = tf.zeros((1, *SIZE, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        unit = model(x)[0, 8, 7, 1]  # the map is 4 pixels larger; its field is rows 3 to 9, columns 2 to 8
    expected = tape.gradient(unit, x).numpy()[:, 3:10, 2:9]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_an_automatic_canvas_has_room_for_whole_fields():
    layers = [keras.Input((64, 64, 2)), ReflectionPadding2D(2), L.Conv2D(2, 5, name="end")]
    model = keras.Sequential([*layers, L.Flatten(), L.Dense(2)])
    assert kerasal.maximize(
        model, objectives.channel("end", 0), steps=1, canvas="auto", preset="channel", preprocessing="none"
    ).raw.shape[1:3] == (12, 12)


@pytest.mark.parametrize("name", ["wider than the kernel", "symmetric", "strides"])
@pytest.mark.quick("symmetric")
def test_occlusion_in_parts_is_that_of_whole_images(name):
    inputs = keras.Input((*SIZE, 2))
    tensor = L.Conv2D(3, 3, activation="relu")(inputs)
    for layer in NETWORKS[name]():
        tensor = layer(tensor)
    keras.utils.set_random_seed(0)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Conv2D(2, 3, activation="relu")(tensor))))
    image = np.random.default_rng(0).normal(size=(*SIZE, 2)).astype(np.float32)
    found = attribution.occlusion(model, image, 1, window=3, stride=2)[0]
    tops, lefts = ([*range(0, side - 3, 2), side - 3] for side in SIZE)
    hidden = np.repeat(image[None], len(tops) * len(lefts), axis=0)
    for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
        hidden[number, top : top + 3, left : left + 3] = 0
    scores = np.asarray(model(np.concatenate([image[None], hidden])))[:, 1]
    expected = (scores[0] - scores[1:]).reshape(found.shape)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
