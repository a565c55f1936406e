"""Data-parallel training: a copy of the model on every device, each of which trains on a part of every batch.

Batch normalization normalizes each device's part of the batch by itself; ``BatchNormalization(synchronized=True)``
normalizes the whole batch. ``average_statistics`` averages the moving statistics over the devices once per epoch. Since
a moving average is linear, this gives the same as averaging after every step.
"""

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.checks import check_choice
from kerasal.training import run_folder
from kerasal.training.training_progress import Progress
from kerasal.training.workers import SingleProcess, Team, join_workers

import keras
import tensorflow as tf

STRATEGIES = ("mirrored", "multi-worker")
_SEED = "seed_generator_state"


class Replicas:
    """The model that is trained: the caller's model, or a copy of it on the devices of this machine or of several.

    Attributes:
        model: the model that is trained.
        team: the processes that train.
        strategy: the TensorFlow distribution strategy; ``None`` for a single device.

    Raises:
        ValueError: a strategy other than ``None``, ``"mirrored"`` or ``"multi-worker"``; an unusable TF_CONFIG.
        RuntimeError: the workers are not connected yet, and TensorFlow has already been used.
        ConnectionError: not all workers connected.
    """

    def __init__(self, model: keras.Model, strategy: str | None):
        if strategy is not None:
            check_choice("strategy", strategy, STRATEGIES, remedy="None trains on a single device.")
        self._caller_model, self.model, self._compute_means = model, model, None
        self.team: SingleProcess | Team = SingleProcess()
        self.strategy: Any = None
        if strategy == "mirrored":
            self.strategy = _mirrored_strategy()
        elif strategy == "multi-worker":
            self.team = join_workers()
            self.strategy = self.team.strategy
        if self.strategy is not None:
            with self.team.explain_lost_workers(), self.strategy.scope():
                self.model = keras.models.clone_model(model)
            self.model.set_weights(model.get_weights())

    @property
    def count(self) -> int:
        """Number of devices on all machines."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    @property
    def settings(self) -> dict[str, int]:
        """The checkpoint settings of a distributed training; empty for a single device."""
        return {} if self.strategy is None else {run_folder.DEVICES: self.count}

    @contextlib.contextmanager
    def show_progress(
        self, output: pathlib.Path, rows: Sequence[dict], epochs: int, steps: int, visible: bool
    ) -> Iterator[Progress]:
        """Show the progress of the run in ``output`` and yield it; a resumed run first reports its last epoch.

        On Ctrl-C, the message of the KeyboardInterrupt has the number of saved epochs (``rows``, which grows during the
        run; only the chief knows it) and says how to resume.
        """
        with Progress(visible and self.team.chief, epochs, steps) as progress:
            if 0 < len(rows) < epochs:
                before = run_folder.read_setting(output / run_folder.CHECKPOINT, run_folder.DEVICES) or 1
                change = (
                    f" (on {self.count} device{'s' * (self.count > 1)}, previously {before}: the batches are the same, "
                    "but the order of sums and the dropout masks differ)"
                )
                change = "" if before == self.count else change
                progress.line(f"Resuming after epoch {len(rows)} from the checkpoint in {output}{change}.")
            try:
                yield progress
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"Stopped after {len(rows)} of {epochs} epochs, which are saved in {output}. Run the same training "
                    "again to resume."
                    if self.team.chief
                    else f"Stopped. The epochs that the chief saved are in {output}. Run the same training on all "
                    "workers again to resume."
                ) from None

    def scope(self) -> contextlib.AbstractContextManager:
        """Return the context in which variables must be created."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def check_batch(self, batch_size: int) -> None:
        """Raise a ValueError if a batch has fewer images than there are devices."""
        if batch_size < self.count:
            raise ValueError(f"batch_size must be at least {self.count}, the number of devices, got {batch_size}.")

    def split_batch(self, batch: Sequence[np.ndarray]) -> list:
        """Split a batch between the devices, and append the span of each part: int32 (start, number of images).

        In the last batch of an epoch there may be fewer images than devices. A device without an image gets the first
        image of the batch and the number 0. A single device gets the whole batch, and ``None`` as the span.
        """
        if self.strategy is None:
            return [*map(tf.constant, batch), None]
        count = len(batch[0])
        edges = [count * i // self.count for i in range(self.count + 1)]

        def find_span(context):
            start, stop = edges[context.replica_id_in_sync_group : context.replica_id_in_sync_group + 2]
            return (start, stop) if start < stop else (0, 1), np.array([start, stop - start], np.int32)

        def take_part(values):
            return lambda context: tf.constant(values[slice(*find_span(context)[0])])

        distribute = self.strategy.experimental_distribute_values_from_function
        return [*map(distribute, map(take_part, batch)), distribute(lambda context: tf.constant(find_span(context)[1]))]

    def compile(self, function: Callable) -> Callable:
        """Compile a function of the parts of ``split_batch`` whose result is the same on all devices."""
        if self.strategy is None:
            return tf.function(function, reduce_retracing=True)

        def run_on_devices(*parts):
            values = self.strategy.run(function, parts)
            return tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], values)

        return tf.function(run_on_devices, reduce_retracing=True)

    def average_statistics(self) -> None:
        """Set non-trainable variables, such as moving averages, to their means over the devices."""
        if self.strategy is None:
            return
        variables = [
            variable
            for variable in self.model.non_trainable_variables
            if variable.name != _SEED and tf.as_dtype(variable.dtype).is_floating
        ]
        if variables:
            if self._compute_means is None:
                self._compute_means = self.compile(
                    lambda: _all_reduce("MEAN", [tf.identity(variable.value) for variable in variables])
                )
            for variable, mean in zip(variables, self._compute_means(), strict=True):
                variable.assign(mean)

    def seed_dropout(self, random: np.random.Generator) -> None:
        """Seed the generator of every random layer, which Keras keeps as a variable (seed, counter) in the layer.

        The seeds differ between devices, so that each drops different units.
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
        """Copy the trained weights to the caller's model."""
        if self.model is not self._caller_model:
            self._caller_model.set_weights(self.model.get_weights())


def merge_parts(values: Any, span: Any, length: int) -> Any:
    """Return the values of all devices' parts of a batch, (``length``, …), padded with zeros; called on each device.

    Args:
        values: (n, …), the values of this device's part.
        span: start and number of images of the part, from ``Replicas.split_batch``; ``None`` for a single device.
        length: number of images in a full batch. Sums over machines need a constant shape.
    """
    if span is None:
        return values
    start, count = span[0], span[1]
    sides: Any = [[start, length - start - count], *[[0, 0]] * (values.shape.rank - 1)]
    padded = tf.pad(values[:count], sides)
    return _all_reduce("SUM", tf.ensure_shape(padded, (length, *values.shape[1:])))


@functools.cache  # a second strategy would number its sums like the first, and TensorFlow would confuse them
def _mirrored_strategy() -> tf.distribute.MirroredStrategy:
    # Without GPUs, the logical CPUs are used; the tests run on two of them.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _all_reduce(operation: str, values):
    return tf.distribute.get_replica_context().all_reduce(operation, values)
