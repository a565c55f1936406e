"""What a backward rule reaches in a traced graph, and what it would miss: refused, by name.

The rules are defined for ReLUs. Beside them, what squashes (sigmoid, tanh, softmax), pools or normalizes keeps its own
gradient, as in the papers. Another *rectifier* would be left ungated, so that only a part of the model followed the
rule: it is refused, whether it is one operation or written out of several (``kerasal.hooks.rectifiers``).
"""

from collections.abc import Sequence

from kerasal.hooks import backward_rules, rectifiers
from kerasal.hooks.operations import Origins

import keras
import tensorflow as tf

_INSTEAD = "class_saliency, smoothgrad, integrated_gradients and gradcam work with every activation."


class NoReLU(ValueError):
    """A backward rule finds no ReLU, or a rectifier that it is not defined for or cannot reach."""


def check(model: keras.Model, operations: Sequence[tf.Operation], rule: str, pooling: str) -> None:
    """Refuse a rule that would silently do nothing, or only part of its work.

    Args:
        model: what ran, for its name.
        operations: what it added to the graph, in order.
        rule: see ``kerasal.hooks.backward_rules``.
        pooling: likewise.

    Raises:
        NoReLU: ``rule`` has no ReLU to act on, or would miss a rectifier.
        ValueError: ``pooling`` has no max-pooling to act on, or cannot reach it.
    """
    replaced = backward_rules.overrides(rule, pooling)
    if not replaced:
        return
    error = ValueError if rule == "gradient" else NoReLU
    missed = {*replaced, *(rectifiers.RECTIFIERS if rule != "gradient" else ())}
    runs = f"{model.name!r} runs {'/'.join(sorted(replaced))} or another rectifier inside"
    hidden = [op for op in operations if op.type in backward_rules.CALLS and _contains(op, missed)]
    if hidden:
        raise error(
            f"{runs} a compiled function ({hidden[0].name}), which the rule cannot reach: a SavedModel, or a "
            "tf.function or loop within the model. Load the .keras file instead, or remove the inner tf.function; "
            "plain gradients work."
        )
    place = {op.name: number for number, op in enumerate(operations)}
    custom = [op for op in operations if op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr]
    origins = Origins(custom[0].graph) if custom else None
    hidden = [op for op in custom if any(one.type in missed for one in _within(op, place, origins))]
    if hidden:
        raise error(
            f"{runs} a function that has its own gradient ({hidden[0].name}), which the rule cannot reach: "
            "tf.custom_gradient, tf.recompute_grad or keras.RematScope. Build the model without it; plain gradients "
            "work."
        )
    acts = any(op.type in replaced for op in operations)
    if rule != "gradient":
        others = rectifiers.find(operations)
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


def _within(op, place: dict[str, int], origins: Origins) -> list[tf.Operation]:
    """Return the operations of a function that has its own gradient, which ends at the ``IdentityN`` ``op``.

    That passes on the function's results and then its arguments and weights, which nothing uses. What was made after
    the arguments is the function's.
    """
    used = [number for number, x in enumerate(op.outputs) if x.consumers()]
    results = op.inputs[: max(used, default=0) + 1]
    given = [x for x in op.inputs[len(results) :] if "input" in origins.of(x)]
    begin = max((place.get(x.op.name, -1) for x in given), default=-1)
    found, pending = {}, [x.op for x in results]
    while pending:
        one = pending.pop()
        if one.name not in found and place.get(one.name, -1) > begin:
            found[one.name] = one
            pending += [x.op for x in one.inputs]
    return list(found.values())


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
