"""The rescale rule: contributions add up to the change of the score, or the operation without a rule is named."""

import numpy as np
import pytest

from kerasal import attribution, objectives
from kerasal.hooks.rescale_rule import NoRescaleRule

import keras
import tensorflow as tf
from keras import layers as L

pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
ACTIVATIONS = (
    "relu", "sigmoid", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "hard_swish",
    "hard_sigmoid",
)  # fmt: skip


def fill(model):
    random = np.random.default_rng(0)
    for weight in model.weights:
        values = random.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model


def network(activation):
    """Convolutions with a residual connection, both poolings, batch normalization and the largest value at the end."""
    options = {"padding": "same"}
    x = inputs = keras.Input((9, 10, 3))
    x = L.Conv2D(6, 3, activation=activation, **options)(x)
    x = L.BatchNormalization()(x)
    x = L.MaxPooling2D(3, strides=2, **options)(x)
    y = L.Conv2D(6, 3, **options)(x)
    x = L.Activation(activation)(L.Add()([x, y]))
    x = L.Concatenate()([L.AveragePooling2D(2, **options)(x), L.MaxPooling2D(2, **options)(x)])
    x = L.Concatenate()([L.Flatten()(x), L.GlobalMaxPooling2D()(x)])
    return fill(keras.Model(inputs, L.Dense(4, activation="softmax")(L.Dense(8, activation=activation)(x))))


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(3, 9, 10, 3)).astype(np.float32)


def assert_complete(model, inputs, target, baseline, **options):
    maps, gap = attribution.deeplift(model, inputs, target, baseline=baseline, return_gap=True, **options)
    size = np.abs(maps).sum(axis=tuple(range(1, maps.ndim)))
    assert (np.abs(gap) <= 1e-5 * size).all()
    change = maps.sum(axis=tuple(range(1, maps.ndim))) - gap
    assert np.abs(change).min() > 1e-3 * size.max()  # the score does change
    return maps


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.quick("relu", "sigmoid", "gelu", "silu")
def test_contributions_add_up_to_the_change_of_the_score(activation, images):
    model = network(activation)
    assert_complete(model, images, [0, 1, 2], 0.2)
    assert_complete(model, images, lambda output: tf.square(output[:, 1]) + output[:, 2], "blur")


def test_a_layer_in_place_of_the_input(images):
    model = network("relu")
    (layer, _) = (layer.name for layer in model.layers if isinstance(layer, L.MaxPooling2D))
    assert assert_complete(model, images, [0, 1, 2], 0.1, layer=layer).shape == (3, 5, 5)


def test_the_rule_of_one_value_by_hand():
    """relu(x - 1) from 0 to 3: the gradient is 1, the quotient of the differences 2/3; saturated where it was 0."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.ops.relu(inputs - 1.0))
    np.testing.assert_allclose(attribution.deeplift(model, np.full((1, 1), 3.0), 0), [[2.0]])
    saturated = keras.Model(inputs, 1.0 - keras.ops.relu(1.0 - inputs))
    np.testing.assert_allclose(attribution.deeplift(saturated, np.full((1, 1), 5.0), 0), [[1.0]], rtol=1e-6)
    assert attribution.gradient_x_input(saturated, np.full((1, 1), 5.0), 0) == 0


def test_a_maximum_by_hand():
    """max(x, y) from (2, 1) to (3, 5): the change of 3 goes to y, which is the largest now."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.ops.max(inputs, axis=1, keepdims=True))
    found = attribution.deeplift(model, np.array([[3.0, 5.0]]), 0, baseline=np.array([2.0, 1.0]))
    np.testing.assert_allclose(found, [[0.0, 3.0]], rtol=1e-6)
    falling = attribution.deeplift(model, np.array([[2.0, 1.0]]), 0, baseline=np.array([3.0, 5.0]))
    np.testing.assert_allclose(falling, [[0.0, -3.0]], rtol=1e-6)  # y was largest, and lost


def test_of_a_linear_model_it_is_gradient_times_difference(images):
    model = fill(keras.Sequential([keras.Input((9, 10, 3)), L.Conv2D(4, 3), L.Flatten(), L.Dense(3)]))
    expected = attribution.input_gradient(model, images, 1) * (images - 0.5)
    np.testing.assert_allclose(
        attribution.deeplift(model, images, 1, baseline=0.5), expected.sum(-1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((12, 2), lambda: [L.Conv1D(4, 3, activation="tanh"), L.MaxPooling1D(2)]),
        ((6, 7, 6, 2), lambda: [L.Conv3D(4, 2, activation="relu"), L.MaxPooling3D(2)]),
        ((4, 6, 6, 2), lambda: [L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), L.TimeDistributed(L.Flatten())]),
        ((8, 8, 4), lambda: [L.Conv2D(4, 3, groups=2, activation="relu"), L.UpSampling2D(2, interpolation="bilinear")]),
        ((8, 8, 4), lambda: [L.Conv2DTranspose(3, 3, strides=2, activation="relu"), L.ZeroPadding2D(1)]),
        ((8, 8, 4), lambda: [L.SeparableConv2D(3, 3), L.PReLU(), L.Permute((3, 1, 2)), L.Cropping2D(1)]),
    ],
    ids=["1-D", "3-D", "video", "groups", "transposed", "PReLU"],
)
@pytest.mark.quick("3-D", "PReLU")
def test_other_ranks_and_layers(shape, layers):
    model = fill(keras.Sequential([keras.Input(shape), *layers(), L.Flatten(), L.Dense(3)]))
    inputs = np.random.default_rng(3).normal(size=(2, *shape)).astype(np.float32)
    assert_complete(model, inputs, [1, 2], 0.3)


def test_the_model_that_the_other_tests_use_is_complete_for_a_channel(shared_model, batch):
    maps, gap = attribution.deeplift(
        shared_model("functional"), batch, objectives.channel("conv2", 1), return_gap=True, baseline=0.1
    )
    assert np.abs(gap).max() < 1e-5 * np.abs(maps).sum((1, 2)).max()


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        (lambda x: L.Flatten()(L.MultiHeadAttention(1, 2)(x, x)), r"a product of two tensors that both depend on the"),
        (lambda x: L.Flatten()(L.LayerNormalization()(x)), r"there is none for operation \w+ \(.*layer_normalization"),
        (lambda x: L.GRU(3)(x), r"there is none for operation \w+ \(.*gru"),
        (
            lambda x: L.Dense(2)(L.Flatten()(x * L.Dense(1, activation="sigmoid")(x))),
            r"operation Mul \(.*\), a product of two",
        ),
        (lambda x: L.Dense(3)(L.Flatten()(L.Softmax()(x))), "operation Softmax .* With logits=True"),
    ],
    ids=["attention", "normalization", "loop", "gate", "softmax"],
)
def test_operations_without_a_rule_are_named(layers, says):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, layers(inputs))
    with pytest.raises(NoRescaleRule, match=says) as error:
        attribution.deeplift(model, np.ones((1, 5, 3), np.float32), 0, baseline=0.5)
    assert "Use integrated_gradients" in str(error.value)


def test_equal_inputs_get_the_derivative(images):
    """Where the image equals the baseline its contribution is 0, and nothing is divided by 0."""
    model = network("relu")
    images[:, :4] = 0.2
    maps = assert_complete(model, images, 1, 0.2)
    assert np.abs(maps[:, :4]).max() == 0
    assert np.abs(maps[:, 4:]).max() > 0
