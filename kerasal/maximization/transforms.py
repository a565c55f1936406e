"""What is done to the image before each look: ``inputs (N, H, W, C), seed (2,) -> inputs``, in the graph.

A transform may be any callable of that form; ``seed`` differs at every step and follows from the run's seed, for the
``tf.random.stateless_*`` functions. These are frozen dataclasses, so that equal ones share one trace.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Jitter:
    """Shift all images by up to ``pixels`` in each direction, round the edges (Mordvintsev et al. 2015)."""

    pixels: int

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the shifted images."""
        shift = tf.random.stateless_uniform([2], seed, -self.pixels, self.pixels + 1, dtype=tf.int32)
        return tf.roll(images, shift, axis=[1, 2])
