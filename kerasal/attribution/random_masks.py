"""Smooth random masks, and a map as the mean of the masks weighted by the scores of the masked inputs.

    masks → masked inputs → scores → sum of score × mask

This is what RISE (Petsiuk, Das & Saenko 2018) and D-RISE (Petsiuk et al. 2021) have in common. Masks depend on the seed
and their number alone, not on the batch. They are drawn in the loop that uses them, so that memory does not grow with
their number.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from kerasal.attribution.graph_bar import advance_bar
from kerasal.attribution.window_replay.windows import fill_values
from kerasal.checks import check_int
from kerasal.hooks.model_inputs import chunk_size
from kerasal.hooks.view import View

import tensorflow as tf

_MOST_CELLS, _LEAST_POSITIONS = 16, 4  # by default: along each side, and in each cell


@dataclasses.dataclass(frozen=True)
class RandomMasks:
    """Masks in 0..1 of an input with these ``sides``; where a mask is 1, the input is kept.

    Along each side there are ``cells`` of a random grid, whose values are 1 with this ``probability``. The grid is
    resized to one cell more than the input has, linearly between the centers of cells, and cut out at a random shift of
    less than a cell (Petsiuk, Das & Saenko 2018, section 3.2). If it is not ``ordered``, as features,
    each position is a cell by itself.
    """

    sides: tuple[int, ...]
    cells: tuple[int, ...]
    probability: float
    seed: int
    ordered: bool = True

    def draw(self, numbers: tf.Tensor) -> tf.Tensor:
        """Return the masks with these numbers, (m,) int32 -> (m, *sides) float32."""
        count, axes = math.prod(self.cells), len(self.sides)

        def uniform(number):
            return tf.random.stateless_uniform([count + axes], (self.seed, number))

        drawn = tf.map_fn(uniform, numbers, fn_output_signature=tf.TensorSpec([count + axes], tf.float32))
        masks = tf.cast(drawn[:, :count] < self.probability, tf.float32)
        masks = tf.reshape(masks, [-1, *self.cells])
        if not self.ordered:
            return masks
        for axis, (side, cells) in enumerate(zip(self.sides, self.cells, strict=True)):
            masks = _resize_first(masks, _interpolation(side, cells, drawn[:, count + axis]))
        return masks


def make_masks(
    sides: Sequence[int], cells: int | tuple[int, ...] | None, probability: float, seed: int, *, ordered: bool = True
) -> RandomMasks:
    """Return the masks of an input with these ``sides``; by default of 16 cells per side, of at least 4 positions each.

    Raises:
        ValueError: ``cells`` is not a positive integer, or one per side; a side has fewer positions than cells; or
            ``probability`` is not above 0 and below 1.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must be a number above 0 and below 1, got {probability!r}.")
    if not ordered:
        counts = list(sides)
    elif cells is None:
        counts = [max(1, min(_MOST_CELLS, side // _LEAST_POSITIONS)) for side in sides]
    elif isinstance(cells, tuple):
        if len(cells) != len(sides):
            raise ValueError(f"cells must be an integer or one for each of the {len(sides)} sides, got {cells}.")
        counts = [check_int(f"cells[{axis}]", count) for axis, count in enumerate(cells)]
    else:
        counts = [check_int("cells", cells, none="None")] * len(sides)
    if any(count > side for count, side in zip(counts, sides, strict=True)):
        raise ValueError(f"cells must be at most the sides of the input, {' × '.join(map(str, sides))}, got {cells}.")
    return RandomMasks(tuple(sides), tuple(counts), probability, seed, ordered)


def masked_means(view: View, index: int, masks: RandomMasks, samples: int, fill: Any, bar: bool) -> tuple:
    """Return two means over the scores of input ``index`` under ``samples`` masks, as float64 tensors.

    The first, (N, *sides), is the mean score of the masked inputs weighted by their masks: how high the score is where
    a position is kept; NaN where no mask keeps it. The second, (N,), is the mean score. The target of the view must
    be the same at all masks (``View.pin``).
    """
    x = view.inputs[index]
    filling = fill_values(x, fill, has_channels=view.layout.has_channels(index), ordered=masks.ordered)
    rows = tf.shape(x)[0]
    # A target that may depend on the batch, or a stateful layer, sees one mask at a time.
    chunk = tf.maximum(1, chunk_size(view.inputs) // rows) if view.repeatable else 1

    def body(start, weighted, kept, total):
        numbers = tf.range(start, tf.minimum(start + chunk, samples))
        count = tf.size(numbers)
        drawn = masks.draw(numbers)
        masked = filling + tf.reshape(drawn, [-1, 1, *masks.sides, 1]) * (x - filling)
        scores = tf.cast(tf.reshape(_scores(view, index, masked, count), [count, rows]), tf.float64)
        drawn = tf.cast(drawn, tf.float64)
        weighted += tf.tensordot(scores, drawn, [[0], [0]])
        total += tf.reduce_sum(scores, axis=0)
        total = advance_bar(total, count * rows) if bar else total
        return start + chunk, weighted, kept + tf.reduce_sum(drawn, axis=0), total

    start = tf.zeros([rows, *masks.sides], tf.float64), tf.zeros(masks.sides, tf.float64), tf.zeros([rows], tf.float64)
    sides = tf.TensorShape(masks.sides)
    shapes = tf.TensorShape([]), tf.TensorShape([None]).concatenate(sides), sides, tf.TensorShape([None])
    # Sequential, because parallel iterations need the memory of several passes.
    _, weighted, kept, total = tf.while_loop(
        lambda start, *_: start < samples, body, (0, *start), shape_invariants=shapes, parallel_iterations=1
    )
    return weighted / kept, total / samples


def _scores(view: View, index: int, masked: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return the scores of masked inputs (m, N, …), which are run as a batch of m · N, the other inputs unchanged."""
    inputs = list(view.inputs)
    if not view.repeatable:
        inputs[index] = tf.ensure_shape(masked[0], inputs[index].shape)
        return view.score(inputs)
    inputs = [tf.tile(x, [count, *[1] * (x.shape.rank - 1)]) for x in inputs]
    inputs[index] = tf.reshape(masked, tf.shape(inputs[index]))
    for x, original in zip(inputs, view.inputs, strict=True):
        x.set_shape([None, *original.shape[1:]])
    return view.repeat(count).score(inputs)


def _interpolation(side: int, cells: int, uniform: tf.Tensor) -> tf.Tensor:
    """Return the share of each cell in each position, (m, side, cells), for shifts that are uniform in 0..1, (m,)."""
    size = -(-side // cells)
    shift = tf.floor(uniform * size)
    positions = tf.range(side, dtype=tf.float32) + shift[:, None]
    # As where an image is resized: values belong to the centers, and those at the borders are repeated beyond them.
    centers = tf.clip_by_value((positions + 0.5) * (cells / ((cells + 1) * size)) - 0.5, 0, cells - 1)
    return tf.nn.relu(1 - tf.abs(tf.expand_dims(centers, -1) - tf.range(cells, dtype=tf.float32)))


def _resize_first(masks: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Return masks (m, cells, …) with the first position axis resized and moved to the end, (m, …, side)."""
    shape: Any = masks.shape.as_list()
    _, cells, *rest = shape
    flat = tf.reshape(masks, [-1, cells, math.prod(rest)])
    return tf.reshape(tf.einsum("mcr,mpc->mrp", flat, shares), [-1, *rest, shares.shape[1]])
