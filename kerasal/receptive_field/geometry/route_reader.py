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
    SLIDING_3D,
    UNARY,
    SlidingWindow,
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
    return read_input_routes(model, layers, image_shape(model, size))


def read_input_routes(model: keras.Model, layers: Sequence[str], shape: tuple[int, ...]) -> dict[str, tuple]:
    """Return a dictionary from layer path to (route, positions of the input) for inputs of a ``shape`` (*positions, C).

    There are one to three position axes; the layers are those with as many, and channels last.
    """

    def find_routes(x, tapped, layout, outputs):
        reader = _GraphReader(x)
        last = len(shape)
        maps = {path: maps for path, maps in tapped.items() if maps.shape.rank == last + 1 and reader.axes(maps)}
        maps = {path: maps for path, maps in maps.items() if layout.channel_axis(path, maps) == last}
        return {path: (reader.route(tensor), shape[:-1]) for path, tensor in maps.items()}

    return read_graph(model, shape, layers, find_routes, lenient=True, partial=True, any_size=True)


def route_between(image: tf.Tensor, tensor: tf.Tensor) -> Route:
    """Return the route from an image tensor to a map of the same graph."""
    return _GraphReader(image).route(tensor)


class _GraphReader:
    """Nodes of all maps of a graph that depend on the image, in the order of the graph's operations.

    Instead of an image there may be a signal (N, T, C) or a volume (N, D, H, W, C). A map of a signal is also known as
    (N, 1, T, C), in which form TensorFlow convolves it.
    """

    def __init__(self, image: tf.Tensor):
        self._image, self._count = image, image.shape.rank - 2
        self._nodes = [Node()]
        self._numbers = {image.ref(): 0}  # by tensor reference; supported maps only
        self._open_groups = {}  # (source, first input, operations so far) of each unfinished group
        self._dependent = {image.ref()}
        for op in image.graph.get_operations():
            if op.type not in _SHAPES and any(tensor.ref() in self._dependent for tensor in op.inputs):
                self._dependent |= {tensor.ref() for tensor in op.outputs}
                self._add_operation(op)

    def axes(self, tensor: tf.Tensor) -> tuple[int, ...] | None:
        """Return the position axes of a tensor, or None if it is no map of known size."""
        shape = tensor.shape
        if shape.rank is None or None in shape.as_list()[1:]:
            return None
        if self._count == 1 and shape.rank == 4 and shape[1] == 1:
            return (2,)
        return tuple(range(1, shape.rank - 1)) if shape.rank == self._count + 2 else None

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
            axes = self.axes(output)
            if axes is None:
                continue
            if op.type == "IdentityN":
                self._numbers[output.ref()] = self._numbers.get(op.inputs[number].ref(), 0)
                continue
            if node is None:
                entry = Node((0,), None, op.name, tuple(output.shape[axis] or 0 for axis in axes))
            else:
                entry = dataclasses.replace(node, output=output)
            self._numbers[output.ref()] = len(self._nodes)
            self._nodes.append(entry)

    def _interpret(self, op, sources) -> Node | None:
        """Return the node of the operation's map; None if it has no map or its receptive field is unknown."""
        if is_opaque(op):
            inner = only_convolution(op)
            if inner is None and self._count != 2:
                return None  # a recurrent layer
            if inner is None:
                raise ValueError(
                    f"The model must not contain a compiled function, got {op.name}: a SavedModel, or a tf.function or "
                    "loop inside the model, whose operations cannot be read. Load the .keras file, or remove the inner "
                    "tf.function."
                )
            return self._slide_node(inner, sources[0], op.outputs[0])
        axes = self.axes(op.outputs[0]) if op.outputs else None
        follows = any(tensor.ref() in self._open_groups for tensor in sources)
        kept = self._count == 1 and not follows and op.type in ("ExpandDims", "Squeeze") and self._keeps_time(op)
        if not kept and (follows or self._begins_group(op, sources)):
            return self._follow_group(op, sources)
        if axes is None or not all(tensor.ref() in self._numbers for tensor in sources):
            return None
        if kept or self._keeps_positions(op, sources, axes):
            return Node(tuple(dict.fromkeys(self._numbers[tensor.ref()] for tensor in sources)))
        formats = (b"NHWC", b"NDHWC")
        if len(sources) > 1 or ("data_format" in op.node_def.attr and op.get_attr("data_format") not in formats):
            return None
        (source,) = sources
        if op.type in SLIDING | SLIDING_3D or op.type in PADDING or op.type == "MirrorPad":
            return self._slide_node(op, source, op.outputs[0])
        if self.axes(source) != axes:
            return None
        moves = shape_moves(op, source, axes)
        return None if moves is None else Node((self._numbers[source.ref()],), moves)

    def _slide_node(self, op, source, output) -> Node | None:
        axes = self.axes(output)
        if axes is None:
            return None
        if op.type in (*PADDING, "MirrorPad"):
            amounts = tf.get_static_value(op.inputs[1])
            if amounts is None or any(pair.any() for axis, pair in enumerate(amounts) if axis not in axes):
                return None
            kernels = [SlidingWindow(1, padding=(int(amounts[axis, 0]), int(amounts[axis, 1]))) for axis in axes]
        else:
            kernels = [sliding_window(op, axis) for axis in axes]
        if op.type == "MirrorPad":
            repeats = int(op.get_attr("mode") == b"SYMMETRIC")
            return Node((self._numbers[source.ref()],), tuple(Mirror(kernel, repeats) for kernel in kernels))
        return Node((self._numbers[source.ref()],), tuple(map(Slide, kernels)))

    def _keeps_time(self, op) -> bool:
        """Return whether an operation only adds or removes the axis of size 1 with which a signal is convolved."""
        source, output = op.inputs[0], op.outputs[0]
        before, after = self.axes(source), self.axes(output)
        return before is not None and after is not None and source.shape[before[0]] == output.shape[after[0]]

    def _keeps_positions(self, op, sources, axes: tuple[int, ...]) -> bool:
        rank, size = op.outputs[0].shape.rank, [op.outputs[0].shape[axis] for axis in axes]
        sizes = [[tensor.shape[axis] for axis in self.axes(tensor) or ()] for tensor in sources]
        if any(other not in (size, [1] * len(axes)) for other in sizes):
            return False
        if op.type in _POSITIONWISE:
            return True
        if op.type == "ConcatV2":
            return tf.get_static_value(op.inputs[-1]) in (-1, rank - 1)
        if op.type in ("Split", "SplitV"):
            return tf.get_static_value(op.inputs[0 if op.type == "Split" else 2]) in (-1, rank - 1)
        if op.type == "Transpose":
            return list(tf.get_static_value(op.inputs[1])) == list(range(rank))
        if op.type in _ALONG_CHANNELS:
            reduced = tf.get_static_value(op.inputs[1])
            return op.get_attr("keep_dims") and {int(axis) % rank for axis in reduced.reshape(-1)} == {rank - 1}
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
        axes = self.axes(output)
        if kinds in GROUPS:
            return group_node(source, start, [*group, op], axes) if axes and axes == self.axes(start) else None
        if any(kinds == pattern[: len(kinds)] for pattern in GROUPS) and len(sources) == 1:
            self._open_groups[output.ref()] = (source, start, [*group, op])
        return None
