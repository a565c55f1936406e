"""Rectifiers in a traced graph that are not ReLU operations: other operations, and formulas of several operations.

Each tensor is traced back through elementwise operations to the tensor where they begin. In a formula for an
activation, two such paths from the same tensor meet again: in a product of x and a function of x, in ``where``, or in a
sum with |x|.
"""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks.operations import BROADCASTING, ORDER_PRESERVING, RELUS, UNARY, Origins, skip_operations

import tensorflow as tf

RECTIFIERS = {"LeakyRelu": "a LeakyReLU", "Elu": "an ELU", "Selu": "a SELU", "Softplus": "a softplus"}
_COMPARISONS = frozenset(("Greater", "GreaterEqual", "Less", "LessEqual"))
# Functions f for which x · f(x) is an activation.
_GATES = _COMPARISONS | {"Sigmoid", "Tanh", "Erf", "Erfc", "Relu", "Relu6", "Softplus", "Sign", "Exp"}
_PRODUCTS = ("Mul", "MulNoNan", "RealDiv", "Div", "DivNoNan")
_SQUARES = ("Square", "SquaredDifference")
_ROOTS = ("Sqrt", "Rsqrt", "Pow")
_POINTWISE = UNARY - {"LRN", "Softmax", "LogSoftmax"}
_SHIFTING = ("Identity", "Cast", "Add", "AddV2")
_NEGATIVE = "relu(-x)"


@dataclasses.dataclass(frozen=True)
class Rectifier:
    """A rectifier that is not a ReLU operation: the operation it ends in and what it is, such as "an ELU".

    ``is_relu`` is True for a ReLU that is a formula.
    """

    operation: tf.Operation
    description: str
    is_relu: bool = False


@dataclasses.dataclass(frozen=True)
class _Path:
    """The elementwise operations that compute a tensor: from which ``root``, and of which ``types``.

    ``relu`` is the output of the last ReLU on the path, None if there is none.
    """

    root: object
    types: frozenset[str] = frozenset()
    relu: object = None


def find_rectifiers(operations: Sequence[tf.Operation]) -> list[Rectifier]:
    """Return the rectifiers among the operations of a run that are not ReLU operations, in order."""
    if not operations:
        return []
    origins = Origins(operations[0].graph)
    paths: dict = {}

    def path(tensor) -> _Path:
        return paths.get(tensor.ref()) or _Path(tensor.ref())

    rectifiers = []
    for op in operations:
        varying = [x for x in op.inputs if "input" in origins.get(x)]
        if not varying or not op.outputs:
            continue
        if op.type in _POINTWISE or op.type in BROADCASTING:
            sources = [path(x) for x in varying]
            if len({source.root for source in sources}) == 1:
                tag = _NEGATIVE if op.type in RELUS and _is_negated(op.inputs[0], origins) else op.type
                types = frozenset((tag,)).union(*(source.types for source in sources))
                output = op.outputs[0].ref()
                last = {source.relu for source in sources}
                relu = output if op.type in RELUS else last.pop() if len(last) == 1 else None
                paths[output] = _Path(sources[0].root, types, relu)
        elif op.type in ORDER_PRESERVING and varying[0] is op.inputs[0]:
            source = path(varying[0])
            paths[op.outputs[0].ref()] = dataclasses.replace(source, types=source.types | {"Reshape"})
        floating = op.outputs[0].dtype.is_floating
        if floating and (kind := _rectifier_kind(op, [path(x) for x in op.inputs], varying, origins)):
            rectifiers.append(Rectifier(op, *kind))
    return rectifiers


def _rectifier_kind(op, paths: list[_Path], varying: list, origins: Origins) -> tuple[str, bool] | None:
    """Return the description of the rectifier that ends in ``op`` and whether it is a ReLU; None for other operations.

    ``paths`` are those of the inputs, ``varying`` the inputs that depend on the model's input.
    """
    if op.type in RECTIFIERS:
        return None if op.type == "Softplus" and _is_of_neg(op) else (RECTIFIERS[op.type], False)
    exponential = _softplus_exponential(op, origins)
    if exponential is not None:
        return None if _is_of_neg(exponential) else ("a softplus written as log(1 + exp(x))", False)
    added = op.inputs[0].op.inputs if op.type == "Relu6" and op.inputs[0].op.type in ("Add", "AddV2") else ()
    if any(origins.uniform(x) == 3 for x in added if "input" not in origins.get(x)):
        return "a hard sigmoid or hard swish (relu6(x + 3))", False
    if op.type in ("Select", "SelectV2"):
        return _where_kind(op, paths, origins)
    same_root = len(varying) == 2 and paths[0].root == paths[1].root and _is_elementwise(op, paths)
    # A function of a single ReLU's output is smooth, unless it contains a comparison.
    after_relu = same_root and paths[0].relu is not None and paths[0].relu == paths[1].relu
    if op.type in _PRODUCTS and same_root and op.inputs[0] is not op.inputs[1]:
        gates = {path.types & (_COMPARISONS if after_relu else _GATES) for path in paths}
        if any(gates) and len(gates) > 1:
            if any(g & _COMPARISONS for g in gates):
                return "a ReLU written as a product with a comparison", True
            return "an activation of the form x · f(x), such as swish, GELU or hard swish,", False
    if op.type in ("Add", "AddV2", "Sub") and same_root and not after_relu:
        if any(_NEGATIVE in path.types for path in paths):
            return "a PReLU or leaky ReLU (relu(x) - a · relu(-x))", False
        if any(path.types & {"Abs", "Sqrt"} for path in paths):
            return "a ReLU written with an absolute value (x + |x|)", True
    if op.type in ("Maximum", "Minimum"):
        return _extreme_kind(op, paths, varying, origins)
    if op.type == "ClipByValue" and origins.uniform(op.inputs[1]) == 0:
        return "a ReLU written as a clip at 0", True
    return None


def _where_kind(op, paths: list[_Path], origins: Origins) -> tuple[str, bool] | None:
    condition, *branches = paths
    if not condition.types & _COMPARISONS or all(branch.root != condition.root for branch in branches):
        return None
    bound = next((origins.uniform(x) for x in op.inputs[0].op.inputs if "input" not in origins.get(x)), None)
    if all(branch.root == condition.root for branch in branches) or "Abs" in condition.types:
        return "an activation written with where(), such as a leaky ReLU,", False
    return ("a ReLU written with where()" if bound == 0 else "a ReLU with a threshold"), True


def _extreme_kind(op, paths: list[_Path], varying: list, origins: Origins) -> tuple[str, bool] | None:
    if len(varying) == 2:
        return ("a leaky ReLU written as a maximum", False) if paths[0].root == paths[1].root else None
    (fixed,) = [x for x in op.inputs if x is not varying[0]]
    bound = origins.uniform(fixed)
    below = skip_operations(varying[0], ("Identity", "Minimum", "Cast") if op.type == "Maximum" else ())
    if op.type == "Minimum" and below.op.type in RELUS:
        return (f"a ReLU with a maximum of {bound:g}" if bound is not None else "a ReLU with a maximum"), True
    if bound != 0 or below.op.type in (*RELUS, "Softmax", "Sigmoid", "Exp", "Square", "Abs"):
        return None
    if op.type == "Maximum" and _is_variance(below, op):
        return None
    return f"a ReLU written as a {op.type.lower()} with 0", True


def _is_elementwise(op, paths: list[_Path]) -> bool:
    """Return whether an operation combines its two inputs, which may be reshaped, element by element."""
    if len(op.inputs) != 2:
        return False
    if not any("Reshape" in path.types for path in paths):
        return True
    first, second = (x.shape for x in op.inputs)
    return first.rank is not None and second.rank is not None and first.as_list() == second.as_list()


def _is_of_neg(op) -> bool:
    """Return whether a softplus, or its exponential, is taken of -x; it is then the logarithm of a sigmoid."""
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
    """Return whether a maximum with 0 only guards against rounding, as for a variance or a distance.

    Either all terms of the sum are squares or their means, as in E[x²] - E[x]², or some of them are and the
    square root is taken, as for |x|² + |y|² - 2 x·y.
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
    """Return whether a tensor is used only in roots (sqrt, rsqrt, pow), possibly after an addition."""
    uses = tensor.consumers()
    return bool(uses) and all(
        op.type in _ROOTS or (op.type in _SHIFTING and _only_under_roots(op.outputs[0])) for op in uses
    )


def _is_negated(tensor, origins: Origins) -> bool:
    """Return whether a tensor is -x, possibly after an addition."""
    while True:
        op = tensor.op
        varying = [x for x in op.inputs if "input" in origins.get(x)]
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
