"""What the scores of a traced graph are made of: operations, maps of classes, and the tensors that all goes through."""

from collections.abc import Collection, Iterable, Sequence

from kerasal.hooks.operations import ARITHMETIC, BROADCASTING, CALLS, SHAPES, SQUASHING, UNARY, VALUEWISE

import tensorflow as tf

# From the map of the logits to a score by position: each channel on its own, or none that is new.
_OUTPUT_STEPS = UNARY | BROADCASTING | {"BiasAdd", "Reshape", "Transpose"}
_OUTPUT_STEPS |= {"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"}


def reached_inputs(inputs: Sequence[tf.Tensor], operations: Iterable[tf.Operation]) -> dict:
    """Return on which inputs, by number, each tensor depends."""
    reached = {x.ref(): {number} for number, x in enumerate(inputs)}
    for op in operations:
        own = [reached[tensor.ref()] for tensor in op.inputs if tensor.ref() in reached]
        if own and op.type not in SHAPES:
            union = set().union(*own)
            reached |= {tensor.ref(): union for tensor in op.outputs}
    return reached


def operations_below(tensors: Iterable[tf.Tensor], skipped: Collection[str] = ()) -> list[tf.Operation]:
    """Return the operations that tensors are computed by, in the order in which they run.

    Those of the ``skipped`` types are left out, with what only they need.
    """
    found, pending = set(), [tensor.op for tensor in tensors]
    while pending:
        op = pending.pop()
        if op not in found and op.type not in skipped:
            found.add(op)
            pending += [tensor.op for tensor in op.inputs]
    graph = next(iter(found)).graph if found else None
    return [op for op in graph.get_operations() if op in found] if graph else []


def needed_operations(scores: tf.Tensor) -> set[tf.Operation]:
    """Return the operations whose values the scores depend on."""
    return set(operations_below([scores], SHAPES))


def cut_tensors(x: tf.Tensor, needed: Iterable[tf.Operation]) -> set:
    """Return the references of the tensors through which everything goes that the scores read of an input.

    ``needed`` are the operations that the scores depend on, in the order in which they run. An operation is passed by
    where something made before it is read after it; without such a tensor every path leads through the operation.
    """
    reads, order = {x.ref(): 0}, []
    for place, op in enumerate(needed, start=1):
        own = [tensor.ref() for tensor in op.inputs if tensor.ref() in reads]
        if own and op.type not in SHAPES:
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


def ends_in_squashing(op, index: int) -> bool:
    """Tell whether a compiled function's output is a squashing, followed by what keeps or moves each value."""
    library = {function.signature.name: function for function in op.graph.as_graph_def().library.function}
    name = op.get_attr("f").name
    while name in library:
        function = library[name]
        nodes = {node.name: node for node in function.node_def}
        end = function.ret[function.signature.output_arg[index].name]
        node = nodes.get(end.split(":")[0])
        while node is not None and node.op in VALUEWISE and (below := _only_varying(node, nodes)) is not None:
            end = below
            node = nodes.get(end.split(":")[0])
        if node is None:
            return False
        if node.op in SQUASHING:
            return True
        if node.op not in CALLS:
            return False
        name, index = node.attr["f"].func.name, int(end.split(":")[-1])
    return False


def _only_varying(node, nodes) -> str | None:
    """Return what a node's values come from: its first input that is no constant; None if it computes with several."""
    named = [x for x in node.input if not x.startswith("^")]
    varying = [x for x in named if x.split(":")[0] not in nodes or nodes[x.split(":")[0]].op != "Const"]
    return None if not varying or (node.op in ARITHMETIC and len(varying) > 1) else varying[0]
