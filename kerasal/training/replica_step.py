"""A classifier's step on several devices: each computes its part of a batch, and all of them know the results."""

import numpy as np

from kerasal.training.replicas import Replicas, whole

import keras
import tensorflow as tf


class SpreadTrainer:
    """What a compiled Keras model does for a batch, on the devices of ``replicas``.

    The loss of the batch is that of one device: a mean over its images, however many of them each device has, and the
    regularizers once.
    """

    def __init__(self, replicas: Replicas, optimizer: keras.optimizers.Optimizer, batch_size: int):
        self._replicas, self._net, self._optimizer, self._length = replicas, replicas.net, optimizer, batch_size
        self._measured = 0  # images in the batches of predict_on_batch
        self._train = tf.function(self._train_spread, reduce_retracing=True)
        self._predict = tf.function(self._predict_spread, reduce_retracing=True)

    def train_on_batch(self, images, labels, return_dict=True) -> dict[str, float]:
        """Update the net by one batch; return its loss and accuracy before it."""
        spread = self._replicas.spread([images, labels])
        losses, right, penalty = (value.numpy() for value in self._train(*spread, np.float32(len(labels))))
        loss = losses[: len(labels)].mean(dtype=np.float64) + float(penalty)
        return {"loss": float(loss), "accuracy": float(right[: len(labels)].mean())}

    def predict_on_batch(self, images) -> np.ndarray:
        """Return the outputs (N, classes), dropout off."""
        if len(images) != self._measured:  # the sums over machines have one shape
            self._measured = len(images)
            self._predict = tf.function(self._predict_spread, reduce_retracing=True)
        return self._predict(*self._replicas.spread([images])).numpy()

    def _train_spread(self, *batch):
        return self._replicas.run(self._train_part, *batch)

    def _predict_spread(self, *batch):
        return self._replicas.run(self._predict_part, *batch)

    def _train_part(self, images, labels, place, count):
        variables = self._net.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._net(images, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            penalty = tf.add_n(self._net.losses) if self._net.losses else tf.zeros(())
            total = tf.reduce_sum(losses[: place[1]]) / count + penalty / self._replicas.count
        self._optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        right = tf.cast(tf.equal(tf.argmax(outputs, axis=1, output_type=labels.dtype), labels), tf.float32)
        return whole(losses, place, self._length), whole(right, place, self._length), penalty

    def _predict_part(self, images, place):
        return whole(self._net(images, training=False), place, self._measured)
