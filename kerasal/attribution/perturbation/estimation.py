"""The loop over samples: scores of masked inputs become sums, sums become a map with its standard error.

A method is an ``Estimator``: which masks it draws, which sums it adds up over samples, and how the map follows from
them. Sums are kept for ten groups of samples, which take turns. The standard error of the map is the jackknife's: it
follows from the ten maps without one group each (Efron & Stein 1981). With a tolerance, the loop stops once the
standard error is small enough.
"""

import dataclasses
from collections.abc import Callable

from kerasal.attribution.graph_bar import advance_bar
from kerasal.attribution.perturbation.masked_scores import MaskedInput

import tensorflow as tf

GROUPS = 10  # of samples; the standard error follows from the maps without one group each
_SAMPLES_PER_CHECK = 100  # of the tolerance; a fixed number, so that a map does not depend on the batch


@dataclasses.dataclass(frozen=True, eq=False)
class Estimator:
    """A method that estimates a map from the scores of masked inputs.

    Attributes:
        draw: ``draw(numbers)`` returns what is drawn for the samples with these numbers, (m, …).
        masks: ``masks(drawn)`` returns their masks, (m, *positions), as ``MaskedInput.scores`` takes them.
        zeros: the sums of no samples, a dictionary of float64 tensors whose first axis holds groups: ``zeros(groups)``.
        add: ``add(drawn, scores (m, N), member (m, groups))`` returns the sums of these samples; ``member`` is 1 for
            the group of a sample.
        solve: ``solve(sums)`` returns the map from sums without the axis of groups, float64 (N, *shape). Sums of no
            samples must not fail.
        shape: the shape of the map of an image.
    """

    draw: Callable[[tf.Tensor], tf.Tensor]
    masks: Callable[[tf.Tensor], tf.Tensor]
    zeros: Callable[[int], dict[str, tf.Tensor]]
    add: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]
    solve: Callable[[dict[str, tf.Tensor]], tf.Tensor]
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How many samples are run: at most ``samples``, fewer if the standard error falls to ``tolerance``.

    The standard error is the largest of a map, relative to the largest absolute value of the map; it is estimated with
    a tolerance or if it is needed, and infinite otherwise. ``bar`` moves the progress bar that is shown.
    """

    samples: int
    tolerance: float | None = None
    needs_error: bool = False
    bar: bool = False

    @property
    def groups(self) -> int:
        """The number of groups of samples whose sums are kept."""
        return GROUPS if self.needs_error or self.tolerance is not None else 1


def estimate(masked: MaskedInput, estimator: Estimator, sampling: Sampling) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the map and its standard error, float64 (N, …), under the samples 0, 1, ….

    The map of an image that has reached the tolerance stays as it was then, so that it does not depend on the others.
    """
    rows, total = masked.rows, sampling.samples
    step = total if sampling.tolerance is None else min(total, _SAMPLES_PER_CHECK)

    def check(start, sums, done, values, errors):
        stop = tf.minimum(start + step, total)
        sums = add_samples(masked, estimator, start, stop, sums, sampling.bar)
        new, error = _jackknife(estimator, sums, stop)
        keep = tf.reshape(done, [-1, *[1] * (new.shape.rank - 1)])
        values, errors = tf.where(keep, values, new), tf.where(keep, errors, error)
        if sampling.tolerance is not None:
            axes = list(range(1, new.shape.rank))
            done |= tf.reduce_max(errors, axes) <= sampling.tolerance * tf.reduce_max(tf.abs(values), axes)
        return stop, sums, done, values, errors

    sums, empty = estimator.zeros(sampling.groups), tf.zeros([rows, *estimator.shape], tf.float64)
    state = tf.constant(0), sums, tf.zeros([rows], tf.bool), empty, empty
    each, one = tf.TensorShape([None, *estimator.shape]), tf.TensorShape([None])
    shapes = tf.TensorShape([]), {name: value.shape for name, value in sums.items()}, one, each, each

    def is_unfinished(start, sums, done, *_):
        return (start < total) & ~tf.reduce_all(done)

    *_, values, errors = tf.while_loop(is_unfinished, check, state, shapes, parallel_iterations=1)
    return values, errors


def add_samples(masked: MaskedInput, estimator: Estimator, start, stop, sums: dict, bar: bool) -> dict[str, tf.Tensor]:
    """Return the sums with those of the samples from ``start`` to ``stop``."""
    chunk, rows = masked.chunk, masked.rows

    def body(start, sums):
        numbers = tf.range(start, tf.minimum(start + chunk, stop))
        drawn = estimator.draw(numbers)
        scores = masked.scores(estimator.masks(drawn))
        if bar:
            scores = advance_bar(scores, tf.size(numbers) * rows)
        groups = next(iter(sums.values())).shape[0]
        added = estimator.add(drawn, scores, tf.one_hot(numbers % groups, groups, dtype=tf.float64))
        return start + chunk, {name: tf.ensure_shape(value + added[name], value.shape) for name, value in sums.items()}

    shapes = {name: value.shape for name, value in sums.items()}
    # Sequential, because parallel iterations need the memory of several passes.
    _, sums = tf.while_loop(
        lambda start, _: start < stop, body, (start, sums), (tf.TensorShape([]), shapes), parallel_iterations=1
    )
    return sums


def _jackknife(estimator: Estimator, sums: dict[str, tf.Tensor], samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the map of all samples and its standard error, infinite for one group or fewer samples than groups."""
    total = {name: tf.reduce_sum(value, axis=0) for name, value in sums.items()}
    unknown = tf.constant(float("inf"), tf.float64)
    if next(iter(sums.values())).shape[0] == 1:
        values = estimator.solve(total)
        return values, tf.fill(tf.shape(values), unknown)
    without = {name: total[name] - value for name, value in sums.items()}
    spec = tf.TensorSpec([None, *estimator.shape], tf.float64)
    values = tf.map_fn(estimator.solve, without, fn_output_signature=spec)
    error = tf.math.reduce_std(values, axis=0) * (GROUPS - 1) ** 0.5
    return estimator.solve(total), tf.where(samples >= GROUPS, error, unknown)
