"""One net on several devices: a copy under a strategy's scope, a part of each batch, and the weights given back.

Batch normalization: each device normalizes by its own part of the batch (``BatchNormalization(synchronized=True)`` by
all of it), and ``average_statistics`` brings the moving averages of the devices together. Their means over devices
after an epoch are what means after every step would have come to, because a moving average is linear.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.training import run_folder
from kerasal.training.training_progress import Progress
from kerasal.training.workers import SingleProcess, Team, join_workers

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
        self._own, self.model, self._mean = net, net, None
        self.team: SingleProcess | Team = SingleProcess()
        self.strategy: Any = None
        if strategy == "mirrored":
            self.strategy = _mirror_devices()
        elif strategy == "multi-worker":
            self.team = join_workers()
            self.strategy = self.team.strategy
        if self.strategy is not None:
            with self.team.explain_lost_workers(), self.strategy.scope():
                self.model = keras.models.clone_model(net)
            self.model.set_weights(net.get_weights())

    @property
    def count(self) -> int:
        """How many devices train, on all machines."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def settings(self) -> dict[str, int]:
        """What a checkpoint notes; nothing of a training on one device."""
        return {} if self.strategy is None else {run_folder.DEVICES: self.count}

    @contextlib.contextmanager
    def show_progress(
        self, output: pathlib.Path, rows: Sequence[dict], epochs: int, steps: int, visible: bool
    ) -> Iterator[Progress]:
        """Yield the progress of the run in ``output``, after a line that says where it goes on.

        A Ctrl-C says which epochs are kept (``rows``, as it grows) and how to go on; only the chief knows.
        """
        with Progress(visible and self.team.chief, epochs, steps) as shown:
            if 0 < len(rows) < epochs:
                before = run_folder.read_setting(output / run_folder.CHECKPOINT, run_folder.DEVICES) or 1
                change = (
                    f" (on {before} device{'s' * (before > 1)} there, {self.count} now: the same batches, but sums in "
                    "another order, and other units dropped)"
                )
                change = "" if before == self.count else change
                shown.line(f"Going on after epoch {len(rows)}, as {output} keeps it{change}.")
            try:
                yield shown
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"Stopped after {len(rows)} of {epochs} epochs, which are kept in {output}. Start the same again "
                    "to go on."
                    if self.team.chief
                    else f"Stopped. What the chief has kept is in {output}. Start the same on all workers again to go "
                    "on."
                ) from None

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

    def split_batch(self, batch: Sequence[np.ndarray]) -> list:
        """Cut a batch into one part a device, and append where each part lies in it, int32 (start, images).

        In the last batch of an epoch some devices may have no image: they get the first one and a count of 0. The only
        device gets all, and no place.
        """
        if self.strategy is None:
            return [*map(tf.constant, batch), None]
        count = len(batch[0])
        edges = [count * i // self.count for i in range(self.count + 1)]

        def bounds(context):
            start, stop = edges[context.replica_id_in_sync_group : context.replica_id_in_sync_group + 2]
            return (start, stop) if start < stop else (0, 1), np.array([start, stop - start], np.int32)

        def part(values):
            return lambda context: tf.constant(values[slice(*bounds(context)[0])])

        distribute = self.strategy.experimental_distribute_values_from_function
        return [*map(distribute, map(part, batch)), distribute(lambda context: tf.constant(bounds(context)[1]))]

    def compile(self, function: Callable) -> Callable:
        """Compile a function of parts from ``spread``; what it gives, the same on all devices, comes back once."""
        if self.strategy is None:
            return tf.function(function, reduce_retracing=True)

        def on_all(*parts):
            values = self.strategy.run(function, parts)
            return tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], values)

        return tf.function(on_all, reduce_retracing=True)

    def average_statistics(self) -> None:
        """Set what is not trained, such as moving averages, to its mean over the devices."""
        if self.strategy is None:
            return
        variables = [
            one
            for one in self.model.non_trainable_variables
            if one.name != _SEED and tf.as_dtype(one.dtype).is_floating
        ]
        if variables:
            if self._mean is None:
                self._mean = self.compile(lambda: _all_reduce("MEAN", [tf.identity(one.value) for one in variables]))
            for variable, mean in zip(variables, self._mean(), strict=True):
                variable.assign(mean)

    def seed_dropout(self, random: np.random.Generator) -> None:
        """Set every random layer's generator; Keras keeps one, a variable of (seed, counter), in each of them.

        Each device has a seed of its own, so that they drop different units of their images.
        """
        for variable in self.model.variables:
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

    def copy_weights_back(self) -> None:
        """Bring the trained weights to the caller's net."""
        if self.model is not self._own:
            self._own.set_weights(self.model.get_weights())


def merge_parts(values: Any, place: Any, length: int) -> Any:
    """Put together, on a device, the values (n, …) of all parts of a batch; the result is (``length``, …), 0 beyond it.

    Args:
        values: of this device's part.
        place: where the part lies, from ``Replicas.spread``; None where it is all.
        length: images in a full batch: sums over machines want one shape.
    """
    if place is None:
        return values
    start, count = place[0], place[1]
    sides: Any = [[start, length - start - count], *[[0, 0]] * (values.shape.rank - 1)]
    padded = tf.pad(values[:count], sides)
    return _all_reduce("SUM", tf.ensure_shape(padded, (length, *values.shape[1:])))


@functools.cache  # a second one would number its sums as the first does, and TensorFlow would take them for those
def _mirror_devices() -> tf.distribute.MirroredStrategy:
    # Two logical CPUs are a strategy too: that is how one machine without GPUs tests this.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _all_reduce(how: str, values):
    return tf.distribute.get_replica_context().all_reduce(how, values)
