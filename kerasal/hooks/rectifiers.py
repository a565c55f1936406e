"""The rectifiers in a traced graph that are no ReLU operation: operations of another kind, or written out of several.

What is computed value by value is followed back to where its values were made. An activation that is written out
brings two such paths from one tensor together: a product of x and a function of it, a choice, a sum with |x|.
"""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks.operations import BROADCASTING, ORDER_PRESERVING, RELUS, UNARY, Origins, skip_operations

import tensorflow as tf

RECTIFIERS = {"LeakyRelu": "a LeakyReLU", "Elu": "an ELU", "Selu": "a SELU", "Softplus": "a softplus"}
_COMPARISONS = frozenset(("Greater", "GreaterEqual", "Less", "LessEqual"))
# What makes x · f(x) a gate by itself.
_GATES = _COMPARISONS | {"Sigmoid", "Tanh", "Erf", "Erfc", "Relu", "Relu6", "Softplus", "Sign", "Exp"}
_PRODUCTS = ("Mul", "MulNoNan", "RealDiv", "Div", "DivNoNan")
_SQUARES = ("Square", "SquaredDifference")
_ROOTS = ("Sqrt", "Rsqrt", "Pow")
_POINTWISE = UNARY - {"LRN", "Softmax", "LogSoftmax"}
_SHIFTING = ("Identity", "Cast", "Add", "AddV2")
_NEGATIVE = "relu(-x)"


@dataclasses.dataclass(frozen=True)
class _Path:
    """How a tensor was computed value by value: from which tensor, through which operations, after which ReLU.

    ``rectified`` is the last ReLU's output on the way, None before any.
    """

    root: object
    through: frozenset[str] = frozenset()
    rectified: object = None


def find(operations: Sequence[tf.Operation]) -> list[tuple[tf.Operation, str]]:
    """Return the operations at which something rectifies and is no ReLU operation, each with what it is."""
    if not operations:
        return []
    origins = Origins(operations[0].graph)
    paths: dict = {}

    def path(tensor) -> _Path:
        return paths.get(tensor.ref()) or _Path(tensor.ref())

    found = []
    for op in operations:
        varying = [x for x in op.inputs if "input" in origins.of(x)]
        if not varying or not op.outputs:
            continue
        if op.type in _POINTWISE or op.type in BROADCASTING:
            before = [path(x) for x in varying]
            if len({one.root for one in before}) == 1:
                tag = _NEGATIVE if op.type in RELUS and _is_negated(op.inputs[0], origins) else op.type
                through = frozenset((tag,)).union(*(one.through for one in before))
                own = op.outputs[0].ref()
                last = {one.rectified for one in before}
                rectified = own if op.type in RELUS else last.pop() if len(last) == 1 else None
                paths[own] = _Path(before[0].root, through, rectified)
        elif op.type in ORDER_PRESERVING and varying[0] is op.inputs[0]:
            before = path(varying[0])
            paths[op.outputs[0].ref()] = dataclasses.replace(before, through=before.through | {"Reshape"})
        floating = op.outputs[0].dtype.is_floating
        if floating and (what := _rectifier(op, [path(x) for x in op.inputs], varying, origins)):
            found.append((op, what))
    return found


def _rectifier(op, before: list[_Path], varying: list, origins: Origins) -> str | None:
    """Return what kind of rectifier ends at an operation, other than a ReLU operation; None for anything else."""
    if op.type in RECTIFIERS:
        return None if op.type == "Softplus" and _is_of_neg(op) else RECTIFIERS[op.type]
    exponential = _softplus_exponential(op, origins)
    if exponential is not None:
        return None if _is_of_neg(exponential) else "a softplus written out"
    added = op.inputs[0].op.inputs if op.type == "Relu6" and op.inputs[0].op.type in ("Add", "AddV2") else ()
    if any(origins.uniform(x) == 3 for x in added if "input" not in origins.of(x)):
        return "a hard sigmoid or hard swish (relu6(x + 3))"
    if op.type in ("Select", "SelectV2"):
        return _choice(op, before, origins)
    alike = len(varying) == 2 and before[0].root == before[1].root and _is_by_place(op, before)
    # What is computed from one ReLU's output is smooth, but for a threshold.
    rectified = alike and before[0].rectified is not None and before[0].rectified == before[1].rectified
    if op.type in _PRODUCTS and alike and op.inputs[0] is not op.inputs[1]:
        gates = {one.through & (_COMPARISONS if rectified else _GATES) for one in before}
        if any(gates) and len(gates) > 1:
            if any(g & _COMPARISONS for g in gates):
                return "a ReLU written as a product with a comparison"
            return "an activation of the kind x · f(x), such as swish, GELU or hard swish,"
    if op.type in ("Add", "AddV2", "Sub") and alike and not rectified:
        if any(_NEGATIVE in one.through for one in before):
            return "a PReLU or leaky ReLU (relu(x) - a · relu(-x))"
        if any(one.through & {"Abs", "Sqrt"} for one in before):
            return "a ReLU written with an absolute value (x + |x|)"
    if op.type in ("Maximum", "Minimum"):
        return _extreme(op, before, varying, origins)
    if op.type == "ClipByValue" and origins.uniform(op.inputs[1]) == 0:
        return "a ReLU written as a clip at 0"
    return None


def _choice(op, before: list[_Path], origins: Origins) -> str | None:
    condition, *branches = before
    if not condition.through & _COMPARISONS or all(one.root != condition.root for one in branches):
        return None
    bound = next((origins.uniform(x) for x in op.inputs[0].op.inputs if "input" not in origins.of(x)), None)
    if all(one.root == condition.root for one in branches) or "Abs" in condition.through:
        return "an activation written as a choice (where), such as a leaky ReLU,"
    return "a ReLU written as a choice (where)" if bound == 0 else "a ReLU with a threshold"


def _extreme(op, before: list[_Path], varying: list, origins: Origins) -> str | None:
    if len(varying) == 2:
        return "a leaky ReLU written as a maximum" if before[0].root == before[1].root else None
    (fixed,) = [x for x in op.inputs if x is not varying[0]]
    bound = origins.uniform(fixed)
    below = skip_operations(varying[0], ("Identity", "Minimum", "Cast") if op.type == "Maximum" else ())
    if op.type == "Minimum" and below.op.type in RELUS:
        return f"a ReLU with a maximum of {bound:g}" if bound is not None else "a ReLU with a maximum"
    if bound != 0 or below.op.type in (*RELUS, "Softmax", "Sigmoid", "Exp", "Square", "Abs"):
        return None
    if op.type == "Maximum" and _is_variance(below, op):
        return None
    return f"a ReLU written as a {op.type.lower()} with 0"


def _is_by_place(op, before: list[_Path]) -> bool:
    """Tell whether an operation's two inputs, one of which may have been reshaped, meet value by value."""
    if not any("Reshape" in one.through for one in before):
        return True
    first, second = (x.shape for x in op.inputs)
    return first.rank is not None and second.rank is not None and first.as_list() == second.as_list()


def _is_of_neg(op) -> bool:
    """Tell whether a softplus, or its exponential, is that of -x, so that it is a logarithm of a sigmoid."""
    return op.inputs[0].op.type == "Neg"


def _softplus_exponential(op, origins: Origins) -> tf.Operation | None:
    """Return the exponential of log(1 + exp(x)), or None."""
    if op.type not in ("Log", "Log1p"):
        return None
    inside = op.inputs[0].op
    if op.type == "Log":
        if inside.type not in ("Add", "AddV2") or all(origins.uniform(x) != 1 for x in inside.inputs):
            return None
        inside = next((x.op for x in inside.inputs if x.op.type == "Exp"), inside)
    return inside if inside.type == "Exp" else None


def _is_variance(tensor, maximum) -> bool:
    """Tell whether a maximum with 0 only guards against rounding: of means of squares, or of a distance under a root.

    All that is added up are squares and their means, as in E[x²] - E[x]²; or some are, as in |x|² + |y|² - 2 x·y, and
    a root follows.
    """
    terms, pending = [], [tensor]
    while pending:
        op = pending.pop().op
        if op.type in ("Add", "AddV2", "Sub"):
            pending += op.inputs
        elif op.type in ("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims"):
            pending.append(op.inputs[0])
        elif op.type not in ("Const", "Placeholder"):
            terms.append(op)
    squares = [_is_square(op) or (op.type in ("Mean", "Sum") and _is_square(op.inputs[0].op)) for op in terms]
    means = any(op.type in ("Mean", "Sum") and square for op, square in zip(terms, squares, strict=True))
    return means and (all(squares) or _only_under_roots(maximum.outputs[0]))


def _is_square(op) -> bool:
    return op.type in _SQUARES or (op.type == "Mul" and op.inputs[0] is op.inputs[1])


def _only_under_roots(tensor) -> bool:
    """Tell whether every use of a tensor, but for what is added to it, is a root."""
    uses = tensor.consumers()
    return bool(uses) and all(
        op.type in _ROOTS or (op.type in _SHIFTING and _only_under_roots(op.outputs[0])) for op in uses
    )


def _is_negated(tensor, origins: Origins) -> bool:
    """Tell whether a tensor is -x, but for what is added to it."""
    while True:
        op = tensor.op
        varying = [x for x in op.inputs if "input" in origins.of(x)]
        if op.type == "Neg":
            return True
        if op.type == "Sub":
            return len(varying) == 1 and varying[0] is op.inputs[1]
        if op.type in ("Mul", "RealDiv") and len(varying) == 1:
            factor = next((origins.uniform(x) for x in op.inputs if x is not varying[0]), None)
            if factor is None or factor <= 0:
                return factor is not None and factor < 0
        elif op.type not in _SHIFTING or len(varying) != 1:
            return False
        tensor = varying[0]
