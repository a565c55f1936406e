"""What convolutional networks need and Keras does not have: fast groups, reflected edges, held filters, and jitter."""

from typing import Any

from kerasal.checks import check_int, check_number

import keras
import tensorflow as tf

ops: Any = keras.ops  # whose stubs let every function return None


class PlainLayer(keras.layers.Layer):
    """A layer whose output has its input's shape, unless it says otherwise; ``settings`` name what builds it again.

    All take the options of ``keras.layers.Layer``.
    """

    settings: tuple[str, ...] = ()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the settings, which are attributes."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.settings}}


@keras.saving.register_keras_serializable(package="kerasal")
class GroupedConv2D(keras.layers.Conv2D):
    """Convolve each of ``groups`` parts of the channels by itself (Krizhevsky et al. 2012, section 3.5).

    Weights, options and results are those of ``keras.layers.Conv2D(groups=…)``. Keras compiles that one with XLA, which
    takes ten times as long on a CPU; this one is ordinary convolutions side by side, which every routine can follow.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolved groups side by side."""
        convolve = super().convolution_op
        if self.groups == 1:
            return convolve(inputs, kernel)
        pairs = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([convolve(one, own) for one, own in pairs], axis=-1)


@keras.saving.register_keras_serializable(package="kerasal")
class ReflectionPadding2D(PlainLayer):
    """Pad images (N, H, W, C) on every side by their own reflection, which does not repeat the edge: c b [a b c] b a.

    Args:
        padding: pixels on each side, fewer than the image has.

    Raises:
        ValueError: a padding that is neither 0 nor a positive integer.
    """

    settings = ("padding",)

    def __init__(self, padding: int = 1, **options):
        super().__init__(**options)
        self.padding = check_int("padding", padding, 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        images, height, width, channels = input_shape
        sides = [None if side is None else side + 2 * self.padding for side in (height, width)]
        return (images, *sides, channels)

    def call(self, inputs: Any) -> Any:
        both = (self.padding, self.padding)
        return tf.pad(inputs, ((0, 0), both, both, (0, 0)), mode="REFLECT")


@keras.saving.register_keras_serializable(package="kerasal")
class MaxFilterRMS(keras.constraints.Constraint):
    """Scale each filter of a kernel (h, w, in, out) whose RMS exceeds ``radius`` down to it; leave the others alone.

    Args:
        radius: the largest root mean square of a filter's weights.

    Raises:
        ValueError: a radius that is not above 0.

    Source: Zeiler & Fergus 2014, section 3.1: a few filters of the first layer dominate without it.
    """

    def __init__(self, radius: float = 0.1):
        self.radius = check_number("radius", radius, above=0)

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with its filters held to the radius."""
        rms = ops.sqrt(ops.mean(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)), keepdims=True))
        return kernel * (self.radius / ops.maximum(rms, self.radius))

    def get_config(self) -> dict[str, Any]:
        """Return what builds this constraint again."""
        return {"radius": self.radius}


@keras.saving.register_keras_serializable(package="kerasal")
class RandomZeroing(PlainLayer):
    """Set a random rectangle of each image (N, H, W, C) to zero while training; at inference, change nothing.

    Zero is the mean color where the mean has been subtracted. A rectangle is as likely to lie anywhere that it fits;
    its sides are drawn by themselves, so that it may be upright or flat.

    Args:
        share: the shortest and the longest side of the rectangle, in shares of the image's.
        probability: of an image to be changed at all.
        seed: of the rectangles.

    Raises:
        ValueError: shares that are not 0 < shortest <= longest <= 1, or no probability.

    Source: Simonyan et al. 2013, section 1: "additional image jittering, based on zeroing-out random parts of an
    image". They say neither how large nor how many the parts were; those are decided here.
    """

    settings = ("share", "probability", "seed")

    def __init__(
        self, share: tuple[float, float] = (0.1, 0.4), probability: float = 0.5, seed: int | None = None, **options
    ):
        super().__init__(**options)
        self.share = tuple(float(one) for one in share)
        if len(self.share) != 2 or not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share is (shortest, longest) side, 0 < shortest <= longest <= 1. Received: {share!r}.")
        self.probability, self.seed = check_number("probability", probability, minimum=0, maximum=1), seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        count, height, width = (ops.shape(inputs)[axis] for axis in range(3))
        chances = keras.random.uniform((5, count), seed=self.generator)
        rows = self._inside(chances[0], chances[1], height)
        columns = self._inside(chances[2], chances[3], width)
        chosen = ops.reshape(chances[4] < self.probability, (-1, 1, 1))
        zeroed = ops.logical_and(chosen, ops.logical_and(rows[:, :, None], columns[:, None, :]))
        return ops.where(zeroed[..., None], ops.zeros_like(inputs), inputs)

    def _inside(self, chance, place, pixels):
        """Return (N, pixels), which of an axis' pixels lie inside of a side that two numbers of 0..1 choose."""
        shortest, longest = self.share
        pixels = ops.cast(pixels, "float32")
        side = ops.maximum(1.0, ops.round((shortest + (longest - shortest) * chance) * pixels))
        first = ops.floor(place * (pixels - side + 1))
        places = ops.arange(0, pixels, dtype="float32")[None]
        return ops.logical_and(places >= first[:, None], places < (first + side)[:, None])
