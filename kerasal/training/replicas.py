"""One net on several devices: a copy under a strategy's scope, a part of each batch, and the weights given back.

Batch normalisation: each device normalises by its own part of the batch (``BatchNormalization(synchronized=True)`` by
all of it), and ``settle`` brings the moving averages of the devices together. Their means over devices after an epoch
are what means after every step would have come to, because a moving average is linear.
"""

import contextlib
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from kerasal.training import checkpoint
from kerasal.training.workers import Alone, join_workers

import keras
import tensorflow as tf

STRATEGIES = ("mirrored", "multi-worker")
_SEED = "seed_generator_state"


class Replicas:
    """The net that is trained: the caller's own, or its copy on the devices of this machine or of several.

    Raises:
        ValueError: another strategy than None, ``"mirrored"`` or ``"multi-worker"``; an unusable TF_CONFIG.
        RuntimeError: the workers have not met yet, and TensorFlow has computed something.
        ConnectionError: the other workers did not come.
    """

    def __init__(self, net: keras.Model, strategy: str | None):
        if strategy not in (None, *STRATEGIES):
            raise ValueError(f'strategy is None, "mirrored" or "multi-worker". Received: {strategy!r}.')
        self._own, self.net, self.team, self.strategy = net, net, Alone(), None
        self._mean = None
        if strategy == "mirrored":
            self.strategy = _mirror_devices()
        elif strategy == "multi-worker":
            self.team = join_workers()
            self.strategy = self.team.strategy
        if self.strategy is not None:
            with self.team.guarded(), self.strategy.scope():
                self.net = keras.models.clone_model(net)
            self.net.set_weights(net.get_weights())

    @property
    def count(self) -> int:
        """How many devices train, on all machines."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def settings(self) -> dict[str, int]:
        """What a checkpoint notes; nothing of a training on one device."""
        return {} if self.strategy is None else {checkpoint.DEVICES: self.count}

    def change(self, path: pathlib.Path) -> str:
        """Say where the run whose checkpoint is ``path`` goes on with another number of devices; else nothing."""
        before = checkpoint.devices(path)
        if before == self.count:
            return ""
        return (
            f" (on {before} device{'s' * (before > 1)} there, {self.count} now: the same batches, but sums in another "
            "order, and other units dropped)"
        )

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context in which variables are made."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def check_batch(self, batch_size: int) -> None:
        """Refuse batches of fewer images than there are devices.

        Raises:
            ValueError: there are fewer.
        """
        if batch_size < self.count:
            raise ValueError(
                f"A batch of {batch_size} images cannot be split between {self.count} devices. Choose a batch size of "
                f"{self.count} or more (--batch-size)."
            )

    def spread(self, batch: Sequence[np.ndarray]) -> list:
        """Cut a batch into one part a device, and append where each part lies in it, int32 (start, images).

        In the last batch of an epoch some devices may have no image: they get the first one and a count of 0.
        """
        count = len(batch[0])
        edges = [count * i // self.count for i in range(self.count + 1)]

        def bounds(context):
            start, stop = edges[context.replica_id_in_sync_group : context.replica_id_in_sync_group + 2]
            return (start, stop) if start < stop else (0, 1), np.array([start, stop - start], np.int32)

        def part(values):
            return lambda context: tf.constant(values[slice(*bounds(context)[0])])

        distribute = self.strategy.experimental_distribute_values_from_function
        return [*map(distribute, map(part, batch)), distribute(lambda context: tf.constant(bounds(context)[1]))]

    def run(self, function, *parts):
        """Call ``function`` on every device with its parts, and return what it gives, the same on all, once."""
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], self.strategy.run(function, parts)
        )

    def settle(self) -> None:
        """Set what is not trained, such as moving averages, to its mean over the devices."""
        if self.strategy is None:
            return
        variables = [one for one in self.net.non_trainable_variables if one.name != _SEED and _is_float(one)]
        if variables:
            for variable, mean in zip(variables, self._means(variables), strict=True):
                variable.assign(mean)

    def _means(self, variables) -> list:
        if self._mean is None:

            def of_device():
                return _all_reduce("MEAN", [tf.identity(one.value) for one in variables])

            self._mean = tf.function(lambda: self.run(of_device), autograph=False)
        return self._mean()

    def seed_dropout(self, random: np.random.Generator) -> None:
        """Set every random layer's generator; Keras keeps one, a variable of (seed, counter), in each of them.

        Each device has a seed of its own, so that they drop different units of their images.
        """
        for variable in self.net.variables:
            if variable.name == _SEED:
                seed = int(random.integers(2**31))
                if self.strategy is None:
                    variable.assign(np.array([seed, 0], variable.dtype))
                    continue
                numbers = self.strategy.experimental_distribute_values_from_function(
                    lambda context, seed=seed: seed + context.replica_id_in_sync_group
                )
                local = self.strategy.experimental_local_results
                for copy, number in zip(local(variable.value), local(numbers), strict=True):
                    copy.assign(np.array([number, 0], variable.dtype))

    def give_back(self) -> None:
        """Bring the trained weights to the caller's net."""
        if self.net is not self._own:
            self._own.set_weights(self.net.get_weights())


def whole(values: tf.Tensor, place: tf.Tensor, length: int) -> tf.Tensor:
    """Put together, on a device, the values (n, …) of all parts of a batch; the result is (``length``, …), 0 beyond it.

    Args:
        values: of this device's part.
        place: where the part lies, from ``Replicas.spread``.
        length: images in a full batch: sums over machines want one shape.
    """
    start, count = place[0], place[1]
    rest = [[0, 0]] * (values.shape.rank - 1)
    padded = tf.pad(values[:count], [[start, length - start - count], *rest])
    return _all_reduce("SUM", tf.ensure_shape(padded, (length, *values.shape[1:])))


@functools.cache  # a second one would number its sums as the first does, and TensorFlow would take them for those
def _mirror_devices() -> tf.distribute.MirroredStrategy:
    # Two logical CPUs are a strategy too: that is how one machine without GPUs tests this.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _all_reduce(how: str, values):
    return tf.distribute.get_replica_context().all_reduce(how, values)


def _is_float(variable) -> bool:
    return tf.as_dtype(variable.dtype).is_floating


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
