"""The metrics of ``kerasal.losses`` as differentiable functions of tensors."""

from typing import Any

import numpy as np

import keras
import tensorflow as tf

ops: Any = keras.ops  # untyped, because the type stubs declare None as the result of every function
_FLOOR = 1e-12
EPSILON = 2.0**-23  # the smallest for float32, where 1 + 2**-52 (MATLAB's eps) is 1


def _maps(values):
    """Return maps as (N, pixels), in float64 if they are float64 and otherwise in float32."""
    values = ops.convert_to_tensor(values)
    if len(values.shape) not in (3, 4) or (len(values.shape) == 4 and values.shape[-1] not in (1, None)):
        raise ValueError(f"y_true and y_pred must have the shape (N, H, W) or (N, H, W, 1), got {tuple(values.shape)}.")
    if keras.backend.standardize_dtype(values.dtype) != "float64":
        values = ops.cast(values, "float32")
    return ops.reshape(values, (ops.shape(values)[0], -1))


def _pair(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    truth, predicted = _maps(y_true), _maps(y_pred)
    sides = zip(
        y_true.shape[1:3], y_pred.shape[1:3], strict=True
    )  # equal pixel counts are not enough: (12, 16), (16, 12)
    if any(None not in pair and pair[0] != pair[1] for pair in sides):
        raise ValueError(
            f"y_true and y_pred must have the same height and width, got {tuple(y_true.shape)} and "
            f"{tuple(y_pred.shape)}. Resize or transpose the maps."
        )
    return ops.cast(truth, predicted.dtype), predicted


def _safe_divide(numerator, denominator):
    """Return the quotient, or 0 with a zero gradient where the denominator is 0."""
    zero = ops.equal(denominator, 0)
    quotient = numerator / ops.where(zero, ops.ones_like(denominator), denominator)
    return ops.where(zero, ops.zeros_like(quotient), quotient)


def _center(maps):
    """Return maps minus their means; exactly 0 for a constant map, whose computed mean may have rounding errors."""
    constant = ops.equal(ops.max(maps, axis=1, keepdims=True), ops.min(maps, axis=1, keepdims=True))
    return ops.where(constant, ops.zeros_like(maps), maps - ops.mean(maps, axis=1, keepdims=True))


def _norm(centered):
    """Return the Euclidean norm of each map; for a map of zeros, 0 with a zero gradient."""
    largest = ops.stop_gradient(ops.max(ops.abs(centered), axis=1, keepdims=True))
    scaled = _safe_divide(centered, largest)  # squares of values such as 1e-30 underflow in float32
    return ops.sqrt(ops.sum(ops.square(scaled), axis=1, keepdims=True)) * largest


def _shares(maps):
    """Return maps scaled to sum 1, with negative values set to 0."""
    scaled = _by_largest(maps)
    return _safe_divide(scaled, ops.sum(scaled, axis=1, keepdims=True))


def _by_largest(maps):
    """Return maps divided by their maximum, with negative values set to 0."""
    positive = ops.relu(maps)
    return _safe_divide(positive, ops.stop_gradient(ops.max(positive, axis=1, keepdims=True)))


def nss(y_true: Any, y_pred: Any) -> Any:
    """Return the normalized scanpath saliency of each map, (N,), with the sample standard deviation (pixels - 1).

    ``y_true`` is a map of fixation counts.

    Raises:
        tf.errors.InvalidArgumentError: ``y_true`` has fractional values (not checked under XLA).
    """
    fixations, predicted = _pair(y_true, y_pred)
    tf.debugging.Assert(  # effective eagerly and in graphs, but not under XLA
        tf.reduce_all(tf.equal(fixations, tf.round(fixations))),
        ["y_true must be a map of fixation counts (integers) for NSS, got fractional values, as of a density."],
    )
    centered = _center(predicted)
    pixels = ops.cast(ops.shape(predicted)[1], predicted.dtype)
    scores = _safe_divide(centered, _norm(centered)) * ops.sqrt(pixels - 1)
    return _safe_divide(ops.sum(scores * fixations, axis=1), ops.sum(fixations, axis=1))


def cc(y_true: Any, y_pred: Any) -> Any:
    """Return the Pearson correlation of each map with its density, (N,), in -1..1."""
    truth, predicted = (_center(maps) for maps in _pair(y_true, y_pred))
    product = _safe_divide(truth, _norm(truth)) * _safe_divide(predicted, _norm(predicted))
    return ops.sum(product, axis=1)


def kld(y_true: Any, y_pred: Any, epsilon: float = EPSILON) -> Any:
    """Return the Kullback-Leibler divergence of each map from its density, (N,), in nats."""
    truth, predicted = (_shares(maps) for maps in _pair(y_true, y_pred))
    return ops.sum(truth * ops.log(epsilon + truth / (predicted + epsilon)), axis=1)


def similarity(y_true: Any, y_pred: Any) -> Any:
    """Return the histogram intersection of each map and its density after min-max scaling, (N,), in 0..1."""
    pair = _pair(y_true, y_pred)
    truth, predicted = (_shares(maps - ops.min(maps, axis=1, keepdims=True)) for maps in pair)
    return ops.sum(ops.minimum(truth, predicted), axis=1)


def log_likelihood(y_true: Any, y_pred: Any) -> Any:
    """Return the mean log-likelihood of the fixations under each map, (N,), in bits relative to a uniform map.

    It is Σ c · log2(n p) / Σ c, with the fixation counts c of the n pixels and p the map scaled to sum 1. Values of the
    map below 1e-12 of its maximum are raised to that, so a fixation where the map is 0 costs 40 bits rather than
    infinitely many.

    Source: Kümmerer, Wallis & Bethge 2015, "Information-theoretic model comparison unifies saliency metrics".
    """
    counts, maps = _pair(y_true, y_pred)
    scaled = ops.maximum(_by_largest(maps), _FLOOR)
    bits = (ops.log(scaled) - ops.log(ops.mean(scaled, axis=1, keepdims=True))) / np.log(2.0)
    return _safe_divide(ops.sum(counts * bits, axis=1), ops.sum(counts, axis=1))


def center_distance(y_true: Any, y_pred: Any) -> Any:
    """Return the mean squared difference of each map from the center Gaussian, (N,); ``y_true`` gives only the size."""
    _, predicted = _pair(y_true, y_pred)
    return ops.mean(ops.square(predicted - _center_gaussian(y_pred, predicted.dtype)), axis=1)


def center_correlation(y_true: Any, y_pred: Any) -> Any:
    """Return the Pearson correlation of each map with the center Gaussian, (N,), with 0 in place of negative values."""
    _, predicted = _pair(y_true, y_pred)
    gaussian, centered = (_center(maps) for maps in (_center_gaussian(y_pred, predicted.dtype), predicted))
    product = _safe_divide(gaussian, _norm(gaussian)) * _safe_divide(centered, _norm(centered))
    return ops.relu(ops.sum(product, axis=1))


def _center_gaussian(maps: Any, dtype) -> Any:
    """Return ``kerasal.metrics.blur.center_map`` at the size of the maps, as a flattened tensor (1, pixels)."""
    rows, columns = (_bell(size, dtype) for size in ops.shape(maps)[1:3])
    return ops.reshape(rows[:, None] * columns[None, :], (1, -1))


def _bell(size: Any, dtype) -> Any:
    size = ops.cast(size, dtype)
    return ops.exp(-ops.square((ops.arange(size, dtype=dtype) - (size - 1) / 2) / (size / 4)) / 2)
