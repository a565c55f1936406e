"""A softmax, log-softmax or sigmoid that is written out in exponentials and sums, recognized in a traced graph."""

import dataclasses
import functools
from typing import Any

import numpy as np

from kerasal.hooks.operations import BROADCASTING, REARRANGING, UNARY, Origins, skip_operations

import tensorflow as tf

_SHAPING = ("Identity", "Reshape", "Squeeze", "ExpandDims", "BroadcastTo")
_SUMS = ("Add", "AddV2")
_DIVISIONS = ("RealDiv", "Div", "DivNoNan")
_PRODUCTS = ("Mul", "MulNoNan")
_RECIPROCALS = ("Reciprocal", "Inv")
_POINTWISE = (UNARY | BROADCASTING) - {"LRN", "Softmax", "LogSoftmax", "Sigmoid"}
_through = functools.partial(skip_operations, types=_SHAPING)


@dataclasses.dataclass(frozen=True)
class Written:
    """A squashing that is written out: its kind, its logits, and whether a softmax runs along the last axis.

    The logits are None for exponentials that are divided by a sum of something else.
    """

    kind: str
    logits: tf.Tensor | None
    along_last: bool = True


def squashing(op: tf.Operation) -> Written | None:
    """Return the squashing that ends at ``op``; None if none does."""
    if fraction := _fraction(op):
        return _quotient(*fraction)
    if op.type in _SUMS or op.type in _PRODUCTS:
        return _half_tanh(op)
    if op.type == "Sub":
        return _log_softmax(*op.inputs)
    if op.type == "Neg" and op.inputs[0].op.type == "Softplus":  # log σ(x) = -softplus(-x)
        return Written("Sigmoid", _negated(op.inputs[0].op.inputs[0]))
    return None


def divided_exponential(output: tf.Tensor, origins: Origins) -> tf.Operation | None:
    """Return the division through which an exponential of what has weights reaches an output that is not recognized.

    Between them are operations on each value, or such that move values. Exponentials that are divided by a constant
    only (rates) or by nothing (log-variances) are none, nor is the sigmoid of a gate.
    """
    pending: list[tuple[Any, tf.Operation | None]] = [(output, None)]
    done = set()
    while pending:
        tensor, division = pending.pop()
        op, key = tensor.op, (tensor.ref(), division is not None)
        if key in done or "input" not in origins.of(tensor):
            continue
        done.add(key)
        base = op.type == "Pow" and "input" not in origins.of(op.inputs[0])
        if (op.type == "Exp" or base) and division is not None and "weight" in origins.of(tensor):
            return division
        fraction = _fraction(op)
        if fraction is not None and "input" in origins.of(fraction[1]):
            numerator, denominator = fraction
            is_gated = numerator is not None and "weight" in origins.of(numerator)
            if is_gated and _inverse(denominator) is not None:  # x / (1 + exp(-x)), a swish
                pending.append((numerator, division))
                continue
            pending += [(x, op) for x in fraction if x is not None]
        elif op.type in REARRANGING:
            pending.append((op.inputs[REARRANGING[op.type]], division))
        elif op.type == "IdentityN":
            pending.append((op.inputs[tensor.value_index], division))
        elif op.type in ("ConcatV2", "Pack", "Select") or (op.type in _POINTWISE and squashing(op) is None):
            pending += [(x, division) for x in op.inputs]
    return None


def _fraction(op) -> tuple[tf.Tensor | None, tf.Tensor] | None:
    """Return the numerator (None: 1) and denominator of a division, also of a product with an inverse."""
    if op.type in _DIVISIONS:
        above, below = op.inputs
        return (None if _is_number(_through(above), 1) else above), below
    if op.type in _RECIPROCALS or (op.type == "Pow" and _is_number(op.inputs[1], -1)):
        return None, op.inputs[0]
    if op.type in _PRODUCTS:
        for above, factor in (op.inputs, reversed(op.inputs)):
            inverse = _through(factor).op
            inverse = _fraction(inverse) if inverse.type not in _PRODUCTS else None
            if inverse is not None and inverse[0] is None:
                return above, inverse[1]
    return None


def _quotient(above, below) -> Written | None:
    if above is None:
        return _inverse(below)
    numerator, total = _through(above), _through(below)
    if numerator.op.type != "Exp":
        return None
    exponent = numerator.op.inputs[0]
    rest = _beside_number(total.op, 1) if total.op.type in _SUMS else None
    if rest is not None and _same(_through(rest), numerator):
        return Written("Sigmoid", exponent)
    # A guard against division by zero stands between, or the 1 of a class whose logit is 0.
    while total.op.type in (*_SUMS, "Maximum") and any(_is_number(x) for x in total.op.inputs):
        total = _through(next(x for x in total.op.inputs if not _is_number(x)))
    if total.op.type != "Sum":
        return None
    if _same(_through(total.op.inputs[0]), numerator):
        return Written("Softmax", _unshifted(exponent), _is_along_last(total.op))
    return Written("Softmax", None)


def _inverse(below) -> Written | None:
    """Recognize 1 / (1 + exp(v)), a sigmoid of -v."""
    op = _through(below).op
    if op.type in _SUMS and any(_is_number(x, 1) for x in op.inputs):
        for x in op.inputs:
            if _through(x).op.type == "Exp":
                return Written("Sigmoid", _negated(_through(x).op.inputs[0]))
    return None


def _half_tanh(op) -> Written | None:
    """Recognize (1 + tanh(v)) / 2 as a product or a sum, a sigmoid of 2 v."""
    is_product = op.type in _PRODUCTS
    inner = _beside_number(op, 0.5)
    if inner is None or _through(inner).op.type not in (_SUMS if is_product else _PRODUCTS):
        return None
    tanh = _beside_number(_through(inner).op, 1 if is_product else 0.5)
    if tanh is None or _through(tanh).op.type != "Tanh":
        return None
    return Written("Sigmoid", 2 * _through(tanh).op.inputs[0])


def _beside_number(op, value: float):
    """Return what a sum or product adds to, or multiplies by, one number; None if there is no such number."""
    if not any(_is_number(x, value) for x in op.inputs):
        return None
    return next((x for x in op.inputs if not _is_number(x, value)), None)


def _log_softmax(above, below):
    """Recognize x - log(sum(exp(x))), where the logarithm may be taken of shifted values."""
    total, shift = _through(below), None
    if total.op.type in _SUMS:
        logs = [x for x in total.op.inputs if _through(x).op.type == "Log"]
        if len(logs) != 1:
            return None
        shift = next(x for x in total.op.inputs if x is not logs[0])
        total = _through(logs[0])
    if total.op.type != "Log" or _through(total.op.inputs[0]).op.type != "Sum":
        return None
    summed = _through(total.op.inputs[0])
    exponential = _through(summed.op.inputs[0])
    if exponential.op.type != "Exp":
        return None
    exponent = _through(exponential.op.inputs[0])
    if shift is not None:
        if exponent.op.type != "Sub" or not _same(_through(exponent.op.inputs[1]), _through(shift)):
            return None
        exponent = _through(exponent.op.inputs[0])
    if not _same(_through(above), exponent):
        return None
    return Written("LogSoftmax", _unshifted(above), _is_along_last(summed.op))


def _unshifted(exponent):
    """Return x of x - max(x), and everything else as it is: a softmax does not see the shift."""
    op = _through(exponent).op
    if op.type != "Sub":
        return exponent
    shift = skip_operations(op.inputs[1], ("StopGradient", *_SHAPING)).op
    is_max = shift.type == "Max" and _same(_through(shift.inputs[0]), _through(op.inputs[0]))
    return op.inputs[0] if is_max else exponent


def _is_along_last(op) -> bool:
    """Tell whether a reduction runs along the last axis, perhaps among others."""
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return axes is not None and rank is not None and rank - 1 in {int(axis) % rank for axis in np.ravel(axes)}


def _negated(tensor):
    return tensor.op.inputs[0] if tensor.op.type == "Neg" else -tensor


def _is_number(tensor, value: float | None = None) -> bool:
    static = tf.get_static_value(tensor)
    return static is not None and static.size == 1 and (value is None or static.item() == value)


def _same(one, other, depth: int = 8) -> bool:
    """Tell whether two tensors are one, or computed alike from the same, ``depth`` operations back."""
    if one is other:
        return True
    if not depth or one.op.type != other.op.type or one.value_index != other.value_index or one.op.op_def.is_stateful:
        return False
    if one.op.type == "Placeholder" or one.op.node_def.attr != other.op.node_def.attr:
        return False
    pairs = zip(one.op.inputs, other.op.inputs, strict=False)
    return len(one.op.inputs) == len(other.op.inputs) and all(_same(a, b, depth - 1) for a, b in pairs)
