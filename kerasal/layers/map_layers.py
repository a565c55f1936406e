"""Layers for maps: resizing, blurring, center bias, and normalization to 0..1 or to a density."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasal.checks import check_choice, check_size
from kerasal.layers.convolutions import PlainLayer
from kerasal.names import renamed_arguments

import keras
import tensorflow as tf

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function


@keras.saving.register_keras_serializable(package="kerasal")
class ResizeLike(keras.layers.Layer):
    """Bilinear resizing of the first input (N, h, w, C) to the size of the second, corners not aligned."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        maps, images = input_shape
        return (maps[0], images[1], images[2], maps[3])

    def call(self, inputs: Any) -> Any:
        maps, images = inputs
        sides = [known or ops.shape(images)[axis] for axis, known in ((1, images.shape[1]), (2, images.shape[2]))]
        return ops.cast(tf.image.resize(maps, sides), maps.dtype)  # keras.ops.image.resize takes no dynamic sizes


@keras.saving.register_keras_serializable(package="kerasal")
class MinMax(PlainLayer):
    """Min-max scaling of each map (H, W, …) of a batch to 0..1; a constant map becomes 0."""

    def call(self, inputs: Any) -> Any:
        axes = tuple(range(1, len(inputs.shape)))
        low, high = ops.min(inputs, axis=axes, keepdims=True), ops.max(inputs, axis=axes, keepdims=True)
        span = high - low
        return (inputs - low) / ops.where(ops.equal(span, 0), ops.ones_like(span), span)


@keras.saving.register_keras_serializable(package="kerasal")
class LogDensity(PlainLayer):
    """Log-softmax over the pixels of each map (N, H, W): log-densities, log p with Σ p = 1 per map.

    Args:
        image_size: (height, width) of the images that the model was trained on, if it takes any size.
            ``kerasal.gaze.Predictor`` resizes photos to about that number of pixels.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: ``image_size`` is not two positive integers.

    Source: Kümmerer et al. 2016, "DeepGaze II", section 2; Vig et al. 2014 for the softmax over pixels.
    """

    settings = ("image_size",)

    def __init__(self, image_size: Any = (240, 320), **options):
        super().__init__(**options)
        self.image_size = check_size("image_size", image_size)

    def call(self, inputs: Any) -> Any:
        return inputs - ops.logsumexp(inputs, axis=(1, 2), keepdims=True)


@keras.saving.register_keras_serializable(package="kerasal")
class GaussianBlur(PlainLayer):
    """Gaussian blur of maps (N, H, W) with edge values repeated outside the map; its width is fixed or learned.

    Args:
        sigma: standard deviation in pixels of the map; the initial value if it is learned.
        learned: whether the standard deviation is trainable.
        truncate: radius of the kernel in initial standard deviations. With the default, a learned standard deviation
            can grow by a third before the kernel is truncated at less than three of it.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: ``sigma`` or ``truncate`` is not positive.

    Source: the last layer of Kümmerer et al. 2016, "DeepGaze II", section 2.
    """

    settings = ("sigma", "learned", "truncate")

    def __init__(self, sigma: float = 1.0, learned: bool = True, truncate: float = 4.0, **options):
        super().__init__(**options)
        if not sigma > 0 or not truncate > 0:
            raise ValueError(f"sigma and truncate must be positive, got {sigma!r} and {truncate!r}.")
        self.sigma, self.learned, self.truncate = float(sigma), bool(learned), float(truncate)
        self.radius = max(1, int(np.ceil(self.truncate * self.sigma)))

    def build(self, input_shape: Any) -> None:
        start = keras.initializers.Constant(np.log(self.sigma))  # the exponential of the weight is always positive
        self.log_sigma = self.add_weight(shape=(), initializer=start, trainable=self.learned, name="log_sigma")

    def call(self, inputs: Any) -> Any:
        offsets = ops.arange(-self.radius, self.radius + 1, dtype="float32")
        weights = ops.exp(-0.5 * ops.square(offsets / ops.exp(self.log_sigma)))
        weights = ops.cast(weights / ops.sum(weights), inputs.dtype)
        maps = inputs[..., None]
        for axis in (1, 2):
            size = ops.shape(maps)[axis]
            indices = ops.clip(ops.arange(-self.radius, size + self.radius), 0, size - 1)
            kernel = ops.reshape(weights, (-1, 1, 1, 1) if axis == 1 else (1, -1, 1, 1))
            maps = ops.conv(ops.take(maps, indices, axis=axis), kernel, padding="valid", data_format="channels_last")
        return ops.reshape(maps, ops.shape(inputs))


@keras.saving.register_keras_serializable(package="kerasal")
class CenterBias(PlainLayer):
    """Center bias: maps (N, H, W) or (N, H, W, 1) times, or plus, a centered Gaussian; fixed or learned.

    People look at the center of an image first, whatever it shows. With x and y from -1/2 to 1/2 over the map,
    G = exp(-((x / sx)² + (y / sy)²) / 2). The output is map · G (``mode="multiply"``) or map + a·G (``mode="add"``).
    The weight ``switched`` is 1, or 0 to return the map unchanged; a change takes effect without a new trace. See
    ``center_bias_switched_off``.

    Args:
        sigma: initial standard deviations (sy, sx) as shares of height and width, or a number for both.
        amount: initial value of a, for ``mode="add"``.
        mode: "multiply" or "add".
        learned: whether the standard deviations and a are trainable.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: the mode is unknown, or a standard deviation is not positive.

    Source: the learned priors of Cornia et al. 2016, "A Deep Multi-Level Network for Saliency Prediction", in their
    simplest form; the fixed center bias is that of Judd et al. 2009.
    """

    settings = ("sigma", "amount", "mode", "learned")

    def __init__(self, sigma: Any = 0.25, amount: float = 0.5, mode: str = "multiply", learned: bool = True, **options):
        super().__init__(**options)
        self.sigma = tuple(float(value) for value in np.broadcast_to(sigma, 2))
        check_choice("mode", mode, ("multiply", "add"))
        if not min(self.sigma) > 0:
            raise ValueError(f"sigma must be a positive number or two, (sy, sx), got {sigma!r}.")
        self.amount, self.mode, self.learned = float(amount), mode, bool(learned)

    def build(self, input_shape: Any) -> None:
        start = np.log(self.sigma).astype(np.float32)  # the exponential of a weight is always positive
        self.log_sigma = self.add_weight(
            shape=(2,), initializer=lambda *_, **__: start, trainable=self.learned, name="log_sigma"
        )
        if self.mode == "add":
            start = keras.initializers.Constant(self.amount)
            self.height = self.add_weight(shape=(), initializer=start, trainable=self.learned, name="amount")
        self.switched = self.add_weight(shape=(), initializer="ones", trainable=False, name="switched")

    def call(self, inputs: Any) -> Any:
        sides = [known or ops.shape(inputs)[axis] for axis, known in ((1, inputs.shape[1]), (2, inputs.shape[2]))]
        rows, columns = (
            ops.exp(-0.5 * (self._coordinates(side) / ops.exp(self.log_sigma[axis])) ** 2)
            for axis, side in enumerate(sides)
        )
        bias = ops.cast(rows[:, None] * columns[None, :], inputs.dtype)
        bias = bias[None, :, :, None] if len(inputs.shape) == 4 else bias[None]
        switched = ops.cast(self.switched, inputs.dtype)
        if self.mode == "add":
            return inputs + switched * ops.cast(self.height, inputs.dtype) * bias
        return inputs * (1 - switched + switched * bias)

    @staticmethod
    def _coordinates(side):
        side = ops.cast(side, "float32")
        return (ops.arange(0, side, dtype="float32") + 0.5) / side - 0.5


@renamed_arguments(net="model")
@contextlib.contextmanager
def center_bias_switched_off(model: keras.Model) -> Iterator[list[CenterBias]]:
    """Switch off all ``CenterBias`` layers of a model, at any depth, inside this context; yield the layers."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, CenterBias)]
    before = [float(ops.convert_to_numpy(layer.switched)) for layer in layers]
    try:
        for layer in layers:
            layer.switched.assign(0.0)
        yield layers
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.switched.assign(value)
