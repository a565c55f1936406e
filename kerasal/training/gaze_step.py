"""The compiled step of gaze training, which maps a batch of images to the loss of each image."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasal.gaze.predictor import is_log_density, preprocess, shape_maps
from kerasal.losses import (
    CCLoss,
    CenterCorrelationLoss,
    CenterDistanceLoss,
    KLDLoss,
    LogLikelihoodLoss,
    NSSLoss,
    SimilarityLoss,
    WeightedSum,
)
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
    "center_distance": CenterDistanceLoss,
    "center_correlation": CenterCorrelationLoss,
}
_DENSITY, _FIXATIONS = 0, 1


def make_objective(weights: Mapping[str, float]) -> WeightedSum:
    """Return the weighted sum of the losses in ``weights``; its truth is (N, H, W, 2): density and fixation counts."""
    channels = [_FIXATIONS if name in FIXATION_LOSSES else _DENSITY for name in weights]
    return WeightedSum([_LOSSES[name]() for name in weights], list(weights.values()), channels)


class Steps:
    """Training and validation steps of a model, each compiled once for batches of any length.

    Both take pixels (N, h, w, 3), uint8 or preprocessed float32, densities (N, mh, mw) and fixation counts (zeros if
    the loss does not need them); ``train`` also takes the booleans (N,) of the images to mirror. Batches have at most
    ``length`` images and are split between the devices of ``replicas``.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: Any,
        objective: WeightedSum,
        convention: Preprocessing,
        map_size: tuple[int, int],
        *,
        pm1: bool = False,
        replicas: Replicas | None = None,
        length: int = 0,
    ):
        self.model, self.optimizer, self.objective = model, optimizer, objective
        self.convention, self.map_size, self.pm1 = convention, map_size, pm1
        self._replicas, self._length = replicas or Replicas(model, None), length
        self._train = self._replicas.compile(self._train_part)
        self._validate = self._replicas.compile(self._validate_part)

    def train(self, *batch: np.ndarray) -> np.ndarray:
        """Update the model by a batch; return the loss of each image before the update, without weight decay."""
        count = len(batch[0])
        return self._train(*self._replicas.split_batch(batch), np.float32(count)).numpy()[:count]

    def validate(self, *batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return the loss, the MSE (of maps in 0..1) and the CC of each image, with the model in inference mode."""
        values = self._validate(*self._replicas.split_batch(batch))
        return {name: value.numpy()[: len(batch[0])] for name, value in values.items()}

    def _truth(self, density, fixations):
        density = tf.cast(density, tf.float32)
        density = 2 * density - 1 if self.pm1 else density
        fixations = tf.broadcast_to(tf.cast(fixations, tf.float32), tf.shape(density))
        return tf.stack([density, fixations], axis=-1)

    def _maps(self, inputs, training: bool):
        outputs = self.model(inputs, training=training)
        return tf.cast(shape_maps(outputs, self.map_size, log=is_log_density(self.model)), tf.float32)

    def _inputs(self, pixels):
        return preprocess(pixels, self.convention) if pixels.dtype == tf.uint8 else pixels

    def _train_part(self, pixels, density, fixations, flipped, span, count):
        """Update by a device's part of a batch of ``count`` images; the gradients of all parts are summed."""
        inputs, truth = (
            tf.where(tf.reshape(flipped, (-1, 1, 1, 1)), tf.reverse(values, [2]), values)
            for values in (self._inputs(pixels), self._truth(density, fixations))
        )
        with tf.GradientTape() as tape:
            losses: Any = self.objective.call(truth, self._maps(inputs, training=True))
            total = tf.reduce_sum(losses if span is None else losses[: span[1]]) / count
            if self.model.losses:  # regularizers of the model
                total += tf.add_n(self.model.losses) / self._replicas.count
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        return merge_parts(losses, span, self._length)

    def _validate_part(self, pixels, density, fixations, span):
        truth = self._truth(density, fixations)
        maps = self._maps(self._inputs(pixels), training=False)
        square = tf.reduce_mean((maps - truth[..., _DENSITY]) ** 2, axis=(1, 2))
        values = {
            "loss": self.objective.call(truth, maps),
            "mse": square / 4 if self.pm1 else square,  # -1..1 is twice the range of 0..1
            "cc": cc(density, maps),
        }
        return {name: merge_parts(value, span, self._length) for name, value in values.items()}
