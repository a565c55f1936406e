"""From a model to routes: it is traced once, and the graph's operations say what each map looks at.

What is not understood is taken to look at the whole image, which is never too little.
"""

from collections.abc import Sequence
from fractions import Fraction

from kerasal import (
    _keras,  # noqa: F401
    hooks,
)
from kerasal.hooks.inputs import image_shape
from kerasal.hooks.operations import BROADCASTING, PADDING, SLIDING, UNARY, Sliding, is_map, is_opaque, sliding
from kerasal.receptive_field.moves import Resize, Slide, Spread
from kerasal.receptive_field.route import Node, Route

import keras  # isort: skip
import tensorflow as tf  # isort: skip

_SAME_PLACE = UNARY | BROADCASTING | {"BiasAdd", "CheckNumerics", "EnsureShape", "FusedBatchNormV3", "IdentityN"}
_RESIZES = {"ResizeNearestNeighbor": None, "ResizeBilinear": 0, "ResizeBicubic": 1}
_SHAPES = ("Shape", "ShapeN", "Size", "Rank")
_ALONG_CHANNELS = ("Mean", "Sum", "Max", "Min", "Prod")


def read_routes(model: keras.Model, layers: Sequence[str], size: tuple[int, int] | None = None) -> dict[str, tuple]:
    """Return the route to each of ``layers`` that has a map (N, h, w, C), and the (height, width) of the image.

    ``size`` is that of the image; by default what the model declares, or 224 × 224.

    Raises:
        ValueError: the model has not exactly one image input, or runs inside a compiled function.
    """
    shape = image_shape(model, size)
    found: dict[str, tuple] = {}

    def run(image):
        with hooks.watch(model, taps=layers, lenient=True, partial=True, any_size=True) as seen:
            model(image, training=False)
        reader = _Reader(image)
        found.update({name: (reader.route(tensor), shape[:2]) for name, tensor in seen.items() if is_map(tensor)})

    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    return found


class _Reader:
    """Reads one graph: the nodes of all maps that depend on the image, in the graph's order."""

    def __init__(self, image: tf.Tensor):
        self._image = image
        self._nodes = [Node()]
        self._kinds: list[str] = [""]
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
            nodes.append(Node(sources, node.moves, node.whole, node.size))
        return Route(tuple(nodes), frozenset(self._kinds[old] for old in order))

    def _read(self, op: tf.Operation) -> None:
        own = [tensor for tensor in op.inputs if tensor.ref() in self._depends]
        node = self._understood(op, own)
        if op.outputs and op.outputs[0].ref() in self._carried:
            return
        for number, output in enumerate(op.outputs):
            if not is_map(output):
                continue
            if node is None:
                self._enter(output, op, Node((0,), None, op.name, tuple(output.shape[1:3])))
            elif op.type == "IdentityN":
                self._of[output.ref()] = self._of.get(op.inputs[number].ref(), 0)
            else:
                self._enter(output, op, node)

    def _enter(self, output, op, node: Node) -> None:
        self._of[output.ref()] = len(self._nodes)
        self._nodes.append(node)
        self._kinds.append(op.type)

    def _understood(self, op, own) -> Node | None:
        """Return the node of the operation's map; None where it has none, or may look at everything."""
        if is_opaque(op):
            inner = _only_convolution(op)
            if inner is None:
                raise ValueError(
                    f"The model runs a function of its own ({op.name}), which cannot be looked into: a SavedModel, or "
                    "a tf.function or loop within the model. Load the .keras file, or remove the inner tf.function."
                )
            return self._slid(inner, own[0], op.outputs[0])
        if any(tensor.ref() in self._carried for tensor in own) or self._begins(op, own):
            return self._continued(op, own)
        if not op.outputs or not is_map(op.outputs[0]) or not all(tensor.ref() in self._of for tensor in own):
            return None
        if self._is_same_place(op, own):
            return Node(tuple(dict.fromkeys(self._of[tensor.ref()] for tensor in own)))
        if len(own) > 1 or ("data_format" in op.node_def.attr and op.get_attr("data_format") != b"NHWC"):
            return None
        (source,) = own
        if op.type in SLIDING or op.type in PADDING or op.type == "MirrorPad":
            return self._slid(op, source, op.outputs[0])
        moves = _other_moves(op, source)
        return None if moves is None else Node((self._of[source.ref()],), moves)

    def _slid(self, op, source, output) -> Node | None:
        if op.type in (*PADDING, "MirrorPad"):
            amounts = tf.get_static_value(op.inputs[1])
            if amounts is None or amounts[[0, 3]].any():
                return None
            kernels = [Sliding(1, padding=tuple(map(int, amounts[axis]))) for axis in (1, 2)]
        else:
            kernels = [sliding(op, axis) for axis in (1, 2)]
        return Node((self._of[source.ref()],), (Slide(kernels[0]), Slide(kernels[1])))

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

    def _begins(self, op, own) -> bool:
        """Tell whether an operation begins a group: a map leaves its shape, to come back to it."""
        if len(own) != 1 or own[0].ref() not in self._of:
            return False
        rank = op.outputs[0].shape.rank if op.outputs else None
        return op.type in ("SpaceToBatchND", "ExpandDims") or (op.type == "Reshape" and rank == 2)

    def _continued(self, op, own) -> Node | None:
        """Follow a group: a dilated convolution, a repetition, or a dense layer at every place."""
        output = op.outputs[0]
        if self._begins(op, own):
            self._carried[output.ref()] = (self._of[own[0].ref()], own[0], [op])
            return None
        source, start, group = self._carried[own[0].ref()]
        kinds = [*(one.type for one in group), op.type]
        if kinds in _GROUPS:
            return _group_node(source, start, [*group, op])
        if any(kinds == known[: len(kinds)] for known in _GROUPS) and len(own) == 1:
            self._carried[output.ref()] = (source, start, [*group, op])
        return None


_GROUPS = [
    ["SpaceToBatchND", "Conv2D", "BatchToSpaceND"],
    ["SpaceToBatchND", "DepthwiseConv2dNative", "BatchToSpaceND"],
    ["ExpandDims", "Tile", "Reshape"],
    ["Reshape", "MatMul", "Reshape"],
]


def _group_node(source: int, start, group) -> Node | None:
    """Return the node that a finished group comes to."""
    last = group[-1]
    after, before = last.outputs[0].shape, start.shape
    if not is_map(last.outputs[0]):
        return None
    if group[0].type == "SpaceToBatchND":
        block, added = (tf.get_static_value(tensor) for tensor in group[0].inputs[1:])
        removed = tf.get_static_value(last.inputs[2])
        moves = []
        for axis in (0, 1):
            inner = sliding(group[1], axis + 1)
            padding = tuple(int(added[axis][side] - removed[axis][side]) for side in (0, 1))
            moves.append(Slide(Sliding(inner.kernel, inner.stride, inner.dilation * int(block[axis]), padding)))
        return Node((source,), (moves[0], moves[1]))
    if group[0].type == "ExpandDims":
        factors = [Fraction(after[axis], before[axis]) for axis in (1, 2)]
        return Node((source,), (Resize(factors[0], None, True), Resize(factors[1], None, True)))
    per_place = group[1].inputs[1].shape[0] == before[3] and after[1:3] == before[1:3]
    return Node((source,)) if per_place else None


def _other_moves(op, source) -> tuple | None:
    """Return the moves of a transposed convolution, an enlargement, a cut or a rearrangement of channels."""
    before, after = source.shape, op.outputs[0].shape
    if op.type == "Conv2DBackpropInput":
        moves = []
        for axis in (1, 2):
            kernel, stride = op.inputs[1].shape[axis - 1], op.get_attr("strides")[axis]
            padding = None if op.get_attr("padding") == b"SAME" else (0, 0)
            extra = after[axis] - stride * before[axis]
            moves.append(Spread(Sliding(kernel, stride, op.get_attr("dilations")[axis], padding), extra))
        return moves[0], moves[1]
    if op.type in _RESIZES and not op.get_attr("align_corners"):
        centred = op.get_attr("half_pixel_centers")
        factors = [Fraction(after[axis], before[axis]) for axis in (1, 2)]
        return tuple(Resize(factor, _RESIZES[op.type], centred) for factor in factors)
    if op.type in ("DepthToSpace", "SpaceToDepth"):
        block = op.get_attr("block_size")
        move = Resize(Fraction(block), None, True) if op.type == "DepthToSpace" else Slide(Sliding(block, block))
        return move, move
    if op.type == "StridedSlice":
        return _cut(op, before)
    return None


def _cut(op, before) -> tuple | None:
    """Return the moves of ``x[:, top:bottom, left:right, channels]``."""
    begin, end, step = (tf.get_static_value(tensor) for tensor in op.inputs[1:4])
    masks = [op.get_attr(name) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")]
    if any(one is None for one in (begin, end, step)) or any(masks) or (step[1:3] < 1).any():
        return None
    moves = []
    for axis in (1, 2):
        if axis >= len(begin):
            moves.append(Slide(Sliding(1)))
            continue
        first, last, stride = slice(
            None if op.get_attr("begin_mask") >> axis & 1 else int(begin[axis]),
            None if op.get_attr("end_mask") >> axis & 1 else int(end[axis]),
            int(step[axis]),
        ).indices(before[axis])
        moves.append(Slide(Sliding(1, stride, padding=(-first, last - before[axis]))))
    return moves[0], moves[1]


def _only_convolution(op):
    """Return the convolution that a function consists of (Keras compiles grouped ones), or None."""
    name = op.node_def.attr["f"].func.name
    graph = getattr(op.graph._get_function(name), "graph", None) if name else None
    inside = [] if graph is None else [one for one in graph.get_operations() if one.type not in _HARMLESS]
    return inside[0] if len(inside) == 1 and inside[0].type in SLIDING else None


_HARMLESS = ("Placeholder", "Identity", "ReadVariableOp", "Const", "NoOp", "Cast")
