"""The gradient of max-pooling in three dimensions goes to one value per window, and nothing else changes."""

import itertools

import numpy as np
import pytest

from kerasal import attribution, hooks
from kerasal.hooks.volume_pooling import max_pool_gradient

import keras
import tensorflow as tf

L = keras.layers
SIDES = (4, 6, 8)
SPELLINGS = {
    "layer": lambda x: L.MaxPooling3D(2, name="pool")(x),
    "operation": lambda x: keras.ops.max_pool(x, 2),
    "nested": lambda x: keras.Sequential([L.MaxPooling3D((2, 2, 2))])(x),
}


WINDOWS = list(itertools.product([(2, 2, 2), (3, 1, 2)], [(2, 2, 2), (1, 2, 1)]))


def volume_of(shape=(2, *SIDES, 2), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def network(pool=SPELLINGS["layer"]):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SIDES, 2))
    x = L.Conv3D(4, 3, padding="same", activation="relu", bias_initializer="ones", name="first")(inputs)
    x = L.Conv3D(5, 1, activation="relu", bias_initializer="ones", name="last")(pool(x))
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("gap", [0, 5e-6])
def test_one_value_of_each_window_gets_the_gradient(spelling, gap):
    inputs = keras.Input((*SIDES, 2))
    model = keras.Model(inputs, L.Flatten()(SPELLINGS[spelling](inputs)))
    volume = np.full((1, *SIDES, 2), 0.25, np.float32)
    volume[:, 1::2, ::2, 1::2] += gap  # closer than TensorFlow tells values apart
    found = attribution.input_gradient(model, volume, lambda output: tf.reduce_sum(output, axis=1))
    expected = np.zeros_like(volume)
    if gap:
        expected[:, 1::2, ::2, 1::2] = 1
    else:
        expected[:, ::2, ::2, ::2] = 1  # the first
    np.testing.assert_array_equal(found, expected)


def test_it_is_the_same_for_channels_first():
    inputs = keras.Input((2, *SIDES))
    model = keras.Model(inputs, L.Flatten()(L.MaxPooling3D((2, 3, 2), data_format="channels_first")(inputs)))
    volume = np.random.default_rng(0).integers(0, 3, (1, 2, *SIDES)).astype(np.float32)
    found = attribution.input_gradient(model, volume, lambda output: tf.reduce_sum(output, axis=1))
    blocks = found.reshape(1, 2, 2, 2, 2, 3, 4, 2)
    np.testing.assert_array_equal(blocks.sum(axis=(3, 5, 7)), 1)
    maxima = volume.reshape(blocks.shape).max(axis=(3, 5, 7), keepdims=True)
    assert (volume.reshape(blocks.shape) == maxima)[blocks == 1].all()


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize(("window", "strides"), WINDOWS)
def test_values_that_are_far_apart_have_the_gradient_of_tensorflow(window, strides, padding):
    sides = (5, 6, 7)
    shuffled = np.random.default_rng(1).permutation(2 * 5 * 6 * 7 * 3).reshape(2, *sides, 3)
    x = tf.constant(shuffled / 10, tf.float32)
    options = {"ksize": [1, *window, 1], "strides": [1, *strides, 1], "padding": padding}
    pooled = tf.raw_ops.MaxPool3D(input=x, **options)
    upstream = tf.constant(volume_of(pooled.shape))
    expected = tf.raw_ops.MaxPool3DGrad(orig_input=x, orig_output=pooled, grad=upstream, **options)
    found = max_pool_gradient(x, upstream, window, strides, padding)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_integrated_gradients_from_a_constant_volume_are_complete():
    model, volume = network(), volume_of()
    _, gaps = attribution.integrated_gradients(model, volume, [1, 2], steps=100, return_gap=True)
    assert np.abs(gaps).max() < 0.01  # 0.02 with TensorFlow's gradient


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.quick("nested")
def test_positions_and_rules_are_found_behind_the_pooling(spelling):
    model, volume = network(SPELLINGS[spelling]), volume_of()
    maps = attribution.layercam(model, volume, [1, 2], resize=False)
    assert maps.layer == "last"
    assert maps.shape == (2, 2, 3, 4)
    assert attribution.layercam(model, volume, [1, 2], layer="first", resize=False).shape == (2, *SIDES)
    guided = attribution.guided_backprop(model, volume, [1, 2])
    assert guided.shape == volume.shape
    assert np.abs(guided - attribution.input_gradient(model, volume, [1, 2])).max() > 1e-3


def test_the_model_is_left_as_it_was():
    model, volume = network(), volume_of()
    values = model(volume).numpy()
    np.testing.assert_allclose(hooks.activations(model, ["pool"], volume)["pool"].shape, (2, 2, 3, 4, 4))
    output, layers = hooks.watched(model, taps=["pool"])(volume)
    np.testing.assert_allclose(output, values, rtol=1e-5)
    assert layers["pool"].shape == (2, 2, 3, 4, 4)
    assert "call" not in vars(model.get_layer("pool"))


def test_a_map_can_be_differentiated_and_saved(tmp_path):
    model, volume = network(), volume_of()
    run, x = hooks.watched(model), tf.constant(volume)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            score = tf.reduce_sum(run(x)[0][:, 1] ** 2)
        penalty = tf.reduce_sum(inner.gradient(score, x) ** 2)
    assert np.abs(outer.gradient(penalty, x).numpy()).max() > 0
    compiled = attribution.input_gradient.compiled(model)
    tf.saved_model.save(compiled, str(tmp_path / "map"), signatures=compiled.classes)
    loaded = tf.saved_model.load(str(tmp_path / "map")).signatures["serving_default"]
    classes = tf.constant([1, 2])
    names = {tensor.dtype: name for name, tensor in loaded.structured_input_signature[1].items()}
    (found,) = loaded(**{names[tensor.dtype]: tensor for tensor in (x, classes)}).values()
    expected = attribution.input_gradient(model, volume, [1, 2])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
