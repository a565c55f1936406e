"""The arithmetic at the start of a model: what counts, what it is, and the range of pixels that it is for."""

import numpy as np
import pytest

from kerasal.hooks.pixel_arithmetic import pixel_arithmetic

import keras
from keras import applications, layers


def _body(tensor):
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same")(tensor)))


def _model(first, shape=(16, 16, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, _body(first(inputs)))


def _normalization(low, high):
    """A layer that is adapted to images of mean .45 and standard deviation .25 between black and white."""
    pixels = np.clip(np.random.default_rng(0).normal(0.45, 0.25, (40, 8, 8, 3)), 0, 1)
    layer = layers.Normalization()
    layer.adapt((low + (high - low) * pixels).astype(np.float32))
    return layer


def _nested(tensor):
    backbone = applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    return backbone(layers.RandomFlip()(tensor))


def _both_ways(tensor):
    return layers.Add()([layers.Conv2D(3, 3)(layers.Rescaling(1 / 255)(tensor)), layers.Conv2D(3, 3)(tensor)])


RANGES = {
    "rescaling": (layers.Rescaling(1 / 255), ["none"]),
    "rescaling to -1..1": (layers.Rescaling(1 / 127.5, -1), ["none"]),
    "normalized 0..255": (_normalization(0, 255), ["none"]),
    "normalized 0..1": (_normalization(0, 1), ["unit"]),
    "normalized -1..1": (_normalization(-1, 1), ["tf"]),
    "mean .5": (layers.Normalization(mean=0.5, variance=0.08), ["unit"]),
    "0..1 to -1..1": (layers.Rescaling(2, -1), ["unit"]),
    "chain": (lambda x: _normalization(0, 1)(layers.Rescaling(1 / 255)(x)), ["none"]),
    "bright images": (layers.Normalization(mean=0.7, variance=0.12), ["unit", "tf"]),
    "factor": (layers.Rescaling(2.0), []),
    "preprocess_input tf": (applications.mobilenet_v2.preprocess_input, ["none"]),
    "preprocess_input caffe": (applications.vgg16.preprocess_input, ["none"]),
    "preprocess_input torch": (applications.densenet.preprocess_input, ["none"]),
    "arithmetic": (lambda x: (x - 127.0) / 128.0, ["none"]),
    "gray to color": (lambda x: layers.Concatenate()([x[..., :1]] * 3) / 255.0, ["none"]),
    "augmentation": (keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)]), ["none"]),
}


@pytest.mark.parametrize("kind", RANGES)
def test_the_range_follows_from_the_arithmetic(kind):
    first, ranges = RANGES[kind]
    assert pixel_arithmetic(_model(first)).ranges == ranges


@pytest.mark.parametrize(
    "first",
    [lambda x: x, layers.Normalization(mean=0.0, variance=1.0), layers.Activation("tanh"), _both_ways],
    ids=["nothing", "identity", "curve", "bypass"],
)
def test_where_nothing_is_scaled_or_not_all_pixels_are_there_is_no_arithmetic(first):
    assert pixel_arithmetic(_model(first)) is None


def test_the_arithmetic_is_that_of_the_model(tmp_path):
    """Also after saving: caffe exchanges red and blue and subtracts the means."""
    model = _model(applications.vgg16.preprocess_input)
    model.save(tmp_path / "caffe.keras")
    for one in (model, keras.saving.load_model(tmp_path / "caffe.keras")):
        found = pixel_arithmetic(one)
        np.testing.assert_allclose(found.mean, (103.939, 116.779, 123.68), rtol=1e-4)
        np.testing.assert_allclose(found.scale, 1, rtol=1e-5)
        assert found.source.tolist() == [2, 1, 0] and found.verb == "center"


@pytest.mark.slow
def test_the_built_in_preprocessing_of_keras_applications():
    for build in (applications.EfficientNetV2B0, applications.ConvNeXtTiny, applications.EfficientNetB0):
        found = pixel_arithmetic(build(include_top=False, weights=None))
        assert found.ranges == ["none"], build.__name__
    assert pixel_arithmetic(_model(_nested, (32, 32, 3))).ranges == ["none"]
    without = applications.MobileNetV3Small(include_top=False, weights=None, include_preprocessing=False)
    assert pixel_arithmetic(without) is None


def test_channels_first_and_images_without_channels():
    inputs = keras.Input((3, 12, 12))
    first = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))
    inputs = keras.Input((12, 12))
    gray = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))
    assert pixel_arithmetic(first).ranges == pixel_arithmetic(gray).ranges == ["none"]
