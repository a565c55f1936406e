"""The digest of a model: another for whatever computes other numbers, the same for the same model anywhere."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from kerasal.hooks import digest_model

import keras
import tensorflow as tf

FACTOR = 2.0
HERE = pathlib.Path(__file__).parent


@keras.saving.register_keras_serializable("kerasal_tests")
class Scaled(keras.layers.Layer):
    """A layer with a setting that its configuration does not tell."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.factor = 1.0

    def call(self, inputs):
        return FACTOR * inputs * self.factor


class Own(keras.Model):
    """A subclassed model with state of every kind."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)
        self.temperature, self.options = 1.0, {"power": [1, 2]}
        self.table = np.arange(3.0)
        self.shape_it = lambda values: values * self.temperature

    def call(self, inputs):
        return self.shape_it(self.dense(inputs)) + self.table ** self.options["power"][0]


def network(activation="relu", strides=1, pooling=keras.layers.MaxPooling2D, skip=True, **settings):
    """A small functional model with a layer of everything."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    normalized = keras.layers.Normalization()(inputs)
    first = keras.layers.Conv2D(3, 3, strides, padding="same", activation=activation, **settings)(normalized)
    joined = first + normalized if skip and strides == 1 else first * 1.0
    pooled = pooling(2)(keras.layers.LeakyReLU(0.25)(keras.ops.relu(joined)))
    pooled = Scaled()(keras.layers.Dropout(0.5)(pooled))
    scaled = keras.layers.Lambda(lambda values: values * 2.0, output_shape=pooled.shape[1:])(pooled)
    return keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(scaled)))


def own():
    """The subclassed model, built."""
    keras.utils.set_random_seed(0)
    model = Own()
    model(np.zeros((1, 3), np.float32))
    return model


def wrapped():
    """Layers within layers."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
    layers = [keras.layers.TimeDistributed(inner), keras.layers.Bidirectional(keras.layers.LSTM(2))]
    return keras.Sequential([keras.Input((5, 4)), *layers, keras.layers.Dense(1)])


def layer(model, kind):
    return next(one for one in model._flatten_layers() if type(one) is kind)


def test_the_same_model_built_again_is_the_same():
    for build in (network, own, wrapped):
        first, second = build(), build()
        assert [one.name for one in first.layers] != [one.name for one in second.layers] or build is own
        assert digest_model(first) == digest_model(second)


@pytest.mark.slow
def test_another_process_gives_the_same():
    """Its hashes are others, its counters of names are, and it has run the functions many times."""
    code = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import test_model_digest as this
this.digest_model(this.network())
print(this.keras.layers.Layer().name, this.keras.Sequential().name)  # no counter is moved on
this.keras.layers.Dense(1), this.network(strides=2)
models = [this.network(), this.own(), this.wrapped()]
for _ in range(20):
    models[1](this.np.ones((1, 3)))
print(*map(this.digest_model, models))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    wanted = ["layer", "sequential", *(digest_model(build()) for build in (network, own, wrapped))]
    assert done.stdout.split() == wanted, done.stderr[-2000:]


@pytest.mark.parametrize(("build", "suffix"), [(network, ".keras"), (wrapped, ".keras"), (wrapped, ".h5")])
def test_a_saved_model_is_the_same(build, suffix, tmp_path):
    model = build()
    if build is network:
        layer(model, keras.layers.Normalization).adapt(np.random.default_rng(0).normal(3, 2, (4, 8, 8, 3)))
    model.save(tmp_path / f"model{suffix}")
    loaded = keras.saving.load_model(tmp_path / f"model{suffix}", compile=False, safe_mode=False)
    assert digest_model(loaded) == digest_model(model)


def test_what_changes_nothing_changes_no_digest():
    for model, inputs in ((network(), np.ones((2, 8, 8, 3), np.float32)), (own(), np.ones((2, 3), np.float32))):
        before, architecture = digest_model(model), digest_model(model, weights=False)
        model(inputs)
        outputs = model.predict(inputs, verbose=0)
        model.summary(print_fn=lambda *_, **__: None)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.evaluate(inputs, outputs, verbose=0)
        model.trainable = False
        assert digest_model(model) == before
        model.trainable = True
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(inputs, outputs + 1, verbose=0)
        assert digest_model(model) != before
        assert digest_model(model, weights=False) == architecture


CHANGES = {
    "activation": lambda: network("elu"),
    "own activation": lambda: network(lambda values: keras.ops.relu(values) * 2),
    "another own activation": lambda: network(lambda values: keras.ops.relu(values) * 3),
    "pooling": lambda: network(pooling=keras.layers.AveragePooling2D),
    "connections": lambda: network(skip=False),
    "dilation": lambda: network(dilation_rate=2),
    "data type": lambda: network(dtype="float16"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_architecture_with_the_same_weights(change):
    changed = CHANGES[change]()
    changed.set_weights(network().get_weights())
    assert digest_model(changed) != digest_model(network())
    assert digest_model(changed, weights=False) != digest_model(network(), weights=False)


def test_strides_and_functions_are_told_apart():
    built = [network(), *(network(strides=stride) for stride in (1, 2)), *(build() for build in CHANGES.values())]
    assert len({digest_model(one) for one in built}) == len(built) - 1


def lora(model):
    layer(model, keras.layers.Dense).enable_lora(1)


def quantized(model):
    layer(model, keras.layers.Dense).quantize("int8")


MUTATIONS = {
    "a weight": lambda m: layer(m, keras.layers.Dense).bias.assign([1.0, 0.0]),
    "activation": lambda m: setattr(layer(m, keras.layers.Conv2D), "activation", keras.activations.elu),
    "strides": lambda m: setattr(layer(m, keras.layers.MaxPooling2D), "strides", (1, 1)),
    "slope": lambda m: setattr(layer(m, keras.layers.LeakyReLU), "negative_slope", 0.5),
    "adapted": lambda m: layer(m, keras.layers.Normalization).adapt(np.ones((4, 8, 8, 3))),
    "a plain tensor": lambda m: setattr(layer(m, keras.layers.Normalization), "mean", tf.ones((1, 1, 1, 3))),
    "an attribute": lambda m: setattr(layer(m, Scaled), "factor", 3.0),
    "a function": lambda m: setattr(layer(m, keras.layers.Lambda), "function", lambda values: values * 3.0),
    "call": lambda m: setattr(layer(m, keras.layers.Dense), "call", lambda inputs: inputs),
    "lora": lora,
    "quantized": quantized,
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_layer(mutation):
    model = network()
    before = digest_model(model)
    MUTATIONS[mutation](model)
    assert digest_model(model) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "temperature", 2.0),
        lambda m: m.options["power"].__setitem__(0, 2),
        lambda m: m.table.__setitem__(0, 5.0),
        lambda m: setattr(m, "shape_it", lambda values: values - m.temperature),
        lambda m: setattr(m, "shape_it", keras.ops.relu),
        lambda m: setattr(m, "shape_it", tf.function(lambda values: values)),
        lambda m: m.dense.kernel.assign_add(np.ones((3, 3))),
    ],
)
def test_a_changed_subclassed_model(change):
    model = own()
    before = digest_model(model)
    change(model)
    assert digest_model(model) != before


def test_what_is_within_a_tf_function():
    models = [own(), own()]
    for number, model in enumerate(models):
        model.shape_it = tf.function(lambda values, factor=number: values * factor)
    assert digest_model(models[0]) != digest_model(models[1])


@pytest.mark.parametrize("kind", [keras.layers.Discretization, keras.layers.IntegerLookup])
def test_what_was_adapted_and_is_no_variable(kind):
    models = []
    for values in ([1, 2, 3, 4], [1, 2, 3, 9]):
        settings = {"num_bins": 3} if kind is keras.layers.Discretization else {}
        layer = kind(**settings)
        layer.adapt(np.array(values))
        inputs = keras.Input((1,), dtype="int64")
        models.append(keras.Model(inputs, layer(inputs)))
    assert digest_model(models[0]) != digest_model(models[1])


def test_a_saved_model_folder_is_its_files(tmp_path):
    import kerasal

    digests = []
    for name, activation in (("a", "relu"), ("b", "elu")):
        keras.utils.set_random_seed(0)
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation)]).export(tmp_path / name, verbose=False)
        digests.append(digest_model(kerasal.load_model(tmp_path / name)))
    (tmp_path / "a").rename(tmp_path / "c")
    assert digests[0] == digest_model(kerasal.load_model(tmp_path / "c")) != digests[1]


def test_the_code_of_a_class_and_what_it_refers_to(monkeypatch):
    before = digest_model(own()), digest_model(network())
    monkeypatch.setattr(Own, "call", lambda self, inputs: self.dense(inputs))
    assert digest_model(own()) != before[0] and digest_model(network()) == before[1]
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert digest_model(network()) != before[1]
