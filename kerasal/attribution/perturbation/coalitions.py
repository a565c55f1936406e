"""Coalitions of regions for KernelSHAP: which sizes are enumerated, which are drawn, and what each one weighs."""

import dataclasses
import itertools
import math

import numpy as np

import tensorflow as tf

MOST_EXACT = 20  # regions, for which there are a million coalitions


@dataclasses.dataclass(frozen=True, eq=False)
class Coalitions:
    """Coalitions of ``regions`` under the Shapley kernel (Lundberg & Lee 2017, theorem 2), whose weights sum to 1.

    ``listed`` are enumerated, bool (L, regions), with ``weights`` (L,). The rest of the weight, ``drawn_weight``,
    belongs to coalitions of the sizes in ``sizes`` with probabilities ``shares``, which are drawn in pairs: an odd
    sample is the complement of the sample before it.
    """

    regions: int
    listed: np.ndarray
    weights: np.ndarray
    sizes: np.ndarray
    shares: np.ndarray
    drawn_weight: float
    seed: int

    def draw(self, numbers: tf.Tensor) -> tf.Tensor:
        """Return the drawn coalitions with these numbers, (m,) int32 -> (m, regions) float32 of 0 and 1."""

        def uniform(number):
            return tf.random.stateless_uniform([self.regions + 1], (self.seed, number))

        spec = tf.TensorSpec([self.regions + 1], tf.float32)
        drawn = tf.map_fn(uniform, numbers // 2, fn_output_signature=spec)
        bounds = tf.constant(np.cumsum(self.shares)[:-1], tf.float32)
        sizes = tf.gather(tf.constant(self.sizes, tf.int32), tf.searchsorted(bounds, drawn[:, -1], side="right"))
        ranks = tf.argsort(tf.argsort(drawn[:, :-1], axis=1), axis=1)
        kept = tf.cast(ranks < sizes[:, None], tf.float32)
        return tf.where(tf.math.floormod(numbers, 2)[:, None] == 1, 1 - kept, kept)


def kernel_masses(regions: int) -> np.ndarray:
    """Return the share of the Shapley kernel's weight for each size from 1 to ``regions`` - 1."""
    sizes = np.arange(1, regions)
    masses = 1.0 / (sizes * (regions - sizes))
    return masses / masses.sum()


def check_budget(regions: int, samples: int) -> None:
    """Raise an error if a budget is smaller than the coalitions that keep each region alone and all but each one.

    Without them the least squares have no unique solution. A single region needs none.
    """
    least = sum(math.comb(regions, size) for size in {1, regions - 1}) if regions > 1 else 0
    if samples < least:
        raise ValueError(
            f"samples must be at least {least} for {regions} regions, to keep each one alone and all but each one, "
            f"got {samples}. Pass more samples, or fewer regions."
        )


def make_coalitions(regions: int, samples: int, seed: int) -> Coalitions:
    """Return the coalitions of a budget of ``samples`` forward passes.

    Sizes are enumerated together with their complements, from 1 and ``regions`` - 1 inward, while all coalitions of a
    size fit in the share of the budget that the kernel gives to it; the rest of the budget is drawn.

    Raises:
        ValueError: the budget is too small; see ``check_budget``.
    """
    check_budget(regions, samples)
    masses = kernel_masses(regions)
    listed, weights, left = [], [], samples
    first, last = 1, regions - 1
    while first <= last:
        pair = {first, last}
        count = sum(math.comb(regions, size) for size in pair)
        share = masses[[size - 1 for size in pair]].sum() / masses[first - 1 : last].sum()
        if count > left or (first > 1 and count > left * share * (1 + 1e-9)):
            break
        for size in sorted(pair):
            chosen = list(itertools.combinations(range(regions), size))
            rows = np.zeros((len(chosen), regions), bool)
            np.put_along_axis(rows, np.array(chosen), True, axis=1)
            listed.append(rows)
            weights.append(np.full(len(rows), masses[size - 1] / len(rows)))
        left -= count
        first, last = first + 1, last - 1
    sizes = np.arange(first, last + 1)
    rest = masses[first - 1 : last]
    mass = float(rest.sum()) if len(rest) else 0.0
    shares = rest / mass if mass else rest
    return Coalitions(regions, np.concatenate(listed), np.concatenate(weights), sizes, shares, mass, seed)
