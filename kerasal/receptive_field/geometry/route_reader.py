"""Reading of routes: the model is traced once, and each operation of the graph becomes a node of the route.

An unsupported operation counts as one that sees the whole image, so that a receptive field is never too small.
"""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks.dependencies import operations_below
from kerasal.hooks.engine import read_graph
from kerasal.hooks.image_shapes import image_shape
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
from kerasal.receptive_field.geometry.route import Mirror, Node, Route, Slide
from kerasal.receptive_field.geometry.shape_operations import GROUPS, group_node, shape_moves

import keras
import tensorflow as tf

_POSITIONWISE = UNARY | BROADCASTING | {"BiasAdd", "CheckNumerics", "EnsureShape", "FusedBatchNormV3", "IdentityN"}
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")
_ALONG_CHANNELS = ("Mean", "Sum", "Max", "Min", "Prod")


def read_routes(model: keras.Model, layers: Sequence[str], size: tuple[int, int] | None = None) -> dict[str, tuple]:
    """Return a dictionary from layer path to (route, (height, width) of the image), for layers with a map (N, h, w, C).

    ``size`` is the (height, width) of the image; by default the size that the model declares, or 224 × 224.

    Raises:
        ValueError: if the model does not have exactly one image input, or runs inside a compiled function.
    """
    shape = image_shape(model, size)

    def find_routes(image, tapped, layout, outputs):
        reader = _GraphReader(image)
        maps = {path: maps for path, maps in tapped.items() if is_map(maps) and layout.channel_axis(path, maps) == 3}
        return {path: (reader.route(tensor), shape[:2]) for path, tensor in maps.items()}

    return read_graph(model, shape, layers, find_routes, lenient=True, partial=True, any_size=True)


def route_between(image: tf.Tensor, tensor: tf.Tensor) -> Route:
    """Return the route from an image tensor to a map of the same graph."""
    return _GraphReader(image).route(tensor)


class _GraphReader:
    """Nodes of all maps of a graph that depend on the image, in the order of the graph's operations."""

    def __init__(self, image: tf.Tensor):
        self._image = image
        self._nodes = [Node()]
        self._numbers = {image.ref(): 0}  # by tensor reference; supported maps only
        self._open_groups = {}  # (source, first input, operations so far) of each unfinished group
        self._dependent = {image.ref()}
        for op in image.graph.get_operations():
            if op.type not in _SHAPES and any(tensor.ref() in self._dependent for tensor in op.inputs):
                self._dependent |= {tensor.ref() for tensor in op.outputs}
                self._add_operation(op)

    def route(self, tensor: tf.Tensor) -> Route:
        """Return the route to a map: the nodes that it depends on, renumbered."""
        last = self._numbers[tensor.ref()]
        needed, pending = {0, last}, [last]
        while pending:
            pending += (added := set(self._nodes[pending.pop()].sources) - needed)
            needed |= added
        order = {old: new for new, old in enumerate(sorted(needed))}
        nodes = []
        for old in order:
            node = self._nodes[old]
            sources = tuple(order[source] for source in node.sources)
            nodes.append(dataclasses.replace(node, sources=sources))
        places = {reference: order[number] for reference, number in self._numbers.items() if number in order}
        kinds = frozenset(op.type for op in operations_below([tensor]))
        return Route(tuple(nodes), int(tensor.shape[-1] or 0), kinds, places)

    def _add_operation(self, op: tf.Operation) -> None:
        sources = [tensor for tensor in op.inputs if tensor.ref() in self._dependent]
        node = self._interpret(op, sources)
        if op.outputs and op.outputs[0].ref() in self._open_groups:
            return
        for number, output in enumerate(op.outputs):
            if not is_map(output):
                continue
            if node is None:
                entry = Node((0,), None, op.name, (output.shape[1] or 0, output.shape[2] or 0))
            elif op.type == "IdentityN":
                self._numbers[output.ref()] = self._numbers.get(op.inputs[number].ref(), 0)
                continue
            else:
                entry = dataclasses.replace(node, output=output)
            self._numbers[output.ref()] = len(self._nodes)
            self._nodes.append(entry)

    def _interpret(self, op, sources) -> Node | None:
        """Return the node of the operation's map; None if it has no map or its receptive field is unknown."""
        if is_opaque(op):
            inner = only_convolution(op)
            if inner is None:
                raise ValueError(
                    f"The model must not contain a compiled function, got {op.name}: a SavedModel, or a tf.function or "
                    "loop inside the model, whose operations cannot be read. Load the .keras file, or remove the inner "
                    "tf.function."
                )
            return self._slide_node(inner, sources[0], op.outputs[0])
        if any(tensor.ref() in self._open_groups for tensor in sources) or self._begins_group(op, sources):
            return self._follow_group(op, sources)
        if not op.outputs or not is_map(op.outputs[0]) or not all(tensor.ref() in self._numbers for tensor in sources):
            return None
        if self._keeps_positions(op, sources):
            return Node(tuple(dict.fromkeys(self._numbers[tensor.ref()] for tensor in sources)))
        if len(sources) > 1 or ("data_format" in op.node_def.attr and op.get_attr("data_format") != b"NHWC"):
            return None
        (source,) = sources
        if op.type in SLIDING or op.type in PADDING or op.type == "MirrorPad":
            return self._slide_node(op, source, op.outputs[0])
        moves = shape_moves(op, source)
        return None if moves is None else Node((self._numbers[source.ref()],), moves)

    def _slide_node(self, op, source, output) -> Node | None:
        if op.type in (*PADDING, "MirrorPad"):
            amounts = tf.get_static_value(op.inputs[1])
            if amounts is None or amounts[[0, 3]].any():
                return None
            rows, columns = (SlidingWindow(1, padding=(int(amounts[i, 0]), int(amounts[i, 1]))) for i in (1, 2))
        else:
            rows, columns = (sliding_window(op, axis) for axis in (1, 2))
        if op.type == "MirrorPad":
            repeats = int(op.get_attr("mode") == b"SYMMETRIC")
            return Node((self._numbers[source.ref()],), (Mirror(rows, repeats), Mirror(columns, repeats)))
        return Node((self._numbers[source.ref()],), (Slide(rows), Slide(columns)))

    def _keeps_positions(self, op, sources) -> bool:
        size = op.outputs[0].shape[1:3]
        if any(tensor.shape[1:3] not in (size, (1, 1)) for tensor in sources):
            return False
        if op.type in _POSITIONWISE:
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

    def _begins_group(self, op, sources) -> bool:
        """Return whether an operation may be the first of a sequence in ``GROUPS``."""
        if len(sources) != 1 or sources[0].ref() not in self._numbers:
            return False
        rank = op.outputs[0].shape.rank if op.outputs else None
        return op.type in ("SpaceToBatchND", "ExpandDims") or (op.type == "Reshape" and rank == 2)

    def _follow_group(self, op, sources) -> Node | None:
        """Add an operation to the sequence it continues; return the node of a complete sequence in ``GROUPS``.

        Return None if the sequence is not complete.
        """
        output = op.outputs[0]
        if self._begins_group(op, sources):
            self._open_groups[output.ref()] = (self._numbers[sources[0].ref()], sources[0], [op])
            return None
        source, start, group = self._open_groups[sources[0].ref()]
        kinds = [*(member.type for member in group), op.type]
        if kinds in GROUPS:
            return group_node(source, start, [*group, op])
        if any(kinds == pattern[: len(kinds)] for pattern in GROUPS) and len(sources) == 1:
            self._open_groups[output.ref()] = (source, start, [*group, op])
        return None
