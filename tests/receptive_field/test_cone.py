"""A unit computed from its field alone is the unit on a large image, through every kind of operation."""

import dataclasses

import numpy as np
import pytest

from kerasal import receptive_field
from kerasal.layers import ReflectionPadding2D
from kerasal.receptive_field.geometry.field_geometry import to_field
from kerasal.receptive_field.patterns.pattern_projection import PatternProjector

import keras

L = keras.layers


def branches(tensor):
    short, left = L.Conv2D(4, 1)(tensor), L.Conv2D(4, 5, padding="same", activation="relu6")(tensor)
    joined = L.Add()([short, L.BatchNormalization()(left)])
    return L.Concatenate()([joined, L.MaxPooling2D(3, 1, padding="same")(joined), L.Conv2D(2, 2, padding="same")(left)])


def shuffled(tensor):
    first, second = keras.ops.split(tensor, 2, axis=-1)
    return L.Concatenate()([second, L.AveragePooling2D(3, 1, padding="same")(first)])


def cut_and_padded(tensor):
    return L.Cropping2D(((1, 2), (0, 1)))(L.ZeroPadding2D(((3, 0), (1, 2)))(tensor))[:, 1::2, ::3, :3]


def reflected(tensor):
    return L.Conv2D(4, 3, activation="relu")(ReflectionPadding2D(1)(tensor))


@pytest.mark.parametrize(
    "middle",
    [
        branches,
        shuffled,
        cut_and_padded,
        lambda tensor: L.SeparableConv2D(4, 3, strides=2, padding="same", activation="relu")(tensor),
        lambda tensor: L.Conv2D(4, (3, 2), dilation_rate=2, padding="same", activation="relu")(tensor),
        reflected,
        lambda tensor: L.UpSampling2D(2)(L.ReLU()(tensor)),
        lambda tensor: L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(tensor),
        lambda tensor: L.Dense(4, activation="relu")(tensor),
        lambda tensor: L.LayerNormalization()(tensor) * 0 + L.ReLU()(tensor),
    ],
)
@pytest.mark.quick("branches", "cut_and_padded", "reflected")
def test_the_field_alone_paints_what_a_large_canvas_does(middle):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, 3))
    tensor = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", bias_initializer="ones")(inputs)
    model = keras.Model(inputs, L.Conv2D(3, 3, padding="same", name="end")(middle(tensor)))
    found = receptive_field.patterns(model, "end", final_relu=False)
    small, large = (PatternProjector(model, "end", canvas, final_relu=False) for canvas in ("auto", (61, 58)))
    assert small._field_only or middle is not reflected
    # Above an enlargement neighbors differ: take a unit whole periods away.
    unit = tuple(one + 4 for one in small.canvas.unit)
    box = to_field(large.route, (61, 58)).box(*unit)
    large.canvas = dataclasses.replace(large.canvas, unit=unit, box=box)
    expected = large.canvas.crop(large.project(np.arange(3), np.ones(3)))
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
