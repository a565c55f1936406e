"""What makes an image natural: penalties on it, and changes before each look at it.

A regularizer is any callable ``gray levels (N, H, W, C) -> (N,) penalties``, which are subtracted from the objective. A
transform is any callable ``inputs (N, H, W, C), seed (2,) -> inputs``, in the graph; ``seed`` differs at every step and
for every transform and follows from the run's seed, for the ``tf.random.stateless_*`` functions. One draw serves all
images of a step, so that an image in a batch becomes what it becomes alone. These are frozen dataclasses, so that equal
ones share one trace.
"""

import dataclasses
import math

from kerasal.checks import check_int, check_number

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class L2:
    """``weight`` · Σ z²: Simonyan et al. 2013, section 2, λ‖I‖₂²."""

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        return self.weight * tf.reduce_sum(tf.square(images), axis=list(range(1, images.shape.rank)))


@dataclasses.dataclass(frozen=True)
class L1:
    """``weight`` · Σ |z|: Tang et al., section 3.3, α‖I‖₁."""

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        return self.weight * tf.reduce_sum(tf.abs(images), axis=list(range(1, images.shape.rank)))


@dataclasses.dataclass(frozen=True)
class TotalVariation:
    """``weight`` · Σ |difference of neighboring pixels|: Mahendran & Vedaldi 2015, section 2.2, with β = 1."""

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        return self.weight * tf.image.total_variation(images)


@dataclasses.dataclass(frozen=True)
class Jitter:
    """Shift all images by up to ``pixels`` in each direction, round the edges (Mordvintsev et al. 2015).

    But by no more than ``share`` of the image's shorter side, rounded down.
    """

    pixels: int
    share: float = 1.0

    def __post_init__(self):
        check_int("The pixels of Jitter", self.pixels, 0)
        check_number("The share of Jitter", self.share, minimum=0, maximum=1)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the shifted images."""
        limit = min(self.pixels, int(self.share * min(side or 0 for side in images.shape.as_list()[1:3])))
        shift = tf.random.stateless_uniform([2], seed, -limit, limit + 1, dtype=tf.int32)
        return tf.roll(images, shift, axis=[1, 2])


@dataclasses.dataclass(frozen=True)
class Rotation:
    """Turn all images about their center by up to ``degrees`` either way (Olah et al. 2017, "robustness").

    Bilinear; what comes from outside the image repeats its edge.
    """

    degrees: float

    def __post_init__(self):
        check_number("The degrees of Rotation", self.degrees, minimum=0, maximum=180)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the turned images."""
        limit = math.radians(self.degrees)
        angle = tf.random.stateless_uniform([], seed, -limit, limit)
        return _sample_around(images, tf.cos(angle), tf.sin(angle))


@dataclasses.dataclass(frozen=True)
class Scale:
    """Enlarge all images about their center by a factor between ``low`` and ``high`` (Olah et al. 2017, "robustness").

    Their size stays: above 1 the rim is cut off, below 1 what comes from outside the image repeats its edge. Bilinear.
    """

    low: float
    high: float

    def __post_init__(self):
        if not 0 < self.low <= self.high < math.inf:
            raise ValueError(f"Scale expects 0 < low <= high. Received: {self.low!r}, {self.high!r}.")

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the enlarged images."""
        factor = tf.random.stateless_uniform([], seed, self.low, self.high)
        return _sample_around(images, 1 / factor, tf.zeros([]))


def _sample_around(images: tf.Tensor, along: tf.Tensor, across: tf.Tensor) -> tf.Tensor:
    """Draw each pixel from the place along · (x, y) + across · (-y, x) of the image, counted from its center.

    Four gathers of one index for all images: their gradient is the exact adjoint, which that of TensorFlow's own
    projective transform is not.
    """
    height, width, channels = [*images.shape.as_list()[1:], 1][:3]
    y, x = tf.meshgrid(
        tf.range(height, dtype=tf.float32) - (height - 1) / 2,
        tf.range(width, dtype=tf.float32) - (width - 1) / 2,
        indexing="ij",
    )
    rows = _find_neighbors(along * y + across * x, height)
    columns = _find_neighbors(along * x - across * y, width)
    flat = tf.reshape(images, [-1, height * width, channels])
    drawn = sum(
        tf.gather(flat, tf.reshape(row * width + column, [-1]), axis=1) * tf.reshape(down * right, [-1, 1])
        for row, down in rows
        for column, right in columns
    )
    return tf.reshape(drawn, tf.shape(images))


def _find_neighbors(place: tf.Tensor, length: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return the two pixels around each place, counted from the center of an axis, each with its share."""
    place = tf.clip_by_value(place + (length - 1) / 2, 0.0, length - 1.0)
    before = tf.floor(place)
    share = place - before
    first = tf.cast(before, tf.int32)
    return [(first, 1 - share), (tf.minimum(first + 1, length - 1), share)]
