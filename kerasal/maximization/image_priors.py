"""Image priors: regularizers, which penalize an image, and transforms, which change it before each forward pass.

A regularizer is any callable from gray levels (N, H, W, C) to penalties (N,), which are subtracted from the objective.
A transform is any callable from (inputs (N, H, W, C), seed (2,)) to inputs, and runs in the graph. Signals are
(N, T, C) there, volumes and videos (N, D, H, W, C), whatever layout the model takes. The seed is for the
``tf.random.stateless_*`` functions; it is derived from the seed of the run and differs for every step and transform.
All images of a step share a random draw, so that the result for an image does not depend on its batch. The classes are
frozen dataclasses, so that equal instances share a trace.
"""

import dataclasses
import math
from typing import Any

from kerasal.checks import check_int, check_number

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class L2:
    """Penalty ``weight`` · Σ z² on the gray levels z: λ‖I‖₂² of Simonyan et al. 2013, section 2."""

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        return self.weight * tf.reduce_sum(tf.square(images), axis=list(range(1, images.shape.rank)))


@dataclasses.dataclass(frozen=True)
class L1:
    """Penalty ``weight`` · Σ |z| on the gray levels z: α‖I‖₁ of Tang et al., section 3.3."""

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        return self.weight * tf.reduce_sum(tf.abs(images), axis=list(range(1, images.shape.rank)))


@dataclasses.dataclass(frozen=True)
class TotalVariation:
    """Penalty ``weight`` · Σ |difference of neighboring pixels|: Mahendran & Vedaldi 2015, section 2.2, with β = 1.

    Neighbors are those along every position axis: time steps of a signal, voxels of a volume.
    """

    weight: float

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return the (N,) penalties of gray levels (N, H, W, C)."""
        if images.shape.rank == 4:
            return self.weight * tf.image.total_variation(images)
        total: Any = 0.0
        for axis in range(1, images.shape.rank - 1):
            before, after = ([slice(None)] * axis + [part] for part in (slice(None, -1), slice(1, None)))
            steps = tf.abs(images[tuple(after)] - images[tuple(before)])
            total += tf.reduce_sum(steps, axis=list(range(1, images.shape.rank)))
        return self.weight * total


@dataclasses.dataclass(frozen=True)
class Jitter:
    """Random shift by up to ``pixels`` in each direction, with wrap-around (Mordvintsev et al. 2015).

    The shift is at most ``share`` of the image's shorter side, rounded down; in a volume or video, ``share`` of each
    side, since a video has few frames.
    """

    pixels: int
    share: float = 1.0

    def __post_init__(self):
        check_int("pixels of Jitter", self.pixels, 0)
        check_number("share of Jitter", self.share, minimum=0, maximum=1)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the shifted images."""
        sides = [side or 0 for side in images.shape.as_list()[1:-1]]
        limits = [min(self.pixels, int(self.share * side)) for side in (sides if len(sides) > 2 else [min(sides)])]
        if len(limits) == 1:
            shift = tf.random.stateless_uniform([len(sides)], seed, -limits[0], limits[0] + 1, dtype=tf.int32)
        else:
            share = tf.random.stateless_uniform([len(sides)], seed)
            shift = tf.cast(tf.floor(share * [2.0 * limit + 1 for limit in limits]), tf.int32) - limits
        return tf.roll(images, shift, axis=list(range(1, len(sides) + 1)))


@dataclasses.dataclass(frozen=True)
class Rotation:
    """Random rotation about the center by up to ``degrees`` in either direction (Olah et al. 2017, "robustness").

    Interpolation is bilinear; pixels outside the image repeat its edge. Inputs other than images are an error.
    """

    degrees: float

    def __post_init__(self):
        check_number("degrees of Rotation", self.degrees, minimum=0, maximum=180)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the rotated images."""
        if images.shape.rank != 4:
            raise ValueError(
                f"Rotation must get images (N, H, W, C), got {images.shape}, which has no plane to turn in."
            )
        limit = math.radians(self.degrees)
        angle = tf.random.stateless_uniform([], seed, -limit, limit)
        return _sample_around(images, tf.cos(angle), tf.sin(angle))


@dataclasses.dataclass(frozen=True)
class Scale:
    """Random scaling about the center by a factor from ``low`` to ``high`` (Olah et al. 2017, "robustness").

    The image size does not change: factors above 1 crop the image, and below 1, pixels outside the image repeat its
    edge. Interpolation is bilinear. Signals and volumes are scaled along every position axis.
    """

    low: float
    high: float

    def __post_init__(self):
        if not 0 < self.low <= self.high < math.inf:
            raise ValueError(f"low and high of Scale must satisfy 0 < low <= high, got {self.low!r} and {self.high!r}.")

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the scaled images."""
        factor = tf.random.stateless_uniform([], seed, self.low, self.high)
        if images.shape.rank == 4:
            return _sample_around(images, 1 / factor, tf.zeros([]))
        return _stretch(images, 1 / factor)


def _sample_around(images: tf.Tensor, along: tf.Tensor, across: tf.Tensor) -> tf.Tensor:
    """Sample each pixel (x, y) at along · (x, y) + across · (-y, x), in coordinates relative to the center.

    The four gathers share their indices across images. Their gradient is the exact adjoint, unlike that of TensorFlow's
    projective transform.
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
    sampled = sum(
        tf.gather(flat, tf.reshape(row * width + column, [-1]), axis=1) * tf.reshape(down * right, [-1, 1])
        for row, down in rows
        for column, right in columns
    )
    return tf.reshape(sampled, tf.shape(images))


def _stretch(images: tf.Tensor, along: tf.Tensor) -> tf.Tensor:
    """Sample each position p at along · p, in coordinates relative to the center, along one axis after the other."""
    rank = images.shape.rank
    for axis in range(1, rank - 1):
        length: Any = images.shape[axis]
        position = along * (tf.range(length, dtype=tf.float32) - (length - 1) / 2)
        first, second = (
            tf.gather(images, index, axis=axis) * tf.reshape(share, [-1] + [1] * (rank - 1 - axis))
            for index, share in _find_neighbors(position, length)
        )
        images = first + second
    return images


def _find_neighbors(position: tf.Tensor, length: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return the two pixels around each position, which is relative to the center of an axis, and their weights."""
    position = tf.clip_by_value(position + (length - 1) / 2, 0.0, length - 1.0)
    before = tf.floor(position)
    share = position - before
    first = tf.cast(before, tf.int32)
    return [(first, 1 - share), (tf.minimum(first + 1, length - 1), share)]
