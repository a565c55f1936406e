"""The penalty that keeps the copies of a maximized image different."""

import dataclasses
from typing import Any

from kerasal.checks import check_int, check_number

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Diversity:
    """A penalty on the similarity between the copies of an objective's image.

    Attributes:
        copies: number of images for each objective.
        weight: length of the penalty's gradient relative to the gradient of the objective.
        layer: layer whose maps are compared; None means the last layer of the model with a map.

    Raises:
        ValueError: if ``copies`` is not positive, the weight is negative, or there is a weight or a layer for a single
            copy.
    """

    copies: int
    weight: float = 0.0
    layer: str | None = None

    def __post_init__(self):
        check_int("copies", self.copies)
        check_number("diversity", self.weight, minimum=0)
        if self.copies == 1 and (self.weight or self.layer):
            raise ValueError(
                "copies must be at least 2 with diversity or diversity_layer, got 1. Pass, for example, copies=4."
            )

    def overlap(self, maps: Any) -> tf.Tensor:
        """Return the mean cosine similarity (N,), -1..1, of each copy's Gram matrix with those of the other copies.

        In ``maps`` (N, …, C) the copies of an objective are consecutive. The Gram matrix of the activation vectors
        a is G = Σ a aᵀ, summed over positions.

        Raises:
            ValueError: if the layer has no map.

        Source: Olah et al. 2017, appendix, "Diversity".
        """
        if (maps.shape.rank or 0) < 3:
            raise ValueError(
                f"diversity_layer must have a map (N, …, C) with positions, got a layer with output {maps.shape}. "
                "Choose a convolutional layer."
            )
        channels = maps.shape.as_list()[-1] or 0
        flat = tf.reshape(tf.cast(maps, tf.float32), [tf.shape(maps)[0], -1, channels])
        grams = tf.matmul(flat, flat, transpose_a=True)
        grams = tf.math.l2_normalize(tf.reshape(grams, [-1, self.copies, channels**2]), axis=2)
        similarities = tf.matmul(grams, grams, transpose_b=True)
        other_similarities = tf.reduce_sum(similarities, axis=2) - tf.linalg.diag_part(similarities)
        return tf.reshape(other_similarities / (self.copies - 1), [-1])
