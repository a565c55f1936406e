"""A model that changes itself whenever it runs is as it was after every routine, and each pass begins there."""

import numpy as np
import pytest

import kerasal
from kerasal import attribution, hooks, objectives

import keras
import tensorflow as tf

ROWS, STEPS, CHANNELS = 2, 5, 3


def recurrent(layer=keras.layers.LSTM, **options):
    """A stateful network whose states are not 0: it has run."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input(batch_shape=(ROWS, STEPS, CHANNELS))
    hidden = layer(4, stateful=True, name="recurrent", **options)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="scores")(hidden))
    model(signals(9))
    return model


def signals(seed=0, rows=ROWS):
    return np.random.default_rng(seed).normal(size=(rows, STEPS, CHANNELS)).astype(np.float32)


def values(model):
    return [np.array(variable) for variable in model.variables]


def copied(model, build):
    """A fresh model with the same weights and states."""
    fresh = build()
    for new, old in zip(fresh.variables, values(model), strict=True):
        new.assign(old)
    return fresh


def own_gradient(build, model, inputs, target):
    """The gradient of the logit (log-probabilities have another) by a tape over a fresh copy of the model."""
    fresh = copied(model, build)
    inner = keras.Model(fresh.inputs, fresh.get_layer("recurrent").output)
    dense = fresh.get_layer("scores")
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = inner(x) @ dense.kernel + dense.bias
        score = tf.reduce_sum(logits[:, target])
    return tape.gradient(score, x).numpy()


def close(found, expected):
    return np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("layer", [keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN])
def test_states_are_where_they_were(layer):
    def build():
        return recurrent(layer)

    model, x = build(), signals()
    before = values(model)
    expected = own_gradient(build, model, x, 1)
    for _ in range(2):
        found = attribution.input_gradient(model, x, 1)
        assert close(found, expected)
        assert all(map(np.array_equal, values(model), before))


@pytest.mark.slow
def test_every_pass_begins_from_the_same_states():
    model, x = recurrent(), signals()
    before = values(model)
    steps = 4
    points = [number / steps * x for number in range(steps + 1)]
    gradients = [own_gradient(recurrent, model, point, 2) for point in points]
    weights = np.array([0.5, 1, 1, 1, 0.5]) / steps
    expected = sum(weight * gradient for weight, gradient in zip(weights, gradients, strict=True)) * x
    assert close(attribution.integrated_gradients(model, x, 2, steps=steps), expected.sum(axis=-1))
    expected = np.abs(own_gradient(recurrent, model, x, 2)).max(axis=-1)
    assert close(attribution.smoothgrad(model, x, 2, samples=7, noise=0.0), expected)
    assert all(map(np.array_equal, values(model), before))


def test_compiled_methods_and_feature_maps_leave_the_states():
    model, x = recurrent(), signals()
    before = values(model)
    expected = own_gradient(recurrent, model, x, 1)
    method = attribution.input_gradient.compiled(model)
    hidden = np.asarray(copied(model, recurrent).get_layer("recurrent")(x))
    for _ in range(2):
        assert close(method(x, [1, 1]).numpy(), expected)
        assert close(kerasal.feature_maps(model, x, "recurrent"), hidden)
    assert all(map(np.array_equal, values(model), before))


@pytest.mark.slow
def test_a_batch_is_as_many_as_there_are_states():
    model = recurrent()
    x = np.concatenate([signals(1), signals(2)])
    expected = np.concatenate([own_gradient(recurrent, model, signals(seed), 0) for seed in (1, 2)])
    assert close(attribution.input_gradient(model, x, 0), expected)
    with pytest.raises(ValueError, match=r"must have exactly 2 images, .* of layer 'recurrent', got (3|1)"):
        attribution.input_gradient(model, signals(rows=3))
    with pytest.raises(ValueError, match="must have exactly 2 images"):
        kerasal.feature_maps(model, signals(rows=3), "recurrent")


class Noisy(keras.layers.Layer):
    """Adds noise at inference too, and counts its calls in a Keras variable and in one of TensorFlow's."""

    def __init__(self, **options):
        super().__init__(**options)
        self.generator = keras.random.SeedGenerator(5)
        self.calls = tf.Variable(1.0)

    def build(self, shape):
        self.level = self.add_weight(shape=(), initializer="ones", trainable=False, name="level")

    def call(self, x):
        self.level.assign(self.level * 2)
        self.calls.assign_add(1.0)
        noise = keras.random.normal(keras.ops.shape(x), seed=self.generator)
        return x * (self.level + self.calls) + noise


def noisy():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 3)), Noisy(name="noisy"), keras.layers.Conv2D(2, 3, activation="tanh", name="conv")]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(2)])


def test_seeds_and_counters_are_put_back(batch):
    model = noisy()
    layer = model.get_layer("noisy")
    before, calls = values(model), float(layer.calls)
    x = tf.constant(batch)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(noisy()(x)[:, 1])
    expected = tape.gradient(score, x).numpy()
    kept = attribution.class_saliency.compiled(model)
    for _ in range(2):
        assert close(attribution.class_saliency(model, batch, 1), np.abs(expected).max(axis=-1))
        assert close(attribution.smoothgrad(model, batch, 1, samples=1, noise=0.0), np.abs(expected).max(axis=-1))
        assert close(kept(batch, [1, 1, 1]).numpy(), np.abs(expected).max(axis=-1))
        assert all(map(np.array_equal, values(model), before)) and float(layer.calls) == calls
    kerasal.maximize(model, objectives.channel("conv", 0), steps=2, seed=0, preset="channel", preprocessing="none")
    with hooks.unchanged(model):
        eager = np.asarray(model(batch, training=False))
    assert close(eager, np.asarray(noisy()(batch)))
    assert all(map(np.array_equal, values(model), before)) and float(layer.calls) == calls


def test_what_cannot_be_put_back_is_refused(batch):
    counter = tf.Variable(0.0, name="counter")

    class Outside(keras.layers.Layer):
        def call(self, x):
            counter.assign_add(1.0)
            return x

    class Looping(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), trainable=False, name="count")

        def call(self, x):
            def body(number, x):
                self.count.assign(self.count + 1.0)
                return number + 1, x

            return tf.while_loop(lambda number, _: number < 3, body, (0, x))[1]

    class Compiled(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), trainable=False, name="count")
            self.inner = tf.function(lambda x: x + self.count.assign_add(1.0))

        def call(self, x):
            return self.inner(x)

    class Model(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.changing, self.dense = layer, keras.layers.Dense(2)

        def call(self, x):
            return self.dense(tf.reshape(self.changing(x), [-1, 192]))

    for layer, traced in [(Outside(), False), (Looping(), False), (Compiled(), False), (Compiled(), True)]:
        model = Model(layer)
        model(batch)
        if traced:  # the compiled function is not traced within kerasal, but before
            tf.function(model, autograph=False).get_concrete_function(tf.TensorSpec((None, 8, 8, 3)))
        with pytest.raises(ValueError, match="the change cannot be undone"):
            attribution.class_saliency(model, batch)


def test_models_that_only_read_are_traced_as_before(shared_model, batch):
    """No operation is added for a model that changes nothing."""
    model = shared_model("functional")

    def operations(context):
        def run(x):
            with context():
                return model(x, training=False)

        graph = tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((None, 8, 8, 3))).graph
        return [op.type for op in graph.get_operations()]

    import contextlib

    assert operations(lambda: hooks.unchanged(model)) == operations(contextlib.nullcontext)


@pytest.mark.slow
def test_an_exported_model_keeps_its_states(tmp_path):
    model, x = recurrent(), signals()
    before = values(model)
    expected = own_gradient(recurrent, model, x, 1)
    scores = np.asarray(copied(model, recurrent)(x))
    kerasal.export(model, tmp_path, signatures=["serving_default", "input_gradient:target=class"])
    assert all(map(np.array_equal, values(model), before))
    served = tf.saved_model.load(str(next(tmp_path.glob("**/saved_model.pb")).parent)).signatures
    for _ in range(2):
        assert close(served["serving_default"](inputs=tf.constant(x))["scores"].numpy(), scores)
        found = served["input_gradient"](inputs=tf.constant(x), class_index=tf.constant([1, 1]))
        assert close(found["map"].numpy(), expected)
