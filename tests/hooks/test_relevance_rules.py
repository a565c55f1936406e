"""The rules of relevance propagation against slow re-implementations on the matrix of a layer."""

import numpy as np
import pytest

from kerasal import attribution

import keras
from keras import layers as L

STABILIZER = 1e-6
LOW, HIGH = -1.5, 2.0
FIRST = {"data_format": "channels_first"}
# Shape of the input and layers that are one linear map; none is followed by another.
LAYERS = {
    "Conv2D": ((5, 4, 3), lambda: [L.Conv2D(4, 3, strides=2, padding="same")]),
    "Conv2D, BatchNormalization": ((5, 4, 3), lambda: [L.Conv2D(4, 3), L.BatchNormalization()]),
    "Conv2D, groups": ((4, 4, 4), lambda: [L.Conv2D(6, 3, groups=2), L.BatchNormalization()]),
    "DepthwiseConv2D": ((5, 4, 3), lambda: [L.DepthwiseConv2D(3, depth_multiplier=2), L.BatchNormalization()]),
    "DepthwiseConv2D, dilated": ((6, 7, 2), lambda: [L.DepthwiseConv2D(3, dilation_rate=2), L.BatchNormalization()]),
    "Conv2DTranspose": ((3, 4, 2), lambda: [L.Conv2DTranspose(3, 3, strides=2), L.BatchNormalization()]),
    "Conv1D": ((7, 3), lambda: [L.Conv1D(4, 3, dilation_rate=2), L.BatchNormalization()]),
    "Conv1D, groups": ((7, 4), lambda: [L.Conv1D(4, 3, groups=2), L.BatchNormalization()]),
    "DepthwiseConv1D, first": ((3, 7), lambda: [L.DepthwiseConv1D(3, **FIRST), L.BatchNormalization(axis=1)]),
    "Conv3D": ((3, 4, 3, 2), lambda: [L.Conv3D(3, 2), L.BatchNormalization()]),
    "Conv3D, first": ((2, 3, 4, 3), lambda: [L.Conv3D(3, 2, **FIRST), L.BatchNormalization(axis=1)]),
    "scaled": ((5, 4, 3), lambda: [L.Conv2D(4, 3), L.Rescaling(-0.5, 0.3), L.BatchNormalization()]),
}
COMPOSITES = ("epsilon", "epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box")


def positive(x):
    return np.maximum(x, 0)


def negative(x):
    return np.minimum(x, 0)


def divide(numerators, total, relevance):
    return (numerators / (total + np.where(total < 0, -1, 1) * STABILIZER) * relevance).sum(axis=1)


def slow_relevance(composite, x, weights, bias, relevance):
    """Return the relevance of inputs (I,) from weights (I, O), biases (O,) and the relevance of outputs (O,)."""
    products = x[:, None] * weights
    if composite == "epsilon":
        return divide(products, products.sum(0) + bias, relevance)
    if composite == "epsilon_plus":
        return divide(positive(products), positive(products).sum(0) + positive(bias), relevance)
    if composite == "epsilon_alpha2_beta1":
        for_, against = (divide(f(products), f(products).sum(0) + f(bias), relevance) for f in (positive, negative))
        return 2 * for_ - against
    shown = products - LOW * positive(weights) - HIGH * negative(weights)
    return divide(shown, shown.sum(0), relevance)


def slow_gamma(gamma, x, weights, bias, relevance):
    products, total = x[:, None] * weights, np.zeros(len(x))
    for part, shown in ((positive, (products.sum(0) + bias > 0)), (negative, (products.sum(0) + bias < 0))):
        favored = products + gamma * part(products)
        total += divide(favored, favored.sum(0) + bias + gamma * part(bias), relevance * shown)
    return total


def random_model(shape, layers, seed):
    """Return a model with random weights, also of its statistics, and an input with values of both signs."""
    model = keras.Sequential([keras.Input(shape), *layers])
    random = np.random.default_rng(seed)
    for variable in model.variables:
        values = random.normal(0, 0.5, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    return model, random.uniform(LOW, HIGH, (1, *shape)).astype(np.float32)


def affine(model, shape):
    """Return the matrix and the bias of a model that is an affine map."""
    units = np.eye(int(np.prod(shape)), dtype=np.float32).reshape(-1, *shape)
    bias = model(np.zeros((1, *shape), np.float32)).numpy().reshape(-1)
    return model(units).numpy().reshape(len(units), -1).astype(np.float64) - bias, bias.astype(np.float64)


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.quick("Conv2D, BatchNormalization-epsilon_plus", "Conv2D, groups-epsilon_alpha2_beta1")
def test_a_layer_divides_relevance_as_its_matrix_does(name, composite):
    shape, make = LAYERS[name]
    model, x = random_model(shape, make(), seed=3)
    weights, bias = affine(model, shape)
    head = np.random.default_rng(4).normal(size=(weights.shape[1], 2)).astype(np.float32)
    whole = keras.Sequential([model, L.Flatten(), L.Dense(2, use_bias=False)])
    whole(x)
    whole.layers[-1].set_weights([head])
    options = {"low": LOW, "high": HIGH} if composite == "epsilon_gamma_box" else {}
    shares = whole_shares(whole, x, composite, options)
    outputs = x.reshape(-1).astype(np.float64) @ weights + bias
    relevance = slow_relevance("epsilon", outputs, head.astype(np.float64)[:, 1:], 0, outputs @ head[:, 1:])
    expected = slow_relevance(composite, x.reshape(-1).astype(np.float64), weights, bias, relevance)
    channels = 1 if "first" in name else len(shape)
    expected = expected.reshape(shape).sum(axis=channels - 1)
    np.testing.assert_allclose(shares[0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def whole_shares(model, x, composite, options):
    return attribution.lrp(model, x, 1, composite=composite, **options)


@pytest.mark.parametrize("gamma", [0.25, 3])
@pytest.mark.quick("3")
def test_gamma_divides_relevance_as_its_matrix_does(gamma):
    first, x = random_model((6, 5, 2), [L.Conv2D(3, 1)], seed=5)
    second, _ = random_model((6, 5, 3), [L.Conv2D(4, 3), L.BatchNormalization()], seed=6)
    head, _ = random_model((4, 3, 4), [L.Flatten(), L.Dense(2, use_bias=False)], seed=7)
    model = keras.Sequential([first, L.Activation("tanh"), second, head])  # tanh leaves both signs
    shares = attribution.lrp(model, x, 1, composite="epsilon_gamma_box", gamma=gamma, low=LOW, high=HIGH)
    hidden = np.tanh(first(x).numpy())
    (weights, bias), (last, _), (kernel, shift) = (
        affine(second, (6, 5, 3)),
        affine(head, (4, 3, 4)),
        affine(first, x[0].shape),
    )
    hidden_values = hidden.reshape(-1).astype(np.float64)
    outputs = hidden_values @ weights + bias
    relevance = slow_relevance("epsilon", outputs, last[:, 1:], 0, outputs @ last[:, 1:])
    relevance = slow_gamma(gamma, hidden_values, weights, bias, relevance)
    expected = slow_relevance("epsilon_gamma_box", x.reshape(-1).astype(np.float64), kernel, shift, relevance)
    expected = expected.reshape(6, 5, 2).sum(-1)
    np.testing.assert_allclose(shares[0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
