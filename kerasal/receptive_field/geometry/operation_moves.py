"""From a model to routes: it is traced once, and the graph's operations say what each map looks at.

What is not understood is taken to look at the whole image, which is never too little.
"""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.engine import read_graph
from kerasal.hooks.model_inputs import image_shape
from kerasal.hooks.operations import (
    BROADCASTING,
    PADDING,
    SLIDING,
    UNARY,
    SlidingWindow,
    is_map,
    is_opaque,
    only_convolution,
    sliding_window,
)
from kerasal.receptive_field.geometry.field_shapes import GROUPS, group_node, other_moves
from kerasal.receptive_field.geometry.route import Mirror, Node, Route, Slide

import keras
import tensorflow as tf

_SAME_PLACE = UNARY | BROADCASTING | {"BiasAdd", "CheckNumerics", "EnsureShape", "FusedBatchNormV3", "IdentityN"}
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")
_ALONG_CHANNELS = ("Mean", "Sum", "Max", "Min", "Prod")


def read_routes(model: keras.Model, layers: Sequence[str], size: tuple[int, int] | None = None) -> dict[str, tuple]:
    """Return the route to each of ``layers`` that has a map (N, h, w, C), and the (height, width) of the image.

    ``size`` is that of the image; by default what the model declares, or 224 × 224.

    Raises:
        ValueError: the model has not exactly one image input, or runs inside a compiled function.
    """
    shape = image_shape(model, size)

    def read(image, tapped, layout, outputs):
        reader = _Reader(image)
        maps = {name: one for name, one in tapped.items() if is_map(one) and layout.channel_axis(name, one) == 3}
        return {name: (reader.route(tensor), shape[:2]) for name, tensor in maps.items()}

    return read_graph(model, shape, layers, read, lenient=True, partial=True, any_size=True)


def route_between(image: tf.Tensor, tensor: tf.Tensor) -> Route:
    """Return the route from an image to a map of the same graph."""
    return _Reader(image).route(tensor)


class _Reader:
    """Reads one graph: the nodes of all maps that depend on the image, in the graph's order."""

    def __init__(self, image: tf.Tensor):
        self._image = image
        self._nodes = [Node()]
        self._of = {image.ref(): 0}  # the node of each map that is understood
        self._carried = {}  # what a map became half-way through several operations that belong together
        self._depends = {image.ref()}
        for op in image.graph.get_operations():
            if op.type not in _SHAPES and any(tensor.ref() in self._depends for tensor in op.inputs):
                self._depends |= {tensor.ref() for tensor in op.outputs}
                self._read(op)

    def route(self, tensor: tf.Tensor) -> Route:
        """Return the nodes that a map depends on, numbered anew."""
        last = self._of[tensor.ref()]
        needed, pending = {0, last}, [last]
        while pending:
            pending += (fresh := set(self._nodes[pending.pop()].sources) - needed)
            needed |= fresh
        order = {old: new for new, old in enumerate(sorted(needed))}
        nodes = []
        for old in order:
            node = self._nodes[old]
            sources = tuple(order[source] for source in node.sources)
            nodes.append(dataclasses.replace(node, sources=sources))
        places = {reference: order[number] for reference, number in self._of.items() if number in order}
        kinds = frozenset(op.type for op in operations_below([tensor]))
        return Route(tuple(nodes), int(tensor.shape[-1] or 0), kinds, places)

    def _read(self, op: tf.Operation) -> None:
        own = [tensor for tensor in op.inputs if tensor.ref() in self._depends]
        node = self._interpret(op, own)
        if op.outputs and op.outputs[0].ref() in self._carried:
            return
        for number, output in enumerate(op.outputs):
            if not is_map(output):
                continue
            if node is None:
                entry = Node((0,), None, op.name, (output.shape[1] or 0, output.shape[2] or 0))
            elif op.type == "IdentityN":
                self._of[output.ref()] = self._of.get(op.inputs[number].ref(), 0)
                continue
            else:
                entry = dataclasses.replace(node, output=output)
            self._of[output.ref()] = len(self._nodes)
            self._nodes.append(entry)

    def _interpret(self, op, own) -> Node | None:
        """Return the node of the operation's map; None where it has none, or may look at everything."""
        if is_opaque(op):
            inner = only_convolution(op)
            if inner is None:
                raise ValueError(
                    f"The model runs a function of its own ({op.name}), which cannot be looked into: a SavedModel, or "
                    "a tf.function or loop within the model. Load the .keras file, or remove the inner tf.function."
                )
            return self._slide(inner, own[0], op.outputs[0])
        if any(tensor.ref() in self._carried for tensor in own) or self._begins_group(op, own):
            return self._follow_group(op, own)
        if not op.outputs or not is_map(op.outputs[0]) or not all(tensor.ref() in self._of for tensor in own):
            return None
        if self._is_same_place(op, own):
            return Node(tuple(dict.fromkeys(self._of[tensor.ref()] for tensor in own)))
        if len(own) > 1 or ("data_format" in op.node_def.attr and op.get_attr("data_format") != b"NHWC"):
            return None
        (source,) = own
        if op.type in SLIDING or op.type in PADDING or op.type == "MirrorPad":
            return self._slide(op, source, op.outputs[0])
        moves = other_moves(op, source)
        return None if moves is None else Node((self._of[source.ref()],), moves)

    def _slide(self, op, source, output) -> Node | None:
        if op.type in (*PADDING, "MirrorPad"):
            amounts = tf.get_static_value(op.inputs[1])
            if amounts is None or amounts[[0, 3]].any():
                return None
            rows, columns = (SlidingWindow(1, padding=(int(amounts[i, 0]), int(amounts[i, 1]))) for i in (1, 2))
        else:
            rows, columns = (sliding_window(op, axis) for axis in (1, 2))
        if op.type == "MirrorPad":
            repeats = int(op.get_attr("mode") == b"SYMMETRIC")
            return Node((self._of[source.ref()],), (Mirror(rows, repeats), Mirror(columns, repeats)))
        return Node((self._of[source.ref()],), (Slide(rows), Slide(columns)))

    def _is_same_place(self, op, own) -> bool:
        size = op.outputs[0].shape[1:3]
        if any(tensor.shape[1:3] not in (size, (1, 1)) for tensor in own):
            return False
        if op.type in _SAME_PLACE:
            return True
        if op.type == "ConcatV2":
            return tf.get_static_value(op.inputs[-1]) in (-1, 3)
        if op.type in ("Split", "SplitV"):
            return tf.get_static_value(op.inputs[0 if op.type == "Split" else 2]) in (-1, 3)
        if op.type == "Transpose":
            return list(tf.get_static_value(op.inputs[1])) == [0, 1, 2, 3]
        if op.type in _ALONG_CHANNELS:
            axes = tf.get_static_value(op.inputs[1])
            return op.get_attr("keep_dims") and {int(axis) % 4 for axis in axes.reshape(-1)} == {3}
        return False

    def _begins_group(self, op, own) -> bool:
        """Tell whether an operation begins a group: a map leaves its shape, to come back to it."""
        if len(own) != 1 or own[0].ref() not in self._of:
            return False
        rank = op.outputs[0].shape.rank if op.outputs else None
        return op.type in ("SpaceToBatchND", "ExpandDims") or (op.type == "Reshape" and rank == 2)

    def _follow_group(self, op, own) -> Node | None:
        """Follow a group: a dilated convolution, a repetition, or a dense layer at every place."""
        output = op.outputs[0]
        if self._begins_group(op, own):
            self._carried[output.ref()] = (self._of[own[0].ref()], own[0], [op])
            return None
        source, start, group = self._carried[own[0].ref()]
        kinds = [*(one.type for one in group), op.type]
        if kinds in GROUPS:
            return group_node(source, start, [*group, op])
        if any(kinds == known[: len(kinds)] for known in GROUPS) and len(own) == 1:
            self._carried[output.ref()] = (source, start, [*group, op])
        return None
