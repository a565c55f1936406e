"""Sequential, nested and subclassed models and transformers: the same results as on an equivalent flat model."""

import warnings

import numpy as np
import pytest
from tf_keras_vis.activation_maximization.input_modifiers import Jitter
from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer, GuidedBackpropagation, ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from kerasal import hooks
from kerasal.compat.tf_keras_vis.class_maps import MixedPositions
from tests.compat.pairs import CAMS, MAPS, check_equal, flat_model, images, pair, seeded

import keras
import tensorflow as tf

L = keras.layers
X = images(2, 12, 14, 3)
SCORES = CategoricalScore([0, 3])


def make_layers():
    return [
        L.Conv2D(6, 3, activation="relu", padding="same", name="first"),
        L.MaxPooling2D(),
        L.Conv2D(8, 3, activation="relu", name="last"),
        L.GlobalAveragePooling2D(),
        L.Dense(5, activation="softmax", name="classes"),
    ]


class Blocks(keras.Model):
    """The layers in the order of their call, the last two in a layer of their own."""

    def __init__(self):
        super().__init__()
        self.parts = make_layers()

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Block(L.Layer):
    def __init__(self, parts, **options):
        super().__init__(**options)
        self.parts = parts

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Nested(keras.Model):
    """Convolutions inside a layer of the user, which tf-keras-vis does not search."""

    def __init__(self):
        super().__init__()
        *parts, self.head = make_layers()
        self.body = Block(parts)

    def call(self, x):
        return self.head(self.body(x))


def sequential():
    return keras.Sequential([keras.Input((12, 14, 3)), *make_layers()])


def deferred():
    model = keras.Sequential(make_layers())
    model(X)
    return model


def nested():
    *parts, head = make_layers()
    inputs = keras.Input((12, 14, 3))
    return keras.Model(inputs, head(keras.Sequential([keras.Input((12, 14, 3)), *parts], name="body")(inputs)))


def nested_twice():
    inputs = keras.Input((12, 14, 3))
    return keras.Model(inputs, keras.Sequential([keras.Input((12, 14, 3)), nested()], name="outer")(inputs))


def called(make):
    model = make()
    model(X)
    return model


KINDS = {
    "Sequential": sequential,
    "deferred": deferred,
    "nested": nested,
    "nested twice": nested_twice,
    "subclassed": lambda: called(Blocks),
    "layers in layers": lambda: called(Nested),
}
FLAT = flat_model()


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    model = KINDS[request.param]()
    for weight in model.weights:  # a layer of the user may list its head first
        weight.assign(next(value for value in FLAT.get_weights() if value.shape == weight.shape))
    return model


@pytest.mark.quick("nested-Saliency-linear", "subclassed-Gradcam-none")
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
@pytest.mark.parametrize(
    "modifier",
    [None, ReplaceToLinear(), [GuidedBackpropagation(), ReplaceToLinear()]],
    ids=["none", "linear", "guided"],
)
@pytest.mark.parametrize("name", MAPS)
def test_maps_equal_those_of_tf_keras_vis_on_the_flat_model(name, modifier, kind):
    ours, theirs = pair(name)
    before = kind.get_weights()
    check_equal(ours(kind, modifier)(SCORES, X), theirs(FLAT, modifier)(SCORES, X))
    assert all(map(np.array_equal, kind.get_weights(), before))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
@pytest.mark.parametrize(
    "modifier", [ReplaceToLinear(), [ExtractIntermediateLayer("last"), ReplaceToLinear()]], ids=["class", "channel"]
)
def test_maximization_equals_that_of_tf_keras_vis_on_the_flat_model(modifier, kind):
    ours, theirs = pair("ActivationMaximization")
    options = {"steps": 4, "input_modifiers": [Jitter(2)], "seed_input": X}
    check_equal(
        seeded(ours(kind, modifier), SCORES, **options),
        seeded(theirs(FLAT, modifier), SCORES, **options),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMS)
def test_a_layer_at_any_depth(name, kind):
    ours = pair(name)[0]
    if name == "Scorecam" or "first" not in [layer.name for layer in kind.layers]:
        deep = ours(kind)(SCORES, X, penultimate_layer="first", seek_penultimate_conv_layer=False)
        flat = ours(FLAT)(SCORES, X, penultimate_layer=1, seek_penultimate_conv_layer=False)
        check_equal(deep, flat)


@pytest.fixture(scope="module")
def transformer():
    """A vision transformer as a flat model, of which tf-keras-vis maps the patch embedding."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((16, 24, 3))
    x = L.Reshape((24, 16))(L.Conv2D(16, 4, strides=4, name="patches")(inputs))
    for block in range(2):
        y = L.LayerNormalization(name=f"norm{block}")(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 8)(y, y)])
    model = keras.Model(inputs, L.Dense(5, activation="softmax")(L.GlobalAveragePooling1D()(x)))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.5, weight.shape) for weight in model.weights])
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
@pytest.mark.parametrize("name", MAPS)
def test_a_transformer_inside_another_model(name, transformer):
    ours, theirs = pair(name)
    x = images(2, 16, 24, 3, seed=1)
    wrapped = keras.Sequential([keras.Input((16, 24, 3)), transformer])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mine = ours(wrapped)(SCORES, x)
    assert (name == "Saliency") != any(issubclass(one.category, MixedPositions) for one in caught)
    check_equal(mine, theirs(transformer)(SCORES, x))


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMS)
def test_tokens_are_put_on_their_grid(name, transformer):
    ours = pair(name)[0]
    x = images(2, 16, 24, 3, seed=1)
    options = {"penultimate_layer": "norm1", "seek_penultimate_conv_layer": False, "expand_cam": False}
    maps = ours(transformer)(SCORES, x, activation_modifier=None, normalize_cam=False, **options)
    assert maps.shape == (2, 4, 6)
    assert ours(transformer)(SCORES, x, **{**options, "expand_cam": True}).shape == (2, 16, 24)
    if name == "Layercam":
        watched = hooks.watched(transformer, taps=["norm1"], logits=False)
        with tf.GradientTape(persistent=True) as tape:
            output, layers = watched(x)
            scores = tf.gather(output, SCORES.indices, axis=1, batch_dims=1)
        gradient = tape.gradient(scores, layers["norm1"])
        expected = tf.reduce_sum(layers["norm1"] * tf.nn.relu(gradient), axis=-1).numpy().reshape(2, 4, 6)
        np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())


def shared():
    """Convolutions that two inputs share, of which the last called is run first."""
    convolutions = [L.Conv2D(6, 3, activation="relu"), L.Conv2D(8, 3, activation="relu", name="last")]
    layers = [*convolutions, L.GlobalAveragePooling2D()]
    ends = []
    inputs = [keras.Input((12, 14, 3), name=name) for name in ("left", "right")]
    for x in inputs:
        for layer in layers:
            x = layer(x)
        ends.append(x)
    keras.utils.set_random_seed(0)
    return keras.Model(inputs, L.Dense(5, activation="softmax")(L.Subtract()(ends)))


@pytest.mark.quick("Gradcam")
@pytest.mark.filterwarnings("ignore:[\\s\\S]*The structure of `inputs`:UserWarning")
@pytest.mark.parametrize("name", CAMS)
def test_a_layer_that_runs_twice_is_read_where_tf_keras_vis_reads_it(name):
    ours, theirs = pair(name)
    model, inputs = shared(), [X, X[::-1]]
    options = {"activation_modifier": None, "normalize_cam": False}
    check_equal(ours(model)(SCORES, inputs, **options), theirs(model)(SCORES, inputs, **options))


def test_a_model_that_a_call_has_built_takes_any_number_of_images():
    model = keras.Sequential(make_layers())
    model(images(4, 12, 14, 3))
    model.set_weights(FLAT.get_weights())
    for name in ("Saliency", "Gradcam", "Scorecam"):
        check_equal(pair(name)[0](model)(SCORES, X), pair(name)[0](FLAT)(SCORES, X))
    ascent = pair("ActivationMaximization")[0](model)
    assert ascent(CategoricalScore(1), steps=1).shape == (1, 12, 14, 3)


def test_states_for_another_number_of_images_are_an_error():
    inputs = keras.Input((4, 3), batch_size=2)
    model = keras.Model(inputs, L.Dense(2)(L.SimpleRNN(3, stateful=True)(inputs)))
    with pytest.raises(ValueError, match="must have exactly 2 images"):
        pair("Saliency")[0](model)(CategoricalScore(0), images(3, 4, 3))
