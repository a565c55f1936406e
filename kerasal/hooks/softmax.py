"""The logits of an output, which are the input of the softmax or sigmoid in the traced graph that it comes from.

The search goes backward from the output through the operations of the graph, whatever layers added them:

| between the softmax or sigmoid and the output | logits |
|---|---|
| a reshape, a cast, ``Permute``, a slice, a selection of classes, repetition | the same operation on the logits |
| concatenation or stacking of several, also with linear outputs | the logits of each, concatenated or stacked |
| a clip, label smoothing, a logarithm, any increasing function of each value | the logits of its input |
| 1 - a sigmoid | the logits of the sigmoid with the opposite sign |
| the maximum or minimum of several sigmoids | the maximum or minimum of their logits |
| ``exp(x) / sum(exp(x))``, ``1 / (1 + exp(-x))``, ``x - logsumexp(x)`` | x |
| a division of exponentials that is not recognized, without a softmax | not available: ``NoLogits`` |
| a product or sum with values that depend on weights (a gate), a layer with weights | none: not an output softmax |
| anything else: averages, products, factors per class | not available: ``NoLogits`` |
"""

import dataclasses
import warnings
from typing import Any

from kerasal.hooks import squashing_formulas
from kerasal.hooks.dependencies import ends_in_squashing
from kerasal.hooks.operations import (
    ARITHMETIC,
    CALLS,
    INCREASING,
    ORDER_PRESERVING,
    REARRANGING,
    SQUASHING,
    Origins,
    apply_operation,
)

import tensorflow as tf


class NoLogits(UserWarning):
    """The output comes from a softmax or sigmoid whose logits are not available; the output itself was explained."""


@dataclasses.dataclass(frozen=True)
class LogitsInfo:
    """The logits of a tensor that comes from a softmax or sigmoid.

    ``logits`` have the shape of the tensor; they are None if the operation ``blocked_by`` cannot be undone. ``kind``
    is "Softmax", "LogSoftmax" or "Sigmoid" (for nested ones, a softmax rather than a sigmoid), "" for several kinds,
    or "Exp" for a division of exponentials that is not recognized. ``plain`` is True if the tensor is the softmax or
    sigmoid itself, and ``keeps_order`` if the logits order an image's classes, on the last axis, as the tensor does.
    """

    logits: Any
    kind: str = ""
    plain: bool = True
    keeps_order: bool = True
    blocked_by: Any = None

    def message(self) -> str:
        """Return why there are no logits and what is explained instead."""
        why = "divides exponentials in an unknown way" if self.kind == "Exp" else "after the softmax cannot be undone"
        return (
            f"The model's output has no logits: operation {self.blocked_by.type} ({self.blocked_by.name}) {why}. "
            "The output itself is explained. Pass logits=False to accept that without this warning."
        )


def logits(output: tf.Tensor) -> tf.Tensor:
    """Return the input of the softmax or sigmoid that produced ``output``, or ``output`` itself if there is none.

    It may be an ``activation``, a layer, an operation node or a call inside a custom layer, at any depth.

    Warns:
        NoLogits: an operation after the softmax cannot be undone, and ``output`` itself is returned.

    Raises:
        ValueError: the softmax is inside a compiled function (a SavedModel), where its input is not available.
    """
    info = find_logits(output)
    if info is not None and info.logits is None:
        warnings.warn(info.message(), NoLogits, stacklevel=2)
    return output if info is None or info.logits is None else info.logits


def find_logits(output: tf.Tensor, *, needed: bool = True) -> LogitsInfo | None:
    """Return the logits of ``output``, or why there are none; None if it comes from no softmax or sigmoid.

    Raises:
        ValueError: they are ``needed``, but the softmax is inside a compiled function (a SavedModel).
    """
    origins = Origins(output.graph)
    info = _LogitsSearch(output.graph, origins).find(output)
    if info is None and (division := squashing_formulas.find_exponential_division(output, origins)):
        return LogitsInfo(None, "Exp", blocked_by=division)
    if needed and info is not None and info.blocked_by is not None and info.blocked_by.type in CALLS:
        raise ValueError(
            "The model ends in a softmax or sigmoid inside a compiled function (a SavedModel or a tf.function), so its "
            "logits are not available. Pass logits=False to explain the probabilities, or load the .keras file."
        )
    if info is not None and info.logits is not None:
        logits = tf.identity(tf.cast(info.logits, output.dtype))
        logits.set_shape(output.shape)
        info = dataclasses.replace(info, logits=logits)
    return info


class _LogitsSearch:
    """A backward search for logits in a graph, which keeps the result for each tensor."""

    def __init__(self, graph: tf.Graph, origins: Origins):
        self._origins = origins
        self._place = {op.name: number for number, op in enumerate(graph.get_operations())}
        self._results: dict = {}

    def find(self, tensor: tf.Tensor) -> LogitsInfo | None:
        """Return the logits of a tensor, or None unless it is a function of softmaxes or sigmoids."""
        key = tensor.ref()
        if key not in self._results:
            self._results[key] = self._search(tensor)
        return self._results[key]

    def _search(self, tensor) -> LogitsInfo | None:
        op = tensor.op
        if op.type in SQUASHING:
            return self._invert_softmax(op.inputs[0], op.type)
        if formula := squashing_formulas.match_formula(op):
            if formula.logits is None:
                return LogitsInfo(None, formula.kind, blocked_by=op)
            return self._invert_softmax(formula.logits, formula.kind, formula.along_last)
        if op.type in CALLS and ends_in_squashing(op, tensor.value_index):
            return LogitsInfo(None, blocked_by=op)
        if op.type == "IdentityN":
            return self.find(op.inputs[tensor.value_index])
        if op.type in REARRANGING:
            return self._rearrange(op, tensor.value_index)
        if op.type in ("ConcatV2", "Pack"):
            return self._concatenate(op)
        return self._compute(op)

    def _invert_softmax(self, logits, kind: str, along_last: bool = True) -> LogitsInfo:
        """Return the input of a softmax or sigmoid; for a softmax of a softmax, that of the inner softmax."""
        inner = self.find(logits)
        if inner is None or inner.logits is None:
            return LogitsInfo(logits, kind, keeps_order=along_last)
        kind = inner.kind if kind == "Sigmoid" else kind
        return dataclasses.replace(inner, kind=kind, plain=False, keeps_order=inner.keeps_order and along_last)

    def _rearrange(self, op, index: int) -> LogitsInfo | None:
        number = REARRANGING[op.type]
        below = self.find(op.inputs[number])
        if below is None or below.logits is None or op.type == "Identity":
            return below
        if op.type == "Cast":
            if not op.outputs[0].dtype.is_floating:
                return LogitsInfo(None, blocked_by=op)
            return dataclasses.replace(below, logits=tf.cast(below.logits, op.outputs[0].dtype))
        inputs, (before, after) = list(op.inputs), (op.inputs[0].shape, op.outputs[0].shape)
        inputs[number] = tf.cast(below.logits, inputs[number].dtype)
        # A softmax orders values along its own axis, a sigmoid orders all values.
        same_last = before.rank and after.rank and before[-1] is not None and before[-1] == after[-1]
        keeps_order = below.kind == "Sigmoid" or (op.type in ORDER_PRESERVING and bool(same_last))
        keeps_order = below.keeps_order and keeps_order
        return dataclasses.replace(below, logits=apply_operation(op, inputs)[index], keeps_order=keeps_order)

    def _concatenate(self, op) -> LogitsInfo | None:
        inputs = list(op.inputs)
        parts = [self.find(part) for part in (inputs[:-1] if op.type == "ConcatV2" else inputs)]
        known = [part for part in parts if part is not None]
        blocked = [part for part in known if part.logits is None]
        if not known or blocked:
            return blocked[0] if blocked else None
        for number, part in enumerate(parts):
            if part is not None:
                inputs[number] = tf.cast(part.logits, inputs[number].dtype)
        sigmoids = all(part is not None and part.kind == "Sigmoid" and part.plain for part in parts)
        logits = apply_operation(op, inputs)[0]
        return LogitsInfo(logits, "Sigmoid" if sigmoids else "", plain=sigmoids, keeps_order=sigmoids)

    def _compute(self, op) -> LogitsInfo | None:
        """Return the logits after arithmetic: unchanged, negated, blocked, or None after a gate."""
        if op.type in ("Select", "SelectV2"):
            return self._select(op)
        varying = [x for x in op.inputs if "input" in self._origins.get(x)]
        fixed = [x for x in op.inputs if "input" not in self._origins.get(x)]
        if any("weight" in self._origins.get(x) for x in fixed):
            return None
        below = self._branches(varying)
        if not isinstance(below, list):
            return below
        if len(op.inputs) == len(varying) == 1:
            return self._monotone(op, below[0], -1 if op.type == "Neg" else int(op.type in INCREASING))
        if op.type in ("Max", "Min") and varying[0] is op.inputs[0] and below[0].kind == "Sigmoid":
            # The maximum of sigmoids is the sigmoid of the maximum.
            return dataclasses.replace(below[0], logits=apply_operation(op, [below[0].logits, op.inputs[1]])[0])
        if op.type in ARITHMETIC and len(varying) == 1:
            return self._with_constant(op, below[0], fixed[0], op.inputs[0] is fixed[0])
        return LogitsInfo(None, blocked_by=op)

    def _branches(self, tensors) -> list[LogitsInfo] | LogitsInfo | None:
        """Return the logits of those tensors that have them, or the first result without logits.

        None if no tensor comes from a softmax, or if another tensor depends on weights, which makes it a gate. The last
        tensor in the graph is searched first: that search often ends early, at weights.
        """
        results = []
        for tensor in sorted(tensors, key=lambda x: -self._place[x.op.name]):
            info = self.find(tensor)
            if info is not None:
                results.append(info)
            elif "weight" in self._origins.get(tensor):
                return None
        return next((info for info in results if info.logits is None), results or None)

    def _select(self, op) -> LogitsInfo | None:
        """Return the logits after ``where``, between two values with logits, or a value with logits and a constant."""
        branches = list(op.inputs)[1:]
        varying = [x for x in branches if "input" in self._origins.get(x)]
        below = self._branches(varying)
        if not isinstance(below, list):
            return below
        if len(below) == 2:
            pairs = [(x, self.find(x)) for x in branches]
            logits = [tf.cast(info.logits, x.dtype) for x, info in pairs if info is not None]
            return LogitsInfo(apply_operation(op, [op.inputs[0], *logits])[0], plain=False, keeps_order=False)
        (other,) = [x for x in branches if x is not varying[0]]
        if len(varying) == 1 and self._origins.uniform(other) is not None and _same_shape(varying[0], op.outputs[0]):
            return dataclasses.replace(below[0], plain=False, keeps_order=False)
        return LogitsInfo(None, blocked_by=op)

    @staticmethod
    def _monotone(op, below: LogitsInfo, sign: int, plain: bool = False) -> LogitsInfo:
        if sign > 0:
            return dataclasses.replace(below, plain=plain and below.plain)
        if sign < 0 and below.kind == "Sigmoid":
            return dataclasses.replace(below, logits=-below.logits, plain=plain and below.plain)
        return LogitsInfo(None, blocked_by=op)

    def _with_constant(self, op, below: LogitsInfo, constant, is_first: bool) -> LogitsInfo:
        value = self._origins.uniform(constant)
        if value is None or not (constant.shape.num_elements() == 1 or _same_shape(below.logits, op.outputs[0])):
            return LogitsInfo(None, blocked_by=op)
        if op.type in ("Mul", "RealDiv"):
            sign = 0 if op.type == "RealDiv" and is_first else (value > 0) - (value < 0)
            return self._monotone(op, below, sign, plain=value == 1)
        if op.type == "Sub" and is_first:
            return self._monotone(op, below, -1, plain=value == 1)
        return self._monotone(op, below, 1, plain=value == 0 and op.type in ("Add", "AddV2", "Sub"))


def _same_shape(tensor, other) -> bool:
    return tensor.shape.rank is not None and tensor.shape.as_list() == other.shape.as_list()
