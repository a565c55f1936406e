"""The kernels of a convolution, their energy by frequency, and what of its responses its stride cannot represent.

Frequencies are in cycles per pixel: .5 is black, white, black. By Parseval's theorem the energies of all frequencies
add up to the sum of squares.
"""

from typing import Any

import numpy as np

from kerasal import hooks
from kerasal.hooks.operations import apply_operation, is_opaque
from kerasal.hooks.trace import cached_trace

import keras
import tensorflow as tf


def find_kernels(
    model: keras.Model, name: str | None = None
) -> tuple[str, np.ndarray, tuple[int, int], tuple[int, int]]:
    """Return path, kernels (h, w, in, filters), stride and dilation of a convolution; by default the first one.

    Raises:
        ValueError: no such layer, or it is no two-dimensional convolution.
    """
    layer: Any
    known = [path for path, layer in hooks.layers(model) if _is_convolution(layer)]
    if name is None and not known:
        raise ValueError(f"{model.name!r} has no two-dimensional convolution.")
    path, layer = hooks.find_layer(model, known[0] if name is None else name)
    if not _is_convolution(layer):
        raise ValueError(
            f"Layer {path!r} of {model.name!r} is no two-dimensional convolution. There "
            f"{'is ' + ', '.join(known[:8]) if known else 'is none'}."
        )
    kernels = np.asarray(layer.kernel, np.float32)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (h, w, channels, multiplier): each filter sees one channel
        kernels = kernels.reshape(*kernels.shape[:2], 1, -1)
    (down, right), dilation = layer.strides, layer.dilation_rate
    return path, kernels, (down, right), (dilation[0], dilation[1])


def _is_convolution(layer) -> bool:
    kernel = getattr(layer, "kernel", None)
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    return len(getattr(kernel, "shape", ())) == 4 and hasattr(layer, "strides") and not transposed


_SIDE = 64  # zeros around a kernel, so that bands between its own few frequencies can be told apart


def measure_power(kernels: np.ndarray, dilation: tuple[int, int] = (1, 1)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the energies (frequencies, frequencies, filters) of kernels (h, w, in, filters), and both frequencies.

    The energies of the input channels are added.
    """
    height, width, channels, count = kernels.shape
    spread = np.zeros(((height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1, channels, count), np.float64)
    spread[:: dilation[0], :: dilation[1]] = kernels
    sides = [max(_SIDE, 2 * side) for side in spread.shape[:2]]
    energies = np.square(np.abs(np.fft.fft2(spread, sides, axes=(0, 1)))).sum(axis=2)
    rows, columns = (np.abs(np.fft.fftfreq(side)) for side in sides)
    return energies, rows[:, None], columns[None]


def share_bands(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the shares (3, filters) of energy below ``low``, between, and from ``high`` cycles a pixel on."""
    radius = np.hypot(rows, columns)
    inside = np.stack([radius < low, (radius >= low) & (radius < high), radius >= high])
    return divide(np.einsum("bij,ijk->bk", inside, energies), energies.sum(axis=(0, 1)))


def share_lost(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    """Return the share (filters,) of energy at frequencies that steps of ``stride`` pixels cannot represent.

    Steps of s pixels represent frequencies up to 1 / (2 s) (the sampling theorem); higher ones come out as lower ones.
    """
    beyond = (rows > 0.5 / stride[0]) | (columns > 0.5 / stride[1])
    return divide(np.einsum("ij,ijk->k", beyond, energies), energies.sum(axis=(0, 1)))


def divide(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; where there is nothing at all, the share is NaN."""
    return np.divide(parts, whole, out=np.full(np.shape(parts), np.nan), where=whole > 0)


_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def respond(model, layer: str, inputs: np.ndarray) -> list[np.ndarray]:
    """Run the model on some images; return four arrays (N, filters).

    They are the strongest activation, the share of positions with one above 0, the energy of the response at every
    pixel (a step of 1, without bias and mean), and how much of that energy the layer's own step cannot represent.
    """
    return cached_trace(_measure_response, model, [inputs], options={"layer": layer})([inputs], [])


def _measure_response(view, *, layer: str):
    output = view.run(taps=[layer], output=False).layers[layer]
    op = _convolution(output, layer)
    strides = op.get_attr("strides")[1:3]
    single = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(i=[1, 1, 1, 1]))
    dense = tf.cast(apply_operation(op, list(op.inputs), {"strides": single})[0], tf.float32)
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
