"""Looking inside: taps at any depth, rules that reach every ReLU or refuse, sum-pooling, logits, restored models."""

import numpy as np
import pytest

from kerasal import hooks

import keras
import tensorflow as tf


def traced(function, *arrays):
    """Run a function once, as a graph."""
    return tf.function(function, autograph=False)(*map(tf.constant, arrays))


def test_layers_are_listed_by_their_path_at_any_depth(make_model):
    paths = [path for path, _ in hooks.layers(make_model("nested"))]
    assert paths[:4] == ["encoder", "encoder/innermost", "encoder/innermost/conv1", "encoder/innermost/pool"]
    assert "relu" in " ".join(path for path, _ in hooks.layers(make_model("functional", "op")))


def test_a_layer_is_found_by_path_or_unique_name(make_model):
    model = make_model("nested")
    assert hooks.find_layer(model, "conv1")[0] == "encoder/innermost/conv1"
    assert hooks.find_layer(model, "innermost/conv1")[0] == "encoder/innermost/conv1"
    with pytest.raises(ValueError, match=r"Unknown layer 'convl' in 'nested'\. Did you mean .*conv1"):
        hooks.find_layer(model, "convl")


def test_an_ambiguous_name_lists_the_paths():
    def block(name):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="dense")], name=name)

    model = keras.Sequential([keras.Input((4,)), block("a"), block("b")])
    with pytest.raises(ValueError, match="a/dense, b/dense"):
        hooks.find_layer(model, "dense")
    assert hooks.find_layer(model, "b/dense")[0] == "b/dense"


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested", "subclassed"])
def test_a_tap_holds_the_layers_output(kind, make_model, batch):
    model = make_model(kind)

    def run(x):
        _, seen = hooks.watched(model, taps=["conv1", "norm"])(x)
        return seen["conv1"], seen["norm"]

    first, norm = traced(run, batch)
    reference = make_model("functional")
    tapped = keras.Model(reference.input, [reference.get_layer(name).output for name in ("conv1", "norm")])
    np.testing.assert_allclose(first, tapped(batch)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm, tapped(batch)[1], rtol=1e-5, atol=1e-6)


def test_a_layer_that_did_not_run_is_named(batch):
    class Partly(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = keras.layers.Dense(2), keras.layers.Dense(2, name="unused")

        def call(self, x, training=False):
            return self.used(x)

        def build(self, shape):
            self.used.build(shape)
            self.unused.build(shape)

    model = Partly()
    model(batch)

    with pytest.raises(ValueError, match="'unused' did not run"):
        hooks.watched(model, taps=["unused"])(batch)


def test_sum_pooling_repeats_and_the_forward_values_stay(batch):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(name="pool")(inputs))

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output, _ = hooks.watched(model, pooling="sum")(x)
            signal = tf.reshape(tf.range(48, dtype=tf.float32), (1, 4, 4, 3))
            score = tf.reduce_sum(output * signal)
        return output, tape.gradient(score, x)

    output, gradient = traced(run, batch[:1])
    np.testing.assert_array_equal(output, model(batch[:1]))
    repeated = np.arange(48).reshape(1, 4, 4, 3).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(gradient, repeated, rtol=1e-6)


@pytest.mark.parametrize(
    ("window", "strides", "padding", "size"), [(3, 2, "same", 7), (3, 2, "same", 8), (3, 1, "valid", 6)]
)
def test_sum_pooling_with_overlap_is_the_gradient_of_a_sum(window, strides, padding, size):
    inputs = keras.Input((size, size, 2))
    model = keras.Model(inputs, keras.layers.MaxPooling2D(window, strides, padding)(inputs))
    ones = np.zeros((window, window, 2, 2), np.float32)
    ones[..., 0, 0] = ones[..., 1, 1] = 1
    random = np.random.default_rng(0)
    x = random.normal(size=(1, size, size, 2)).astype(np.float32)
    signal = random.normal(size=model(x).shape).astype(np.float32)

    def run(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            output, _ = hooks.watched(model, pooling="sum")(x)
            summed = tf.nn.conv2d(x, ones, strides, padding.upper())
            scores = [tf.reduce_sum(one * signal) for one in (output, summed)]
        return [tape.gradient(score, x) for score in scores]

    found, expected = traced(run, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_rule_that_finds_nothing_raises(batch):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="gelu")(inputs))

    def run(x, **options):
        return hooks.watched(model, **options)(x)[0]

    for options in ({"rule": "guided"}, {"rule": "deconvnet"}, {"pooling": "sum"}):
        with pytest.raises(ValueError, match="found nothing to act on"):
            traced(lambda x, options=options: run(x, **options), batch)
    with pytest.raises(ValueError, match="Expected a rule of"):
        traced(lambda x: run(x, rule="lrp"), batch)


def test_a_relu_that_a_rule_cannot_reach_is_refused(batch):
    class Compiled(keras.Model):
        @tf.function
        def call(self, x, training=False):
            return tf.nn.relu(x)

    model = Compiled()
    model(batch)

    with pytest.raises(ValueError, match="compiled function"):
        hooks.watched(model, rule="guided")(batch)
    inputs = keras.Input((8, 8, 3))
    odd = keras.Model(inputs, keras.layers.ReLU(threshold=1.0, name="odd")(keras.layers.ReLU()(inputs)))

    with pytest.raises(ValueError, match=r"a ReLU with a threshold at .*odd"):
        hooks.watched(odd, rule="guided")(batch)


def test_without_a_graph_the_context_says_how_to_get_one(make_model, batch):
    tf.config.run_functions_eagerly(True)
    try:
        with pytest.raises(RuntimeError, match=r"run_functions_eagerly\(False\)"):
            hooks.watched(make_model("functional"))(batch)
    finally:
        tf.config.run_functions_eagerly(False)


def test_the_old_context_warns(make_model):
    with pytest.warns(DeprecationWarning, match=r"now kerasal\.hooks\.watched"):
        assert hooks.watch


def test_a_debugging_session_that_runs_functions_eagerly_gets_the_same_map(make_model, batch):
    from kerasal import attribution

    expected = attribution.guided_backprop(make_model("functional"), batch)
    tf.config.run_functions_eagerly(True)
    try:
        found = attribution.guided_backprop(make_model("functional"), batch)
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def _logit_models():
    def dense(**options):
        return keras.layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=0), **options)

    def head(*layers):
        inputs = keras.Input((3,))
        tensor = inputs
        for layer in layers:
            tensor = layer(tensor)
        return keras.Model(inputs, tensor)

    class InCall(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = dense()

        def call(self, x, training=False):
            return tf.nn.softmax(self.dense(x))

    subclassed = InCall()
    subclassed(np.zeros((1, 3)))
    return {
        "attribute": head(dense(activation="softmax")),
        "layer": head(dense(), keras.layers.Softmax()),
        "activation": head(dense(), keras.layers.Activation("softmax")),
        "op": head(dense(), keras.ops.softmax),
        "sigmoid": head(dense(activation="sigmoid")),
        "reshaped": head(dense(activation="softmax"), keras.layers.Reshape((4, 1)), keras.layers.Flatten()),
        "nested": head(head(dense(activation="softmax"))),
        "call": subclassed,
        "linear": head(dense()),
    }


@pytest.mark.parametrize(
    "name", ["attribute", "layer", "activation", "op", "sigmoid", "reshaped", "nested", "call", "linear"]
)
def test_logits_wherever_the_softmax_is(name):
    model = _logit_models()[name]
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    kernel, bias = model.get_weights()
    found = traced(lambda x: hooks.logits(model(x, training=False)), x)
    np.testing.assert_allclose(found, x @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_logits_of_a_softmax_over_an_inner_axis():
    inputs = keras.Input((4, 5))
    model = keras.Model(inputs, keras.layers.Softmax(axis=1)(inputs))
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(traced(lambda x: hooks.logits(model(x)), x), x, rtol=1e-6)
