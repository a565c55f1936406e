"""A layer that adapts log-densities of gaze to other data: temperature, a Gaussian, and a uniform floor."""

from typing import Any

import numpy as np

from kerasal.checks import check_number
from kerasal.layers.convolutions import PlainLayer

import keras

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function


@keras.saving.register_keras_serializable(package="kerasal")
class DensityAdaptation(PlainLayer):
    """Log-densities (N, H, W) adapted by fixed numbers: temperature, a Gaussian, and a uniform floor.

    The output is log((1 − floor) · softmax(scale · input + amount · G) + floor / HW). With x and y from -1/2 to 1/2
    over the map, G = exp(-(((x − cx) / sx)² + ((y − cy) / sy)²) / 2). The defaults change nothing.
    ``kerasal.gaze.adapt`` fits the numbers.

    Args:
        scale: factor of the log-density, above 0: above 1 sharpens the density, below 1 flattens it.
        amount: height of the Gaussian, in nats.
        center: center (cy, cx) of the Gaussian.
        sigma: standard deviations (sy, sx) of the Gaussian as shares of height and width.
        floor: share of a uniform density, in [0, 1).
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: a number is out of range.

    Source: the parameters that Kümmerer et al. 2025, "Modeling saliency dataset bias" (DeepGaze MSDB), fit to each
    data set.
    """

    settings = ("scale", "amount", "center", "sigma", "floor")

    def __init__(
        self,
        scale: float = 1.0,
        amount: float = 0.0,
        center: tuple[float, float] = (0.0, 0.0),
        sigma: tuple[float, float] = (0.25, 0.25),
        floor: float = 0.0,
        **options: Any,
    ):
        super().__init__(**options)
        self.scale = check_number("scale", scale, above=0)
        self.amount = check_number("amount", amount)
        self.center = tuple(check_number("center", value) for value in center)
        self.sigma = tuple(check_number("sigma", value, above=0) for value in sigma)
        self.floor = check_number("floor", floor, minimum=0, below=1)

    def call(self, inputs: Any) -> Any:
        sides = [known or ops.shape(inputs)[axis] for axis, known in ((1, inputs.shape[1]), (2, inputs.shape[2]))]
        rows, columns = (
            ops.exp(-0.5 * ops.square((_coordinates(side) - center) / sigma))
            for side, center, sigma in zip(sides, self.center, self.sigma, strict=True)
        )
        bias = ops.cast(rows[:, None] * columns[None, :], inputs.dtype)
        maps = self.scale * inputs + self.amount * bias[None]
        maps = maps - ops.logsumexp(maps, axis=(1, 2), keepdims=True)
        if not self.floor:
            return maps
        pixels = ops.cast(sides[0], "float32") * ops.cast(sides[1], "float32")
        uniform = ops.cast(np.log(self.floor) - ops.log(pixels), inputs.dtype)
        return ops.logaddexp(maps + np.log1p(-self.floor), uniform)


def _coordinates(side: Any) -> Any:
    side = ops.cast(side, "float32")
    return (ops.arange(0, side, dtype="float32") + 0.5) / side - 0.5
