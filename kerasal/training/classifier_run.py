"""A classifier's training under way: its step, its epochs, and what is measured after each."""

import math
import time
from typing import Any

import numpy as np
import pandas as pd

from kerasal.training import training_pictures
from kerasal.training.replicas import Replicas, merge_parts
from kerasal.training.training_inputs import Augmentation, Inputs
from kerasal.training.training_progress import Progress

import keras
import tensorflow as tf

_EVALUATION_BATCH, _EVALUATION_VALUES = 1000, 20_000_000  # at most, in a batch that is only measured


class Run:
    """What an epoch needs; ``state`` is what a checkpoint holds."""

    def __init__(
        self,
        replicas: Replicas,
        learning_rate: float,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None,
        train_data: Inputs,
        test_data: Inputs,
    ):
        self._replicas, self._batch_size, self._seed, self._augmentation = replicas, batch_size, seed, augmentation
        self._data, self._test = train_data, test_data
        with replicas.scope():
            optimizer = keras.optimizers.Adam(learning_rate)
            if replicas.strategy is not None:
                self._trainer = _ReplicaTrainer(replicas, optimizer, batch_size)
            else:  # a wrapper is compiled, not the caller's model, which thereby keeps its own optimizer, or none
                inputs = keras.Input(replicas.model.inputs[0].shape[1:])
                self._trainer = keras.Sequential([inputs, replicas.model])
                options: Any = {"metrics": ["accuracy"], "jit_compile": False}  # the stubs want a text here
                self._trainer.compile(optimizer, "sparse_categorical_crossentropy", **options)
            optimizer.build(replicas.model.trainable_variables)
        self.state = {"model": replicas.model.weights, "optimizer": optimizer.variables}
        self.steps = math.ceil(len(train_data) / batch_size)

    def epoch(self, epoch: int, shown: Progress) -> dict:
        """Run one epoch and return its row of the history."""
        started = time.perf_counter()
        random = np.random.default_rng([self._seed, epoch])
        order = random.permutation(len(self._data))
        self._replicas.seed_dropout(random)
        changes = (self._augmentation, self._augmentation.draw(len(order), random)) if self._augmentation else None
        totals, done, loss, correct = np.zeros(2), 0, 0.0, 0.0
        for images, labels in self._data.batches(order, self._batch_size, changes):
            values = self._trainer.train_on_batch(images, labels, return_dict=True)
            totals += len(labels) * float(values["loss"]), round(len(labels) * float(values["accuracy"]))
            done += len(labels)
            loss, correct = totals / done
            if not math.isfinite(loss):
                raise ValueError(f"The loss is {loss} in epoch {epoch}. Start over with a smaller learning rate.")
            shown.step(epoch, loss, correct)
        self._replicas.average_statistics()
        found, labels = probabilities(self._trainer, self._test), self._test.labels
        of_label = found[np.arange(len(labels)), labels].astype(np.float64)
        clipped = np.clip(of_label, keras.config.epsilon(), 1 - keras.config.epsilon())  # as Keras does
        test_loss, test_correct = float(-np.log(clipped).mean()), float((found.argmax(axis=1) == labels).mean())
        row = {
            "epoch": epoch,
            "loss": float(loss),
            "accuracy": float(correct),
            "test_loss": test_loss,
            "test_accuracy": test_correct,
            "seconds": round(time.perf_counter() - started, 2),
        }
        text = f"loss {loss:.4f}  accuracy {correct:.4f}  test loss {test_loss:.4f}  test accuracy {test_correct:.4f}"
        shown.line(f"{text}  {row['seconds']:.1f} s", epoch)
        return row

    def confusion(self, names: list[str]) -> pd.DataFrame:
        """Count the test images, a row for each true class and a column for each predicted one."""
        return training_pictures.count_confusion(
            self._test.labels, probabilities(self._trainer, self._test).argmax(axis=1), names
        )


def probabilities(model, data: Inputs) -> np.ndarray:
    """Return the outputs (N, classes) for all images, dropout off; ``model`` has ``predict_on_batch``."""
    found = []
    each = max(1, int(np.prod(data.take(np.arange(1)).shape[1:])))
    at_once = max(1, min(_EVALUATION_BATCH, _EVALUATION_VALUES // each))
    for images, _ in data.batches(np.arange(len(data)), at_once):
        count = len(images)
        if found and count < len(found[0]):  # a smaller last batch would be traced anew
            images = np.concatenate([images, np.repeat(images[:1], len(found[0]) - count, axis=0)])
        found.append(model.predict_on_batch(images)[:count])
    return np.concatenate(found)


class _ReplicaTrainer:
    """What a compiled Keras model does for a batch, on the devices of ``replicas``.

    The loss of the batch is that of one device: a mean over its images, however many of them each device has, and the
    regularizers once.
    """

    def __init__(self, replicas: Replicas, optimizer: keras.optimizers.Optimizer, batch_size: int):
        self._replicas, self._net, self._optimizer, self._length = replicas, replicas.model, optimizer, batch_size
        self._measured = 0  # images in the batches of predict_on_batch
        self._train, self._predict = replicas.compile(self._train_part), replicas.compile(self._predict_part)

    def train_on_batch(self, images, labels, return_dict=True) -> dict[str, float]:
        """Update the net by one batch; return its loss and accuracy before it."""
        spread = self._replicas.split_batch([images, labels])
        losses, right, penalty = (value.numpy() for value in self._train(*spread, np.float32(len(labels))))
        loss = losses[: len(labels)].mean(dtype=np.float64) + float(penalty)
        return {"loss": float(loss), "accuracy": float(right[: len(labels)].mean())}

    def predict_on_batch(self, images) -> np.ndarray:
        """Return the outputs (N, classes), dropout off."""
        if len(images) != self._measured:  # the sums over machines have one shape
            self._measured = len(images)
            self._predict = self._replicas.compile(self._predict_part)
        return self._predict(*self._replicas.split_batch([images])).numpy()

    def _train_part(self, images, labels, place, count):
        variables = self._net.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._net(images, training=True)
            losses: Any = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            penalty = tf.add_n(self._net.losses) if self._net.losses else tf.zeros(())
            total = tf.reduce_sum(losses[: place[1]]) / count + penalty / self._replicas.count
        self._optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        right = tf.cast(tf.equal(tf.argmax(outputs, axis=1, output_type=labels.dtype), labels), tf.float32)
        return merge_parts(losses, place, self._length), merge_parts(right, place, self._length), penalty

    def _predict_part(self, images, place):
        return merge_parts(self._net(images, training=False), place, self._measured)
