"""Positions through a graph: whatever moves, splits or joins the axes of a map, the map can be put back together."""

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks.axis_factors import Axis, Factor
from kerasal.hooks.position_tracer import PositionTracer

import keras
import tensorflow as tf

HEIGHT, WIDTH, CHANNELS = 4, 6, 3


def put_back(function, *, batch=None, shape=(HEIGHT, WIDTH, CHANNELS), channel_axis=-1):
    """Return what ``function`` computes from maps whose values tell their positions, put back into maps; None if lost.

    The first value of the pair is the maps themselves.
    """
    traced = {}

    def run(x):
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        result = function(x)
        tracer = PositionTracer([x], [channel_axis % x.shape.rank], graph.get_operations()[before:])
        positions = tracer.positions(result)
        traced["positions"], traced["axes"] = positions, tracer.axes(result)
        return result if positions is None else positions.to_map(result)

    spec = tf.TensorSpec((batch, *shape), tf.float32)
    maps = tf.random.stateless_normal((2, *shape), (0, 0)) if batch is None else tf.zeros((batch, *shape))
    found = tf.function(run, autograph=False).get_concrete_function(spec)(maps)
    return maps.numpy(), None if traced["positions"] is None else found.numpy(), traced


def trace(function, shape, channel_axis):
    """Return the tracer of a function of one input, and the function's result in the graph."""
    seen = []

    def run(x):
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        result = function(x)
        seen.append((PositionTracer([x], [channel_axis % x.shape.rank], graph.get_operations()[before:]), result))

    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((None, *shape), tf.float32))
    return seen[0]


def windows(x, size=2):
    x = tf.reshape(x, (-1, x.shape[1] // size, size, x.shape[2] // size, size, x.shape[3]))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, size * size, x.shape[-1]))


def with_prefix(x, count=1):
    tokens = tf.reshape(x, (-1, HEIGHT * WIDTH, CHANNELS))
    prefix = tf.broadcast_to(tf.ones((1, count, CHANNELS)), (tf.shape(tokens)[0], count, CHANNELS))
    return tf.concat([prefix, tokens], axis=1)


def with_registers(x):
    tokens = with_prefix(x)
    registers = tf.broadcast_to(tf.zeros((1, 4, CHANNELS)), (tf.shape(tokens)[0], 4, CHANNELS))
    return tf.concat([tokens[:, :1], registers, tokens[:, 1:]], axis=1)


def padded_windows(x):
    padded = tf.pad(tf.roll(x, (-1, -2), (1, 2)), ((0, 0), (0, 2), (1, 2), (0, 0)))
    return windows(tf.roll(padded, -1, 2), 3)


def flattened_dense(x):
    """A dense layer on tokens as Keras computes it, through a matrix of all tokens of all images."""
    tokens = with_prefix(x)
    flat = tf.reshape(tokens, (-1, CHANNELS))
    return tf.reshape(flat @ tf.eye(CHANNELS), (-1, 1 + HEIGHT * WIDTH, CHANNELS))


KEPT = {
    "the map": tf.identity,
    "tokens": lambda x: tf.reshape(x, (-1, HEIGHT * WIDTH, CHANNELS)),
    "class token": with_prefix,
    "two tokens": lambda x: with_prefix(x, 2),
    "tokens without the class token": lambda x: with_prefix(x, 2)[:, 2:],
    "class token and registers": with_registers,
    "windows": windows,
    "shifted windows": lambda x: windows(tf.roll(x, (-1, 1), (1, 2))),
    "padded and shifted windows": padded_windows,
    "channels second": lambda x: tf.transpose(x, (0, 3, 1, 2)),
    "tokens last": lambda x: tf.transpose(tf.reshape(x, (-1, HEIGHT * WIDTH, CHANNELS)), (0, 2, 1)),
    "columns first": lambda x: tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (-1, HEIGHT * WIDTH, CHANNELS)),
    "a dense layer": flattened_dense,
    "dynamic shapes": lambda x: tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1] * tf.shape(x)[2], -1)),
    "split and joined": lambda x: tf.concat(tf.split(x, 3, axis=-1), axis=-1),
    "flipped": lambda x: tf.reverse(x, [2]),
    "flipped, then tokens": lambda x: tf.reshape(tf.reverse(x, [1, 2]), (-1, HEIGHT * WIDTH, CHANNELS)),
    "computed order of axes": lambda x: tf.transpose(
        x, tf.concat([[0, 2, 1], tf.range(3, tf.constant(5) - 1)], axis=0)
    ),
    "a residual connection": lambda x: x + tf.gather(tf.zeros_like(x), [3, 1, 2, 0], axis=1),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_map_is_put_back_together(name):
    maps, found, _ = put_back(KEPT[name])
    np.testing.assert_array_equal(found, maps)


LOST = {
    "tokens in another order": lambda x: tf.gather(with_prefix(x), np.random.default_rng(0).permutation(25), axis=1),
    "tokens in another order, convolved": lambda x: tf.nn.conv2d(
        tf.reshape(
            tf.gather(tf.reshape(x, (-1, 24, CHANNELS)), np.random.default_rng(0).permutation(24), axis=1),
            (-1, 4, 6, 3),
        ),
        tf.ones((1, 1, CHANNELS, 5)),
        1,
        "SAME",
    ),
    "a map made of features, convolved": lambda x: tf.nn.conv2d(
        tf.reshape(tf.reshape(x, (-1, 72)) @ tf.ones((72, 48)), (-1, 4, 6, 2)), tf.ones((3, 3, 2, 5)), 2, "SAME"
    ),
    "some windows": lambda x: tf.reshape(windows(x), (-1, 6, 4, CHANNELS))[:, :3],
    "the mean over positions": lambda x: tf.reduce_mean(x, axis=(1, 2)),
    "a dense layer along tokens": lambda x: (
        tf.transpose(tf.reshape(x, (-1, 24, CHANNELS)), (0, 2, 1)) @ tf.ones((24, 24))
    ),
    "two maps side by side": lambda x: tf.concat([x, x], axis=1),
    "tokens and heads": lambda x: tf.reshape(tf.tile(x, (1, 1, 1, 2)), (-1, 24, 2, CHANNELS)),
    "learned tokens beside": lambda x: tf.reshape(x, (-1, 24, 1, CHANNELS)) + tf.ones((1, 1, 5, 1)),
}


@pytest.mark.parametrize("name", LOST)
def test_positions_that_are_not_known_are_not_guessed(name):
    _, found, _ = put_back(LOST[name])
    assert found is None


def test_the_grid_of_a_convolution_is_that_of_its_output():
    kernel = tf.ones((3, 3, CHANNELS, 5))
    _, found, traced = put_back(lambda x: tf.reshape(tf.nn.conv2d(x, kernel, 2, "SAME"), (-1, 6, 5)))
    assert traced["positions"].grid == (2, 3)
    assert traced["positions"].sources == ((0, 0), (0, 1))
    assert found.shape == (2, 2, 3, 5)


@pytest.mark.parametrize(
    ("shape", "layer", "grid"),
    [
        ((20, 3), keras.layers.Conv1D(5, 3, strides=2), (9,)),
        ((3, 20), keras.layers.Conv1D(5, 3, data_format="channels_first"), (18,)),
        ((6, 8, 10, 2), keras.layers.Conv3D(5, 3, padding="same"), (6, 8, 10)),
        ((2, 6, 8, 10), keras.layers.Conv3D(5, 3, data_format="channels_first"), (4, 6, 8)),
        ((3, 8, 10), keras.layers.Conv2D(5, 3, data_format="channels_first"), (6, 8)),
        ((8, 10, 3), keras.layers.DepthwiseConv2D(3), (6, 8)),
        ((8, 10, 4), keras.layers.Conv2D(6, 3, groups=2), (6, 8)),
        ((8, 10, 4), keras.layers.Conv2DTranspose(6, 2, strides=2), (16, 20)),
        ((8, 10, 4), keras.layers.UpSampling2D(2, interpolation="bilinear"), (16, 20)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_convolutions_of_every_rank_and_layout(shape, layer, grid):
    channel_axis = 1 if getattr(layer, "data_format", "") == "channels_first" else -1
    tracer, result = trace(layer, shape, channel_axis)
    positions = tracer.positions(result)
    assert positions.grid == grid
    assert positions.sources == tuple((0, place) for place in range(len(grid)))
    assert positions.channel_axis == channel_axis % (len(shape) + 1)


@pytest.mark.parametrize("sides", [(None,), (None, 10), (None, None)])
def test_a_group_normalization_keeps_positions_whose_number_is_open(sides):
    tracer, result = trace(keras.layers.GroupNormalization(2), (*sides, 4), -1)
    positions = tracer.positions(result)
    assert positions.grid == sides and positions.channel_axis == len(sides) + 1
    assert positions.sources == tuple((0, place) for place in range(len(sides)))


@pytest.mark.parametrize("channels", [(4,), (2, 2)])
@pytest.mark.parametrize("first", [0, None])
def test_an_open_size_that_is_copied_to_another_axis_is_not_guessed(channels, first):
    def reshape(x, *order):
        sizes = tf.shape(x)
        batch = -1 if first is None else sizes[first]
        return tf.reshape(x, (batch, *[sizes[axis] for axis in order], *channels))

    tracer, result = trace(lambda x: reshape(x, 2, 1), (None, None, 4), -1)
    assert tracer.positions(result) is None and tracer.axes(result)[1] is None
    tracer, result = trace(lambda x: reshape(x, 1, 2), (None, None, 4), -1)
    assert [axis.positions[0].source for axis in tracer.axes(result)[1:3]] == [(0, 0), (0, 1)]


def attend(x):
    tokens = tf.reshape(x, (-1, HEIGHT * WIDTH, CHANNELS))
    return tf.nn.softmax(tokens @ tf.transpose(tokens, (0, 2, 1))) @ tokens


@pytest.mark.parametrize(
    ("function", "count"),
    [(attend, 1), (lambda x: tf.nn.conv2d(x, tf.ones((3, 3, CHANNELS, 5)), 1, "SAME"), 0)],
    ids=["attention", "convolution"],
)
def test_attention_mixes_positions_and_a_convolution_does_not(function, count):
    assert len(trace(function, (HEIGHT, WIDTH, CHANNELS), -1)[0].mixing) == count


def test_prefix_tokens_are_counted_before_the_positions():
    _, _, traced = put_back(with_registers)
    assert traced["axes"][1] == Axis((Factor((0, 0), HEIGHT), Factor((0, 1), WIDTH)), before=5)


@pytest.mark.filterwarnings("ignore::kerasal.attribution.ZeroMap")  # of random weights
def test_patches_that_strided_slices_merge_cover_the_whole_input():
    inputs = keras.Input((16, 24, 3))
    x = keras.layers.Conv2D(6, 4, strides=4, activation="relu")(inputs)
    x = keras.ops.concatenate([x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=-1)
    x = keras.layers.Conv2D(5, 1, name="merged")(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype(np.float32)
    assert attribution.layercam(model, images, 1, layer="merged", resize=False).shape == (2, 2, 3)
