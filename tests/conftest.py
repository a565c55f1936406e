"""What the tests share: quiet TensorFlow, real data where there is some, one net in every spelling of Keras."""

import functools
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

# Tests of pages and files with models of random weights, whose maps may hold no positive evidence.
_MAPS_MAY_BE_ZERO = ("atlas", "serving", "batch", "callbacks", "docs", "viewer")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark parameters of a test as slow that its mark ``quick`` does not list; let maps of some folders be 0."""
    found = {(item.path, item.originalname, item.callspec.id) for item in items if hasattr(item, "callspec")}
    for item in items:
        if quick := item.get_closest_marker("quick"):
            unknown = [name for name in quick.args if (item.path, item.originalname, name) not in found]
            selected = config.getoption("lf", False) or any("::" in argument for argument in config.args)
            if unknown and not selected:
                raise pytest.UsageError(f"{item.nodeid}: quick must name parameters of the test, got {unknown}.")
            if item.callspec.id not in quick.args:
                item.add_marker(pytest.mark.slow)
        if item.path.parent.name in _MAPS_MAY_BE_ZERO:
            item.add_marker(pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap"))


def write_colored_squares(folder, names, each, size, square) -> pathlib.Path:
    """A folder a class of ``each`` noisy pictures, whose pixels ``square`` are redder, greener or bluer by class."""
    from kerasal import images

    random = np.random.default_rng(0)
    for label, name in enumerate(names):
        for number in range(each):
            picture = random.integers(0, 120, (*size, 3))
            picture[*square, label] += 130
            images.write(folder / name / f"{number}.png", picture.astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def colored_squares():
    """The function that writes class folders; see ``write_colored_squares``."""
    return write_colored_squares


@pytest.fixture(scope="session")
def color_classifier():
    """A classifier of 32 × 32 pixels, 0..1, whose score is a mean over positions: red, green and blue things."""
    import keras

    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="colors")(image)
    model = keras.Model(image, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(x)))
    kernel = np.full((3, 3, 3, 3), -0.1, np.float32)
    for channel in range(3):
        kernel[:, :, channel, channel] = 0.2
    model.get_layer("colors").set_weights([kernel, np.full(3, -0.5, np.float32)])
    return model


@pytest.fixture(scope="session")
def data_folder() -> pathlib.Path:
    """The real data, where the environment variable KERASAL_DATA says or beside the checkout."""
    beside = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("KERASAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data: set KERASAL_DATA, or put it at {beside}")
    return folder


@pytest.fixture(scope="session")
def mnist_path(data_folder) -> pathlib.Path:
    """The real mnist.npz; without it the test is skipped."""
    path = data_folder / "mnist.npz"
    if not path.is_file():
        pytest.skip(f"no real MNIST: {path} is missing")
    return path


@functools.cache
def _attention_layer():
    """A layer of self-attention over the positions of a map, which are its tokens, with a residual connection."""
    import keras

    @keras.saving.register_keras_serializable("kerasal.tests")
    class SelfAttention(keras.layers.Layer):
        def build(self, shape):
            self.tokens = (-1, shape[1] * shape[2], shape[3])
            self.heads = keras.layers.MultiHeadAttention(2, 3, name="heads")
            self.heads.build((None, *self.tokens[1:]), (None, *self.tokens[1:]))

        def call(self, maps):
            tokens = keras.ops.reshape(maps, self.tokens)
            return maps + keras.ops.reshape(self.heads(tokens, tokens), (-1, *maps.shape[1:]))

    return SelfAttention


def _layers(relu="attribute", attention=False):
    """Two convolutions, a pooling, batch norm and a softmax, with ReLU spelled one way, and an attention if asked."""
    import keras

    make = {
        "attribute": lambda name: [],
        "layer": lambda name: [keras.layers.ReLU(name=name)],
        "activation": lambda name: [keras.layers.Activation("relu", name=name)],
        "relu6 attribute": lambda name: [],
        "relu6 layer": lambda name: [keras.layers.ReLU(max_value=6, name=name)],
        "relu6 activation": lambda name: [keras.layers.Activation("relu6", name=name)],
    }[relu]
    own = {"attribute": "relu", "relu6 attribute": "relu6"}.get(relu)
    return [
        keras.layers.Conv2D(4, 3, padding="same", activation=own, name="conv1"),
        *make("relu1"),
        keras.layers.MaxPooling2D(name="pool"),
        keras.layers.BatchNormalization(name="norm"),
        *([_attention_layer()(name="attend")] if attention else []),
        keras.layers.Conv2D(5, 3, activation=own, name="conv2"),
        *make("relu2"),
        keras.layers.Dropout(0.5, name="drop"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(6, activation="softmax", name="predictions"),
    ]


def _apply(layers, tensor):
    for layer in layers:
        tensor = layer(tensor)
    return tensor


def build(kind: str, relu: str = "attribute", shape=(8, 8, 3), attention: bool = False):
    """One net as a functional, Sequential, nested (two levels) or subclassed model; weights by ``fill``."""
    import keras

    how = relu.split()[-1]
    layers = None if how in ("op", "call") else _layers(relu, attention)
    inputs = keras.Input(shape)
    if kind == "functional" and how == "op":
        function = keras.ops.relu6 if "relu6" in relu else keras.ops.relu
        one, _, pool, norm, *attend, two, _, drop, flatten, dense = _layers("layer", attention)
        tensor = _apply(attend, norm(pool(function(one(inputs)))))
        model = keras.Model(inputs, dense(flatten(drop(function(two(tensor))))))
    elif kind == "functional":
        model = keras.Model(inputs, _apply(layers, inputs), name="functional")
    elif kind == "sequential":
        model = keras.Sequential([inputs, *layers], name="sequential")
    elif kind == "nested":
        split = next(i for i, layer in enumerate(layers) if layer.name == "flatten")
        innermost = keras.Sequential([keras.Input(shape), *layers[:2]], name="innermost")
        middle = keras.Input(shape)
        encoder = keras.Model(middle, _apply(layers[2:split], innermost(middle)), name="encoder")
        model = keras.Model(inputs, _apply(layers[split:], encoder(inputs)), name="nested")
    else:
        model = _subclassed(layers or _layers("layer", attention), {"call": "relu", "relu6 call": "relu6"}.get(relu))
        model(np.zeros((1, *shape), np.float32))
    return fill(model)


def _subclassed(layers, in_call):
    import keras
    import tensorflow as tf

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__(name="subclassed")
            self.parts = layers

        def call(self, tensor, training=False):
            for layer in self.parts:
                plain = in_call and isinstance(layer, keras.layers.ReLU)
                tensor = getattr(tf.nn, in_call)(tensor) if plain else layer(tensor)
            return tensor

    return Subclassed()


def fill(model, seed=0):
    """Give a model the same weights however it is built: by the names of its layers."""
    random = np.random.default_rng(seed)
    values = {}
    for name, shapes in (
        ("conv1", [(3, 3, 3, 4), (4,)]),
        ("norm", [(4,), (4,), (4,), (4,)]),
        ("conv2", [(3, 3, 4, 5), (5,)]),
        ("predictions", [(20, 6), (6,)]),
        ("attend", [(4, 2, 3), (2, 3), (4, 2, 3), (2, 3), (4, 2, 3), (2, 3), (2, 3, 4), (4,)]),
    ):
        values[name] = [random.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]
    values["norm"][3] = np.abs(values["norm"][3]) + 0.5  # a variance
    for layer in model._flatten_layers():
        if layer.name in values:
            given, wanted = values[layer.name], layer.get_weights()
            given[0] = given[0][:, :, : wanted[0].shape[2]] if layer.name == "conv1" else given[0]  # gray images
            layer.set_weights(given)
    return model


@pytest.fixture(scope="session")
def make_model():
    """The function that builds the net; see ``build``."""
    return build


@pytest.fixture(scope="session")
def shared_model():
    """The same, each spelling built once: for tests that leave it as it is, so that they share its traces."""
    return functools.cache(build)


@pytest.fixture(scope="session")
def batch():
    """Three images for it."""
    return np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)
