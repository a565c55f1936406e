"""How alike the copies of one objective's image are, as a penalty: ``a layer's map (N, h, w, C) -> overlap (N,)``."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Diversity:
    """How strongly ``copies`` of each objective's image are driven apart.

    ``weight`` is the length of the push away from the other copies, relative to the objective's own gradient. ``layer``
    is where they are compared; None is the last map of the model.
    """

    copies: int
    weight: float = 0.0
    layer: str | None = None

    def overlap(self, maps: tf.Tensor) -> tf.Tensor:
        """Return (N,), the mean cosine similarity of each copy's Gram matrix with those of the other copies, -1..1.

        ``maps`` (N, h, w, C) holds the copies of an objective one after the other. G = Σ over positions of a aᵀ.

        Raises:
            ValueError: the layer has no map.

        Source: Olah et al. 2017, appendix, "Diversity".
        """
        if maps.shape.rank != 4:
            raise ValueError(
                f"diversity compares maps (N, h, w, C). Received a layer with output {maps.shape}; name a "
                "convolutional one with diversity_layer=."
            )
        flat = tf.reshape(tf.cast(maps, tf.float32), [tf.shape(maps)[0], -1, maps.shape[3]])
        grams = tf.matmul(flat, flat, transpose_a=True)
        grams = tf.math.l2_normalize(tf.reshape(grams, [-1, self.copies, maps.shape[3] ** 2]), axis=2)
        alike = tf.matmul(grams, grams, transpose_b=True)
        others = tf.reduce_sum(alike, axis=2) - tf.linalg.diag_part(alike)
        return tf.reshape(others / (self.copies - 1), [-1])
