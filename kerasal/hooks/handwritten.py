"""A softmax, log-softmax or sigmoid that is written out in exponentials and sums, recognized in a traced graph."""

from kerasal import _keras  # noqa: F401

import tensorflow as tf  # isort: skip

_SHAPING = ("Identity", "Reshape", "Squeeze", "ExpandDims", "BroadcastTo")
_SUMS = ("Add", "AddV2")
_DEPTH = 8


def squashing(op: tf.Operation) -> tuple[str, tf.Tensor | None] | None:
    """Return the kind of squashing that ends at ``op`` and its logits; None if none does.

    The logits are None for exponentials that are divided by a sum of something else.
    """
    if op.type in ("RealDiv", "Div", "DivNoNan"):
        return _quotient(*op.inputs)
    if op.type in ("Reciprocal", "Inv"):
        return _inverse(op.inputs[0])
    if op.type == "Sub":
        return _log_softmax(*op.inputs)
    if op.type == "Neg" and op.inputs[0].op.type == "Softplus":  # log σ(x) = -softplus(-x)
        return "Sigmoid", _negated(op.inputs[0].op.inputs[0])
    return None


def _quotient(above, below):
    numerator, total = _through(above), _through(below)
    if _is_number(numerator, 1):
        return _inverse(below)
    if numerator.op.type != "Exp":
        return None
    exponent = numerator.op.inputs[0]
    if total.op.type in _SUMS and any(_is_number(x, 1) for x in total.op.inputs):
        if any(_same(_through(x), numerator) for x in total.op.inputs):
            return "Sigmoid", exponent
        return None
    # A guard against division by zero stands between.
    while total.op.type in (*_SUMS, "Maximum") and any(_is_number(x) for x in total.op.inputs):
        total = _through(next(x for x in total.op.inputs if not _is_number(x)))
    if total.op.type != "Sum":
        return None
    if _same(_through(total.op.inputs[0]), numerator):
        return "Softmax", _unshifted(exponent)
    return "Softmax", None


def _inverse(below):
    """Recognize 1 / (1 + exp(v)), a sigmoid of -v."""
    op = _through(below).op
    if op.type in _SUMS and any(_is_number(x, 1) for x in op.inputs):
        for x in op.inputs:
            if _through(x).op.type == "Exp":
                return "Sigmoid", _negated(_through(x).op.inputs[0])
    return None


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
    exponential = _through(_through(total.op.inputs[0]).op.inputs[0])
    if exponential.op.type != "Exp":
        return None
    exponent = _through(exponential.op.inputs[0])
    if shift is not None:
        if exponent.op.type != "Sub" or not _same(_through(exponent.op.inputs[1]), _through(shift)):
            return None
        exponent = _through(exponent.op.inputs[0])
    return ("LogSoftmax", _unshifted(above)) if _same(_through(above), exponent) else None


def _unshifted(exponent):
    """Return x of x - max(x), and everything else as it is: a softmax does not see the shift."""
    op = _through(exponent).op
    if op.type != "Sub":
        return exponent
    shift = _through(op.inputs[1])
    while shift.op.type in ("StopGradient", *_SHAPING):
        shift = shift.op.inputs[0]
    return (
        op.inputs[0]
        if shift.op.type == "Max" and _same(_through(shift.op.inputs[0]), _through(op.inputs[0]))
        else exponent
    )


def _negated(tensor):
    return tensor.op.inputs[0] if tensor.op.type == "Neg" else -tensor


def _through(tensor):
    while tensor.op.type in _SHAPING:
        tensor = tensor.op.inputs[0]
    return tensor


def _is_number(tensor, value: float | None = None) -> bool:
    static = tf.get_static_value(tensor)
    return static is not None and static.size == 1 and (value is None or static.item() == value)


def _same(one, other, depth: int = _DEPTH) -> bool:
    """Tell whether two tensors are one, or computed alike from the same, ``depth`` operations back."""
    if one is other:
        return True
    if not depth or one.op.type != other.op.type or one.value_index != other.value_index or one.op.op_def.is_stateful:
        return False
    if one.op.type == "Placeholder" or one.op.node_def.attr != other.op.node_def.attr:
        return False
    pairs = zip(one.op.inputs, other.op.inputs, strict=False)
    return len(one.op.inputs) == len(other.op.inputs) and all(_same(a, b, depth - 1) for a, b in pairs)
