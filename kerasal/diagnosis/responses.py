"""What a convolution answers to images: how strongly, how often, and what of it its stride cannot represent."""

import numpy as np

from kerasal.hooks.operations import again, is_opaque
from kerasal.hooks.trace import traced

import tensorflow as tf

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def respond(model, layer: str, inputs: np.ndarray) -> list[np.ndarray]:
    """Run the model on some images; return four arrays (N, filters).

    They are the strongest activation, the share of positions with one above 0, the energy of the response at every
    pixel (a step of 1, without bias and mean), and how much of that energy the layer's own step cannot represent.
    """
    return traced(_respond, model, [inputs], options={"layer": layer})([inputs], [])


def _respond(view, *, layer: str):
    output = view.run(taps=[layer], output=False).layers[layer]
    op = _convolution(output, layer)
    strides = op.get_attr("strides")[1:3]
    single = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(i=[1, 1, 1, 1]))
    dense = tf.cast(again(op, list(op.inputs), {"strides": single})[0], tf.float32)
    dense = tf.transpose(dense - tf.reduce_mean(dense, axis=[1, 2], keepdims=True), [0, 3, 1, 2])
    height, width = tf.shape(dense)[2], tf.shape(dense)[3]
    # Without a window the jump from the right edge to the left one would count as high frequencies.
    window = tf.signal.hann_window(height)[:, None] * tf.signal.hann_window(width)[None]
    energies = tf.square(tf.abs(tf.signal.fft2d(tf.cast(dense * window, tf.complex64))))
    beyond = (_frequencies(height) > 0.5 / strides[0])[:, None] | (_frequencies(width) > 0.5 / strides[1])[None]
    return [
        tf.reduce_max(output, axis=[1, 2]),
        tf.reduce_mean(tf.cast(output > 0, tf.float32), axis=[1, 2]),
        tf.reduce_sum(energies, axis=[2, 3]),
        tf.reduce_sum(tf.where(beyond, energies, 0.0), axis=[2, 3]),
    ]


def _frequencies(length: tf.Tensor) -> tf.Tensor:
    """Return the frequencies of a Fourier transform, without their sign, in cycles a pixel."""
    place = tf.range(length)
    return tf.cast(tf.minimum(place, length - place), tf.float32) / tf.cast(length, tf.float32)


def _convolution(output: tf.Tensor, layer: str) -> tf.Operation:
    """Return the convolution that a layer's output comes from: below its bias and activation."""
    op = output.op
    while op.type not in _CONVOLUTIONS and op.inputs and not is_opaque(op):
        op = op.inputs[0].op
    if op.type not in _CONVOLUTIONS:
        raise ValueError(f"The convolution of layer {layer!r} cannot be found in the graph. Leave out the images.")
    return op
