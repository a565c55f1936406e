"""What a backward rule reaches in a traced graph, and what it would miss: refused, by name.

The rules are defined for ReLUs. Beside them, what squashes (sigmoid, tanh, softmax), pools or normalizes keeps its own
gradient, as in the papers. Another *rectifier* would be left ungated, so that only a part of the model followed the
rule: it is refused, whether it is one operation or written out of several.
"""

import dataclasses
from collections.abc import Sequence

from kerasal import _keras  # noqa: F401
from kerasal.hooks import rules
from kerasal.hooks.operations import BROADCASTING, UNARY, Origins

import keras  # isort: skip
import tensorflow as tf  # isort: skip

_RECTIFIERS = {"LeakyRelu": "a LeakyReLU", "Elu": "an ELU", "Selu": "a SELU", "Softplus": "a softplus"}
_COMPARISONS = frozenset(("Greater", "GreaterEqual", "Less", "LessEqual"))
# What makes x · f(x) a gate by itself.
_GATES = _COMPARISONS | {"Sigmoid", "Tanh", "Erf", "Erfc", "Relu", "Relu6", "Softplus", "Sign"}
_POINTWISE = UNARY - {"LRN", "Softmax", "LogSoftmax"}
_SHIFTING = ("Identity", "Cast", "Add", "AddV2")
_NEGATIVE = "relu(-x)"
_INSTEAD = "class_saliency, smoothgrad, integrated_gradients and gradcam work with every activation."


class NoReLU(ValueError):
    """A backward rule finds no ReLU, or a rectifier that it is not defined for or cannot reach."""


def check(model: keras.Model, operations: Sequence[tf.Operation], rule: str, pooling: str) -> None:
    """Refuse a rule that would silently do nothing, or only part of its work.

    Args:
        model: what ran, for its name.
        operations: what it added to the graph, in order.
        rule: see ``kerasal.hooks.rules``.
        pooling: likewise.

    Raises:
        NoReLU: ``rule`` has no ReLU to act on, or would miss a rectifier.
        ValueError: ``pooling`` has no max-pooling to act on, or cannot reach it.
    """
    replaced = rules.overrides(rule, pooling)
    if not replaced:
        return
    error = ValueError if rule == "gradient" else NoReLU
    missed = {*replaced, *(_RECTIFIERS if rule != "gradient" else ())}
    hidden = [op for op in operations if op.type in rules.CALLS and _contains(op, missed)]
    if hidden:
        raise error(
            f"{model.name!r} runs {'/'.join(sorted(replaced))} or another rectifier inside a compiled function "
            f"({hidden[0].name}), which the rule cannot reach: a SavedModel, or a tf.function or loop within the "
            "model. Load the .keras file instead, or remove the inner tf.function; plain gradients work."
        )
    acts = any(op.type in replaced for op in operations)
    if rule != "gradient":
        others = _rectifiers(operations)
        spelled_out = next((one for one in others if one[1].startswith("a ReLU")), None)
        if others and (acts or spelled_out):
            op, what = spelled_out or others[0]
            raise NoReLU(
                f"The rule {rule!r} is defined for ReLUs that are one operation (keras.ops.relu, tf.nn.relu, relu6). "
                f"{model.name!r} has {what} at {op.name!r}, which it would leave ungated. {_INSTEAD}"
            )
    if not acts:
        wanted = "no ReLU" if rule != "gradient" else "no max-pooling"
        raise error(
            f"The rule {rule!r} found nothing to act on: {model.name!r} runs {wanted}"
            + (", so class_saliency or input_gradient would be the same map." if rule != "gradient" else ".")
        )


@dataclasses.dataclass(frozen=True)
class _Path:
    """How a tensor was computed value by value: from which tensor, and through which operations."""

    root: object
    through: frozenset[str] = frozenset()


def _rectifiers(operations: Sequence[tf.Operation]) -> list[tuple[tf.Operation, str]]:
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
                tag = _NEGATIVE if op.type in rules.RELUS and _is_negated(op.inputs[0], origins) else op.type
                through = frozenset((tag,)).union(*(one.through for one in before))
                paths[op.outputs[0].ref()] = _Path(before[0].root, through)
        floating = op.outputs[0].dtype.is_floating
        if floating and (what := _rectifier(op, [path(x) for x in op.inputs], varying, origins)):
            found.append((op, what))
    return found


def _rectifier(op, before: list[_Path], varying: list, origins: Origins) -> str | None:
    """Return what kind of rectifier ends at an operation, other than a ReLU operation; None for anything else."""
    if op.type in _RECTIFIERS:
        is_log_sigmoid = op.type == "Softplus" and op.inputs[0].op.type == "Neg"
        return None if is_log_sigmoid else _RECTIFIERS[op.type]
    if op.type == "Relu6" and _is_shifted_by_3(op.inputs[0], origins):
        return "a hard sigmoid or hard swish (relu6(x + 3))"
    if op.type in ("Select", "SelectV2"):
        return _choice(op, before, origins)
    alike = len(varying) == 2 and before[0].root == before[1].root
    if op.type == "Mul" and alike and op.inputs[0] is not op.inputs[1]:
        gates = {one.through & _GATES for one in before}
        if any(gates) and len(gates) > 1:
            return (
                "a ReLU written as a product with a comparison"
                if any(g & _COMPARISONS for g in gates)
                else ("an activation of the kind x · f(x), such as swish, GELU or hard swish,")
            )
    if op.type in ("Add", "AddV2", "Sub") and alike:
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
    below = varying[0]
    while below.op.type in ("Identity", "Minimum", "Cast") and op.type == "Maximum":
        below = below.op.inputs[0]
    if op.type == "Minimum" and below.op.type in rules.RELUS:
        return f"a ReLU with a maximum of {bound:g}" if bound is not None else "a ReLU with a maximum"
    if bound != 0 or below.op.type in (*rules.RELUS, "Softmax", "Sigmoid", "Exp", "Square", "Abs"):
        return None
    return f"a ReLU written as a {op.type.lower()} with 0"


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


def _is_shifted_by_3(tensor, origins: Origins) -> bool:
    op = tensor.op
    return op.type in ("Add", "AddV2") and any(
        origins.uniform(x) == 3 for x in op.inputs if "input" not in origins.of(x)
    )


def _contains(op, types) -> bool:
    """Tell whether a function called by ``op``, at any depth, runs an operation of one of ``types``."""
    library = {function.signature.name: function for function in op.graph.as_graph_def().library.function}
    pending, done = [op.node_def], set()
    while pending:
        for value in pending.pop().attr.values():
            for function in [value.func, *value.list.func]:
                if function.name in library and function.name not in done:
                    done.add(function.name)
                    nodes = library[function.name].node_def
                    if any(node.op in types for node in nodes):
                        return True
                    pending += nodes
    return False
