"""Layer-wise relevance propagation: closed forms, conservation, what has no rule, and the range of the inputs."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks import NoRelevanceRule
from kerasal.objectives import class_score

import keras
from keras import layers as L

COMPOSITES = ("epsilon", "epsilon_plus", "epsilon_alpha2_beta1", "epsilon_gamma_box")
BOX = {"low": -1.0, "high": 1.0}
NO_BIAS = {"use_bias": False}
SHAPE = (12, 10, 3)


def box(composite):
    return BOX if composite == "epsilon_gamma_box" else {}


def inputs(shape=SHAPE, count=2, seed=1):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def one_block(x, filters, **options):
    y = L.ReLU()(L.BatchNormalization(center=False)(L.Conv2D(filters, 3, padding="same", **options)(x)))
    return L.ReLU()(L.Add()([x, L.Conv2D(filters, 3, padding="same", **options)(y)]))


def residual(**options):
    """Return a model with every kind of step that keeps the sum of the relevance."""
    image = keras.Input(SHAPE)
    x = L.Conv2D(6, 3, activation="relu", **options)(L.ZeroPadding2D(1)(image))
    x = one_block(L.MaxPooling2D()(x), 6, **options)
    x = L.Concatenate()([L.AveragePooling2D(2)(x), L.MaxPooling2D(2)(one_block(x, 6, **options))])
    x = L.UpSampling2D(2)(L.Conv2D(8, 1, activation="relu", **options)(x))
    x = L.Dense(6, activation="relu", **options)(L.Dropout(0.5)(L.GlobalAveragePooling2D()(x)))
    return keras.Model(image, L.Dense(3, activation="softmax", **options)(x))


@pytest.fixture(scope="module")
def conserving():
    keras.utils.set_random_seed(3)
    return residual(**NO_BIAS)


def scores(model, x, targets):
    """Return the logits of the targets of a model that ends in a dense layer without bias."""
    inner = keras.Model(model.input, model.layers[-1].input)
    return (inner(x).numpy() @ model.layers[-1].get_weights()[0])[np.arange(len(x)), targets]


def test_a_dense_layer_has_a_closed_form():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    model.set_weights([np.array([[1, 2], [-3, 4], [5, -6]], np.float32), np.array([0.5, 1], np.float32)])
    x = np.array([[2, 1, -1]], np.float32)
    products = np.array([4, 4, 6], np.float32)  # x · w of class 1; the score is their sum plus the bias 1
    np.testing.assert_allclose(attribution.lrp(model, x, 1), [products * 15 / (15 + 1e-6)], rtol=1e-6)
    np.testing.assert_allclose(attribution.lrp(model, x, 1, epsilon=5.0), [products * 15 / 20], rtol=1e-6)


@pytest.mark.parametrize("composite", COMPOSITES)
@pytest.mark.quick("epsilon_plus")
def test_relevance_adds_up_to_the_score_without_biases(composite, conserving):
    x = inputs()
    shares = attribution.lrp(conserving, x, [0, 2], composite=composite, **box(composite))
    np.testing.assert_allclose(shares.sum((1, 2)), scores(conserving, x, [0, 2]), rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("composite", COMPOSITES)
def test_nested_models_and_single_inputs_give_the_same(composite, conserving):
    outer = keras.Sequential([keras.Input(SHAPE), conserving])
    x = inputs()
    shares = attribution.lrp(conserving, x, 1, composite=composite, **box(composite))
    nested = attribution.lrp(outer, x[1:], 1, composite=composite, **box(composite))
    np.testing.assert_allclose(nested, shares[1:], rtol=1e-4, atol=1e-5 * np.abs(shares).max())


def test_a_residual_block_divides_relevance_by_its_summands():
    image = keras.Input((4,))
    branch = L.Dense(4, name="branch", **NO_BIAS)(image)
    model = keras.Model(image, L.Dense(1, **NO_BIAS)(L.Add()([image, branch])))
    x = inputs((4,))
    kernel, head = (array[..., 0] if array.shape[1] == 1 else array for array in model.get_weights())
    y = x @ kernel
    np.testing.assert_allclose(attribution.lrp(model, x, 0, layer="branch"), y * head, rtol=1e-4)


@pytest.mark.slow
def test_batch_normalization_before_a_layer_passes_relevance_unchanged():
    model = keras.Sequential([keras.Input((3,)), L.BatchNormalization(), L.Dense(1, **NO_BIAS)])
    model.set_weights(
        [np.array(values, np.float32) for values in ([2, 1, -1], [1, 2, 3], [0, 1, 0], [1, 1, 4])]
        + [np.ones((3, 1), np.float32)]
    )
    x = inputs((3,))
    np.testing.assert_allclose(attribution.lrp(model, x, 0), model.layers[0](x), rtol=1e-4)


@pytest.mark.parametrize("activation", ["silu", "gelu", "tanh", "relu6", "leaky_relu", "hard_silu", "elu"])
@pytest.mark.quick("silu")
def test_activations_pass_relevance_unchanged(activation):
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, name="before"), L.Activation(activation), L.Dense(1)])
    x = inputs((3,))
    before = attribution.lrp(model, x, 0, layer="before")
    hidden = keras.activations.get(activation)(model.layers[0](x)).numpy()
    kernel, bias = model.layers[-1].get_weights()
    out = hidden @ kernel + bias
    np.testing.assert_allclose(before, hidden * kernel[:, 0] * out / (out + 1e-6 * np.sign(out)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_epsilon_is_linear_in_the_target(conserving):
    x = inputs()
    pair = [attribution.lrp(conserving, x, number, composite="epsilon") for number in (0, 1)]
    difference = attribution.lrp(conserving, x, class_score(0) - 2 * class_score(1), composite="epsilon")
    np.testing.assert_allclose(difference, pair[0] - 2 * pair[1], atol=1e-4 * np.abs(difference).max())


def test_the_range_passes_through_preprocessing_layers():
    keras.utils.set_random_seed(4)
    body = [L.Conv2D(4, 3), L.ReLU(), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input((6, 5, 3)), *body])
    whole = keras.Sequential([keras.Input((6, 5, 3)), L.Rescaling(-1 / 50, 1.0), L.ZeroPadding2D(0), model])
    x = np.random.default_rng(0).uniform(0, 100, (1, 6, 5, 3)).astype(np.float32)
    expected = attribution.lrp(model, 1 - x / 50, 1, composite="epsilon_gamma_box", **BOX)
    shares = attribution.lrp(whole, x, 1, composite="epsilon_gamma_box", low=(0, 0, 0), high=100)
    np.testing.assert_allclose(shares, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_half_precision_is_computed_in_single_precision():
    keras.utils.set_random_seed(5)
    layers = [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.Flatten(), L.Dense(2, dtype="float32")]
    model = keras.Sequential([keras.Input((6, 5, 3)), *layers])
    dtypes = ("mixed_float16", "mixed_float16", None, "float32")
    copies = [
        type(layer).from_config(layer.get_config() | {"dtype": dtype})
        for layer, dtype in zip(layers, dtypes, strict=True)
    ]
    half = keras.Sequential([keras.Input((6, 5, 3)), *copies])
    half.set_weights(model.get_weights())
    x = inputs((6, 5, 3))
    expected = attribution.lrp(model, x, 1)
    np.testing.assert_allclose(attribution.lrp(half, x, 1), expected, atol=0.02 * np.abs(expected).max())


def attention(x):
    return L.MultiHeadAttention(1, 2)(x, x)


def gate(x):
    return L.Multiply()([x, L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling1D(keepdims=True)(x))])


WITHOUT_RULE = {
    "multi_head_attention": attention,
    "layer_normalization": lambda x: L.LayerNormalization()(x),
    "group_normalization": lambda x: L.GroupNormalization(2)(x),
    "multiply": gate,
    "softmax": lambda x: L.Softmax()(x),
    "gru": lambda x: L.GRU(3, return_sequences=True)(x),
    "dot": lambda x: L.Dot(2)([x, x]),
}


@pytest.mark.parametrize("name", WITHOUT_RULE)
@pytest.mark.quick("multi_head_attention", "multiply")
def test_an_operation_without_a_rule_is_named(name):
    signal = keras.Input((6, 4))
    output = L.Dense(2)(L.Flatten()(WITHOUT_RULE[name](L.Conv1D(4, 1)(signal))))
    with pytest.raises(NoRelevanceRule, match=rf"there is none for '\S*{name}\S*' .*gradient_x_input"):
        attribution.lrp(keras.Model(signal, output), inputs((6, 4)), 1)


def test_probabilities_are_refused(conserving):
    with pytest.raises(NoRelevanceRule, match="a score that is a probability"):
        attribution.lrp(conserving, inputs(), 1, logits=False)


def test_options_that_do_not_fit_are_errors(conserving):
    x = inputs()
    cases = (
        ({"composite": "epsilon_gamma_box"}, "needs low and high, .* got None and None"),
        ({"low": 0.0, "high": 1.0}, 'must be None with composite="epsilon_plus"'),
        ({"composite": "epsilon_gamma_box", "low": 0.0, "high": 1.0}, r"between low and high \(0 to 1\), got -"),
        ({"composite": "epsilon_gamma_box", "low": 1.0, "high": -1.0}, "low must be below high"),
        ({"composite": "epsilon_gamma_box", "low": (-1.0, -1.0), "high": 1.0}, "one per channel, 3, got 2"),
        ({"epsilon": 0.0}, "epsilon must be a finite number above 0"),
        ({"gamma": -1.0}, "gamma must be a finite number of at least 0"),
    )
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            attribution.lrp(conserving, x, 1, **options)


def test_the_box_needs_a_convolution_at_the_input():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    with pytest.raises(NoRelevanceRule, match="must find a convolution at the input"):
        attribution.lrp(model, inputs((3,)), 1, composite="epsilon_gamma_box", **BOX)
