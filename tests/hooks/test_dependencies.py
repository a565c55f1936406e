"""The layer of a class activation map is one that everything goes through: no branch, no gate, no pooling's weights."""

import numpy as np
import pytest

from kerasal import attribution, objectives
from kerasal.hooks.dependencies import cut_tensors, needed_operations

import keras
import tensorflow as tf

# Of random weights: some images hold nothing for a class.
pytestmark = pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")
layers = keras.layers


def filled(model, seed=0):
    random = np.random.default_rng(seed)
    for layer in model.layers:  # a normalization keeps its variance above 0
        if not isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.normal(0, 0.3, w.shape) for w in layer.weights])
    return model


def photos(count=2, size=(8, 8, 3), seed=1):
    return np.random.default_rng(seed).normal(size=(count, *size)).astype(np.float32)


def convolution(filters, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def dense_net(x):
    for number in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Concatenate(name=f"concat{number}")([x, convolution(4, name=f"growth{number}")(y)])
    return layers.ReLU(name="last")(layers.BatchNormalization()(x))


def inception(x):
    a = convolution(4, 1, activation="relu")(x)
    b = convolution(5, activation="relu")(convolution(3, 1, activation="relu")(x))
    c = convolution(2, 1, activation="relu")(layers.MaxPooling2D(3, 1, padding="same")(x))
    return layers.Concatenate(name="last")([a, b, c])


def pooled_branches(x):
    x = layers.Concatenate(name="early")([convolution(2)(x), convolution(3, 1)(x)])
    return layers.Concatenate(name="last")([layers.MaxPooling2D()(convolution(n)(x)) for n in (4, 6)])


def shuffled(x):
    x = convolution(8, activation="relu")(x)
    x = layers.Concatenate()([x[..., :4], convolution(4, activation="relu")(x[..., 4:])])
    x = keras.ops.transpose(layers.Reshape((8, 8, 2, 4))(x), (0, 1, 2, 4, 3))
    return layers.Reshape((8, 8, 8), name="last")(x)


def gated_at_half_size(x):
    x = convolution(6, activation="relu")(x)
    gate = layers.UpSampling2D()(convolution(6, strides=2, activation="sigmoid")(x))
    return layers.Multiply(name="last")([x, gate])


@pytest.mark.parametrize("body", [dense_net, inception, pooled_branches, shuffled, gated_at_half_size])
def test_gradcam_is_the_class_activation_map_of_what_is_averaged(body):
    """Zhou et al. 2016: with global average pooling and one dense layer, the map is the maps weighted by its kernel."""
    inputs = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(body(convolution(4, activation="relu", name="first")(inputs)))
    model = filled(keras.Model(inputs, layers.Dense(4, name="head")(pooled)))
    maps = keras.Model(inputs, model.get_layer("last").output)(photos()).numpy()
    expected = np.maximum(maps @ model.get_layer("head").kernel.numpy()[:, 2], 0) / maps[0, ..., 0].size
    found = attribution.gradcam(model, photos(), 2, resize=False)
    assert found.layer == "last"
    assert np.abs(found - expected).max() <= 1e-5 * expected.max()
    assert expected.max() > 0


@pytest.mark.parametrize("kind", ["attention", "vlad"])
def test_the_weights_of_a_pooling_are_no_map(kind):
    """With weights p of a softmax over places, the mean gradient is the kernel again: that of log p sums to 0."""
    inputs = keras.Input((8, 8, 3))
    x = convolution(6, activation="relu", name="conv")(inputs)
    if kind == "attention":
        weights = layers.Softmax(axis=1)(layers.Reshape((64, 1))(convolution(1, 1, name="weights")(x)))
        pooled = layers.Flatten()(layers.Dot(axes=1)([weights, layers.Reshape((64, 6))(x)]))
    else:
        shares = layers.Softmax(name="shares")(convolution(3, 1, name="weights")(x))
        pooled = keras.ops.einsum("npk,npc->nkc", layers.Reshape((64, 3))(shares), layers.Reshape((64, 6))(x))
        pooled = layers.Flatten()(pooled)
    model = filled(keras.Model(inputs, layers.Dense(4, name="head")(pooled)))
    found = attribution.gradcam(model, photos(), 2, resize=False)
    assert found.layer == "conv"
    if kind == "attention":
        maps = keras.Model(inputs, x)(photos()).numpy()
        expected = np.maximum(maps @ model.get_layer("head").kernel.numpy()[:, 2], 0) / 64
        assert np.abs(found - expected).max() <= 1e-5 * expected.max()


def test_a_class_read_off_one_branch_has_the_map_of_all_branches():
    inputs = keras.Input((8, 8, 3))
    x = layers.Concatenate(name="joined")([convolution(4, name="a")(inputs), convolution(6, 1, name="b")(inputs)])
    model = filled(keras.Model(inputs, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x))))
    kernel = np.zeros((10, 2), np.float32)
    kernel[:4] = 1
    model.get_layer("head").set_weights([kernel, np.zeros(2)])
    found = attribution.gradcam(model, photos(), 0, resize=False)
    expected = np.maximum(model.get_layer("a")(photos()).numpy().sum(-1), 0) / 64
    assert found.layer == "joined"
    assert np.abs(found - expected).max() <= 1e-5 * expected.max()


def test_what_branches_start_from_is_the_map_where_only_their_averages_meet():
    inputs = keras.Input((8, 8, 3))
    x = stem = convolution(4, activation="relu", name="stem")(inputs)
    averages = []
    for filters in (5, 6):
        x = convolution(filters, strides=2, activation="relu")(x)
        averages.append(layers.GlobalAveragePooling2D()(x))
    model = filled(keras.Model(inputs, layers.Dense(4)(layers.Concatenate()([*averages, stem[:, 0, 0]]))))
    assert attribution.gradcam(model, photos(), 2).layer == "stem"


def test_beside_a_connection_around_all_maps_the_last_convolution_is_the_map():
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU(name="last")(convolution(5)(convolution(4, activation="relu")(inputs)))
    averages = [layers.GlobalAveragePooling2D()(one) for one in (inputs, x)]
    model = filled(keras.Model(inputs, layers.Dense(4)(layers.Concatenate()(averages))))
    assert attribution.gradcam(model, photos(), 2).layer == "last"


def test_a_target_in_two_layers_has_the_map_that_both_depend_on():
    inputs = keras.Input((8, 8, 3))
    x = convolution(4, activation="relu", name="early")(inputs)
    model = filled(keras.Model(inputs, layers.GlobalAveragePooling2D()(convolution(5, name="late")(x))))
    both = objectives.channel("early", 1) + objectives.channel("late", 2)
    assert attribution.gradcam(model, photos(), both).layer == "early"
    assert attribution.gradcam(model, photos(), objectives.channel("late", 2)).layer == "late"


@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_the_tensors_without_which_the_input_is_not_reached(seed):
    random = np.random.default_rng(seed)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (2,))
        tensors = [x]
        for number in range(40):
            recent = tensors[-4 if number % 7 else -1 :]
            chosen = [recent[i] for i in random.integers(0, len(recent), 2)]
            tensors += tf.split(chosen[0], 2) if number % 9 == 4 else [tf.add(*chosen)]
            tensors[-2:] = [tf.tile(one, [2]) if one.shape == (1,) else one for one in tensors[-2:]]
        scores = tensors[-1]
        needed = needed_operations(scores)
        operations = graph.get_operations()

    def is_reached(removed):
        pending, done = [scores], set()
        while pending:
            tensor = pending.pop()
            if tensor is x:
                return True
            if tensor is not removed and tensor.ref() not in done:
                done.add(tensor.ref())
                pending += list(tensor.op.inputs)
        return False

    made = [tensor for op in operations for tensor in op.outputs if tensor is not x]
    expected = {tensor.ref() for tensor in made if not is_reached(tensor)} - {scores.ref()}
    found = cut_tensors(x, [op for op in operations if op in needed])
    assert found - {scores.ref()} == expected
    assert 0 < len(expected) < len(made)


def test_a_normalization_of_a_map_of_one_place_is_no_pooling():
    x = inputs = keras.Input((8, 8, 3))
    for number in range(3):
        x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(name=f"relu{number}")(layers.BatchNormalization(axis=3, scale=False)(x))
    model = filled(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    assert attribution.gradcam(model, photos(), 2).layer == "relu2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("VGG16", 32, "block5_conv3"),
        ("ResNet50", 64, "conv5_block3_out"),
        ("MobileNet", 64, "conv_pw_13_relu"),
        ("MobileNetV2", 64, "out_relu"),
        ("EfficientNetB0", 64, "top_activation"),
        ("Xception", 96, "block14_sepconv2_act"),
        ("DenseNet121", 64, "relu"),
        ("InceptionV3", 96, "mixed10"),
        ("NASNetMobile", 64, None),  # an activation that Keras numbers
    ],
)
def test_known_networks_give_what_their_average_pooling_reads(name, size, layer):
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=5)
    pooling = [one for one in model.layers if isinstance(one, layers.GlobalAveragePooling2D)]
    found = attribution.gradcam(model, photos(1, (size, size, 3)), 2, resize=False)
    if name not in ("VGG16", "MobileNet"):  # a pooling, a dropout
        layer = layer or pooling[-1].input._keras_history.operation.name
    assert found.layer == layer


@pytest.mark.parametrize("method", ["gradcam", "layercam", "scorecam"])
@pytest.mark.quick("gradcam")
def test_a_map_of_exchanged_rows_and_columns_is_turned_back(method):
    """The same network on images that were turned beforehand, its maps turned back by NumPy."""
    plain_input, inputs = keras.Input((8, 6, 3)), keras.Input((6, 8, 3))
    body = [convolution(4, strides=2, name="a"), layers.MaxPooling2D(1), convolution(5, activation="relu", name="b")]
    body += [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    plain = filled(keras.Model(plain_input, keras.Sequential(body)(plain_input)), seed=2)
    model = keras.Model(inputs, plain(layers.Permute((2, 1, 3))(inputs)))
    images = photos(2, (6, 8, 3))
    run = getattr(attribution, method)
    for resize in (True, False):
        expected = run(plain, images.transpose(0, 2, 1, 3), 1, resize=resize).transpose(0, 2, 1)
        found = run(model, images, 1, resize=resize)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * expected.max()
        assert expected.max() > 0
