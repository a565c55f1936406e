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

from kerasal.attribution.perturbation.estimation import Estimator, Sampling, estimate
from kerasal.attribution.perturbation.masked_scores import MaskedInput
from kerasal.checks import check_int

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
    sides: Sequence[int],
    cells: int | tuple[int, ...] | None,
    probability: float,
    seed: int,
    *,
    ordered: bool = True,
    most: int = _MOST_CELLS,
) -> RandomMasks:
    """Return the masks of an input with these ``sides``; by default of ``most`` cells per side, of 4 positions or more.

    Raises:
        ValueError: ``cells`` is not a positive integer, or one per side; a side has fewer positions than cells; or
            ``probability`` is not above 0 and below 1.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must be a number above 0 and below 1, got {probability!r}.")
    if not ordered:
        if cells not in (None, tuple(sides)) and [cells] * len(sides) != list(sides):
            raise ValueError(f"cells must be None for features and tokens, each of which is a cell, got {cells}.")
        counts = list(sides)
    elif cells is None:
        counts = [max(1, min(most, side // _LEAST_POSITIONS)) for side in sides]
    elif isinstance(cells, tuple):
        if len(cells) != len(sides):
            raise ValueError(f"cells must be an integer or one for each of the {len(sides)} sides, got {cells}.")
        counts = [check_int(f"cells[{axis}]", count) for axis, count in enumerate(cells)]
    else:
        counts = [check_int("cells", cells, none="None")] * len(sides)
    if any(count > side for count, side in zip(counts, sides, strict=True)):
        raise ValueError(f"cells must be at most the sides of the input, {' × '.join(map(str, sides))}, got {cells}.")
    return RandomMasks(tuple(sides), tuple(counts), probability, seed, ordered)


def masks_of(masked: MaskedInput, cells: Any, probability: float, seed: int, *, most: int = _MOST_CELLS) -> RandomMasks:
    """Return the masks of an input of a view; each gets masks of its own, and each token a cell."""
    ordered = masked.view.layout.is_ordered(masked.index, masked.x) and not masked.is_tokens
    if not ordered and any(masked.view.layout.is_ordered(number, x) for number, x in enumerate(masked.view.inputs)):
        cells = None  # of features beside an image
    return make_masks(masked.sides, cells, probability, seed + masked.index, ordered=ordered, most=most)


def estimate_means(
    masked: MaskedInput, masks: RandomMasks, sampling: Sampling, subtract_mean: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean scores of masked inputs weighted by their masks, and the standard error, float32 (N, *sides).

    A value tells how high the score is where a position is kept. ``subtract_mean`` subtracts the mean score of all
    masked inputs; a position that no mask keeps gets 0.
    """
    sides = masks.sides

    def zeros(groups):
        weighted = tf.zeros([groups, masked.rows, *sides], tf.float64)
        weighted = tf.ensure_shape(weighted, [groups, None, *sides])
        total = tf.ensure_shape(tf.zeros([groups, masked.rows], tf.float64), [groups, None])
        return {
            "weighted": weighted,
            "kept": tf.zeros([groups, *sides], tf.float64),
            "total": total,
            "count": tf.zeros([groups], tf.float64),
        }

    def add(drawn, scores, member):
        drawn = tf.cast(drawn, tf.float64)
        each = member[:, :, None] * scores[:, None]
        return {
            "weighted": tf.tensordot(each, drawn, [[0], [0]]),
            "kept": tf.tensordot(member, drawn, [[0], [0]]),
            "total": tf.reduce_sum(each, axis=0),
            "count": tf.reduce_sum(member, axis=0),
        }

    def solve(sums):
        means = tf.math.divide_no_nan(sums["weighted"], sums["kept"])
        if not subtract_mean:
            return means
        overall = tf.math.divide_no_nan(sums["total"], sums["count"])
        return tf.where(sums["kept"] > 0, means - tf.reshape(overall, [-1, *[1] * len(sides)]), tf.zeros_like(means))

    estimator = Estimator(masks.draw, lambda drawn: drawn, zeros, add, solve, sides)
    values, errors = estimate(masked, estimator, sampling)
    return tf.cast(values, tf.float32), tf.cast(errors, tf.float32)


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
