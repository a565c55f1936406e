"""Inputs of any rank: which axes of features, signals, gray images, volumes and videos are positions and channels."""

import numpy as np
import pytest

from kerasal import attribution, feature_maps, objectives
from kerasal.hooks.image_shapes import declared_image_shape, takes_channels_first
from kerasal.hooks.layout import channels_last
from kerasal.hooks.positions import channel_axes
from kerasal.hooks.trace import cached_trace

import keras
import tensorflow as tf

layers = keras.layers
FIRST = {"data_format": "channels_first"}


def stack(shape, *parts) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape), *parts, layers.Dense(3)])


def attend(x):
    """A transformer block, whose products of attention contract the time as well."""
    normal = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(normal, normal)])
    return layers.Add()([x, layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))])


def mix(x):
    """A mixer block: a dense layer along the time and one along the channels."""
    x = layers.Add()([x, layers.Permute((2, 1))(layers.Dense(12)(layers.Permute((2, 1))(x)))])
    return layers.Dense(8)(x)


def attend_rows(x):
    """Attention along the rows of an image, whose products contract them."""
    return layers.Add()([x, layers.MultiHeadAttention(2, 4, attention_axes=(2,))(x, x)])


def residual(block, *parts, shape=(12, 8)) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = block(inputs)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def compiled_gray(shape):
    """A model that adds the channel inside a compiled function."""

    @tf.function
    def convolve(x):
        return tf.nn.conv2d(x[..., None], tf.ones((3, 3, 1, 2)), 1, "VALID")

    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Lambda(convolve)(inputs))))


# The model, and the channel axis of its input.
KINDS = {
    "Conv1D": (lambda: stack((12, 3), layers.Conv1D(4, 3), layers.GlobalAveragePooling1D()), 2),
    "normalized": (lambda: stack((12, 3), layers.LayerNormalization(), layers.Conv1D(4, 3), layers.Flatten()), 2),
    "Conv1D first": (lambda: stack((3, 12), layers.Conv1D(4, 3, **FIRST), layers.Flatten()), 1),
    "Conv1D permuted": (lambda: stack((3, 12), layers.Permute((2, 1)), layers.Conv1D(4, 3), layers.Flatten()), 1),
    "Conv3D": (lambda: stack((5, 6, 7, 2), layers.Conv3D(4, 3), layers.GlobalAveragePooling3D()), 4),
    "Conv3D first": (lambda: stack((2, 5, 6, 7), layers.Conv3D(4, 3, **FIRST), layers.Flatten()), 1),
    "Conv3D permuted": (
        lambda: stack((6, 5, 6, 7), layers.Permute((2, 3, 4, 1)), layers.Conv3D(4, 3), layers.Flatten()),
        1,
    ),
    "LSTM": (lambda: stack((12, 3), layers.LSTM(4, return_sequences=True), layers.GlobalAveragePooling1D()), 2),
    "unrolled": (lambda: stack((12, 3), layers.SimpleRNN(4, unroll=True)), 2),
    "dense": (lambda: stack((12, 3), layers.Dense(4, activation="relu"), layers.Flatten()), 2),
    "pooled": (lambda: stack((12, 3), layers.GlobalAveragePooling1D()), 2),
    "transformer": (lambda: residual(attend, layers.GlobalAveragePooling1D()), 2),
    "attention along rows": (lambda: residual(attend_rows, layers.Flatten(), shape=(6, 7, 8)), 3),
    "mixer": (lambda: residual(mix, layers.Flatten()), 2),
    "TimeDistributed": (lambda: stack((5, 6, 7, 3), layers.TimeDistributed(layers.Conv2D(4, 3)), layers.Flatten()), 4),
    "TimeDistributed first": (
        lambda: stack((5, 3, 6, 7), layers.TimeDistributed(layers.Conv2D(4, 3, **FIRST)), layers.Flatten()),
        2,
    ),
    "ConvLSTM first": (lambda: stack((5, 3, 6, 7), layers.ConvLSTM2D(4, 3, **FIRST), layers.Flatten()), 2),
    "gray": (lambda: stack((6, 7), layers.Reshape((6, 7, 1)), layers.Conv2D(4, 3), layers.Flatten()), None),
    "compiled gray": (lambda: compiled_gray((6, 7)), None),
    "gray, flattened": (lambda: stack((6, 7), layers.Flatten(), layers.Dense(4, activation="relu")), None),
    "gray volume": (
        lambda: stack((5, 6, 7), layers.Reshape((5, 6, 7, 1)), layers.Conv3D(4, 3), layers.Flatten()),
        None,
    ),
    "features": (lambda: stack((7,), layers.Dense(4, activation="relu")), None),
    "univariate signal": (lambda: stack((12,), layers.Reshape((12, 1)), layers.Conv1D(4, 3), layers.Flatten()), None),
}
# Of this layout TensorFlow has no gradient on a CPU; "Conv3D first" is compiled by XLA, which has one.
GPU_ONLY = ("Conv1D first", "TimeDistributed first", "ConvLSTM first")


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    make, axis = KINDS[request.param]
    model = make()
    inputs = np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    return request.param, model, inputs, axis


def test_the_channel_axis_is_read_from_the_graph(kind):
    _, model, _, axis = kind
    assert channel_axes(model) == [axis]


def test_a_method_sees_positions_before_channels(kind):
    name, model, inputs, axis = kind
    seen = []

    @channels_last
    def method(view):
        seen.append(tuple(view.inputs[0].shape[1:]))
        view.run()  # the model takes what the layout hands it
        return [view.inputs[0]]

    trace = cached_trace(method, model, [inputs])
    sizes = [size for place, size in enumerate(inputs.shape) if place not in (0, axis)]
    assert seen[-1] == (*sizes, 1 if axis is None else inputs.shape[axis])
    if name not in GPU_ONLY:
        np.testing.assert_array_equal(trace([inputs], [])[0], inputs)  # a result with channels has the input's layout


@pytest.mark.quick("Conv1D", "Conv3D permuted", "pooled", "dense", "gray", "features")
def test_maps_have_the_positions_of_the_input(kind):
    name, model, inputs, axis = kind
    if name in GPU_ONLY and not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow has no gradient of this layout on a CPU.")
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(model(x, training=False)[:, 1])
    gradient = tape.gradient(score, x).numpy()
    expected = np.abs(gradient) if axis is None else np.abs(gradient).max(axis=axis)
    assert expected.max() > 0
    np.testing.assert_allclose(attribution.class_saliency(model, inputs, 1), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(attribution.input_gradient(model, inputs, 1), gradient, rtol=1e-4, atol=1e-6)
    summed = gradient * inputs if axis is None else (gradient * inputs).sum(axis=axis)
    np.testing.assert_allclose(attribution.gradient_x_input(model, inputs, 1), summed, rtol=1e-4, atol=1e-5)


def test_layers_of_a_sequence_that_disagree_are_named():
    inputs = keras.Input((6, 7))
    one = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(inputs))
    other = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(layers.Reshape((6, 7, 1))(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([one, other])))
    with pytest.raises(ValueError, match=r"one channel axis, but the model takes no axis by .* and axis 2 by"):
        attribution.class_saliency(model, np.zeros((1, 6, 7), np.float32))


def test_a_volume_without_channels_is_no_image():
    make, _ = KINDS["gray volume"]
    for question in (takes_channels_first, declared_image_shape):
        with pytest.raises(ValueError, match=r"one image input .* takes \(N, 5, 6, 7\) as a volume"):
            question(make())


@pytest.mark.parametrize("name", ["features", "gray", "Conv1D", "Conv3D"])
def test_integrated_gradients_take_a_baseline_of_any_rank(name):
    make, axis = KINDS[name]
    model = make()
    random = np.random.default_rng(2)
    inputs = random.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    baseline = random.normal(size=model.input_shape[1:]).astype(np.float32)
    maps, gap = attribution.integrated_gradients(model, inputs, 0, baseline=baseline, steps=200, return_gap=True)
    assert maps.shape == (inputs.shape if axis is None else inputs.shape[:-1])
    change = (model(inputs) - model(np.broadcast_to(baseline, inputs.shape)))[:, 0].numpy()
    np.testing.assert_allclose(maps.reshape(2, -1).sum(axis=1) - gap, change, atol=1e-4)
    assert np.abs(gap).max() < 0.02 * np.abs(change).max()
    with pytest.raises(ValueError, match="baseline must be finite and broadcast"):
        attribution.integrated_gradients(model, inputs, 0, baseline=np.zeros((*inputs.shape[1:-1], 5)))


def test_a_blurred_baseline_is_blurred_along_every_position_axis():
    model = stack((4, 5, 30, 2), layers.Conv3D(2, 1, use_bias=False), layers.Flatten())  # linear
    inputs = np.random.default_rng(3).normal(size=(1, 4, 5, 30, 2)).astype(np.float32)
    blurred = inputs.astype(np.float64)
    for axis in (1, 2, 3):
        size = blurred.shape[axis]
        sigma = 0.05 * size
        offsets = np.arange(-int(np.ceil(3 * sigma)), int(np.ceil(3 * sigma)) + 1)
        weights = np.exp(-0.5 * (offsets / sigma) ** 2)
        moved = [blurred.take(np.clip(np.arange(size) + offset, 0, size - 1), axis=axis) for offset in offsets]
        blurred = sum(weight * part for weight, part in zip(weights / weights.sum(), moved, strict=True))
    gradient = attribution.input_gradient(model, inputs, 0)
    found = attribution.integrated_gradients(model, inputs, 0, baseline="blur", steps=1)
    np.testing.assert_allclose(found, (gradient * (inputs - blurred)).sum(axis=-1), rtol=1e-4, atol=1e-5)


def test_features_have_no_order_to_blur():
    make, _ = KINDS["features"]
    with pytest.raises(ValueError, match=r"inputs with an order such as images and signals.* got 'blur' for an input"):
        attribution.integrated_gradients(make(), np.zeros((1, 7)), 0, baseline="blur")


@pytest.mark.parametrize("rank", [3, 5])
@pytest.mark.quick("3")
def test_layers_of_two_layouts_with_a_permutation_between(rank):
    """The channels of each layer are known, also where one layer takes them last and the next first."""
    if rank == 3:
        shape, order, convolution, pooling = (9, 2), (2, 1), layers.SeparableConv1D, layers.GlobalAveragePooling1D
    else:
        shape, order, convolution, pooling = (4, 5, 6, 2), (4, 1, 2, 3), layers.Conv3D, layers.GlobalAveragePooling3D
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    one = convolution(3, 2, name="one")(inputs)
    two = convolution(5, 2, name="two", **FIRST)(layers.Permute(order)(one))
    model = keras.Model(inputs, layers.Dense(3)(pooling(**FIRST)(two)))
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    plain = tf.function(keras.Model(inputs, [one, two]))(x)
    last = np.moveaxis(plain[1].numpy(), 1, -1)
    assert last.shape[-1] == 5
    np.testing.assert_allclose(feature_maps(model, x, "two"), last, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(feature_maps(model, x, "one"), plain[0], rtol=1e-4, atol=1e-6)
    found = attribution.input_gradient(model, x, objectives.channel("two", 4))
    with tf.GradientTape() as tape:
        tape.watch(variable := tf.constant(x))
        score = tf.reduce_sum(
            tf.reduce_mean(tf.function(keras.Model(inputs, two))(variable)[:, 4], axis=range(1, rank - 1))
        )
    np.testing.assert_allclose(found, tape.gradient(score, variable), rtol=1e-4, atol=1e-6)
    assert attribution.class_saliency(model, x, 0).shape == (2, *shape[:-1])


def test_a_layer_of_a_compiled_convolution_has_its_channels_last():
    """Keras compiles convolutions in channels first, and nothing else in this graph tells the layout."""
    keras.utils.set_random_seed(0)
    model = stack((2, 5, 6, 7), layers.Conv3D(4, 3, name="conv", **FIRST), layers.Flatten())
    x = np.random.default_rng(0).normal(size=(2, 2, 5, 6, 7)).astype(np.float32)
    plain = keras.Model(model.inputs[0], model.get_layer("conv").output)(x).numpy()
    np.testing.assert_allclose(feature_maps(model, x, "conv"), np.moveaxis(plain, 1, -1), rtol=1e-4, atol=1e-6)
