"""What the scores of a traced graph are made of: operations, maps of classes, and the tensors that all goes through."""

from collections.abc import Iterable, Sequence

from kerasal.hooks.operations import BROADCASTING, UNARY

import tensorflow as tf

_SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))
# From the map of the logits to a score by position: each channel on its own, or none that is new.
_OUTPUT_STEPS = UNARY | BROADCASTING | {"BiasAdd", "Reshape", "Transpose"}
_OUTPUT_STEPS |= {"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"}


def reached_inputs(inputs: Sequence[tf.Tensor], operations: Iterable[tf.Operation]) -> dict:
    """Return on which inputs, by number, each tensor depends."""
    reached = {x.ref(): {number} for number, x in enumerate(inputs)}
    for op in operations:
        if op.type in _SHAPES:
            continue
        own = [reached[tensor.ref()] for tensor in op.inputs if tensor.ref() in reached]
        if own:
            union = set().union(*own)
            reached |= {tensor.ref(): union for tensor in op.outputs}
    return reached


def needed_operations(scores: tf.Tensor) -> set[tf.Operation]:
    """Return the operations whose values the scores depend on."""
    needed, pending = set(), [scores.op]
    while pending:
        op = pending.pop()
        if op not in needed and op.type not in _SHAPES:
            needed.add(op)
            pending += [tensor.op for tensor in op.inputs]
    return needed


def cut_tensors(x: tf.Tensor, needed: Iterable[tf.Operation]) -> set:
    """Return the references of the tensors through which everything goes that the scores read of an input.

    ``needed`` are the operations that the scores depend on, in the order in which they run. An operation is passed by
    where something made before it is read after it; without such a tensor every path leads through the operation.
    """
    reads, order = {x.ref(): 0}, []
    for place, op in enumerate(needed, start=1):
        own = [tensor.ref() for tensor in op.inputs if tensor.ref() in reads]
        if own and op.type not in _SHAPES:
            order.append((place, op))
            reads |= dict.fromkeys(own, place)  # where it is read last
            reads |= {tensor.ref(): 0 for tensor in op.outputs}
    found, horizon = set(), reads[x.ref()]
    for place, op in order:
        own = [tensor.ref() for tensor in op.outputs if reads[tensor.ref()]]
        if horizon <= place and len(own) == 1:
            found.add(own[0])
        horizon = max([horizon, *(reads[ref] for ref in own)])
    return found


def class_maps(output: tf.Tensor | None) -> set:
    """Return the maps, from the logits on, that a target with positions reads as its classes."""
    if output is None or output.shape.rank != 4:
        return set()
    found, pending = set(), [output]
    while pending:
        tensor = pending.pop()
        if tensor.shape.rank == 4 and tensor.ref() not in found:
            found.add(tensor.ref())
            if tensor.op.type in _OUTPUT_STEPS:
                pending += list(tensor.op.inputs)
    return found
