"""Weighted least squares from sums over samples: ridge with an intercept, and with a fixed sum of the coefficients."""

import tensorflow as tf


def outer_sums(kept: tf.Tensor, weights: tf.Tensor, values: tf.Tensor, member: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the sums that the solutions need, by group, in float64.

    Args:
        kept: the regions that are kept in each sample, (m, R).
        weights: the weight of each sample, (m,).
        values: the value of each sample for each input, (m, N).
        member: 1 for the group of each sample, (m, groups).
    """
    kept, weighted = tf.cast(kept, tf.float64), member * weights[:, None]
    return {
        "weight": tf.reduce_sum(weighted, axis=0),
        "kept": tf.tensordot(weighted, kept, [[0], [0]]),
        "pairs": tf.einsum("mg,mr,ms->grs", weighted, kept, kept),
        "value": tf.tensordot(weighted, values, [[0], [0]]),
        "kept_value": tf.einsum("mg,mn,mr->gnr", weighted, values, kept),
    }


def no_sums(groups: int, rows: tf.Tensor, regions: int) -> dict[str, tf.Tensor]:
    """Return the sums of no samples for ``rows`` inputs, as ``outer_sums``."""

    def zeros(*shape, static):
        return tf.ensure_shape(tf.zeros(shape, tf.float64), static)

    return {
        "weight": tf.zeros([groups], tf.float64),
        "kept": tf.zeros([groups, regions], tf.float64),
        "pairs": tf.zeros([groups, regions, regions], tf.float64),
        "value": zeros(groups, rows, static=[groups, None]),
        "kept_value": zeros(groups, rows, regions, static=[groups, None, regions]),
    }


def ridge(sums: dict[str, tf.Tensor], penalty: float) -> tf.Tensor:
    """Return the coefficients (N, R) of the ridge regression with an intercept, which is not penalized."""
    weight = sums["weight"]
    kept = tf.math.divide_no_nan(sums["kept"], weight)
    value = tf.math.divide_no_nan(sums["value"], weight)
    pairs = sums["pairs"] - weight * kept[:, None] * kept
    right = sums["kept_value"] - weight * value[:, None] * kept
    penalties = penalty * tf.eye(tf.shape(pairs)[0], dtype=tf.float64)
    return tf.transpose(tf.linalg.solve(pairs + penalties, tf.transpose(right)))


def with_fixed_sum(pairs: tf.Tensor, right: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """Return the coefficients (N, R) of least squares whose sum is ``total`` (N,) (a Lagrange multiplier).

    ``pairs`` (R, R) and ``right`` (N, R) are the sums of z zᵀ and z y over weighted samples.
    """
    ones = tf.ones([1, pairs.shape[-1]], tf.float64)
    solved = tf.transpose(tf.linalg.solve(pairs, tf.transpose(tf.concat([right, ones], axis=0))))
    free, direction = solved[:-1], solved[-1:]
    excess = tf.reduce_sum(free, axis=1, keepdims=True) - total[:, None]
    return free - direction * excess / tf.reduce_sum(direction)
