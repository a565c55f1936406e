"""The compiled step of gaze training: a batch of pixels in, the loss of every image out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal.gaze.predictor import is_log_density, preprocess, shape_maps
from kerasal.losses import CCLoss, KLDLoss, LogLikelihoodLoss, NSSLoss, SimilarityLoss, WeightedSum
from kerasal.losses.scores import cc
from kerasal.preprocessing import Preprocessing
from kerasal.training.replicas import Replicas, merge_parts
from kerasal.training.training_recipes import FIXATION_LOSSES

import keras
import tensorflow as tf

_LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "nss": NSSLoss,
    "cc": CCLoss,
    "kld": KLDLoss,
    "similarity": SimilarityLoss,
    "likelihood": LogLikelihoodLoss,
}
_DENSITY, _FIXATIONS = 0, 1


def make_objective(weights: Mapping[str, float]) -> WeightedSum:
    """Build the loss of (N, H, W, 2) truths, density and fixations, from weights by name."""
    channels = [_FIXATIONS if name in FIXATION_LOSSES else _DENSITY for name in weights]
    return WeightedSum([_LOSSES[name]() for name in weights], list(weights.values()), channels)


class Steps:
    """Training and validation steps of one net, compiled once for batches of any length.

    Both take pixels (N, h, w, 3), uint8 or prepared float32, density (N, mh, mw), fixation counts (zeros where the loss
    needs none) and which images are mirrored; ``validate`` mirrors none. Each device of ``replicas`` has its part of a
    batch of at most ``length`` images, and returns the values of all of them.
    """

    def __init__(
        self,
        net: keras.Model,
        optimizer: Any,
        objective: WeightedSum,
        convention: Preprocessing,
        map_size: tuple[int, int],
        *,
        pm1: bool = False,
        replicas: Replicas | None = None,
        length: int = 0,
    ):
        self.net, self.optimizer, self.objective = net, optimizer, objective
        self.convention, self.map_size, self.pm1 = convention, map_size, pm1
        self._replicas, self._length = replicas or Replicas(net, None), length
        self._train = self._replicas.compile(self._train_part)
        self._validate = self._replicas.compile(self._validate_part)

    def train(self, *batch: np.ndarray) -> np.ndarray:
        """Update the net by one batch; return the loss of every image before it, without any weight decay."""
        count = len(batch[0])
        return self._train(*self._replicas.split_batch(batch), np.float32(count)).numpy()[:count]

    def validate(self, *batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return the loss, the MSE (of maps in 0..1) and the CC of every image, the net at inference."""
        values = self._validate(*self._replicas.split_batch(batch))
        return {name: value.numpy()[: len(batch[0])] for name, value in values.items()}

    def _truth(self, density, fixations):
        density = tf.cast(density, tf.float32)
        density = 2 * density - 1 if self.pm1 else density
        fixations = tf.broadcast_to(tf.cast(fixations, tf.float32), tf.shape(density))
        return tf.stack([density, fixations], axis=-1)

    def _maps(self, inputs, training: bool):
        outputs = self.net(inputs, training=training)
        return tf.cast(shape_maps(outputs, self.map_size, log=is_log_density(self.net)), tf.float32)

    def _inputs(self, pixels):
        return preprocess(pixels, self.convention) if pixels.dtype == tf.uint8 else pixels

    def _train_part(self, pixels, density, fixations, flipped, place, count):
        """Step by a device's part of a batch of ``count`` images; the gradients of the parts add up."""
        inputs, truth = (
            tf.where(tf.reshape(flipped, (-1, 1, 1, 1)), tf.reverse(values, [2]), values)
            for values in (self._inputs(pixels), self._truth(density, fixations))
        )
        with tf.GradientTape() as tape:
            losses: Any = self.objective.call(truth, self._maps(inputs, training=True))
            total = tf.reduce_sum(losses if place is None else losses[: place[1]]) / count
            if self.net.losses:  # regularizers of the net's own
                total += tf.add_n(self.net.losses) / self._replicas.count
        variables = self.net.trainable_variables
        self.optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        return merge_parts(losses, place, self._length)

    def _validate_part(self, pixels, density, fixations, place):
        truth = self._truth(density, fixations)
        maps = self._maps(self._inputs(pixels), training=False)
        square = tf.reduce_mean((maps - truth[..., _DENSITY]) ** 2, axis=(1, 2))
        values = {
            "loss": self.objective.call(truth, maps),
            "mse": square / 4 if self.pm1 else square,  # a range of 2 instead of 1
            "cc": cc(density, maps),
        }
        return {name: merge_parts(value, place, self._length) for name, value in values.items()}
