"""The training run of a classifier: its steps, its epochs, and the evaluation after each epoch."""

import dataclasses
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

_EVALUATION_BATCH, _EVALUATION_VALUES = 1000, 20_000_000  # most images and values in a batch of the evaluation


class Run:
    """A training run; ``state`` holds the variables of a checkpoint."""

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
            else:  # a wrapper is compiled, so that the caller's model keeps its optimizer
                inputs = keras.Input(replicas.model.inputs[0].shape[1:])
                self._trainer = keras.Sequential([inputs, replicas.model])
                # Any, because the type stubs expect a str for jit_compile.
                options: Any = {"metrics": ["accuracy"], "jit_compile": False}
                self._trainer.compile(optimizer, "sparse_categorical_crossentropy", **options)
            optimizer.build(replicas.model.trainable_variables)
        self.state = {"model": replicas.model.weights, "optimizer": optimizer.variables}
        self.steps = math.ceil(len(train_data) / batch_size)
        self._optimizer, self._learning_rate = optimizer, learning_rate

    def settings(self, epochs: int) -> dict[str, Any]:
        """Return the settings of the run for run.json."""
        optimizer = self._optimizer.get_config()
        return {
            "epochs": epochs,
            "steps_per_epoch": self.steps,
            "batch_size": self._batch_size,
            "learning_rate": self._learning_rate,
            "schedule": "constant",
            "optimizer": {"class": "Adam", **{key: optimizer[key] for key in ("beta_1", "beta_2", "epsilon")}},
            "loss": "cross-entropy, and the regularizers of the model",
            "seed": self._seed,
            "augmentation": dataclasses.asdict(self._augmentation) if self._augmentation else None,
        }

    def epoch(self, epoch: int, progress: Progress) -> dict:
        """Train an epoch and return its row of the history."""
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
                raise ValueError(
                    f"The loss must be finite, got {loss} in epoch {epoch}. Start over with a smaller learning_rate."
                )
            progress.step(epoch, loss, correct)
        self._replicas.average_statistics()
        outputs, labels = probabilities(self._trainer, self._test), self._test.labels
        label_outputs = outputs[np.arange(len(labels)), labels].astype(np.float64)
        clipped = np.clip(label_outputs, keras.config.epsilon(), 1 - keras.config.epsilon())  # as Keras does
        test_loss, test_correct = float(-np.log(clipped).mean()), float((outputs.argmax(axis=1) == labels).mean())
        row = {
            "epoch": epoch,
            "loss": float(loss),
            "accuracy": float(correct),
            "test_loss": test_loss,
            "test_accuracy": test_correct,
            "seconds": round(time.perf_counter() - started, 2),
        }
        text = f"loss {loss:.4f}  accuracy {correct:.4f}  test loss {test_loss:.4f}  test accuracy {test_correct:.4f}"
        progress.line(f"{text}  {row['seconds']:.1f} s", epoch)
        return row

    def confusion(self, names: list[str]) -> pd.DataFrame:
        """Return the number of test images by true class (rows) and predicted class (columns)."""
        return training_pictures.count_confusion(
            self._test.labels, probabilities(self._trainer, self._test).argmax(axis=1), names
        )


def probabilities(model, data: Inputs) -> np.ndarray:
    """Return the outputs (N, classes) for all images, without dropout; ``model`` needs ``predict_on_batch``."""
    outputs = []
    values = max(1, int(np.prod(data.take(np.arange(1)).shape[1:])))
    batch_size = max(1, min(_EVALUATION_BATCH, _EVALUATION_VALUES // values))
    for images, _ in data.batches(np.arange(len(data)), batch_size):
        count = len(images)
        if outputs and count < len(outputs[0]):  # a smaller last batch would be traced again, so it is padded
            images = np.concatenate([images, np.repeat(images[:1], len(outputs[0]) - count, axis=0)])
        outputs.append(model.predict_on_batch(images)[:count])
    return np.concatenate(outputs)


class _ReplicaTrainer:
    """The batch methods of a compiled Keras model, on the devices of ``replicas``.

    The loss of a batch is the same as on a single device: the mean over all its images, regardless of the number on
    each device, plus the regularizers once.
    """

    def __init__(self, replicas: Replicas, optimizer: keras.optimizers.Optimizer, batch_size: int):
        self._replicas, self._model, self._optimizer, self._length = replicas, replicas.model, optimizer, batch_size
        self._predict_length = 0  # images per batch of predict_on_batch
        self._train, self._predict = replicas.compile(self._train_part), replicas.compile(self._predict_part)

    def train_on_batch(self, images, labels, return_dict=True) -> dict[str, float]:
        """Update the model by a batch; return the loss and accuracy before the update."""
        parts = self._replicas.split_batch([images, labels])
        losses, hits, penalty = (value.numpy() for value in self._train(*parts, np.float32(len(labels))))
        loss = losses[: len(labels)].mean(dtype=np.float64) + float(penalty)
        return {"loss": float(loss), "accuracy": float(hits[: len(labels)].mean())}

    def predict_on_batch(self, images) -> np.ndarray:
        """Return the outputs (N, classes), without dropout."""
        if len(images) != self._predict_length:  # the sums over machines need a constant shape
            self._predict_length = len(images)
            self._predict = self._replicas.compile(self._predict_part)
        return self._predict(*self._replicas.split_batch([images])).numpy()

    def _train_part(self, images, labels, span, count):
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._model(images, training=True)
            losses: Any = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            penalty = tf.add_n(self._model.losses) if self._model.losses else tf.zeros(())
            total = tf.reduce_sum(losses[: span[1]]) / count + penalty / self._replicas.count
        self._optimizer.apply(tape.gradient(total, [variable.value for variable in variables]), variables)
        hits = tf.cast(tf.equal(tf.argmax(outputs, axis=1, output_type=labels.dtype), labels), tf.float32)
        return merge_parts(losses, span, self._length), merge_parts(hits, span, self._length), penalty

    def _predict_part(self, images, span):
        return merge_parts(self._model(images, training=False), span, self._predict_length)
