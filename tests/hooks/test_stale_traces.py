"""A map is that of the model and the question as they are now, whatever has changed since the last call.

The reference is an eager GradientTape on the same model, which runs its Python anew every time.
"""

import collections
import dataclasses
import functools
import types

import numpy as np
import pandas as pd
import pytest

import kerasal
from kerasal import attribution, features, objectives
from kerasal.hooks import snapshot, trace
from kerasal.receptive_field.geometry.field_geometry import remember_field

import keras
import tensorflow as tf

TEMPERATURE = 1.0


def reference(model, inputs, score):
    """The gradient of the scores by an own tape."""
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        scores = score(model(inputs, training=False))
    return tape.gradient(scores, inputs).numpy()


def first_class(output):
    return output[:, 0]


def assert_fresh(model, inputs, target=0, score=first_class):
    found = attribution.input_gradient(model, inputs, target, logits=False)
    expected = reference(model, inputs, score)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)


def small(*layers, name=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(3, activation="softsign")],
        name=name,
    )


class Scaled(keras.layers.Layer):
    """Reads numbers, a flag, a function, a global, a closure, a class attribute and an object of its own."""

    factor = 1.0

    def __init__(self):
        super().__init__()
        self.temperature, self.flag, self.function = 1.0, False, None
        self.settings = types.SimpleNamespace(bias=0.0)
        self.numbers, self.table = [1.0, 1.0], {"gain": 1.0}
        self.array, self.tensor = np.ones(3, np.float32), tf.ones(3)

    def call(self, x):
        x = self.function(x) if self.function else x
        number = self.temperature * self.numbers[1] * self.table["gain"] * TEMPERATURE * self.factor
        x = x * (number * self.array * self.tensor + self.settings.bias)
        return tf.square(x) if self.flag else x


def activation_with(factor):
    return lambda x: x / (1 + tf.abs(factor * x))


CHANGES = {
    "a number": lambda layer, n: setattr(layer, "temperature", n),
    "a flag": lambda layer, n: setattr(layer, "flag", bool(n % 2)),
    "a new function, the old one freed": lambda layer, n: setattr(layer, "function", activation_with(n)),
    "an element of a list": lambda layer, n: layer.numbers.__setitem__(1, n),
    "an entry of a dictionary": lambda layer, n: layer.table.__setitem__("gain", n),
    "an object's attribute": lambda layer, n: setattr(layer.settings, "bias", n),
    "an array, replaced": lambda layer, n: setattr(layer, "array", np.full(3, n, np.float32)),
    "an array, in place": lambda layer, n: layer.array.__imul__(n),
    "a tensor": lambda layer, n: setattr(layer, "tensor", tf.fill([3], n)),
    "a class attribute": lambda layer, n: setattr(type(layer), "factor", n),
    "a global": lambda layer, n: globals().__setitem__("TEMPERATURE", n),
    "the code of call": lambda layer, n: setattr(layer, "call", lambda x: n * x),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.quick("a flag", "a tensor", "an array, in place", "a global", "the code of call")
def test_what_a_layer_reads_is_read_anew(change, images, monkeypatch):
    monkeypatch.setattr(Scaled, "factor", 1.0)
    monkeypatch.setitem(globals(), "TEMPERATURE", 1.0)
    layer = Scaled()
    model = small(layer)
    for number in (1.0, 3.0, 2.0):
        CHANGES[change](layer, number)
        assert_fresh(model, images)


class Helper:
    """Reads a global in methods that Python calls by itself, and is not the layer's own class."""

    def __call__(self, x):
        return x * self[0]

    def __getitem__(self, number):
        return TEMPERATURE


def helper_module():
    """A module of the user's, with another in it, as a package has them."""
    outer, inner = types.ModuleType("outer"), types.ModuleType("inner")
    outer.__file__ = inner.__file__ = __file__
    inner.gain, outer.inner = 1.0, inner
    outer.scale = lambda x: x * outer.inner.gain
    return outer


class Wide(keras.layers.Layer):
    """Uses names that Keras uses for itself, a module, a wrapped function and a function with its own gradient."""

    def __init__(self):
        super().__init__()
        self.history, self.gain_constraint, self.helper, self.module = 1.0, [1.0], Helper(), helper_module()
        self.series, self.registry = pd.Series([1.0]), collections.UserDict(gain=1.0)
        self.slope = slope = [1.0]

        @functools.wraps(keras.activations.relu)
        def rectify(x):
            return x * slope[0]

        @tf.custom_gradient
        def straight(x):
            return x * slope[0], lambda signal: signal * slope[0]

        self.rectify, self.straight = rectify, straight

    def call(self, x):
        x = self.module.scale(self.helper(x)) * self.history * self.gain_constraint[0] * self.registry["gain"]
        return self.straight(self.rectify(x)) * float(self.series.iloc[0])


WIDE_CHANGES = {
    "a global that a helper reads": lambda layer, n: globals().__setitem__("TEMPERATURE", n),
    "a name of Keras's own": lambda layer, n: setattr(layer, "history", n),
    "a name of a constraint": lambda layer, n: layer.gain_constraint.__setitem__(0, n),
    "a module within a module": lambda layer, n: setattr(layer.module.inner, "gain", n),
    "a wrapped function's closure": lambda layer, n: layer.slope.__setitem__(0, n),
    "a user's dictionary": lambda layer, n: layer.registry.__setitem__("gain", n),
    "a series": lambda layer, n: setattr(layer, "series", pd.Series([n])),
}


# The slow ones differ from the quick one in where the same walk finds them.
@pytest.mark.parametrize("change", WIDE_CHANGES)
@pytest.mark.quick("a name of Keras's own")
def test_what_is_read_by_way_of_others_is_read_anew(change, images, monkeypatch):
    monkeypatch.setitem(globals(), "TEMPERATURE", 1.0)
    layer = Wide()
    model = small(layer)
    compiled = attribution.input_gradient.compiled(model, logits=False)
    for number in (1.0, 3.0):
        WIDE_CHANGES[change](layer, number)
        assert_fresh(model, images)
    expected = reference(model, images, first_class)
    assert np.abs(compiled(images, [0, 0]) - expected).max() <= 1e-4 * np.abs(expected).max()


class Bound:
    index = 0

    def score(self, output):
        return output[:, self.index]


def test_a_bound_method_is_one_target(images):
    model, target = small(keras.layers.Conv2D(4, 3)), Bound()
    for index in (0, 0, 1):
        target.index = index
        assert_fresh(model, images, target.score, lambda output, index=index: output[:, index])
        assert len(trace.traces(model)) == 1


def test_settings_of_keras_also_for_compiled_methods(images):
    model = small(keras.layers.Lambda(lambda x: x / (keras.config.epsilon() + tf.abs(x))))
    compiled, before = attribution.input_gradient.compiled(model, logits=False), keras.config.epsilon()
    try:
        for epsilon in (1.0, 3.0):
            keras.config.set_epsilon(epsilon)
            assert_fresh(model, images)
            expected = reference(model, images, first_class)
            assert np.abs(compiled(images, [0, 0]) - expected).max() <= 1e-4 * np.abs(expected).max()
    finally:
        keras.config.set_epsilon(before)


def test_normalization_that_loads_weights_or_adapts(images, tmp_path):
    model, other = (small(keras.layers.Normalization(mean=None), name="same") for _ in range(2))
    other.layers[0].adapt(images * 3 + 1)
    other.save_weights(tmp_path / "other.weights.h5")
    assert_fresh(model, images)
    model.load_weights(tmp_path / "other.weights.h5")
    assert_fresh(model, images)
    np.testing.assert_allclose(
        attribution.input_gradient(model, images, 0), attribution.input_gradient(other, images, 0), rtol=1e-5
    )
    model.layers[0].adapt(images * 5)
    assert_fresh(model, images)


@pytest.mark.slow
def test_lora_quantization_and_a_replaced_variable(images):
    model = small(keras.layers.Conv2D(4, 3))
    assert_fresh(model, images)
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(tf.ones_like(model.layers[0].lora_kernel_b))
    assert_fresh(model, images)
    model = small(keras.layers.Dense(4))
    assert_fresh(model, images)
    last = model.layers[-1]
    last._tracker.unlock()
    last._kernel = keras.Variable(2 * last.kernel.numpy())
    last._tracker.lock()
    assert_fresh(model, images)
    before = attribution.input_gradient(model, images, 0)
    model.layers[0].quantize("int8")  # whose gradient is 0 where it rounds, so there is nothing to compare a tape with
    assert not np.array_equal(attribution.input_gradient(model, images, 0), before)


def test_an_activation_set_to_none_and_to_new_functions(images):
    layer = keras.layers.Conv2D(4, 3)
    model = small(layer)
    for factor in range(1, 5):
        layer.activation = None
        layer.activation = activation_with(float(factor))
        assert_fresh(model, images)


def test_negative_slope_and_padding_of_keras_layers(images):
    relu = keras.layers.LeakyReLU(negative_slope=0.1)
    model = small(keras.layers.Conv2D(4, 3, padding="same"), relu)
    for slope in (0.1, 0.5, 0.1):
        relu.negative_slope = slope
        assert_fresh(model, images)
    assert_fresh(model, images)


ROUTINES = {
    "maximize": lambda model, images, _: (
        kerasal.maximize(model, objectives.channel("first", 1), steps=3, preset="channel", preprocessing="none").raw
    ),
    "feature_maps": lambda model, images, _: features.feature_maps(model, images, "first"),
    "known_field": lambda model, images, _: np.array(remember_field(model, "first", (6, 6)).size),
    "compiled": lambda model, images, compiled: compiled(tf.constant(images), tf.constant([0, 1])).numpy(),
    "guided_backprop": lambda model, images, _: attribution.guided_backprop(model, images, 0),
}


@pytest.mark.parametrize("routine", ROUTINES)
def test_every_routine_sees_the_change(routine, images):
    model = small(keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first"), keras.layers.ReLU())
    run, compiled = ROUTINES[routine], attribution.gradcam.compiled(model, layer="first")
    before = run(model, images, compiled)
    model.layers[0].activation, model.layers[0].dilation_rate = keras.activations.tanh, (2, 2)
    fresh = keras.models.clone_model(model)
    fresh.set_weights(model.get_weights())
    after, expected = (
        run(model, images, compiled),
        run(fresh, images, attribution.gradcam.compiled(fresh, layer="first")),
    )
    largest = np.abs(expected).max()
    assert np.abs(before - expected).max() > 1e-3 * largest
    assert np.abs(after - expected).max() <= 1e-5 * largest


def test_a_function_target_whose_closure_globals_or_attributes_change(images):
    model = small(keras.layers.Conv2D(4, 3))

    def score(output):
        return output[:, number] * score.factor * TEMPERATURE

    score.factor = 1.0
    for number in range(3):  # noqa: B007
        assert_fresh(model, images, score, score)
    score.factor = 3.0
    assert_fresh(model, images, score, score)
    globals()["TEMPERATURE"] = 2.0
    assert_fresh(model, images, score, score)
    globals()["TEMPERATURE"] = 1.0
    assert_fresh(model, images, score, score)
    for index in range(3):
        assert_fresh(model, images, functools.partial(_of_index, index), lambda y, index=index: y[:, index])


def _of_index(index, output):
    return output[:, index]


class Chosen:
    """A target with state, also in a slot of its own."""

    __slots__ = ("__weakref__", "index")

    def __init__(self):
        self.index = 0

    def __call__(self, output):
        return output[:, self.index]


def test_an_object_as_target_whose_attributes_change(images):
    from tf_keras_vis.utils.scores import CategoricalScore

    model, chosen, score = small(keras.layers.Conv2D(4, 3)), Chosen(), CategoricalScore([0, 0])
    for index in (0, 2, 1):
        chosen.index, score.indices = index, [index, index]
        assert_fresh(model, images, chosen, chosen)
        assert_fresh(model, images, score, chosen)


class Weighted:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, values, seed=None):
        return self.weight * (tf.reduce_sum(values**2, axis=(1, 2, 3)) if seed is None else values)


@pytest.mark.parametrize("kind", ["regularizers", "transforms"])
def test_a_regularizer_or_transform_with_state(kind):
    model, changing = small(keras.layers.Conv2D(4, 3)), Weighted(1.0)

    def run(one):
        return kerasal.maximize(
            model, 0, steps=2, normalize="none", **{"preset": "channel", "preprocessing": "none", kind: [one]}
        ).raw

    before = run(changing)
    changing.weight = 50.0
    expected = run(Weighted(50.0))
    assert np.abs(before - expected).max() > 1e-3 * np.abs(expected).max()
    np.testing.assert_array_equal(run(changing), expected)


def test_two_equal_frozen_options_share_a_trace_unless_they_hold_more():
    @dataclasses.dataclass(frozen=True)
    class Plain:
        weight: float

    more = Plain(1.0)
    object.__setattr__(more, "hidden", 2.0)
    make_hashable = snapshot.make_hashable
    assert make_hashable(Plain(1.0)) == make_hashable(Plain(1.0)) != make_hashable(Plain(2.0))
    assert make_hashable(more) != make_hashable(Plain(1.0))
    assert make_hashable(Weighted(1.0)) != make_hashable(Weighted(1.0))


class Counting(keras.layers.Layer):
    """Leaves its output for a later look, as many attention layers do, and count its calls with nobody reading it."""

    def call(self, x):
        self.last = x
        return 2 * x


@pytest.mark.slow
def test_nothing_is_traced_again_for_what_keras_notes_for_itself(images, tmp_path, capsys):
    model = small(keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), Counting(), keras.layers.Dropout(0.5))
    model.compile("sgd", "mse", metrics=["mae"])
    maps = [lambda: attribution.input_gradient(model, images, 0), attribution.input_gradient.compiled(model)]
    targets = np.ones((2, 3), np.float32)
    calls = (
        lambda: model(images),
        lambda: model.predict(images, verbose=0),
        lambda: model.fit(images, targets, verbose=0),
        lambda: model.evaluate(images, targets, verbose=0),
        lambda: model.train_on_batch(images, targets),
        lambda: model.save(tmp_path / "model.keras"),
        lambda: model.save_weights(tmp_path / "model.weights.h5"),
        lambda: model.load_weights(tmp_path / "model.weights.h5"),
        lambda: model.set_weights(model.get_weights()),
        lambda: model.summary(),
        lambda: model.get_config(),
        lambda: model.compile("adam", "mae"),
        lambda: keras.models.clone_model(model),
        lambda: keras.Model(model.inputs, model.layers[0].output),
        lambda: model.export(tmp_path / "exported", verbose=False),
    )
    maps[0]()
    maps[1](images)
    kept = dict(trace.traces(model))
    count = maps[1].top.experimental_get_tracing_count()
    for call in calls:
        call()
        maps[0]()
        maps[1](images)
        assert dict(trace.traces(model)) == kept
        assert maps[1].top.experimental_get_tracing_count() == count
    assert_fresh(model, images)


def test_what_nobody_can_follow_to_the_end_is_traced_every_time(images, monkeypatch):
    from kerasal.hooks import snapshot

    monkeypatch.setattr(snapshot, "_MAX_OBJECTS", 20)
    model = small(keras.layers.Conv2D(4, 3))
    assert_fresh(model, images)
    first = dict(trace.traces(model))
    assert_fresh(model, images)
    assert not set(first.values()) & set(trace.traces(model).values())


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # an activation may be off
@pytest.mark.parametrize("seed", range(44))
@pytest.mark.slow
def test_fifty_random_changes(seed, tmp_path):
    """Everything that Keras lets one do to a model between two calls, in any order."""
    random, images = np.random.default_rng(seed), np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    scaled, norm, relu = Scaled(), keras.layers.Normalization(), keras.layers.LeakyReLU()
    first, head = keras.layers.Dense(4, activation="softsign"), keras.layers.Dense(3, activation="softsign")
    batch_norm, lambda_layer = keras.layers.BatchNormalization(), keras.layers.Lambda(lambda x: x * 1.0)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((3,)), scaled, norm, first, relu, batch_norm, lambda_layer, head])

    def number():
        return float(random.uniform(0.5, 2))

    def save_and_load():
        model.save_weights(tmp_path / "some.weights.h5")
        model.load_weights(tmp_path / "some.weights.h5")

    changes = [
        lambda: first._kernel.assign(number() * first._kernel),
        lambda: setattr(first, "activation", activation_with(number())),
        lambda: setattr(first, "activation", random.choice([None, keras.activations.silu, keras.activations.softsign])),
        lambda: setattr(relu, "negative_slope", number()),
        lambda: setattr(norm, "mean", tf.fill([1, 3], number())),
        lambda: setattr(norm, "invert", not norm.invert),
        lambda: norm.adapt(images * number() + number()),
        lambda: setattr(batch_norm, "epsilon", number()),
        lambda: setattr(batch_norm, "moving_mean", batch_norm.moving_mean),
        lambda: batch_norm.moving_variance.assign(number() * batch_norm.moving_variance),
        lambda: setattr(lambda_layer, "function", functools.partial(tf.multiply, number())),
        lambda: first.lora_enabled or first.enable_lora(2),
        lambda: first.lora_enabled and first.lora_kernel_b.assign(number() * tf.ones_like(first.lora_kernel_b)),
        lambda: setattr(head, "use_bias", not head.use_bias),
        lambda: setattr(model, "trainable", not model.trainable),
        lambda: model.pop() and model.add(head),
        lambda: model(images),
        lambda: model.set_weights([number() * weight for weight in model.get_weights()]),
        save_and_load,
        *(functools.partial(change, scaled, float(n)) for change in list(CHANGES.values())[:9] for n in (1, 2)),
    ]
    compiled = attribution.input_gradient.compiled(model, logits=False)
    for step in range(50):
        random.choice(np.array(changes, object))()
        if step % 5:  # a forward pass is stale where a map is, and takes half the time to trace
            expected, found = model(images, training=False), [features.feature_maps(model, images, head.name)]
        else:
            expected = reference(model, images, first_class)
            found = [attribution.input_gradient(model, images, first_class, logits=False)]
            found += [compiled(images, [0, 0]).numpy()] if step % 25 == 0 else []
        for maps in found:
            assert np.abs(maps - expected).max() <= 1e-4 * np.abs(expected).max(), step
