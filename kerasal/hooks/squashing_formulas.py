"""Recognition of a softmax, log-softmax or sigmoid that is written as a formula of exponentials and sums."""

import dataclasses
import functools
from typing import Any

import numpy as np

from kerasal.hooks.operations import BROADCASTING, REARRANGING, UNARY, Origins, skip_operations

import tensorflow as tf

_RESHAPING = ("Identity", "Reshape", "Squeeze", "ExpandDims", "BroadcastTo")
_SUMS = ("Add", "AddV2")
_DIVISIONS = ("RealDiv", "Div", "DivNoNan")
_PRODUCTS = ("Mul", "MulNoNan")
_RECIPROCALS = ("Reciprocal", "Inv")
_POINTWISE = (UNARY | BROADCASTING) - {"LRN", "Softmax", "LogSoftmax", "Sigmoid"}
_skip_reshapes = functools.partial(skip_operations, types=_RESHAPING)


@dataclasses.dataclass(frozen=True)
class Formula:
    """A formula of ``kind`` "Softmax", "LogSoftmax" or "Sigmoid", with its logits.

    ``along_last`` is True if the softmax runs along the last axis, and ``axes`` are all axes along which it runs, if
    known. The logits are None if exponentials are divided by the sum of something else.
    """

    kind: str
    logits: tf.Tensor | None
    along_last: bool = True
    axes: tuple[int, ...] = ()


def match_formula(op: tf.Operation) -> Formula | None:
    """Return the formula of a softmax, log-softmax or sigmoid that ends in ``op``, or None."""
    if fraction := _fraction(op):
        return _quotient(*fraction)
    if op.type in _SUMS or op.type in _PRODUCTS:
        return _half_tanh(op)
    if op.type == "Sub":
        return _log_softmax(*op.inputs)
    if op.type == "Neg" and op.inputs[0].op.type == "Softplus":  # log σ(x) = -softplus(-x)
        return Formula("Sigmoid", _negate(op.inputs[0].op.inputs[0]))
    return None


def find_exponential_division(output: tf.Tensor, origins: Origins) -> tf.Operation | None:
    """Return a division of exponentials that may be an unrecognized softmax, or None.

    The exponentials are taken of values that depend on weights. Between the division and the output, operations act
    on each value or move values. Exponentials that are divided only by a constant (rates), those without a division
    (log-variances) and the sigmoid of a gate do not count.
    """
    pending: list[tuple[Any, tf.Operation | None]] = [(output, None)]
    done = set()
    while pending:
        tensor, division = pending.pop()
        op, key = tensor.op, (tensor.ref(), division is not None)
        if key in done or "input" not in origins.get(tensor):
            continue
        done.add(key)
        is_power = op.type == "Pow" and "input" not in origins.get(op.inputs[0])
        if (op.type == "Exp" or is_power) and division is not None and "weight" in origins.get(tensor):
            return division
        fraction = _fraction(op)
        if fraction is not None and "input" in origins.get(fraction[1]):
            numerator, denominator = fraction
            is_gated = numerator is not None and "weight" in origins.get(numerator)
            if is_gated and _inverse(denominator) is not None:  # x / (1 + exp(-x)), a swish
                pending.append((numerator, division))
                continue
            pending += [(x, op) for x in fraction if x is not None]
        elif op.type in REARRANGING:
            pending.append((op.inputs[REARRANGING[op.type]], division))
        elif op.type == "IdentityN":
            pending.append((op.inputs[tensor.value_index], division))
        elif op.type in ("ConcatV2", "Pack", "Select") or (op.type in _POINTWISE and match_formula(op) is None):
            pending += [(x, division) for x in op.inputs]
    return None


def _fraction(op) -> tuple[tf.Tensor | None, tf.Tensor] | None:
    """Return the numerator (None: 1) and denominator of a division or of a product with a reciprocal."""
    if op.type in _DIVISIONS:
        above, below = op.inputs
        return (None if _is_number(_skip_reshapes(above), 1) else above), below
    if op.type in _RECIPROCALS or (op.type == "Pow" and _is_number(op.inputs[1], -1)):
        return None, op.inputs[0]
    if op.type in _PRODUCTS:
        for above, factor in (op.inputs, reversed(op.inputs)):
            inverse = _skip_reshapes(factor).op
            inverse = _fraction(inverse) if inverse.type not in _PRODUCTS else None
            if inverse is not None and inverse[0] is None:
                return above, inverse[1]
    return None


def _quotient(above, below) -> Formula | None:
    if above is None:
        return _inverse(below)
    numerator, total = _skip_reshapes(above), _skip_reshapes(below)
    if numerator.op.type != "Exp":
        return None
    exponent = numerator.op.inputs[0]
    rest = _other_operand(total.op, 1) if total.op.type in _SUMS else None
    if rest is not None and _is_same(_skip_reshapes(rest), numerator):
        return Formula("Sigmoid", exponent)
    # The sum may contain a guard against division by zero, or the 1 of a class whose logit is 0.
    while total.op.type in (*_SUMS, "Maximum") and any(_is_number(x) for x in total.op.inputs):
        total = _skip_reshapes(next(x for x in total.op.inputs if not _is_number(x)))
    if total.op.type != "Sum":
        return None
    if _is_same(_skip_reshapes(total.op.inputs[0]), numerator):
        return Formula("Softmax", _remove_shift(exponent), _is_along_last(total.op), _reduced_axes(total.op))
    return Formula("Softmax", None)


def _inverse(below) -> Formula | None:
    """Return the formula for 1 / (1 + exp(v)), the sigmoid of -v."""
    op = _skip_reshapes(below).op
    if op.type in _SUMS and any(_is_number(x, 1) for x in op.inputs):
        for x in op.inputs:
            if _skip_reshapes(x).op.type == "Exp":
                return Formula("Sigmoid", _negate(_skip_reshapes(x).op.inputs[0]))
    return None


def _half_tanh(op) -> Formula | None:
    """Return the formula for (1 + tanh(v)) / 2, written as a product or a sum: the sigmoid of 2 v."""
    is_product = op.type in _PRODUCTS
    inner = _other_operand(op, 0.5)
    if inner is None or _skip_reshapes(inner).op.type not in (_SUMS if is_product else _PRODUCTS):
        return None
    tanh = _other_operand(_skip_reshapes(inner).op, 1 if is_product else 0.5)
    if tanh is None or _skip_reshapes(tanh).op.type != "Tanh":
        return None
    return Formula("Sigmoid", 2 * _skip_reshapes(tanh).op.inputs[0])


def _other_operand(op, value: float):
    """Return the operand other than the constant ``value`` of a sum or product; None if no operand is the constant."""
    if not any(_is_number(x, value) for x in op.inputs):
        return None
    return next((x for x in op.inputs if not _is_number(x, value)), None)


def _log_softmax(above, below):
    """Return the formula for x - log(sum(exp(x))), where the values in the logarithm may be shifted."""
    total, shift = _skip_reshapes(below), None
    if total.op.type in _SUMS:
        logs = [x for x in total.op.inputs if _skip_reshapes(x).op.type == "Log"]
        if len(logs) != 1:
            return None
        shift = next(x for x in total.op.inputs if x is not logs[0])
        total = _skip_reshapes(logs[0])
    if total.op.type != "Log" or _skip_reshapes(total.op.inputs[0]).op.type != "Sum":
        return None
    summed = _skip_reshapes(total.op.inputs[0])
    exponential = _skip_reshapes(summed.op.inputs[0])
    if exponential.op.type != "Exp":
        return None
    exponent = _skip_reshapes(exponential.op.inputs[0])
    if shift is not None:
        if exponent.op.type != "Sub" or not _is_same(_skip_reshapes(exponent.op.inputs[1]), _skip_reshapes(shift)):
            return None
        exponent = _skip_reshapes(exponent.op.inputs[0])
    if not _is_same(_skip_reshapes(above), exponent):
        return None
    return Formula("LogSoftmax", _remove_shift(above), _is_along_last(summed.op))


def _remove_shift(exponent):
    """Return x for x - max(x), and any other exponent unchanged: the shift does not change a softmax."""
    op = _skip_reshapes(exponent).op
    if op.type != "Sub":
        return exponent
    shift = skip_operations(op.inputs[1], ("StopGradient", *_RESHAPING)).op
    is_max = shift.type == "Max" and _is_same(_skip_reshapes(shift.inputs[0]), _skip_reshapes(op.inputs[0]))
    return op.inputs[0] if is_max else exponent


def _is_along_last(op) -> bool:
    """Return whether a reduction runs along the last axis, perhaps with other axes."""
    rank = op.inputs[0].shape.rank
    return rank is not None and rank - 1 in _reduced_axes(op)


def _reduced_axes(op) -> tuple[int, ...]:
    """Return the axes along which a reduction runs, () if they are not known."""
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return () if axes is None or rank is None else tuple(int(axis) % rank for axis in np.ravel(axes))


def _negate(tensor):
    return tensor.op.inputs[0] if tensor.op.type == "Neg" else -tensor


def _is_number(tensor, value: float | None = None) -> bool:
    static = tf.get_static_value(tensor)
    return static is not None and static.size == 1 and (value is None or static.item() == value)


def _is_same(first, second, depth: int = 8) -> bool:
    """Return whether two tensors are the same, or computed alike from the same tensors up to ``depth`` steps back."""
    if first is second:
        return True
    if not depth or first.op.type != second.op.type or first.value_index != second.value_index:
        return False
    if (
        first.op.op_def.is_stateful
        or first.op.type == "Placeholder"
        or first.op.node_def.attr != second.op.node_def.attr
    ):
        return False
    pairs = zip(first.op.inputs, second.op.inputs, strict=False)
    return len(first.op.inputs) == len(second.op.inputs) and all(_is_same(a, b, depth - 1) for a, b in pairs)
