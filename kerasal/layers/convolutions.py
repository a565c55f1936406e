"""Layers and a constraint for convolutional networks: grouped convolution, reflection padding and random zeroing."""

from typing import Any

from kerasal.checks import check_int, check_number

import keras
import tensorflow as tf

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function


class PlainLayer(keras.layers.Layer):
    """A layer whose output has the shape of its input by default.

    ``settings`` names the attributes that are the arguments of its constructor, for ``get_config``. Subclasses also
    take the options of ``keras.layers.Layer``.
    """

    settings: tuple[str, ...] = ()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the layer's configuration, from which ``from_config`` builds it."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.settings}}


@keras.saving.register_keras_serializable(package="kerasal")
class GroupedConv2D(keras.layers.Conv2D):
    """Grouped convolution as separate convolutions of each group of channels (Krizhevsky et al. 2012, section 3.5).

    Weights, options and results are those of ``keras.layers.Conv2D(groups=…)``. Keras compiles a grouped convolution
    with XLA, which is ten times slower on a CPU. The separate convolutions can also be analyzed by all routines of this
    package.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolutions of all groups, concatenated along the channels."""
        convolve = super().convolution_op
        if self.groups == 1:
            return convolve(inputs, kernel)
        pairs = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([convolve(*pair) for pair in pairs], axis=-1)


@keras.saving.register_keras_serializable(package="kerasal")
class ReflectionPadding2D(PlainLayer):
    """Padding of images (N, H, W, C) by reflection, without repeating the edge: c b [a b c] b a.

    Args:
        padding: number of pixels on each side, less than the side of the image.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: ``padding`` is neither 0 nor a positive integer.
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
        margins = (self.padding, self.padding)
        return tf.pad(inputs, ((0, 0), margins, margins, (0, 0)), mode="REFLECT")


@keras.saving.register_keras_serializable(package="kerasal")
class MaxFilterRMS(keras.constraints.Constraint):
    """Constraint on kernels (h, w, in, out): filters with an RMS above ``radius`` are scaled down to it.

    Args:
        radius: largest root mean square of the weights of a filter.

    Raises:
        ValueError: ``radius`` is not positive.

    Source: Zeiler & Fergus 2014, section 3.1, where a few filters of the first layer dominate without it.
    """

    def __init__(self, radius: float = 0.1):
        self.radius = check_number("radius", radius, above=0)

    def __call__(self, kernel: Any) -> Any:
        """Return the kernel with the RMS of each filter at most ``radius``."""
        rms = ops.sqrt(ops.mean(ops.square(kernel), axis=tuple(range(len(kernel.shape) - 1)), keepdims=True))
        return kernel * (self.radius / ops.maximum(rms, self.radius))

    def get_config(self) -> dict[str, Any]:
        """Return the constraint's configuration, from which ``from_config`` builds it."""
        return {"radius": self.radius}


@keras.saving.register_keras_serializable(package="kerasal")
class RandomZeroing(PlainLayer):
    """Augmentation that sets a random rectangle of each image (N, H, W, C) to zero in training; no effect at inference.

    Zero is the mean color if the mean has been subtracted. The height and width of a rectangle are drawn independently,
    and its position uniformly among all positions inside the image.

    Args:
        share: smallest and largest side of a rectangle, as shares of the image's side.
        probability: probability that an image is changed.
        seed: seed of the rectangles.
        **options: options of ``keras.layers.Layer``.

    Raises:
        ValueError: the shares are not 0 < smallest <= largest <= 1, or ``probability`` is not in 0..1.

    Source: Simonyan et al. 2013, section 1: "additional image jittering, based on zeroing-out random parts of an
    image". The paper states neither the size nor the number of the parts; both are choices of this package.
    """

    settings = ("share", "probability", "seed")

    def __init__(
        self, share: tuple[float, float] = (0.1, 0.4), probability: float = 0.5, seed: int | None = None, **options
    ):
        super().__init__(**options)
        self.share = tuple(float(side) for side in share)
        if len(self.share) != 2 or not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share must be (smallest, largest) with 0 < smallest <= largest <= 1, got {share!r}.")
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

    def _inside(self, chance, position, pixels):
        """Return which pixels of an axis lie inside a random interval, bool (N, pixels), from two numbers in 0..1."""
        smallest, largest = self.share
        pixels = ops.cast(pixels, "float32")
        side = ops.maximum(1.0, ops.round((smallest + (largest - smallest) * chance) * pixels))
        first = ops.floor(position * (pixels - side + 1))
        positions = ops.arange(0, pixels, dtype="float32")[None]
        return ops.logical_and(positions >= first[:, None], positions < (first + side)[:, None])
