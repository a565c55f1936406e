"""What is known of a tensor behind a softmax or sigmoid, and which operations keep or move its values."""

import dataclasses

from kerasal.hooks.operations import PASSING

import tensorflow as tf

SQUASHING = ("Softmax", "Sigmoid", "LogSoftmax")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Values are moved, chosen or repeated; the number says which input holds them.
# fmt: off
MOVING = {"Split": 1} | dict.fromkeys((
    *PASSING, "Transpose", "StridedSlice", "Slice", "GatherV2", "GatherNd", "ReverseV2", "Roll", "Tile", "BroadcastTo",
    "SplitV", "Unpack", "DepthToSpace", "SpaceToDepth", "ResizeNearestNeighbor",
), 0)
# fmt: on
INCREASING = frozenset(("Log", "Log1p", "Exp", "Expm1", "Sqrt", "Relu", "Relu6", "Elu", "Selu", "Softplus", "Tanh"))
ARITHMETIC = frozenset(("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"))
KEEPING = frozenset(MOVING) | INCREASING | ARITHMETIC | {"ConcatV2", "Pack"}


@dataclasses.dataclass(frozen=True)
class Squashed:
    """What is known of a tensor behind a softmax or sigmoid.

    ``logits`` have the tensor's shape and are None where the operation ``lost`` has mixed them. ``kind`` is the
    squashing (of nested ones, a softmax rather than a sigmoid), "" where several were joined, or "Exp" where
    exponentials were divided in a way that is not recognized. ``plain`` says that the tensor is the squashing itself,
    ``ranks`` that the logits order an image's classes, along the last axis, as the tensor does.
    """

    logits: tf.Tensor | None
    kind: str = ""
    plain: bool = True
    ranks: bool = True
    lost: tf.Operation | None = None

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


def ends_in_squashing(op, index: int) -> bool:
    """Tell whether a compiled function's output is a squashing, followed by what keeps or moves each value."""
    library = {function.signature.name: function for function in op.graph.as_graph_def().library.function}
    name = op.get_attr("f").name
    while name in library:
        function = library[name]
        nodes = {node.name: node for node in function.node_def}
        end = function.ret[function.signature.output_arg[index].name]
        node = nodes.get(end.split(":")[0])
        while node is not None and node.op in KEEPING and (below := _only_varying(node, nodes)) is not None:
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
