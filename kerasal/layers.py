"""Layers that networks of this field are made of and Keras does not have; saved models find them by name."""

import contextlib

from kerasal import _keras  # noqa: F401  (before keras: names the wrong backend)

import keras  # isort: skip
import numpy as np  # isort: skip
import tensorflow as tf  # isort: skip
from keras import ops  # isort: skip

LAYOUTS = ("adjacent", "halves")


@keras.saving.register_keras_serializable(package="kerasal")
class Maxout(keras.layers.Layer):
    """Keep the largest of every ``pieces`` values along the last axis (Goodfellow et al. 2013, section 3).

    ``(..., pieces * units)`` becomes ``(..., units)``. Unit j is the maximum of z[pieces * j], z[pieces * j + 1], …
    for the layout "adjacent" (Lasagne's FeaturePoolLayer), and of z[j], z[j + units], … for "halves".

    Args:
        pieces: values per unit.
        layout: "adjacent" or "halves"; the same up to a permutation of the weights before it, see ``reorder_maxout``.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: another layout, or a last axis that ``pieces`` does not divide.
    """

    def __init__(self, pieces: int = 2, layout: str = "adjacent", **options):
        super().__init__(**options)
        if pieces < 1:
            raise ValueError(f"pieces: expected a whole number from 1 on, received {pieces!r}.")
        self.pieces, self.layout = pieces, _known(layout)

    def compute_output_shape(self, input_shape):
        """Return the shape with the last axis divided by ``pieces``."""
        if input_shape[-1] is None or input_shape[-1] % self.pieces:
            raise ValueError(f"Maxout of {self.pieces} pieces cannot divide a last axis of {input_shape[-1]}.")
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def call(self, inputs):
        """Return the maxima."""
        units = self.compute_output_shape(inputs.shape)[-1]
        parts = (units, self.pieces) if self.layout == "adjacent" else (self.pieces, units)
        split = ops.reshape(inputs, (*ops.shape(inputs)[:-1], *parts))
        return ops.max(split, axis=-1 if self.layout == "adjacent" else -2)

    def get_config(self):
        """Return what builds this layer again."""
        return {**super().get_config(), "pieces": self.pieces, "layout": self.layout}


def reorder_maxout(array: np.ndarray, to: str, pieces: int = 2) -> np.ndarray:
    """Permute the last axis of the weights before a ``Maxout`` so that they serve its other layout.

    Args:
        array: kernel (inputs, pieces * units) or bias (pieces * units,), as Keras has them.
        to: the layout it is to serve, "adjacent" or "halves".
        pieces: values per unit.

    Returns:
        A new array: with it the other layout computes the same units.

    Raises:
        ValueError: another layout, or a last axis that ``pieces`` does not divide.
    """
    units, rest = divmod(array.shape[-1], pieces)
    if rest:
        raise ValueError(f"pieces: {pieces} does not divide a last axis of {array.shape[-1]}.")
    parts = (pieces, units) if _known(to) == "adjacent" else (units, pieces)
    return np.ascontiguousarray(np.swapaxes(array.reshape(*array.shape[:-1], *parts), -1, -2).reshape(array.shape))


@keras.saving.register_keras_serializable(package="kerasal")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide each value by a power of its neighbouring channels' energy (Krizhevsky et al. 2012, section 3.3).

    b_i = a_i / (bias + alpha / size · Σ a_j²)^beta, summed over the ``size`` channels around i, as Caffe has it (the
    paper has alpha instead of alpha / size).

    Args:
        size: channels, an odd number.
        alpha: weight of the energy's mean.
        beta: exponent.
        bias: constant.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: an even ``size``.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **options):
        super().__init__(**options)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size: expected an odd number of channels, received {size!r}.")
        self.size, self.alpha, self.beta, self.bias = size, alpha, beta, bias

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the normalised values."""
        return tf.nn.local_response_normalization(
            inputs, depth_radius=self.size // 2, bias=self.bias, alpha=self.alpha / self.size, beta=self.beta
        )

    def get_config(self):
        """Return what builds this layer again."""
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": self.bias}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerasal")
class ResizeLike(keras.layers.Layer):
    """Resize the first input (N, h, w, C) bilinearly to the height and width of the second, corners not aligned."""

    def compute_output_shape(self, input_shape):
        """Return the second shape with the first's channels."""
        maps, images = input_shape
        return (maps[0], images[1], images[2], maps[3])

    def call(self, inputs):
        """Return the resized maps."""
        maps, images = inputs
        sides = [known or ops.shape(images)[axis] for axis, known in ((1, images.shape[1]), (2, images.shape[2]))]
        return ops.image.resize(maps, sides, interpolation="bilinear", data_format="channels_last")


@keras.saving.register_keras_serializable(package="kerasal")
class MinMax(keras.layers.Layer):
    """Scale each map (H, W, …) of a batch to 0..1 by its own minimum and maximum; a constant map becomes 0."""

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the scaled maps."""
        axes = tuple(range(1, len(inputs.shape)))
        low, high = ops.min(inputs, axis=axes, keepdims=True), ops.max(inputs, axis=axes, keepdims=True)
        span = high - low
        return (inputs - low) / ops.where(ops.equal(span, 0), ops.ones_like(span), span)


@keras.saving.register_keras_serializable(package="kerasal")
class CenterBias(keras.layers.Layer):
    """Weigh maps (N, H, W) or (N, H, W, 1) by a Gaussian in their centre, or add it; fixed, or learned with the net.

    With x and y from -1/2 to 1/2 over the map, G = exp(-((x / sx)² + (y / sy)²) / 2); the output is y·G
    (``mode="multiply"``) or y + a·G (``mode="add"``). It is what remains to be said where an image says nothing: people
    look at the middle first. ``switched`` is 1, or 0 for the map as it came, and takes effect without a new trace; see
    ``center_bias_switched_off``.

    Args:
        sigma: starting standard deviations (sy, sx) in heights and widths, or one for both.
        amount: the start of a, for ``mode="add"``.
        mode: "multiply" or "add".
        learned: train the standard deviations, and a.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: another mode, or a standard deviation that is not above 0.

    Source: the learned priors of Cornia et al. 2016, "A Deep Multi-Level Network for Saliency Prediction", in their
    simplest form; Judd et al. 2009 for the fixed one.
    """

    def __init__(self, sigma=0.25, amount: float = 0.5, mode: str = "multiply", learned: bool = True, **options):
        super().__init__(**options)
        self.sigma = tuple(float(one) for one in np.broadcast_to(sigma, 2))
        if mode not in ("multiply", "add"):
            raise ValueError(f'mode: expected "multiply" or "add", received {mode!r}.')
        if not min(self.sigma) > 0:
            raise ValueError(f"sigma: expected standard deviations above 0, received {sigma!r}.")
        self.amount, self.mode, self.learned = float(amount), mode, bool(learned)

    def build(self, input_shape):
        """Make the variables; standard deviations are kept as logarithms, so that they stay above 0."""
        start = np.log(self.sigma).astype(np.float32)
        self.log_sigma = self.add_weight(
            shape=(2,), initializer=lambda *_, **__: start, trainable=self.learned, name="log_sigma"
        )
        if self.mode == "add":
            self.height = self.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(self.amount),
                trainable=self.learned,
                name="amount",
            )
        self.switched = self.add_weight(shape=(), initializer="ones", trainable=False, name="switched")

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs):
        """Return the weighed maps."""
        sides = [known or ops.shape(inputs)[axis] for axis, known in ((1, inputs.shape[1]), (2, inputs.shape[2]))]
        rows, columns = (
            ops.exp(-0.5 * (self._places(side) / ops.exp(self.log_sigma[axis])) ** 2) for axis, side in enumerate(sides)
        )
        bias = ops.cast(rows[:, None] * columns[None, :], inputs.dtype)
        bias = bias[None, :, :, None] if len(inputs.shape) == 4 else bias[None]
        switched = ops.cast(self.switched, inputs.dtype)
        if self.mode == "add":
            return inputs + switched * ops.cast(self.height, inputs.dtype) * bias
        return inputs * (1 - switched + switched * bias)

    @staticmethod
    def _places(side):
        side = ops.cast(side, "float32")
        return (ops.arange(0, side, dtype="float32") + 0.5) / side - 0.5

    def get_config(self):
        """Return what builds this layer again."""
        own = {"sigma": self.sigma, "amount": self.amount, "mode": self.mode, "learned": self.learned}
        return {**super().get_config(), **own}


@contextlib.contextmanager
def center_bias_switched_off(net: keras.Model):
    """Switch off every ``CenterBias`` of ``net``, at any depth, for the length of a context; yield those layers."""
    found = [layer for layer in net._flatten_layers() if isinstance(layer, CenterBias)]
    before = [float(ops.convert_to_numpy(layer.switched)) for layer in found]
    try:
        for layer in found:
            layer.switched.assign(0.0)
        yield found
    finally:
        for layer, value in zip(found, before, strict=True):
            layer.switched.assign(value)


def _known(layout: str) -> str:
    if layout not in LAYOUTS:
        raise ValueError(f"layout: expected one of {', '.join(LAYOUTS)}, received {layout!r}.")
    return layout
