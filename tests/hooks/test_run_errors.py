"""Errors of TensorFlow that have a known cause say it: too little memory, or no GPU."""

import os
import subprocess
import sys

import numpy as np
import pytest

from kerasal import attribution
from kerasal.hooks import run_errors

import keras
import tensorflow as tf


class _Huge(keras.layers.Layer):
    """Makes more values than any memory holds, so that TensorFlow's allocation fails."""

    def call(self, x):
        return tf.reduce_sum(tf.exp(x[..., None] * tf.random.uniform((2**47,))), axis=-1)


@pytest.mark.slow
def test_inputs_larger_than_memory_say_so():
    x = keras.Input((4, 5, 6, 1))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(_Huge()(x))))
    volumes = np.ones((2, 4, 5, 6, 1), np.float32)
    with pytest.raises(
        MemoryError, match=r"got \(2, 4, 5, 6, 1\), .* MiB \(.*OOM.*Pass batch_size=1\. Crop or downsample"
    ):
        attribution.class_saliency(model, volumes, 0)
    with pytest.raises(MemoryError, match=r"got \(1, 4, 5, 6, 1\), .*\)\. Crop or downsample") as caught:
        attribution.class_saliency(model, volumes[:1], 0)
    assert isinstance(caught.value.__cause__, tf.errors.ResourceExhaustedError)


def _channels_first():
    options = {"data_format": "channels_first"}
    parts = [
        keras.layers.DepthwiseConv2D(3, name="first", **options),
        keras.layers.Conv2D(4, 3, name="second", **options),
    ]
    return keras.Sequential([keras.Input((2, 16, 16)), *parts, keras.layers.Flatten(), keras.layers.Dense(2)])


def _runs_all_but_conv(name, rank, is_grouped=False):
    return name != "conv"


def test_a_convolution_that_only_a_gpu_runs_is_named(monkeypatch):
    monkeypatch.setattr(run_errors, "runs_channels_first", _runs_all_but_conv)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    model, batch = _channels_first(), [np.ones((1, 2, 16, 16), np.float32)]
    message = r"TensorFlow runs 'second' \(channels_first\) only on a GPU.*data_format='channels_last'"
    with pytest.raises(ValueError, match=message), run_errors.clear_errors(model, batch):
        raise tf.errors.UnimplementedError(None, None, "no such kernel")
    monkeypatch.setattr(run_errors, "runs_channels_first", lambda *options: True)
    with pytest.raises(tf.errors.UnimplementedError), run_errors.clear_errors(model, batch):
        raise tf.errors.UnimplementedError(None, None, "no such kernel")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(run_errors, "runs_channels_first", _runs_all_but_conv)
    assert run_errors.missing_device(model) == ""


@pytest.mark.parametrize(
    ("layer", "asked"),
    [
        (keras.layers.Conv1D(4, 3, data_format="channels_first"), ("conv", 1, False)),
        (keras.layers.Conv2D(4, 3, groups=2, data_format="channels_first"), ("conv", 2, True)),
        (keras.layers.Conv3D(4, 3, data_format="channels_first"), ("conv", 3, False)),
        (keras.layers.Conv2DTranspose(4, 3, data_format="channels_first"), ("conv_transpose", 2, False)),
        (keras.layers.SeparableConv1D(4, 3, data_format="channels_first"), ("separable_conv", 1, False)),
        (keras.layers.DepthwiseConv2D(3, data_format="channels_first"), ("depthwise_conv", 2, False)),
        (keras.layers.Conv2D(4, 3), None),
        (keras.layers.MaxPooling2D(data_format="channels_first"), None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_convolution_is_tried_as_the_operation_that_it_runs(layer, asked, monkeypatch):
    calls = []
    monkeypatch.setattr(run_errors, "runs_channels_first", lambda *options: calls.append(options) or True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    side = getattr(layer, "rank", 2)
    assert run_errors.missing_device(keras.Sequential([keras.Input((4, *[12] * side)), layer])) == ""
    assert calls == ([asked] if asked else [])


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU runs every convolution")
@pytest.mark.parametrize("name", ["conv", "conv_transpose", "separable_conv", "depthwise_conv"])
def test_what_is_tried_agrees_with_a_model(name):
    kinds = {"conv": "Conv2D", "conv_transpose": "Conv2DTranspose", "separable_conv": "SeparableConv2D"}
    first = [] if name == "depthwise_conv" else [4]
    layer = getattr(keras.layers, kinds.get(name, "DepthwiseConv2D"))(*first, 3, data_format="channels_first")
    model = keras.Sequential([keras.Input((2, 16, 16)), layer, keras.layers.Flatten(), keras.layers.Dense(2)])
    inputs = np.ones((1, 2, 16, 16), np.float32)
    if run_errors.runs_channels_first(name, 2):
        assert attribution.class_saliency(model, inputs, 0).shape == (1, 16, 16)
    else:
        with pytest.raises(ValueError, match=rf"TensorFlow runs '{layer.name}' \(channels_first\) only on a GPU"):
            attribution.class_saliency(model, inputs, 0)


_WITHOUT_ONEDNN = """
import numpy as np
import keras
from kerasal import attribution
parts = [getattr(keras.layers, kind)(*options, name=kind, data_format="channels_first") for kind, *options in {parts}]
model = keras.Sequential([keras.Input({shape}), *parts, keras.layers.Flatten(), keras.layers.Dense(2)])
try:
    print(attribution.class_saliency(model, np.ones((1, *{shape}), np.float32), 0).shape)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU runs every convolution")
@pytest.mark.parametrize(
    ("parts", "shape", "says"),
    [
        ([("DepthwiseConv2D", 3), ("Conv2D", 4, 3)], (2, 12, 12), "TensorFlow runs 'Conv2D' (channels_first) only"),
        ([("Conv3D", 2, 3), ("Conv3DTranspose", 2, 3)], (1, 8, 8, 8), "TensorFlow runs 'Conv3DTranspose' (channels_fi"),
        ([("SeparableConv2D", 4, 3)], (2, 12, 12), "(1, 12, 12)"),
        ([("Conv3D", 2, 3)], (1, 8, 8, 8), "(1, 8, 8, 8)"),
    ],
)
def test_the_convolution_that_fails_without_onednn_is_named(parts, shape, says):
    code = _WITHOUT_ONEDNN.format(parts=parts, shape=shape)
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert says in result.stdout


def test_other_errors_of_tensorflow_stay():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Lambda(_fail)(x)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the layer of a user"):
        attribution.class_saliency(model, np.ones((1, 4), np.float32), 0)


def _fail(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 0.0, message="the layer of a user")]):
        return tf.identity(x)
