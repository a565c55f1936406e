"""Spectra of the kernels of a convolution, and the share of its responses that its stride aliases.

Frequencies are in cycles per pixel; at .5, black and white pixels alternate. By Parseval's theorem the energies of all
frequencies add up to the sum of squares.
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
    """Return path, kernels (h, w, in, filters), stride and dilation of a convolution; by default of the first one.

    Raises:
        ValueError: if the layer is unknown or is not a two-dimensional convolution.
    """
    layer: Any
    known = [path for path, layer in hooks.layers(model) if _is_convolution(layer)]
    if name is None and not known:
        raise ValueError(f"model must have a two-dimensional convolution, but {model.name!r} has none.")
    path, layer = hooks.find_layer(model, known[0] if name is None else name)
    if not _is_convolution(layer):
        raise ValueError(
            f"layer must be a two-dimensional convolution of {model.name!r}, got {path!r}. "
            + (f"Its convolutions are {', '.join(known[:8])}." if known else "It has none.")
        )
    kernels = np.asarray(layer.kernel, np.float32)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (h, w, channels, multiplier), a channel for each filter
        kernels = kernels.reshape(*kernels.shape[:2], 1, -1)
    (down, right), dilation = layer.strides, layer.dilation_rate
    return path, kernels, (down, right), (dilation[0], dilation[1])


def _is_convolution(layer) -> bool:
    kernel = getattr(layer, "kernel", None)
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    return len(getattr(kernel, "shape", ())) == 4 and hasattr(layer, "strides") and not transposed


_FFT_SIDE = 64  # kernels are padded with zeros to this size, for a finer resolution of frequencies


def power_spectra(kernels: np.ndarray, dilation: tuple[int, int] = (1, 1)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the energies (rows, columns, filters) of kernels (h, w, in, filters) by frequency, and the frequencies.

    The energies are summed over input channels. The frequencies have shapes (rows, 1) and (1, columns).
    """
    height, width, channels, count = kernels.shape
    dilated = np.zeros(((height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1, channels, count), np.float64)
    dilated[:: dilation[0], :: dilation[1]] = kernels
    sides = [max(_FFT_SIDE, 2 * side) for side in dilated.shape[:2]]
    energies = np.square(np.abs(np.fft.fft2(dilated, sides, axes=(0, 1)))).sum(axis=2)
    rows, columns = (np.abs(np.fft.fftfreq(side)) for side in sides)
    return energies, rows[:, None], columns[None]


def band_shares(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the shares (3, filters) of energy below ``low``, between, and at or above ``high`` cycles per pixel."""
    radius = np.hypot(rows, columns)
    masks = np.stack([radius < low, (radius >= low) & (radius < high), radius >= high])
    return divide(np.einsum("bij,ijk->bk", masks, energies), energies.sum(axis=(0, 1)))


def aliased_share(energies: np.ndarray, rows: np.ndarray, columns: np.ndarray, stride: tuple[int, int]) -> np.ndarray:
    """Return the share (filters,) of energy at frequencies that are too high for the ``stride``.

    A stride of s pixels represents frequencies up to 1 / (2 s) (the sampling theorem); higher ones are aliased to lower
    ones.
    """
    beyond = (rows > 0.5 / stride[0]) | (columns > 0.5 / stride[1])
    return divide(np.einsum("ij,ijk->k", beyond, energies), energies.sum(axis=(0, 1)))


def divide(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return parts / whole, or NaN where the whole is 0."""
    return np.divide(parts, whole, out=np.full(np.shape(parts), np.nan), where=whole > 0)


_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def response_statistics(model, layer: str, inputs: np.ndarray) -> list[np.ndarray]:
    """Return four statistics of the responses of a convolution to ``inputs``, each (N, filters).

    These are the maximum activation; the share of positions with an activation above 0; the energy of the response with
    stride 1, without bias and mean; and the part of that energy that the stride of the layer aliases.
    """
    return cached_trace(_compute_statistics, model, [inputs], options={"layer": layer})([inputs], [])


def _compute_statistics(view, *, layer: str):
    output = view.run(taps=[layer], output=False).layers[layer]
    op = _find_convolution(output, layer)
    strides = op.get_attr("strides")[1:3]
    unit_strides = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(i=[1, 1, 1, 1]))
    response = tf.cast(apply_operation(op, list(op.inputs), {"strides": unit_strides})[0], tf.float32)
    response = tf.transpose(response - tf.reduce_mean(response, axis=[1, 2], keepdims=True), [0, 3, 1, 2])
    height, width = tf.shape(response)[2], tf.shape(response)[3]
    # Without a window, the jump between opposite edges would count as high frequencies.
    window = tf.signal.hann_window(height)[:, None] * tf.signal.hann_window(width)[None]
    energies = tf.square(tf.abs(tf.signal.fft2d(tf.cast(response * window, tf.complex64))))
    beyond = (_frequencies(height) > 0.5 / strides[0])[:, None] | (_frequencies(width) > 0.5 / strides[1])[None]
    return [
        tf.reduce_max(output, axis=[1, 2]),
        tf.reduce_mean(tf.cast(output > 0, tf.float32), axis=[1, 2]),
        tf.reduce_sum(energies, axis=[2, 3]),
        tf.reduce_sum(tf.where(beyond, energies, 0.0), axis=[2, 3]),
    ]


def _frequencies(length: tf.Tensor) -> tf.Tensor:
    """Return the absolute frequencies of a Fourier transform in cycles per pixel."""
    index = tf.range(length)
    return tf.cast(tf.minimum(index, length - index), tf.float32) / tf.cast(length, tf.float32)


def _find_convolution(output: tf.Tensor, layer: str) -> tf.Operation:
    """Return the convolution operation of a layer from its output, below its bias and activation."""
    op = output.op
    while op.type not in _CONVOLUTIONS and op.inputs and not is_opaque(op):
        op = op.inputs[0].op
    if op.type not in _CONVOLUTIONS:
        raise ValueError(
            f"layer must run a convolution in the traced graph of the model, got {layer!r}. Leave out images to "
            "analyze the weights alone."
        )
    return op
