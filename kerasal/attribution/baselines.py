"""Baselines: the inputs with which a method compares an input, from the values that a user gives."""

from typing import Any

import numpy as np

from kerasal.attribution.gaussian_blur import gaussian_blur
from kerasal.checks import refuse_mask
from kerasal.hooks.layout import Layout

import tensorflow as tf

# The blurred baseline's standard deviation, as a share of the image's longer side.
_BLUR = 0.05


def baseline_input(baseline: Any, x: tf.Tensor, number: int, layout: Layout) -> tf.Tensor:
    """Return the baseline of input ``number``, which the method sees as ``x`` (N, *positions, C), in that shape.

    ``baseline`` is a number, an array that broadcasts to one input, channels last, or "blur" for the input blurred by a
    Gaussian whose standard deviation is 5 % of its longer side, or in a volume of each side.

    Raises:
        ValueError: it does not fit the input, is not finite, or is "blur" for features, which have no order.
    """
    if isinstance(baseline, str):
        if baseline == "blur" and layout.is_ordered(number, x):
            return gaussian_blur(x, _BLUR)
        raise ValueError(
            'baseline must be a number, an array or, for inputs with an order such as images and signals, "blur", got '
            f"{baseline!r} for an input {_shape(x, number, layout)}."
        )
    array, shape = _read_array("baseline", baseline), _shape(x, number, layout)
    bad = np.count_nonzero(~np.isfinite(array))
    if not _fits(array.shape, shape) or bad:
        raise ValueError(
            f"baseline must be finite and broadcast to the input's shape {shape}, got shape {array.shape} with {bad} "
            "non-finite values."
        )
    return tf.zeros_like(x) + layout.align_array(array, number)


def several_baselines(baselines: Any, x: tf.Tensor, number: int, layout: Layout) -> tf.Tensor:
    """Return baselines for input ``number``, which the method sees as ``x``, as (B, *shape) that broadcasts to ``x``.

    ``baselines`` is a number, an array that broadcasts to one input, or a stack (B, …) of such arrays, which has one
    axis more than an input.

    Raises:
        ValueError: they do not fit the input, are not finite, or there are none.
    """
    array, shape = _read_array("baselines", baselines), _shape(x, number, layout)
    stack = (
        array
        if array.ndim == len(shape) + 1
        else np.broadcast_to(array, (1,) * (len(shape) + 1 - array.ndim) + array.shape)
    )
    bad = np.count_nonzero(~np.isfinite(array))
    if not array.size or not _fits(stack.shape[1:], shape) or bad:
        raise ValueError(
            f"baselines must be finite and broadcast to the input's shape {shape}, or be a stack (B, …) of such "
            f"arrays, got shape {array.shape} with {bad} non-finite values."
        )
    return tf.constant(stack if layout.has_channels(number) else stack[..., None])


def _read_array(name: str, values: Any) -> np.ndarray:
    refuse_mask(values, name)
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or an array of numbers, got {values!r}.") from error


def _shape(x: tf.Tensor, number: int, layout: Layout) -> tuple:
    """Return the shape of one input as the user passes it, without an axis of channels that the model does not have."""
    return tuple(x.shape[1:] if layout.has_channels(number) else x.shape[1:-1])


def _fits(actual: tuple, shape: tuple) -> bool:
    sizes = zip(actual[::-1], shape[::-1], strict=False)
    return len(actual) <= len(shape) and all(size in (1, needed) or needed is None for size, needed in sizes)
