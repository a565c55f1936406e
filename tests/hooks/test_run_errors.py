"""Errors of TensorFlow that have a known cause say it: too little memory, or no GPU."""

import numpy as np
import pytest

from kerasal import attribution

import keras
import tensorflow as tf


class _Huge(keras.layers.Layer):
    """Makes more values than any memory holds, so that TensorFlow's allocation fails."""

    def call(self, x):
        return tf.reduce_sum(tf.exp(x[..., None] * tf.random.uniform((2**47,))), axis=-1)


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


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU runs such convolutions")
@pytest.mark.parametrize("name", ["class_saliency", "gradcam", "occlusion"])
def test_a_convolution_that_only_a_gpu_runs_says_so(name):
    convolution = keras.layers.Conv2D(4, 3, data_format="channels_first", name="first")
    model = keras.Sequential([keras.Input((2, 16, 16)), convolution, keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"TensorFlow runs 'first' \(channels_first\) only on a GPU.*channels_last"):
        getattr(attribution, name)(model, np.ones((1, 2, 16, 16), np.float32), 0)


def test_other_errors_of_tensorflow_stay():
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Lambda(_fail)(x)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="the layer of a user"):
        attribution.class_saliency(model, np.ones((1, 4), np.float32), 0)


def _fail(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 0.0, message="the layer of a user")]):
        return tf.identity(x)
