"""The compiled step of gaze training: a batch of pixels in, the loss of every image out."""

from collections.abc import Mapping

import numpy as np

from kerasal.gaze.predictor import is_log_density, preprocess, shape_maps
from kerasal.losses import CCLoss, KLDLoss, LogLikelihoodLoss, NSSLoss, SimilarityLoss, WeightedSum
from kerasal.losses.scores import cc
from kerasal.preprocessing import Preprocessing
from kerasal.training.replicas import Replicas, whole
from kerasal.training.training_recipes import OF_FIXATIONS

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


def objective_of(weights: Mapping[str, float]) -> WeightedSum:
    """Build the loss of (N, H, W, 2) truths, density and fixations, from weights by name."""
    channels = [_FIXATIONS if name in OF_FIXATIONS else _DENSITY for name in weights]
    return WeightedSum([_LOSSES[name]() for name in weights], list(weights.values()), channels)


class Steps:
    """Training and validation steps of one net, compiled once for batches of any length.

    Both take pixels (N, h, w, 3), uint8 or prepared float32, density (N, mh, mw), fixation counts (zeros where the loss
    needs none) and which images are mirrored; ``validate`` mirrors none.
    """

    def __init__(self, net, optimizer, objective, convention: Preprocessing, map_size, *, pm1=False):
        self.net, self.optimizer, self.objective = net, optimizer, objective
        self.convention, self.map_size, self.pm1 = convention, map_size, pm1
        self._train = tf.function(self._train_one, reduce_retracing=True)
        self._validate = tf.function(self._validate_one, reduce_retracing=True)

    def train(self, pixels, density, fixations, flipped) -> np.ndarray:
        """Update the net by one batch; return the loss of every image before it, without any weight decay."""
        batch = [tf.constant(one) for one in (pixels, density, fixations, flipped)]
        return self._train(*batch, np.float32(len(pixels))).numpy()

    def validate(self, pixels, density, fixations) -> dict[str, np.ndarray]:
        """Return the loss, the MSE (of maps in 0..1) and the CC of every image, the net at inference."""
        values = self._validate(*(tf.constant(one) for one in (pixels, density, fixations)))
        return {name: value.numpy() for name, value in values.items()}

    def _truth(self, density, fixations):
        density = tf.cast(density, tf.float32)
        density = 2 * density - 1 if self.pm1 else density
        fixations = tf.broadcast_to(tf.cast(fixations, tf.float32), tf.shape(density))
        return tf.stack([density, fixations], axis=-1)

    def _maps(self, outputs):
        return tf.cast(shape_maps(outputs, self.map_size, log=is_log_density(self.net)), tf.float32)

    def _inputs(self, pixels):
        return preprocess(pixels, self.convention) if pixels.dtype == tf.uint8 else pixels

    def _train_one(self, pixels, density, fixations, flipped, count):
        losses, gradients = self._gradients(pixels, density, fixations, flipped, lambda losses: losses, count)
        self.optimizer.apply(gradients, self.net.trainable_variables)
        return losses

    def _gradients(self, pixels, density, fixations, flipped, own, count, share=1):
        """Return the losses and the gradient of a batch of ``count`` images, or of a device's part of it.

        ``own`` picks the losses that count; ``share`` is of the regularizers. The gradients of the parts add up.
        """
        truth = self._truth(density, fixations)
        inputs = _mirror(self._inputs(pixels), flipped)
        truth = _mirror(truth, flipped)
        with tf.GradientTape() as tape:
            maps = self._maps(self.net(inputs, training=True))
            losses = self.objective.call(truth, maps)
            total = tf.reduce_sum(own(losses)) / count
            if self.net.losses:  # regularizers of the net's own
                total += tf.add_n(self.net.losses) / share
        return losses, tape.gradient(total, [variable.value for variable in self.net.trainable_variables])

    def _validate_one(self, pixels, density, fixations):
        truth = self._truth(density, fixations)
        maps = self._maps(self.net(self._inputs(pixels), training=False))
        square = tf.reduce_mean((maps - truth[..., _DENSITY]) ** 2, axis=(1, 2))
        return {
            "loss": self.objective.call(truth, maps),
            "mse": square / 4 if self.pm1 else square,  # a range of 2 instead of 1
            "cc": cc(density, maps),
        }


class SpreadSteps(Steps):
    """The same on the devices of ``replicas``, each with its part of a batch of at most ``batch_size`` images.

    Every device, and with it every machine, returns the values of all images.
    """

    def __init__(self, replicas: Replicas, batch_size: int, *given, **options):
        super().__init__(replicas.net, *given, **options)
        self._replicas, self._length = replicas, batch_size
        self._train = tf.function(self._train_spread, reduce_retracing=True)
        self._validate = tf.function(self._validate_spread, reduce_retracing=True)

    def train(self, pixels, density, fixations, flipped) -> np.ndarray:
        """Update the net by one batch; return the loss of every image."""
        spread = self._replicas.spread([pixels, density, fixations, flipped])
        return self._train(*spread, np.float32(len(pixels))).numpy()[: len(pixels)]

    def validate(self, pixels, density, fixations) -> dict[str, np.ndarray]:
        """Return the loss, the MSE and the CC of every image."""
        values = self._validate(*self._replicas.spread([pixels, density, fixations]))
        return {name: value.numpy()[: len(pixels)] for name, value in values.items()}

    def _train_spread(self, *batch):
        return self._replicas.run(self._train_part, *batch)

    def _validate_spread(self, *batch):
        return self._replicas.run(self._validate_part, *batch)

    def _train_part(self, pixels, density, fixations, flipped, place, count):
        losses, gradients = self._gradients(
            pixels, density, fixations, flipped, lambda losses: losses[: place[1]], count, self._replicas.count
        )
        self.optimizer.apply(gradients, self.net.trainable_variables)
        return whole(losses, place, self._length)

    def _validate_part(self, pixels, density, fixations, place):
        values = self._validate_one(pixels, density, fixations)
        return {name: whole(value, place, self._length) for name, value in values.items()}


def _mirror(values, flipped):
    return tf.where(tf.reshape(flipped, (-1, 1, 1, 1)), tf.reverse(values, [2]), values)
