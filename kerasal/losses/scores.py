"""The metrics of ``kerasal.losses`` as differentiable functions of tensors."""

from typing import Any

import numpy as np

import keras
import tensorflow as tf

ops: Any = keras.ops  # whose stubs let every function return None
_FLOOR = 1e-12
EPSILON = 2.0**-23  # float32: Matlab's 2**-52 would vanish in 1 + epsilon


def _maps(values):
    """Return (N, pixels) of at least float32."""
    values = ops.convert_to_tensor(values)
    if len(values.shape) not in (3, 4) or (len(values.shape) == 4 and values.shape[-1] not in (1, None)):
        raise ValueError(f"Expected maps of shape (N, H, W) or (N, H, W, 1), received {tuple(values.shape)}.")
    if keras.backend.standardize_dtype(values.dtype) != "float64":
        values = ops.cast(values, "float32")
    return ops.reshape(values, (ops.shape(values)[0], -1))


def _pair(y_true: Any, y_pred: Any) -> Any:
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    truth, predicted = _maps(y_true), _maps(y_pred)
    sides = zip(y_true.shape[1:3], y_pred.shape[1:3], strict=True)  # as many pixels are not enough: (12, 16), (16, 12)
    if any(None not in pair and pair[0] != pair[1] for pair in sides):
        raise ValueError(
            f"Expected y_true of y_pred's height and width, received {tuple(y_true.shape)} and {tuple(y_pred.shape)}. "
            "Resize or transpose the maps."
        )
    return ops.cast(truth, predicted.dtype), predicted


def _safe_divide(numerator, denominator):
    """Return the quotient, and 0 with a zero gradient where the denominator is 0."""
    zero = ops.equal(denominator, 0)
    quotient = numerator / ops.where(zero, ops.ones_like(denominator), denominator)
    return ops.where(zero, ops.zeros_like(quotient), quotient)


def _center(maps):
    """Return maps minus their means, and exactly 0 where a map is constant (its mean may be off by rounding)."""
    constant = ops.equal(ops.max(maps, axis=1, keepdims=True), ops.min(maps, axis=1, keepdims=True))
    return ops.where(constant, ops.zeros_like(maps), maps - ops.mean(maps, axis=1, keepdims=True))


def _norm(centered):
    """Return the square root of the sum of squares; of a map of zeros it is 0, and no gradient passes."""
    largest = ops.stop_gradient(ops.max(ops.abs(centered), axis=1, keepdims=True))
    scaled = _safe_divide(centered, largest)  # squares of a map of 1e-30 would vanish in float32
    return ops.sqrt(ops.sum(ops.square(scaled), axis=1, keepdims=True)) * largest


def _shares(maps):
    """Return maps scaled to sum 1, values below 0 as 0."""
    scaled = _by_largest(maps)
    return _safe_divide(scaled, ops.sum(scaled, axis=1, keepdims=True))


def _by_largest(maps):
    """Return maps over their largest values, values below 0 as 0."""
    positive = ops.relu(maps)
    return _safe_divide(positive, ops.stop_gradient(ops.max(positive, axis=1, keepdims=True)))


def nss(y_true: Any, y_pred: Any) -> Any:
    """Compute the NSS of each map, (N,); ``y_true`` counts every fixation, and N - 1 is in the standard deviation.

    Raises:
        tf.errors.InvalidArgumentError: ``y_true`` has fractional values (where TensorFlow can check it).
    """
    fixations, predicted = _pair(y_true, y_pred)
    tf.debugging.Assert(  # seen eagerly, and in a graph that XLA does not compile
        tf.reduce_all(tf.equal(fixations, tf.round(fixations))),
        ["NSS: expected y_true to be a map of fixations (whole numbers), received a density. Pass the fixations."],
    )
    centered = _center(predicted)
    pixels = ops.cast(ops.shape(predicted)[1], predicted.dtype)
    scores = _safe_divide(centered, _norm(centered)) * ops.sqrt(pixels - 1)
    return _safe_divide(ops.sum(scores * fixations, axis=1), ops.sum(fixations, axis=1))


def cc(y_true: Any, y_pred: Any) -> Any:
    """Compute Pearson's correlation of each map with its density, (N,)."""
    truth, predicted = (_center(maps) for maps in _pair(y_true, y_pred))
    product = _safe_divide(truth, _norm(truth)) * _safe_divide(predicted, _norm(predicted))
    return ops.sum(product, axis=1)


def kld(y_true: Any, y_pred: Any, epsilon: float = EPSILON) -> Any:
    """Compute the KL divergence of each map from its density in nats, (N,)."""
    truth, predicted = (_shares(maps) for maps in _pair(y_true, y_pred))
    return ops.sum(truth * ops.log(epsilon + truth / (predicted + epsilon)), axis=1)


def similarity(y_true: Any, y_pred: Any) -> Any:
    """Compute the histogram intersection of each map with its density after min-max scaling, (N,)."""
    pair = _pair(y_true, y_pred)
    truth, predicted = (_shares(maps - ops.min(maps, axis=1, keepdims=True)) for maps in pair)
    return ops.sum(ops.minimum(truth, predicted), axis=1)


def log_likelihood(y_true: Any, y_pred: Any) -> Any:
    """Return the mean log-likelihood of the fixations under the map as a density, (N,), in bits above a uniform one.

    Σ c · log2(n p) / Σ c, with the counts c of the n pixels and p the map scaled to sum 1. Values of the map below
    1e-12 of its largest count as that, so that a fixation where a map is 0 costs 40 bits, not infinitely many.

    Source: Kümmerer, Wallis & Bethge 2015, "Information-theoretic model comparison unifies saliency metrics".
    """
    counts, maps = _pair(y_true, y_pred)
    scaled = ops.maximum(_by_largest(maps), _FLOOR)
    bits = (ops.log(scaled) - ops.log(ops.mean(scaled, axis=1, keepdims=True))) / np.log(2.0)
    return _safe_divide(ops.sum(counts * bits, axis=1), ops.sum(counts, axis=1))
