"""The compiled step of gaze training: a batch of pixels in, the loss of every image out."""

from collections.abc import Mapping

from kerasal import _keras  # noqa: F401  (before keras: names the wrong backend)

import keras  # isort: skip
import numpy as np  # isort: skip
import tensorflow as tf  # isort: skip

from kerasal.gaze.maps import as_maps, is_log_density, prepare  # isort: skip
from kerasal.losses import CCLoss, KLDLoss, LogLikelihoodLoss, NSSLoss, SimilarityLoss, WeightedSum  # isort: skip
from kerasal.losses.scores import cc  # isort: skip
from kerasal.preprocessing import Preprocessing  # isort: skip
from kerasal.training.recipes import OF_FIXATIONS  # isort: skip

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

    def __init__(self, net, optimizer, objective, convention: Preprocessing, map_size, *, pm1=False, strategy=None):
        self.net, self.optimizer, self.objective = net, optimizer, objective
        self.convention, self.map_size, self.pm1, self.strategy = convention, map_size, pm1, strategy
        self._train = tf.function(self._train_anywhere, reduce_retracing=True)
        self._validate = tf.function(self._validate_one, reduce_retracing=True)

    def train(self, pixels, density, fixations, flipped) -> np.ndarray:
        """Update the net by one batch; return the loss of every image before it, without any weight decay."""
        batch = [tf.constant(one) for one in (pixels, density, fixations, flipped)]
        if self.strategy is None:
            return self._train(*batch, np.float32(len(pixels))).numpy()
        spread = self._spread(batch, len(pixels))
        return np.concatenate([one.numpy() for one in self._train(*spread, np.float32(len(pixels)))])

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
        return tf.cast(as_maps(outputs, self.map_size, log=is_log_density(self.net)), tf.float32)

    def _inputs(self, pixels):
        return prepare(pixels, self.convention) if pixels.dtype == tf.uint8 else pixels

    def _train_anywhere(self, pixels, density, fixations, flipped, count):
        if self.strategy is None:
            return self._train_one(pixels, density, fixations, flipped, count)
        losses = self.strategy.run(self._train_one, (pixels, density, fixations, flipped, count))
        return self.strategy.experimental_local_results(losses)

    def _train_one(self, pixels, density, fixations, flipped, count):
        """``count`` images are in the whole batch, of which each replica has a part: their gradients are added."""
        truth = self._truth(density, fixations)
        inputs = _mirrored(self._inputs(pixels), flipped)
        truth = _mirrored(truth, flipped)
        variables = self.net.trainable_variables
        with tf.GradientTape() as tape:
            maps = self._maps(self.net(inputs, training=True))
            losses = self.objective.call(truth, maps)
            total = tf.reduce_sum(losses) / count
            if self.net.losses:  # regularizers of the net's own
                replicas = 1 if self.strategy is None else self.strategy.num_replicas_in_sync
                total += tf.add_n(self.net.losses) / replicas
        gradients = tape.gradient(total, [variable.value for variable in variables])
        self.optimizer.apply(gradients, variables)
        return losses

    def _validate_one(self, pixels, density, fixations):
        truth = self._truth(density, fixations)
        maps = self._maps(self.net(self._inputs(pixels), training=False))
        square = tf.reduce_mean((maps - truth[..., _DENSITY]) ** 2, axis=(1, 2))
        return {
            "loss": self.objective.call(truth, maps),
            "mse": square / 4 if self.pm1 else square,  # a range of 2 instead of 1
            "cc": cc(density, maps),
        }

    def _spread(self, batch, count: int):
        """Cut a batch into one part a replica, all of it used; the last batch of an epoch may leave some with none."""
        replicas = self.strategy.num_replicas_in_sync
        edges = [count * i // replicas for i in range(replicas + 1)]

        def part(values):
            return lambda context: values[
                edges[context.replica_id_in_sync_group] : edges[context.replica_id_in_sync_group + 1]
            ]

        return [self.strategy.experimental_distribute_values_from_function(part(values)) for values in batch]


def _mirrored(values, flipped):
    return tf.where(tf.reshape(flipped, (-1, 1, 1, 1)), tf.reverse(values, [2]), values)
