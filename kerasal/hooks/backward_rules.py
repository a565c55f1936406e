"""The backward rules, as gradients of the graph's own operations; and what they would miss: refused, by name.

One engine serves three papers (R is the signal on its way back, X what went into the ReLU):

| rule | ReLU | source |
|---|---|---|
| ``"gradient"`` | R · 1(X > 0) | Simonyan et al. 2013, section 4 |
| ``"deconvnet"`` | R · 1(R > 0) | Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4 |
| ``"guided"`` | R · 1(X > 0) · 1(R > 0) | Springenberg et al. 2015, figure 1 |
| ``"biased"`` | max(R - b, 0) · 1(R > 0) | none: the deconvnet's, less the bias b that was added to make X |

Max-pooling's own gradient is the unpooling with switches of Zeiler & Fergus. ``pooling="sum"`` replaces it by that of
sum-pooling: every value is repeated over its window (He & Pugeault 2017, figure 3.2). No forward value changes.

The rules are defined for ReLUs. Beside them, what squashes (sigmoid, tanh, softmax), pools or normalizes keeps its own
gradient, as in the papers. Another *rectifier* would be left ungated, so that only a part of the model followed the
rule: it is refused, whether it is one operation or written out of several (``kerasal.hooks.rectifiers``).
"""

from collections.abc import Sequence

from kerasal.hooks import rectifiers
from kerasal.hooks.operations import POOLS, RELUS, Origins, skip_operations

import keras
import tensorflow as tf

RULES = ("gradient", "deconvnet", "guided", "biased")
POOLINGS = ("max", "sum")
# Functions within the graph: what happens inside has a gradient of its own, which no rule reaches.
_RUNNING = ("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf")
_INSTEAD = "class_saliency, smoothgrad, integrated_gradients and gradcam work with every activation."


class NoReLU(ValueError):
    """A backward rule finds no ReLU, or a rectifier that it is not defined for or cannot reach."""


def overrides(rule: str, pooling: str) -> dict[str, str]:
    """Return the map from operation types to registered gradients that puts ``rule`` and ``pooling`` in force.

    Raises:
        ValueError: an unknown rule or pooling.
    """
    if rule not in RULES or pooling not in POOLINGS:
        raise ValueError(f"Expected a rule of {RULES} and a pooling of {POOLINGS}. Received: {rule!r}, {pooling!r}.")
    replaced = {} if rule == "gradient" else dict.fromkeys(RELUS, f"kerasal_{rule}")
    if pooling == "sum":
        replaced |= dict.fromkeys(POOLS, "kerasal_sum_pooling")
    return replaced


@tf.RegisterGradient("kerasal_deconvnet")
def _deconvnet(op, signal):
    return tf.nn.relu(signal)


@tf.RegisterGradient("kerasal_guided")
def _guided(op, signal):
    if op is None:
        return _undefined(signal)
    return RELUS[op.type](gradients=tf.nn.relu(signal), features=op.outputs[0])


@tf.RegisterGradient("kerasal_biased")
def _biased(op, signal):
    if op is None:
        return _undefined(signal)
    return tf.where(signal > 0, tf.nn.relu(signal - tf.cast(_bias(op.inputs[0]), signal.dtype)), tf.zeros_like(signal))


def _bias(tensor):
    """Return the one value a channel that was added last to make a ReLU's input, or 0."""
    op = skip_operations(tensor, ("Identity",)).op
    if op.type in ("BiasAdd", "Add", "AddV2"):
        for added in reversed(op.inputs):
            if added.shape.rank is not None and all(size == 1 for size in added.shape.as_list()[:-1]):
                return added
    return tf.zeros([], tensor.dtype)


@tf.RegisterGradient("kerasal_sum_pooling")
def _sum_pooling(op, signal):
    """Repeat each value over its window: the gradient of sum-pooling, whose windows do not look at the values."""
    if op is None:
        return _undefined(signal)
    if op.get_attr("data_format") != b"NHWC":
        raise ValueError("Sum-pooling expects channels-last data (NHWC).")
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    size = tf.shape(op.inputs[0])
    before, after = _same_padding(size, window, strides) if op.get_attr("padding") == b"SAME" else (0 * size, 0 * size)
    repeated = tf.raw_ops.AvgPoolGrad(
        orig_input_shape=size + before + after, grad=signal, ksize=window, strides=strides, padding="VALID"
    )
    return tf.slice(repeated, before, size) * tf.cast(window[1] * window[2], signal.dtype)


def _undefined(signal):
    """Stand in where TensorFlow saves a model and traces every gradient without its operation.

    The saved map itself has its gradient built in; only a derivative *of the map* would come here, and shows as NaN.
    """
    return tf.fill(tf.shape(signal), tf.constant(float("nan"), signal.dtype))


def _same_padding(size, window, strides):
    """Return how much "same" padding stands before and after each axis."""
    window, strides = tf.constant(window), tf.constant(strides)
    total = tf.maximum((-(-size // strides) - 1) * strides + window - size, 0)
    return total // 2, total - total // 2


def check(model: keras.Model, operations: Sequence[tf.Operation], rule: str, pooling: str) -> None:
    """Refuse a rule that would silently do nothing, or only part of its work.

    Args:
        model: what ran, for its name.
        operations: what it added to the graph, in order.
        rule: see ``overrides``.
        pooling: likewise.

    Raises:
        NoReLU: ``rule`` has no ReLU to act on, or would miss a rectifier.
        ValueError: ``pooling`` has no max-pooling to act on, or cannot reach it.
    """
    replaced = overrides(rule, pooling)
    if not replaced:
        return
    error = ValueError if rule == "gradient" else NoReLU
    missed = {*replaced, *(rectifiers.RECTIFIERS if rule != "gradient" else ())}
    runs = f"{model.name!r} runs {'/'.join(sorted(replaced))} or another rectifier inside"
    hidden = [op for op in operations if op.type in _RUNNING and _contains(op, missed)]
    if hidden:
        raise error(
            f"{runs} a compiled function ({hidden[0].name}), which the rule cannot reach: a SavedModel, or a "
            "tf.function or loop within the model. Load the .keras file instead, or remove the inner tf.function; "
            "plain gradients work."
        )
    place = {op.name: number for number, op in enumerate(operations)}
    custom = [op for op in operations if op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr]
    origins = Origins(tf.compat.v1.get_default_graph())
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
