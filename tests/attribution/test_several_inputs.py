"""Several image inputs: each gets the map of what it caused itself, or an error."""

import numpy as np
import pytest

from kerasal import attribution, feature_maps, objectives

import keras
import tensorflow as tf

# Of random weights: some images hold nothing for a class.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
CAMS = [name for name in attribution.list_methods() if attribution.method_spec(name).family == "cam"]
layers = keras.layers


def images(seed):
    return np.random.default_rng(seed).normal(size=(2, 8, 8, 3)).astype(np.float32)


def filled(model):
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.4, w.shape) for w in model.weights])
    return model


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 0


@pytest.fixture(scope="module")
def tower():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, activation="relu", name="early")(x)
    return keras.Model(x, layers.Conv2D(5, 3, activation="relu", name="conv")(y), name="tower")


@pytest.fixture(scope="module")
def siamese(tower):
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
    flat = [layers.Flatten()(tower(x)) for x in (one, two)]
    return filled(keras.Model([one, two], layers.Dense(3)(layers.Concatenate()(flat)), name="siamese"))


def by_own_tape(siamese, tower, pair, number, class_index):
    """Grad-CAM of one input: the tower's map of that input alone, watched."""
    maps = [tower(x) for x in pair]
    dense = siamese.layers[-1]
    with tf.GradientTape() as tape:
        tape.watch(maps[number])
        flat = tf.concat([tf.reshape(one, [len(one), -1]) for one in maps], axis=1)
        score = tf.reduce_sum(dense(flat)[:, class_index])
    weights = tf.reduce_mean(tape.gradient(score, maps[number]), axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * maps[number], axis=-1)).numpy()


@pytest.mark.parametrize("layer", [None, "tower/conv"])
def test_each_image_of_a_siamese_model_gets_its_own_map(layer, siamese, tower):
    pair = [images(0), images(1)]
    found = attribution.gradcam(siamese, pair, 1, layer=layer, resize=False)
    for number in (0, 1):
        assert_same(found[number], by_own_tape(siamese, tower, pair, number, 1))
        assert found[number].layer == "tower/conv"


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.quick("ablationcam", "gradcam", "scorecam")
def test_images_that_change_places_change_maps(name):
    """A model that is symmetric in its images: swapping them swaps their maps."""
    x = keras.Input((8, 8, 3))
    tower = keras.Model(x, layers.Conv2D(5, 3, activation="relu")(x))
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    total = layers.Add()([layers.GlobalAveragePooling2D()(tower(x)) for x in (one, two)])
    model = filled(keras.Model([one, two], layers.Dense(3)(total)))
    method = getattr(attribution, name)
    options = {"center": True} if name == "eigengradcam" else {}  # the main pattern is evidence against the classes
    first, second = method(model, [images(0), images(1)], 1, **options)
    swapped = method(model, [images(1), images(0)], 1, **options)
    assert_same(swapped[0], second)
    assert_same(swapped[1], first)
    assert np.abs(first - second).max() > 0.1 * np.abs(first).max()


@pytest.mark.slow
def test_towers_of_two_kinds_give_each_input_its_own_layer():
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((6, 7, 1), name="two")
    left = layers.Conv2D(4, 3, activation="relu", name="left")(one)
    right = layers.Conv2D(5, 2, activation="relu", name="right")(two)
    flat = layers.Concatenate()([layers.Flatten()(left), layers.Flatten()(right)])
    model = filled(keras.Model({"one": one, "two": two}, layers.Dense(3)(flat)))
    pair = {"one": images(0), "two": np.random.default_rng(1).normal(size=(2, 6, 7, 1)).astype(np.float32)}
    for name in CAMS:
        maps = getattr(attribution, name)(model, pair, 0)
        assert (maps["one"].shape, maps["one"].layer) == ((2, 8, 8), "left")
        assert (maps["two"].shape, maps["two"].layer) == ((2, 6, 7), "right")
    with pytest.raises(ValueError, match="'left' must have a map for input 'two'"):
        attribution.gradcam(model, pair, 0, layer="left")


def test_images_that_are_joined_before_a_convolution_have_no_map_of_their_own():
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
    x = layers.Conv2D(4, 3, name="joined")(layers.Concatenate()([one, two]))
    model = filled(keras.Model([one, two], layers.Dense(3)(layers.Flatten()(x))))
    with pytest.raises(ValueError, match=r"must have a map for input 'one': .* depends on this input alone"):
        attribution.gradcam(model, [images(0), images(1)], 0)
    with pytest.raises(ValueError, match="'joined' must have a map for input 'one'"):
        attribution.gradcam(model, [images(0), images(1)], 0, layer="joined")
    assert len(attribution.class_saliency(model, [images(0), images(1)], 0)) == 2


def test_an_input_that_the_target_ignores_has_no_map():
    one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
    left, right = (layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x)) for x in (one, two))
    model = filled(keras.Model([one, two], [layers.Dense(3, name="a")(left), layers.Dense(3, name="b")(right)]))
    with pytest.raises(ValueError, match="must have a map for input 'two'"):
        attribution.gradcam(model, [images(0), images(1)], 0, output="a")


def test_a_layer_that_ran_for_each_image_is_no_target(siamese):
    pair = [images(0), images(1)]
    for explain in (
        lambda: attribution.class_saliency(siamese, pair, objectives.channel("conv", 0)),
        lambda: attribution.gradcam(siamese, pair, objectives.channel("conv", 0)),
        lambda: feature_maps(siamese, pair, "conv"),
    ):
        with pytest.raises(
            ValueError, match=r"'.*conv' must run once in a model of several inputs, but it ran 2 times"
        ):
            explain()


def test_a_layer_that_runs_twice_on_one_image_leaves_the_run_that_the_target_needs():
    x = inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")
    first = conv(x)
    again = conv(first)
    one = layers.Dense(2, name="one")(layers.GlobalAveragePooling2D()(first))
    two = layers.Dense(2, name="two")(layers.GlobalAveragePooling2D()(again))
    model = filled(keras.Model(inputs, [one, two]))
    maps = attribution.gradcam(model, images(0), 1, output="one", resize=False)
    seen = conv(images(0))
    kernel = model.get_layer("one").kernel.numpy()[:, 1] / 64
    assert_same(maps, tf.nn.relu(tf.reduce_sum(seen * kernel, axis=-1)).numpy())
