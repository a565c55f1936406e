"""What holds an image back: ``gray levels (N, H, W, C) -> (N,) penalties``, subtracted from the objective.

Any callable of that form is a regularizer. These are frozen dataclasses, so that equal ones share one trace.
"""

import dataclasses

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
