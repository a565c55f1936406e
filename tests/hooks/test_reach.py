"""The rules for ReLUs: by definition wherever a ReLU is one operation, and refused by name beside other rectifiers."""

import numpy as np
import pytest

from kerasal import attribution, hooks

import keras
import tensorflow as tf

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(6, 5)).astype(np.float32)
layers, ops, activations = keras.layers, keras.ops, keras.activations


@tf.custom_gradient
def guided(x):
    return tf.maximum(x, 0), lambda signal: tf.where((x > 0) & (signal > 0), signal, 0)


@tf.custom_gradient
def deconvnet(x):
    return tf.maximum(x, 0), lambda signal: tf.where(signal > 0, signal, 0)


class Odd(layers.Layer):
    """What a test puts between two dense layers."""

    def __init__(self, function, name="odd"):
        super().__init__(name=name)
        self.function = function

    def call(self, x):
        return self.function(x)


def model_with(function, relu_first=True):
    inputs = keras.Input((5,))
    tensor = layers.Dense(4, kernel_initializer=keras.initializers.GlorotNormal(seed=1))(inputs)
    if relu_first:
        tensor = layers.Dense(4, kernel_initializer=keras.initializers.GlorotNormal(seed=2))(layers.ReLU()(tensor))
    outputs = layers.Dense(3, kernel_initializer=keras.initializers.GlorotNormal(seed=3))(Odd(function)(tensor))
    return keras.Model(inputs, outputs)


def test_prelu_is_refused_since_two_relus_would_pass_the_wrong_signals():
    """relu(x) - a · relu(-x): where x < 0 the negative signal passes two ReLUs as a positive one, twice negated."""
    inputs = keras.Input((2,))
    prelu = layers.PReLU(alpha_initializer=keras.initializers.Constant(0.5), name="leaks")
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(prelu(inputs)))
    model.layers[-1].set_weights([np.float32([[1], [-1]])])
    for method in (attribution.guided_backprop, attribution.deconvnet):
        with pytest.raises(hooks.NoReLU, match=r"a PReLU or leaky ReLU .*'.*leaks.*add'.* gradcam work with every"):
            method(model, np.float32([[-1, -1]]), 0)


PRELU = layers.PReLU(alpha_initializer="ones")
REFUSED = {
    "PReLU": (PRELU, "PReLU"),
    "leaky, of two ReLUs": (lambda x: tf.nn.relu(x) - 0.2 * tf.nn.relu(-x), "PReLU"),
    "LeakyReLU": (activations.leaky_relu, "LeakyReLU"),
    "leaky, as a maximum": (lambda x: tf.maximum(x, 0.1 * x), "leaky ReLU written as a maximum"),
    "leaky, as a choice": (lambda x: tf.where(x > 0, x, 0.1 * x), "written with where"),
    "threshold": (layers.ReLU(threshold=0.5), "a ReLU with a threshold"),
    "maximum of 4": (layers.ReLU(max_value=4.0), "a ReLU with a maximum of 4"),
    "everything": (layers.ReLU(max_value=4.0, negative_slope=0.1, threshold=0.2), "a ReLU with a threshold"),
    "choice": (lambda x: tf.where(x > 0, x, 0.0), "a ReLU written with where"),
    "choice, turned round": (lambda x: ops.where(x <= 0, ops.zeros_like(x), x), "a ReLU written with where"),
    "product": (lambda x: x * ops.cast(x > 0, x.dtype), "a ReLU written as a product"),
    "maximum": (lambda x: ops.maximum(x, 0), "a ReLU written as a maximum"),
    "minimum": (lambda x: -tf.minimum(-x, 0.0), "a ReLU written as a minimum"),
    "clip": (lambda x: ops.clip(x, 0, 6), "a ReLU written as a maximum"),
    "absolute value": (lambda x: (x + ops.abs(x)) / 2, "a ReLU written with an absolute value"),
    "ELU": (activations.elu, "an ELU"),
    "SELU": (activations.selu, "a SELU"),
    "CELU": (activations.celu, "ReLU"),
    "softplus": (activations.softplus, "a softplus"),
    "swish": (activations.swish, "swish"),
    "GELU": (activations.gelu, "GELU"),
    "GELU by tanh": (lambda x: activations.gelu(x, approximate=True), "GELU"),
    "mish": (activations.mish, "softplus"),
    "hard swish": (activations.hard_swish, "hard swish"),
    "swish as a quotient": (lambda x: x / (1 + tf.exp(-x)), "swish"),
    "swish as a product": (lambda x: x * (1 / (1 + tf.exp(-x))), "swish"),
    "softplus by log1p": (lambda x: tf.math.log1p(tf.exp(x)), "a softplus"),
    "softplus by log": (lambda x: tf.math.log(1 + tf.exp(x)), "a softplus"),
    "product without NaN": (lambda x: tf.math.multiply_no_nan(x, tf.cast(x > 0, x.dtype)), "written as a product"),
    "absolute value, reshaped": (
        lambda x: tf.reshape(tf.reshape(x, (-1, 2)) + tf.reshape(abs(x), (-1, 2)), (-1, 4)),
        "ab",
    ),
    "root of a maximum": (lambda x: tf.sqrt(tf.maximum(x, 0) + 1), "a ReLU written as a maximum"),
    "ReLU with a threshold, as a product": (lambda x: (r := tf.nn.relu(x)) * tf.cast(r > 1, r.dtype), "a product"),
    "hard sigmoid": (activations.hard_sigmoid, "hard sigmoid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_rectifier_beside_a_relu_is_refused_by_name(name):
    function, what = REFUSED[name]
    with pytest.raises(hooks.NoReLU, match=rf"{what}.* at '.*odd"):
        attribution.guided_backprop(model_with(function), IMAGES, 0)


@pytest.mark.parametrize("name", ["choice", "product", "maximum", "clip", "maximum of 4", "absolute value"])
def test_a_relu_that_is_written_out_is_refused_by_name_where_there_is_no_other(name):
    function, what = REFUSED[name]
    with pytest.raises(hooks.NoReLU, match=what):
        attribution.deconvnet(model_with(function, relu_first=False), IMAGES, 0)


def variance(h):
    return tf.reduce_mean(h * h, 1, keepdims=True) - tf.reduce_mean(h, 1, keepdims=True) ** 2 + 0 * h


def distances(h):
    return tf.reduce_sum(h * h, 1, keepdims=True) + tf.reduce_sum(CENTERS**2, 0) - 2 * h @ CENTERS


CENTERS = RANDOM.normal(size=(4, 4)).astype(np.float32)
GATE = layers.Dense(4, kernel_initializer=keras.initializers.GlorotNormal(seed=4))
ALLOWED = {
    "relu(-x)": lambda relu: lambda x: relu(-x),
    "concatenated ReLU": lambda relu: lambda x: tf.concat([relu(x), relu(-x)], axis=1),
    "residual": lambda relu: lambda x: x + relu(x),
    "squared": lambda relu: lambda x: tf.square(relu(x)),
    "sigmoid": lambda relu: lambda x: tf.sigmoid(relu(x)),
    "tanh": lambda relu: lambda x: tf.tanh(relu(x)),
    "squeeze and excite": lambda relu: lambda x: x * tf.sigmoid(GATE(relu(x))),
    "maxout": lambda relu: lambda x: relu(tf.maximum(x[:, :2], x[:, 2:])),
    "unit length": lambda relu: lambda x: tf.nn.l2_normalize(relu(x), axis=1),
    "and its root": lambda relu: lambda x: (h := relu(x)) + tf.sqrt(h + 1e-6),
    "times its tanh": lambda relu: lambda x: (h := relu(x)) * tf.tanh(h),
    "over 1 + itself": lambda relu: lambda x: (h := relu(x)) / (1 + h),
    "statistics": lambda relu: lambda x: tf.sqrt(tf.maximum(variance(relu(x)), 0) + 1e-5),
    "distances": lambda relu: lambda x: tf.sqrt(tf.maximum(distances(relu(x)), 0) + 1e-5),
    "softmax by hand": lambda relu: lambda x: (e := tf.exp(relu(x))) / tf.reduce_sum(e, axis=1, keepdims=True),
    "log-sigmoid by hand": lambda relu: lambda x: -tf.math.log(1 + tf.exp(-relu(x))),
    "outer product": lambda relu: lambda x: tf.reshape(x[:, :, None] * tf.sigmoid(relu(x))[:, None], (-1, 16)),
    "clipped softmax": lambda relu: lambda x: tf.clip_by_value(tf.nn.softmax(relu(x)), 0.0, 1.0),
}


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # where no image's signal passes the gates
@pytest.mark.parametrize("rule", [guided, deconvnet])
@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.quick(
    "relu(-x)-deconvnet",
    "residual-guided",
    "squared-guided",
    "sigmoid-deconvnet",
    "softmax by hand-deconvnet",
    "outer product-deconvnet",
)
def test_what_else_stands_beside_relus_keeps_its_own_gradient(name, rule):
    """An own tape, over the same layers with a ReLU whose gradient is written by hand, says what the map is."""
    model = model_with(ALLOWED[name](tf.nn.relu))
    _, first, _, second, _, last = model.layers
    with tf.GradientTape() as tape:
        x = tf.constant(IMAGES)
        tape.watch(x)
        score = last(ALLOWED[name](rule)(second(rule(first(x)))))[:, 1]
    expected = tape.gradient(score, x).numpy()
    method = attribution.guided_backprop if rule is guided else attribution.deconvnet
    found = method(model, IMAGES, 1)
    assert expected.any()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_without_any_relu_there_is_nothing_to_act_on():
    for function in (activations.gelu, activations.leaky_relu, tf.tanh):
        with pytest.raises(hooks.NoReLU, match="nothing to act on"):
            attribution.guided_backprop(model_with(function, relu_first=False), IMAGES, 0)


def test_sum_pooling_asks_for_no_relu():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, layers.LeakyReLU()(layers.MaxPooling2D()(inputs)))
    assert hooks.watched(model, pooling="sum")(tf.zeros((1, 4, 4, 1)))[0].shape == (1, 2, 2, 1)


def test_a_leaky_relu_within_a_compiled_function_is_refused_too():
    compiled = tf.function(tf.nn.leaky_relu)
    with pytest.raises(hooks.NoReLU, match="compiled function"):
        attribution.guided_backprop(model_with(lambda x: compiled(x)), IMAGES, 0)


@tf.custom_gradient
def own_gradient(x):
    return tf.nn.relu(x), lambda signal: signal * tf.cast(x > 0, signal.dtype)


@tf.custom_gradient
def straight_through(x):
    return tf.round(x), lambda signal: signal


class Block(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones")

    def call(self, x):
        return tf.nn.relu(x * self.scale)


def remat():
    with keras.RematScope(mode="full"):
        return Block()


@pytest.mark.parametrize("function", [own_gradient, tf.recompute_grad(tf.nn.relu), tf.recompute_grad(tf.nn.elu)])
def test_a_rectifier_within_a_function_that_has_its_own_gradient_is_refused(function):
    for method in (attribution.guided_backprop, attribution.deconvnet):
        with pytest.raises(hooks.NoReLU, match=r"a function with a custom gradient \(.*odd.*cannot reach"):
            method(model_with(lambda x: function(x)), IMAGES, 0)


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # random weights may leave ReLUs off
def test_a_layer_that_is_computed_once_more_for_its_gradient_is_refused_too():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(layers.ReLU()(remat()(layers.Dense(4)(inputs)))))
    with pytest.raises(hooks.NoReLU, match=r"keras\.RematScope"):
        attribution.guided_backprop(model, IMAGES, 0)
    attribution.class_saliency(model, IMAGES, 0)


def test_a_function_that_has_its_own_gradient_but_no_rectifier_is_not():
    """The ReLU before it is reached by the rule."""
    model = model_with(lambda x: straight_through(tf.nn.relu(x)))
    expected = attribution.guided_backprop(model_with(tf.nn.relu), IMAGES, 0)
    np.testing.assert_array_equal(attribution.guided_backprop(model, IMAGES, 0), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ResNet50", "ResNet50V2", "VGG16", "MobileNetV2", "DenseNet121", "InceptionV3", "Xception", "NASNetMobile"]
)
def test_networks_of_relus_alone_are_not_refused(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), include_top=False)

    run = hooks.watched(model, rule="guided")
    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((None, 96, 96, 3)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "reason"), [("MobileNetV3Small", "hard swish"), ("EfficientNetB0", "nothing to act")])
def test_networks_with_few_relus_are(name, reason):
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), include_top=False)
    with pytest.raises(hooks.NoReLU, match=reason):
        attribution.guided_backprop(model, np.zeros((1, 96, 96, 3), np.float32), 0)
