"""The logits of an output: what went into the softmax or sigmoid behind it, found in the traced graph.

The graph is walked backward from the output. What the walk meets decides, whatever layer it comes from:

| behind the softmax or sigmoid | logits |
|---|---|
| reshaping, a cast, ``Permute``, a slice, a choice of classes, repetition | the same done to the logits |
| several of them, concatenated or stacked, also with linear outputs | the logits of each, concatenated alike |
| a clip, label smoothing, a logarithm, any increasing function of each value | those below |
| 1 - a sigmoid | those below, with the other sign |
| the largest or smallest of several sigmoids | the largest or smallest of those below |
| ``exp(x) / sum(exp(x))``, ``1 / (1 + exp(-x))``, ``x - logsumexp(x)`` | x |
| exponentials divided in a way that is not recognized, without a softmax | none to be had: ``NoLogits`` |
| a product or sum with something that has weights (a gate), a layer with weights | none: it is within the network |
| anything else: averages, products, factors by class | none to be had: ``NoLogits`` |
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
    """The output comes from a softmax or sigmoid whose logits cannot be had; the output itself was explained."""


@dataclasses.dataclass(frozen=True)
class Squashed:
    """What is known of a tensor behind a softmax or sigmoid.

    ``logits`` are a tensor of the same shape, None where the operation ``lost`` has mixed them. ``kind`` is the
    squashing (of nested ones, a softmax rather than a sigmoid), "" where several were joined, or "Exp" where
    exponentials were divided in a way that is not recognized. ``plain`` says that the tensor is the squashing itself,
    ``ranks`` that the logits order an image's classes, along the last axis, as the tensor does.
    """

    logits: Any
    kind: str = ""
    plain: bool = True
    ranks: bool = True
    lost: Any = None

    def message(self) -> str:
        """Return why there are no logits and what was explained instead."""
        why = (
            "divides exponentials, as a softmax or sigmoid does, in a way that is not recognized"
            if self.kind == "Exp"
            else "follows its softmax or sigmoid and cannot be undone"
        )
        return (
            f"The model's output has no logits: {self.lost.type} ({self.lost.name}) {why}. "
            "The output itself is explained; pass logits=False if that is what you want."
        )


def logits(output: tf.Tensor) -> tf.Tensor:
    """Return what went into the softmax or sigmoid that made ``output``, or ``output`` itself if none did.

    The squashing may be a layer's ``activation``, a layer, an op node or a line of somebody's ``call``, at any depth.

    Warns:
        NoLogits: what follows the softmax cannot be undone, and ``output`` itself is returned.

    Raises:
        ValueError: a softmax is there, but inside a compiled function (a SavedModel), where it cannot be undone.
    """
    found = find(output)
    if found is not None and found.logits is None:
        warnings.warn(found.message(), NoLogits, stacklevel=2)
    return output if found is None or found.logits is None else found.logits


def find(output: tf.Tensor) -> Squashed | None:
    """Return the logits of ``output`` or what lost them; None where it comes from no softmax or sigmoid.

    Raises:
        ValueError: a softmax is there, but inside a compiled function (a SavedModel), where it cannot be undone.
    """
    origins = Origins(output.graph)
    found = _Walk(output.graph, origins).find(output)
    if found is None and (division := squashing_formulas.divided_exponential(output, origins)):
        return Squashed(None, "Exp", lost=division)
    if found is not None and found.lost is not None and found.lost.type in CALLS:
        raise ValueError(
            "The model ends in a softmax or sigmoid inside a compiled function (a SavedModel or a tf.function), so its "
            "logits cannot be had. Pass logits=False to explain the probabilities, or load the .keras file."
        )
    if found is not None and found.logits is not None:
        logits = tf.identity(tf.cast(found.logits, output.dtype))
        logits.set_shape(output.shape)
        found = dataclasses.replace(found, logits=logits)
    return found


class _Walk:
    """A walk backward over one graph, which remembers what it found."""

    def __init__(self, graph: tf.Graph, origins: Origins):
        self._origins = origins
        self._place = {op.name: number for number, op in enumerate(graph.get_operations())}
        self._found: dict = {}

    def find(self, tensor: tf.Tensor) -> Squashed | None:
        """Return what is known of a tensor, or None where it is no function of a squashing alone."""
        key = tensor.ref()
        if key not in self._found:
            self._found[key] = self._look(tensor)
        return self._found[key]

    def _look(self, tensor) -> Squashed | None:
        op = tensor.op
        if op.type in SQUASHING:
            return self._squashed(op.inputs[0], op.type)
        if written := squashing_formulas.squashing(op):
            if written.logits is None:
                return Squashed(None, written.kind, lost=op)
            return self._squashed(written.logits, written.kind, written.along_last)
        if op.type in CALLS and ends_in_squashing(op, tensor.value_index):
            return Squashed(None, lost=op)
        if op.type == "IdentityN":
            return self.find(op.inputs[tensor.value_index])
        if op.type in REARRANGING:
            return self._moved(op, tensor.value_index)
        if op.type in ("ConcatV2", "Pack"):
            return self._joined(op)
        return self._computed(op)

    def _squashed(self, logits, kind: str, along_last: bool = True) -> Squashed:
        """Return the logits of a squashing; of a softmax of a softmax, the inner one's."""
        inner = self.find(logits)
        if inner is None or inner.logits is None:
            return Squashed(logits, kind, ranks=along_last)
        kind = inner.kind if kind == "Sigmoid" else kind
        return dataclasses.replace(inner, kind=kind, plain=False, ranks=inner.ranks and along_last)

    def _moved(self, op, index: int) -> Squashed | None:
        number = REARRANGING[op.type]
        below = self.find(op.inputs[number])
        if below is None or below.logits is None or op.type == "Identity":
            return below
        if op.type == "Cast":
            if not op.outputs[0].dtype.is_floating:
                return Squashed(None, lost=op)
            return dataclasses.replace(below, logits=tf.cast(below.logits, op.outputs[0].dtype))
        inputs, (before, after) = list(op.inputs), (op.inputs[0].shape, op.outputs[0].shape)
        inputs[number] = tf.cast(below.logits, inputs[number].dtype)
        # A softmax orders the values along its own axis; a sigmoid orders them everywhere.
        ranked = before.rank and after.rank and before[-1] is not None and before[-1] == after[-1]
        ranks = below.ranks and (below.kind == "Sigmoid" or (op.type in ORDER_PRESERVING and bool(ranked)))
        return dataclasses.replace(below, logits=apply_operation(op, inputs)[index], ranks=ranks)

    def _joined(self, op) -> Squashed | None:
        inputs = list(op.inputs)
        parts = inputs[:-1] if op.type == "ConcatV2" else inputs
        found = [self.find(part) for part in parts]
        squashed = [one for one in found if one is not None]
        lost = [one for one in squashed if one.logits is None]
        if not squashed or lost:
            return lost[0] if lost else None
        for number, one in enumerate(found):
            if one is not None:
                inputs[number] = tf.cast(one.logits, inputs[number].dtype)
        alike = all(one is not None and one.kind == "Sigmoid" and one.plain for one in found)
        return Squashed(apply_operation(op, inputs)[0], "Sigmoid" if alike else "", plain=alike, ranks=alike)

    def _computed(self, op) -> Squashed | None:
        """Return what an operation makes of squashed values: increasing, decreasing, a gate, or lost."""
        if op.type in ("Select", "SelectV2"):
            return self._chosen(op)
        varying = [x for x in op.inputs if "input" in self._origins.of(x)]
        fixed = [x for x in op.inputs if "input" not in self._origins.of(x)]
        if any("weight" in self._origins.of(x) for x in fixed):
            return None
        found = self._branches(varying)
        if not isinstance(found, list):
            return found
        if len(op.inputs) == len(varying) == 1:
            return self._monotone(op, found[0], -1 if op.type == "Neg" else int(op.type in INCREASING))
        if op.type in ("Max", "Min") and varying[0] is op.inputs[0] and found[0].kind == "Sigmoid":
            # A sigmoid's largest value is the sigmoid of the largest.
            return dataclasses.replace(found[0], logits=apply_operation(op, [found[0].logits, op.inputs[1]])[0])
        if op.type in ARITHMETIC and len(varying) == 1:
            return self._with_constant(op, found[0], fixed[0], op.inputs[0] is fixed[0])
        return Squashed(None, lost=op)

    def _branches(self, tensors) -> list[Squashed] | Squashed | None:
        """Return what is known of those that are squashed: what lost the logits of one, or None if there is none.

        None too if another has weights, so that they are its gates. The branch that was made last comes first: most
        end at weights soon, where others lead through the whole model.
        """
        found = []
        for tensor in sorted(tensors, key=lambda x: -self._place[x.op.name]):
            one = self.find(tensor)
            if one is not None:
                found.append(one)
            elif "weight" in self._origins.of(tensor):
                return None
        return next((one for one in found if one.logits is None), found or None)

    def _chosen(self, op) -> Squashed | None:
        """Return the logits where a condition chooses between squashed values, or between them and a constant."""
        branches = list(op.inputs)[1:]
        varying = [x for x in branches if "input" in self._origins.of(x)]
        found = self._branches(varying)
        if not isinstance(found, list):
            return found
        if len(found) == 2:
            known = [(x, self.find(x)) for x in branches]
            logits = [tf.cast(one.logits, x.dtype) for x, one in known if one is not None]
            return Squashed(apply_operation(op, [op.inputs[0], *logits])[0], plain=False, ranks=False)
        (other,) = [x for x in branches if x is not varying[0]]
        if len(varying) == 1 and self._origins.uniform(other) is not None and _alike(varying[0], op.outputs[0]):
            return dataclasses.replace(found[0], plain=False, ranks=False)
        return Squashed(None, lost=op)

    @staticmethod
    def _monotone(op, below: Squashed, sign: int, plain: bool = False) -> Squashed:
        if sign > 0:
            return dataclasses.replace(below, plain=plain and below.plain)
        if sign < 0 and below.kind == "Sigmoid":
            return dataclasses.replace(below, logits=-below.logits, plain=plain and below.plain)
        return Squashed(None, lost=op)

    def _with_constant(self, op, below: Squashed, constant, is_first: bool) -> Squashed:
        value = self._origins.uniform(constant)
        if value is None or not (constant.shape.num_elements() == 1 or _alike(below.logits, op.outputs[0])):
            return Squashed(None, lost=op)
        if op.type in ("Mul", "RealDiv"):
            sign = 0 if op.type == "RealDiv" and is_first else (value > 0) - (value < 0)
            return self._monotone(op, below, sign, plain=value == 1)
        if op.type == "Sub" and is_first:
            return self._monotone(op, below, -1, plain=value == 1)
        return self._monotone(op, below, 1, plain=value == 0 and op.type in ("Add", "AddV2", "Sub"))


def _alike(tensor, other) -> bool:
    return tensor.shape.rank is not None and tensor.shape.as_list() == other.shape.as_list()
