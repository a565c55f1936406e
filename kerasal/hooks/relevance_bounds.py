"""The lowest and highest values of the inputs of first convolutions, for the rule z^B of relevance propagation."""

from collections.abc import Collection, Iterable

from kerasal.hooks.linear_maps import LinearMap
from kerasal.hooks.operation_replay import replay, widen
from kerasal.hooks.relevance_operations import (
    ACTIVATIONS,
    SELECTIONS,
    WITH_CONSTANT,
    NoRelevanceRule,
    references,
    unique_inputs,
)

import tensorflow as tf

Bounds = tuple[tf.Tensor, tf.Tensor]
# Through these, the lowest and the highest input give the lowest and the highest value.
_MONOTONE = (ACTIVATIONS | WITH_CONSTANT | SELECTIONS | {"AvgPool", "AvgPool3D", "Mean"}) - {"LRN"}
_OF_SEVERAL = frozenset(("Add", "AddV2", "ConcatV2", "Maximum", "Minimum", "Pack"))


def find_bounds(
    flow: Iterable[tf.Operation], maps: Iterable[LinearMap], varying: Collection, known: dict
) -> dict[LinearMap, Bounds]:
    """Return the lowest and highest inputs of the convolutions that no other linear operation precedes.

    Args:
        flow: the operations between the inputs and the score, in the order in which they run.
        maps: the linear maps among them.
        varying: references of the tensors that depend on the model's inputs.
        known: the lowest and highest values of the inputs, by reference.

    Raises:
        NoRelevanceRule: there is no such convolution, or an operation before it gives no bounds.
    """
    by_start = {linear.operation: linear for linear in maps}
    inside = {op for linear in by_start.values() for op in linear.members}
    found, below_maps, unknown = {}, set(), {}
    for op in flow:
        sources = unique_inputs(op, varying)
        if op in inside or any(tensor.ref() in below_maps for tensor in sources):
            below_maps |= references(op.outputs)
            linear = by_start.get(op)
            if linear is None or not linear.is_convolution or sources[0].ref() in below_maps:
                continue
            if sources[0].ref() not in known:
                raise _no_bounds(unknown.get(sources[0].ref(), op))
            found[linear] = known[sources[0].ref()]
        elif all(tensor.ref() in known for tensor in sources) and _is_monotone(op, len(sources)):
            ends = [
                replay(op, [widen(known[x.ref()][end] if x.ref() in known else x) for x in op.inputs]) for end in (0, 1)
            ]
            pairs = [(tf.minimum(*pair), tf.maximum(*pair)) for pair in zip(*ends, strict=True)]
            known |= {tensor.ref(): pair for tensor, pair in zip(op.outputs, pairs, strict=True)}
        else:
            earlier = next((unknown[x.ref()] for x in sources if x.ref() in unknown), op)
            unknown |= {tensor.ref(): earlier for tensor in op.outputs}
    if not found:
        raise NoRelevanceRule(
            "The composite must find a convolution at the input for its rule z^B, but the first linear operation "
            'is none. Choose the composite "epsilon".'
        )
    return found


def _is_monotone(op: tf.Operation, count: int) -> bool:
    return op.type in _MONOTONE and (count == 1 or op.type in _OF_SEVERAL)


def _no_bounds(op: tf.Operation) -> NoRelevanceRule:
    return NoRelevanceRule(
        f"The values between the input and the first convolution must have bounds for rule z^B, but {op.name!r} "
        f"({op.type}) has none. Choose another composite."
    )
