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

    with pytest.raises(ValueError, match="'unused' must run when the model is called"):
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
        with pytest.raises(ValueError, match="nothing to act on"):
            traced(lambda x, options=options: run(x, **options), batch)
    with pytest.raises(ValueError, match="rule must be one of gradient, deconvnet"):
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
    with pytest.warns(DeprecationWarning, match=r"called hooks\.watched now"):
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


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
def test_an_own_tape_gives_the_same_map_eagerly_in_a_graph_and_in_a_loop(rule, make_model, batch):
    from kerasal import attribution

    model = make_model("nested")
    methods = {"gradient": attribution.input_gradient, "guided": attribution.guided_backprop}
    expected = methods.get(rule, attribution.deconvnet)(model, batch, 2)
    watched = hooks.watched(model, rule=rule)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output, _ = watched(x)
            score = output[:, 2]
        return tape.gradient(score, x)

    def loop(x):
        _, found = tf.while_loop(lambda i, _: i < 2, lambda i, _: (i + 1, gradient(x)), (0, tf.zeros_like(x)))
        return found

    for found in (gradient(tf.constant(batch)), traced(gradient, batch), traced(loop, batch)):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_a_watched_model_is_saved_with_its_rule(make_model, batch, tmp_path):
    from kerasal import attribution

    class Guided(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = make_model("functional")
            self.kept = [one.value for one in self.model.variables]  # which TensorFlow 1 does not find in Keras's
            self.watched = hooks.watched(self.model, rule="guided")

        @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3))])
        def gradient(self, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = self.watched(x)[0][:, 2]
            return tape.gradient(score, x)

    module = Guided()
    tf.saved_model.save(module, str(tmp_path))
    expected = attribution.guided_backprop(module.model, batch, 2)
    restored = tf.saved_model.load(str(tmp_path))
    found = restored.gradient(tf.constant(batch))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path))
        signature = loaded.signature_def["serving_default"]
        feed = {next(iter(signature.inputs.values())).name: batch}
        found = session.run(next(iter(signature.outputs.values())).name, feed)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rule", ["gradient", "guided"])
@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.quick("eager-gradient", "graph-guided")
def test_a_tape_differentiates_by_the_tapped_layers(rule, mode, make_model, batch):
    """The chain rule: the gradient by the input is the gradient by a layer, carried back through what is before it."""
    model = make_model("functional")
    taps = ["conv2", "pool"]  # not in the order in which they run
    watched = hooks.watched(model, rule=rule, taps=taps)

    def gradients(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            output, layers = watched(x)
            score = output[:, 1]
        signals = tape.gradient(score, layers)
        carried = [tape.gradient(layers[name], x, output_gradients=signals[name]) for name in taps]
        return [tape.gradient(score, x), *carried, signals["conv2"]]

    whole, *carried, last = gradients(tf.constant(batch)) if mode == "eager" else traced(gradients, batch)
    assert np.asarray(whole).any()
    for one in carried:
        np.testing.assert_allclose(one, whole, rtol=1e-5, atol=1e-8)
    kernel = model.get_layer("predictions").kernel.numpy()[:, 1]
    np.testing.assert_allclose(np.reshape(last, (3, -1)), np.broadcast_to(kernel, (3, len(kernel))), rtol=1e-5)


def test_a_map_can_be_differentiated(batch):
    """A second tape: the derivative of a map's size by the image and by a weight, against finite differences."""
    inputs = keras.Input((8, 8, 3))
    kernel = keras.initializers.RandomNormal(stddev=0.5, seed=0)
    tensor = keras.layers.Conv2D(3, 3, activation="tanh", kernel_initializer=kernel, name="conv")(inputs)
    dense = keras.layers.Dense(4, activation="softmax", kernel_initializer=kernel)
    model = keras.Model(inputs, dense(keras.layers.Flatten()(tensor)))
    watched, x, weight = hooks.watched(model), tf.Variable(batch[:1]), model.get_layer("conv").kernel.value

    def size():
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = watched(x)[0][:, 1]
        return tf.reduce_sum(tf.square(tape.gradient(score, x)))

    with tf.GradientTape() as tape:
        value = size()
    for variable, derivative in zip((x, weight), tape.gradient(value, [x, weight]), strict=True):
        before, direction = variable.numpy(), np.sign(derivative) * 1e-3
        values = []
        for sign in (1, -1):
            variable.assign(before + sign * direction)
            values.append(float(size()))
        variable.assign(before)
        np.testing.assert_allclose(values[0] - values[1], 2e-3 * np.abs(derivative).sum(), rtol=1e-3)


def test_activations_are_the_layers_outputs_by_name(make_model, batch):
    model = make_model("nested")
    found = hooks.activations(model, ["conv1", "norm"], batch, batch_size=2)
    reference = make_model("functional")
    for name in ("conv1", "norm"):
        expected = keras.Model(reference.input, reference.get_layer(name).output)(batch)
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
    means = hooks.activations(model, ["conv1"], batch, reduce=tf.reduce_mean, axis=(1, 2))
    np.testing.assert_allclose(means["conv1"], found["conv1"].mean((1, 2)), rtol=1e-5)
