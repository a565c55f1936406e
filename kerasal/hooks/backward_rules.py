"""Backward rules: gradients that replace those of ReLU and max-pooling in a traced graph.

R is the gradient that arrives at a ReLU, and X is the input of the ReLU:

| rule | gradient of the ReLU | source |
|---|---|---|
| ``"gradient"`` | R · 1(X > 0) | Simonyan et al. 2013, section 4 |
| ``"deconvnet"`` | R · 1(R > 0) | Zeiler & Fergus 2014, section 2.1; Simonyan et al. 2013, section 4 |
| ``"guided"`` | R · 1(X > 0) · 1(R > 0) | Springenberg et al. 2015, figure 1 |
| ``"biased"`` | max(R - b, 0) · 1(R > 0) | kerasal: the deconvnet minus the bias b that was added to form X |

The ordinary gradient of max-pooling is the unpooling with switches of Zeiler & Fergus. ``pooling="sum"`` uses the
gradient of sum-pooling instead, which repeats every value over its window (He & Pugeault 2017, figure 3.2). Forward
values never change.

The rules are defined for ReLUs. As in the papers, sigmoid, tanh, softmax, pooling and normalization keep their own
gradients. Any other rectifier would keep its gradient too, and then only a part of the model would follow the rule.
Such a model raises ``NoReLU``, whether the rectifier is a single operation or a formula (``kerasal.hooks.rectifiers``).
"""

from collections.abc import Sequence

from kerasal.checks import check_choice
from kerasal.hooks.called_functions import first_call, has_types
from kerasal.hooks.operations import POOLS, RELUS, Origins, skip_operations
from kerasal.hooks.rectifiers import RECTIFIERS, find_rectifiers

import keras
import tensorflow as tf

RULES = ("gradient", "deconvnet", "guided", "biased")
"""The backward rules of ReLUs that ``watched`` knows."""
POOLINGS = ("max", "sum")
# Operations that call a graph function. The gradient of the function is fixed, so no rule can replace it.
_FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf")
_ALTERNATIVES = "class_saliency, smoothgrad, integrated_gradients and gradcam work with every activation."


class NoReLU(ValueError):
    """The model has no ReLU for a backward rule, or a rectifier that the rule is not defined for or cannot reach."""


def overrides(rule: str, pooling: str) -> dict[str, str]:
    """Return the registered gradient for each operation type that ``rule`` and ``pooling`` replace.

    Raises:
        ValueError: an unknown rule or pooling.
    """
    check_choice("rule", rule, RULES)
    check_choice("pooling", pooling, POOLINGS)
    replaced = {} if rule == "gradient" else dict.fromkeys(RELUS, f"kerasal_{rule}")
    if pooling == "sum":
        replaced |= dict.fromkeys(POOLS, "kerasal_sum_pooling")
    return replaced


@tf.RegisterGradient("kerasal_deconvnet")
def _deconvnet(op, gradient):
    return tf.nn.relu(gradient)


@tf.RegisterGradient("kerasal_guided")
def _guided_backprop(op, gradient):
    if op is None:
        return _not_a_number(gradient)
    return RELUS[op.type](gradients=tf.nn.relu(gradient), features=op.outputs[0])


@tf.RegisterGradient("kerasal_biased")
def _biased_deconvnet(op, gradient):
    if op is None:
        return _not_a_number(gradient)
    bias = tf.cast(_bias(op.inputs[0]), gradient.dtype)
    return tf.where(gradient > 0, tf.nn.relu(gradient - bias), tf.zeros_like(gradient))


def _bias(tensor):
    """Return the bias, one value per channel, that was added last to form the input of a ReLU; 0 if there is none."""
    op = skip_operations(tensor, ("Identity",)).op
    if op.type in ("BiasAdd", "Add", "AddV2"):
        for added in reversed(op.inputs):
            if added.shape.rank is not None and all(size == 1 for size in added.shape.as_list()[:-1]):
                return added
    return tf.zeros([], tensor.dtype)


@tf.RegisterGradient("kerasal_sum_pooling")
def _sum_pooling_gradient(op, gradient):
    """Return the gradient of sum-pooling in place of max-pooling: every value repeated over its window."""
    if op is None:
        return _not_a_number(gradient)
    if op.get_attr("data_format") != b"NHWC":
        raise ValueError(f"Sum-pooling must have data format NHWC (channels last), got {op.get_attr('data_format')!r}.")
    window, strides = op.get_attr("ksize"), op.get_attr("strides")
    size = tf.shape(op.inputs[0])
    before, after = _padding_sizes(size, window, strides) if op.get_attr("padding") == b"SAME" else (0 * size, 0 * size)
    repeated = tf.raw_ops.AvgPoolGrad(
        orig_input_shape=size + before + after, grad=gradient, ksize=window, strides=strides, padding="VALID"
    )
    return tf.slice(repeated, before, size) * tf.cast(window[1] * window[2], gradient.dtype)


def _not_a_number(gradient):
    """Return NaN as the gradient while TensorFlow saves a model, when it traces gradients without their operations.

    A saved map already contains its gradient. Only a derivative *of the map* reaches this value, and is then NaN.
    """
    return tf.fill(tf.shape(gradient), tf.constant(float("nan"), gradient.dtype))


def _padding_sizes(size, window, strides):
    """Return the amounts of "same" padding before and after each axis."""
    window, strides = tf.constant(window), tf.constant(strides)
    total = tf.maximum((-(-size // strides) - 1) * strides + window - size, 0)
    return total // 2, total - total // 2


def check(model: keras.Model, operations: Sequence[tf.Operation], rule: str, pooling: str) -> None:
    """Raise an error if a rule would have no effect, or only on a part of the model.

    Args:
        model: the model that ran; the error names it.
        operations: the operations that the run added to the graph, in order.
        rule: see ``overrides``.
        pooling: see ``overrides``.

    Raises:
        NoReLU: the model has no ReLU, or a rectifier that ``rule`` cannot replace.
        ValueError: the model has no max-pooling, or max-pooling that ``pooling`` cannot replace.
    """
    replaced = overrides(rule, pooling)
    if not replaced:
        return
    error = ValueError if rule == "gradient" else NoReLU
    missed = {*replaced, *(RECTIFIERS if rule != "gradient" else ())}
    runs = f"{model.name!r} runs {'/'.join(sorted(replaced))} or another rectifier inside"
    calling = first_call([op for op in operations if op.type in _FUNCTION_CALLS], has_types(missed))
    if calling is not None:
        raise error(
            f"{runs} a compiled function ({calling.name}), which the rule cannot reach: a SavedModel, or a "
            "tf.function or loop within the model. Load the .keras file instead, or remove the inner tf.function; "
            "plain gradients work."
        )
    order = {op.name: number for number, op in enumerate(operations)}
    custom = [op for op in operations if op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr]
    origins = Origins(tf.compat.v1.get_default_graph())
    hidden = [op for op in custom if any(inner.type in missed for inner in _inner_operations(op, order, origins))]
    if hidden:
        raise error(
            f"{runs} a function with a custom gradient ({hidden[0].name}), which the rule cannot reach: "
            "tf.custom_gradient, tf.recompute_grad or keras.RematScope. Build the model without it; plain gradients "
            "work."
        )
    acts = any(op.type in replaced for op in operations)
    if rule != "gradient":
        rectifiers = find_rectifiers(operations)
        formula = next((rectifier for rectifier in rectifiers if rectifier.is_relu), None)
        if rectifiers and (acts or formula):
            rectifier = formula or rectifiers[0]
            raise NoReLU(
                f"Rule {rule!r} is defined only for ReLU operations (keras.ops.relu, tf.nn.relu, relu6), but "
                f"{model.name!r} has {rectifier.description} at {rectifier.operation.name!r}, which keeps its ordinary "
                f"gradient. {_ALTERNATIVES}"
            )
    if not acts:
        advice = "class_saliency or input_gradient would return the same map." if rule != "gradient" else ""
        option, missing = (f"Rule {rule!r}", "ReLU") if rule != "gradient" else (f"pooling={pooling!r}", "max-pooling")
        raise error(f"{option} has nothing to act on: {model.name!r} runs no {missing}. {advice}".rstrip())


def _inner_operations(op, order: dict[str, int], origins: Origins) -> list[tf.Operation]:
    """Return the operations of a function with a custom gradient that ends in the ``IdentityN`` operation ``op``.

    ``op`` passes on the results of the function, then its arguments and weights, whose outputs are not used.
    Operations after the last argument belong to the function.
    """
    used = [number for number, x in enumerate(op.outputs) if x.consumers()]
    results = op.inputs[: max(used, default=0) + 1]
    arguments = [x for x in op.inputs[len(results) :] if "input" in origins.get(x)]
    begin = max((order.get(x.op.name, -1) for x in arguments), default=-1)
    inner, pending = {}, [x.op for x in results]
    while pending:
        current = pending.pop()
        if current.name not in inner and order.get(current.name, -1) > begin:
            inner[current.name] = current
            pending += [x.op for x in current.inputs]
    return list(inner.values())
