"""The gradient of max-pooling in three dimensions: to the largest value of each window, and to that alone.

On the processor, TensorFlow passes the gradient of a window, undivided, to every value that is closer to the maximum
than 1e-5, whatever the scale of the values. Where the input of the pooling is constant, as in the background of a
volume or at the baseline of a path, gradients are then as many times too large as the window has positions. Here the
first of the largest values gets it, as in one and two dimensions.

Layers and operations of Keras are covered; ``tf.nn.max_pool3d`` in the code of a model is not.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from kerasal.hooks import paths

import keras
import tensorflow as tf

Sizes = tuple[int, int, int]


def find_volume_pools(model: keras.Model) -> Iterator[keras.Operation]:
    """Yield each layer and operation of a model that may be max-pooling in three dimensions."""
    found = {id(layer): layer for _, layer in paths.layers(model)}
    for layer in found.values():
        is_operation = type(layer).__name__ == "MaxPool" and not isinstance(layer, keras.Layer)
        if is_operation or isinstance(layer, keras.layers.MaxPooling3D):
            yield layer


def call_with_gradient(layer: Any) -> Callable:
    """Return a ``call`` for a layer of ``find_volume_pools`` with the same values and the gradient of this module."""
    original = layer.call

    @tf.custom_gradient
    def pool(x):
        def gradient(upstream):
            sizes, strides = (_three(value) for value in (layer.pool_size, layer.strides or layer.pool_size))
            first = (layer.data_format or keras.config.image_data_format()) == "channels_first"
            return max_pool_gradient(x, upstream, sizes, strides, layer.padding.upper(), channels_first=first)

        return original(x), gradient

    @functools.wraps(original)
    def call(inputs, *args, **kwargs):
        if tf.is_tensor(inputs) and inputs.shape.rank == 5 and not args and not kwargs:
            return pool(inputs)
        return original(inputs, *args, **kwargs)

    return call


def max_pool_gradient(
    x: tf.Tensor, upstream: tf.Tensor, window: Sizes, strides: Sizes, padding: str, *, channels_first: bool = False
) -> tf.Tensor:
    """Return the gradient by ``x`` (N, D, H, W, C) of max-pooling whose output has the gradient ``upstream``.

    The maximum of a box is that along W, and of these along D and H. Both are poolings in two dimensions.

    Args:
        x: the input of the pooling.
        upstream: the gradient by its output.
        window: positions of the window along D, H and W.
        strides: its steps.
        padding: "VALID" or "SAME".
        channels_first: whether ``x`` and ``upstream`` are (N, C, D, H, W).
    """
    if channels_first:
        x, upstream = (tf.transpose(tensor, (0, 2, 3, 4, 1)) for tensor in (x, upstream))
        return tf.transpose(max_pool_gradient(x, upstream, window, strides, padding), (0, 4, 1, 2, 3))
    count, depth, height, width, channels = tf.unstack(tf.shape(x))
    rows = tf.reshape(x, [count, depth * height, width, channels])
    row_options = {"ksize": [1, 1, window[2], 1], "strides": [1, 1, strides[2], 1], "padding": padding}
    row_maxima = tf.raw_ops.MaxPool(input=rows, **row_options)
    slabs = tf.reshape(row_maxima, [count, depth, height, -1])
    slab_options = {"ksize": [1, *window[:2], 1], "strides": [1, *strides[:2], 1], "padding": padding}
    maxima = tf.raw_ops.MaxPool(input=slabs, **slab_options)
    upstream = tf.reshape(upstream, tf.shape(maxima))
    by_slabs = tf.raw_ops.MaxPoolGrad(orig_input=slabs, orig_output=maxima, grad=upstream, **slab_options)
    by_rows = tf.reshape(by_slabs, tf.shape(row_maxima))
    gradient = tf.raw_ops.MaxPoolGrad(orig_input=rows, orig_output=row_maxima, grad=by_rows, **row_options)
    return tf.ensure_shape(tf.reshape(gradient, tf.shape(x)), x.shape)


def _three(value) -> Sizes:
    return (value, value, value) if isinstance(value, int) else tuple(value)
