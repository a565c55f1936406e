"""Dependencies in a traced graph: which operations and inputs a score needs, and which tensors it cannot bypass."""

from collections.abc import Collection, Iterable, Sequence

from kerasal.hooks.operations import ARITHMETIC, BROADCASTING, CALLS, SHAPES, SQUASHING, UNARY, VALUEWISE

import tensorflow as tf

# Steps from the logits of a map to a score per position, which compute no new features.
_OUTPUT_STEPS = UNARY | BROADCASTING | {"BiasAdd", "Reshape", "Transpose"}
_OUTPUT_STEPS |= {"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"}


def reached_inputs(inputs: Sequence[tf.Tensor], operations: Iterable[tf.Operation]) -> dict:
    """Return for each tensor the indices of the inputs that it depends on."""
    reached = {x.ref(): {number} for number, x in enumerate(inputs)}
    for op in operations:
        sources = [reached[tensor.ref()] for tensor in op.inputs if tensor.ref() in reached]
        if sources and op.type not in SHAPES:
            union = set().union(*sources)
            reached |= {tensor.ref(): union for tensor in op.outputs}
    return reached


def operations_below(tensors: Iterable[tf.Tensor], skipped: Collection[str] = ()) -> list[tf.Operation]:
    """Return the operations that compute ``tensors``, in the order in which they run.

    Operations of the ``skipped`` types are left out, and so are operations that only they need.
    """
    below, pending = set(), [tensor.op for tensor in tensors]
    while pending:
        op = pending.pop()
        if op not in below and op.type not in skipped:
            below.add(op)
            pending += [tensor.op for tensor in op.inputs]
    graph = next(iter(below)).graph if below else None
    return [op for op in graph.get_operations() if op in below] if graph else []


def needed_operations(scores: tf.Tensor) -> set[tf.Operation]:
    """Return the operations whose values determine the scores."""
    return set(operations_below([scores], SHAPES))


def custom_gradient(tensor: tf.Tensor, scores: tf.Tensor) -> tf.Operation | None:
    """Return the operation with a custom gradient through which the scores depend on a tensor, or None.

    It is the ``IdentityN`` in which ``tf.custom_gradient`` and ``tf.recompute_grad`` end. A tape that reaches it does
    not see the operations of the function before it.
    """
    needed = operations_below([scores], SHAPES)
    reached = reached_inputs([tensor], needed)
    for op in needed:
        custom = op.type == "IdentityN" and "_gradient_op_type" in op.node_def.attr
        if custom and any(x.ref() in reached for x in op.inputs):
            return op
    return None


def cut_tensors(x: tf.Tensor, needed: Iterable[tf.Operation]) -> set:
    """Return references of the tensors that every path from an input to the scores goes through (cut vertices).

    ``needed`` are the operations that determine the scores, in the order in which they run. A path bypasses an
    operation if a tensor from before the operation is read after it.
    """
    last_read, order = {x.ref(): 0}, []
    for place, op in enumerate(needed, start=1):
        sources = [tensor.ref() for tensor in op.inputs if tensor.ref() in last_read]
        if sources and op.type not in SHAPES:
            order.append((place, op))
            last_read |= dict.fromkeys(sources, place)
            last_read |= {tensor.ref(): 0 for tensor in op.outputs}
    cuts, horizon = set(), last_read[x.ref()]
    for place, op in order:
        outputs = [tensor.ref() for tensor in op.outputs if last_read[tensor.ref()]]
        if horizon <= place and len(outputs) == 1:
            cuts.add(outputs[0])
        horizon = max([horizon, *(last_read[ref] for ref in outputs)])
    return cuts


def class_maps(output: tf.Tensor | None) -> set:
    """Return references of the class maps, from the logits to an output (N, *positions, classes)."""
    if output is None or (output.shape.rank or 0) < 3:
        return set()
    maps, pending = set(), [output]
    while pending:
        tensor = pending.pop()
        if tensor.shape.rank == output.shape.rank and tensor.ref() not in maps:
            maps.add(tensor.ref())
            if tensor.op.type in _OUTPUT_STEPS:
                pending += list(tensor.op.inputs)
    return maps


def ends_in_squashing(op, index: int) -> bool:
    """Return whether a compiled function ends in a softmax or sigmoid, apart from steps that keep or move values."""
    library = {function.signature.name: function for function in op.graph.as_graph_def().library.function}
    name = op.get_attr("f").name
    while name in library:
        function = library[name]
        nodes = {node.name: node for node in function.node_def}
        end = function.ret[function.signature.output_arg[index].name]
        node = nodes.get(end.split(":")[0])
        while node is not None and node.op in VALUEWISE and (below := _single_source(node, nodes)) is not None:
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


def _single_source(node, nodes) -> str | None:
    """Return the name of a node's first input that is not constant; None if the node computes with several."""
    inputs = [x for x in node.input if not x.startswith("^")]
    varying = [x for x in inputs if x.split(":")[0] not in nodes or nodes[x.split(":")[0]].op != "Const"]
    return None if not varying or (node.op in ARITHMETIC and len(varying) > 1) else varying[0]
