"""Jitter for training: a random part of each image is set to zero."""

from kerasal.checks import check_number

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasal")
class RandomZeroing(keras.layers.Layer):
    """Set a random rectangle of each image (N, H, W, C) to zero while training; at inference, change nothing.

    Zero is the mean colour where the mean has been subtracted. A rectangle is as likely to lie anywhere that it fits;
    its sides are drawn by themselves, so that it may be upright or flat.

    Args:
        share: the shortest and the longest side of the rectangle, in shares of the image's.
        probability: of an image to be changed at all.
        seed: of the rectangles.
        **options: those of ``keras.layers.Layer``.

    Raises:
        ValueError: shares that are not 0 < shortest <= longest <= 1, or no probability.

    Source: Simonyan et al. 2013, section 1: "additional image jittering, based on zeroing-out random parts of an
    image". They say neither how large nor how many the parts were; those are decided here.
    """

    def __init__(self, share=(0.1, 0.4), probability: float = 0.5, seed: int | None = None, **options):
        super().__init__(**options)
        self.share = tuple(float(one) for one in share)
        if len(self.share) != 2 or not 0 < self.share[0] <= self.share[1] <= 1:
            raise ValueError(f"share is (shortest, longest) side, 0 < shortest <= longest <= 1. Received: {share!r}.")
        self.probability, self.seed = check_number("probability", probability, minimum=0, maximum=1), seed
        self.generator = keras.random.SeedGenerator(seed)

    def compute_output_shape(self, input_shape):
        """Return the same shape."""
        return input_shape

    def call(self, inputs, training=False):
        """Return the images, each with its rectangle of zeros."""
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

    def get_config(self):
        """Return what builds this layer again."""
        own = {"share": self.share, "probability": self.probability, "seed": self.seed}
        return {**super().get_config(), **own}
