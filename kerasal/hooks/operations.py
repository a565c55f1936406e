"""What is known of a traced graph's operations, whatever layer they come from.

Rules on TensorFlow's operations, not on Keras layers, reach a functional, nested or subclassed model, and a ReLU as
attribute, layer or op, alike.
"""

import dataclasses
from collections.abc import Collection
from typing import Any, cast

import numpy as np

import tensorflow as tf
from tensorflow.python.eager import execute

# One value in, one value out at the same place (LRN and Softmax look along the channels only).
# fmt: off
UNARY = frozenset((
    "Abs", "Cast", "Ceil", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Identity", "LRN", "LeakyRelu", "Log",
    "Log1p", "LogSoftmax", "Neg", "PreventGradient", "Reciprocal", "Relu", "Relu6", "Rint", "Round", "Rsqrt", "Selu",
    "Sigmoid", "Sign", "Snapshot", "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "StopGradient", "Tanh",
))
BROADCASTING = frozenset((
    "Add", "AddN", "AddV2", "Div", "DivNoNan", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd",
    "LogicalOr", "Maximum", "Minimum", "Mul", "MulNoNan", "NotEqual", "Pow", "RealDiv", "SelectV2",
    "SquaredDifference", "Sub",
))
# fmt: on
# The operations that are ReLUs, each with the kernel of its gradient, which is faster than comparing and selecting.
RELUS = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}
POOLS = ("MaxPool",)
SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))  # of which no value is read
SLIDING = frozenset(("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"))
PADDING = frozenset(("Pad", "PadV2"))
ORDER_PRESERVING = frozenset(
    ("Identity", "Reshape", "Cast", "Squeeze", "ExpandDims", "EnsureShape", "CheckNumerics", "Snapshot")
)
SQUASHING = ("Softmax", "Sigmoid", "LogSoftmax")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Values are moved, chosen or repeated; the number says which input holds them.
# fmt: off
REARRANGING = {"Split": 1} | dict.fromkeys((
    *ORDER_PRESERVING, "Transpose", "StridedSlice", "Slice", "GatherV2", "GatherNd", "ReverseV2", "Roll", "Tile", "BroadcastTo",
    "SplitV", "Unpack", "DepthToSpace", "SpaceToDepth", "ResizeNearestNeighbor",
), 0)
# fmt: on
INCREASING = frozenset(("Log", "Log1p", "Exp", "Expm1", "Sqrt", "Relu", "Relu6", "Elu", "Selu", "Softplus", "Tanh"))
ARITHMETIC = frozenset(("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"))
VALUEWISE = frozenset(REARRANGING) | INCREASING | ARITHMETIC | {"ConcatV2", "Pack"}
_SHAPE_ARITHMETIC = {
    "AddV2": np.add,
    "ConcatV2": lambda *own: np.concatenate(own[:-1], own[-1]),
    "Pack": lambda *own: np.stack(own),
    "Range": np.arange,
    "Sub": np.subtract,
}
# Operations that say which axis holds channels, by their data_format or, where they have none, always the last.
# fmt: off
CHANNEL_AWARE = frozenset((
    "AvgPool", "AvgPool3D", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2", "DepthToSpace",
    "DepthwiseConv2dNative", "ExtractImagePatches", "FusedBatchNormV3", "LRN", "MaxPool", "MaxPool3D", "MaxPoolV2",
    "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "SpaceToBatchND", "SpaceToDepth",
))
# fmt: on
_HARMLESS = frozenset(("Placeholder", "Identity", "ReadVariableOp", "Const", "NoOp", "Cast"))


@dataclasses.dataclass(frozen=True)
class SlidingWindow:
    """How a kernel slides along one axis; ``padding`` is (before, after), or None for TensorFlow's "same"."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: tuple[int, int] | None = (0, 0)

    @property
    def extent(self) -> int:
        """The number of inputs from the first to the last that one output looks at."""
        return (self.kernel - 1) * self.dilation + 1

    def length(self, inputs: int) -> int:
        """Return how many outputs ``inputs`` values give."""
        if self.padding is None:
            return -(-inputs // self.stride)
        return (inputs + sum(self.padding) - self.extent) // self.stride + 1

    def padding_before(self, inputs: int) -> int:
        """Return how many padding values stand before the first of ``inputs`` values."""
        if self.padding is None:
            return max((self.length(inputs) - 1) * self.stride + self.extent - inputs, 0) // 2
        return self.padding[0]


def skip_operations(tensor: tf.Tensor, types: Collection[str]) -> tf.Tensor:
    """Return what a tensor was before operations of these types, of whose inputs the first counts."""
    while tensor.op.type in types:
        tensor = tensor.op.inputs[0]
    return tensor


def is_opaque(op: tf.Operation) -> bool:
    """Tell whether an operation runs a function of its own: a tf.function, a loop, a branch or a SavedModel."""
    return any(value.HasField("func") or value.list.func for value in op.node_def.attr.values())


def static_value(tensor: tf.Tensor) -> np.ndarray | None:
    """Return a tensor's value where the graph alone tells it, also through the arithmetic of axes; else None."""
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type in _SHAPE_ARITHMETIC:
        own = [static_value(one) for one in tensor.op.inputs]
        value = None if any(one is None for one in own) else _SHAPE_ARITHMETIC[tensor.op.type](*own)
    return value


def known_sizes(shape: tf.Tensor) -> Any:
    """Return the size, or the list of sizes, that a tensor holds; None in place of what only a run decides."""
    value, op = static_value(shape), shape.op
    if value is not None:
        return value.tolist()
    if op.type == "Shape":
        return None if op.inputs[0].shape.rank is None else op.inputs[0].shape.as_list()
    if op.type in ("Cast", "Identity"):
        return known_sizes(op.inputs[0])
    if op.type == "Pack":
        return [known_sizes(one) for one in op.inputs]
    own = known_sizes(op.inputs[0]) if op.inputs else None
    if op.type == "ConcatV2":
        parts = [known_sizes(one) for one in op.inputs[:-1]]
        return [size for part in parts for size in part] if all(isinstance(part, list) for part in parts) else None
    if own is None or op.type not in ("GatherV2", "Prod"):
        return None
    if op.type == "Prod":
        return None if None in own else int(np.prod(own))
    places = static_value(op.inputs[1])
    return None if places is None else np.array(own, object)[places].tolist()


def output_sizes(op: tf.Operation) -> list[int | None]:
    """Return the sizes of an operation's output; a reshape's also where it computes them, as products of axes do."""
    sizes = op.outputs[0].shape.as_list()
    told = known_sizes(op.inputs[1]) if op.type == "Reshape" else None
    if not isinstance(told, list) or len(told) != len(sizes):
        return sizes
    return [size or (None if one == -1 else one) for size, one in zip(sizes, told, strict=True)]


def only_convolution(op: tf.Operation) -> tf.Operation | None:
    """Return the convolution that a function consists of (Keras compiles grouped ones), or None."""
    if op.type not in CALLS:
        return None
    name = op.get_attr("f").name
    graph = getattr(op.graph._get_function(name), "graph", None) if name else None
    inside = [] if graph is None else [one for one in graph.get_operations() if one.type not in _HARMLESS]
    return inside[0] if len(inside) == 1 and inside[0].type in SLIDING else None


def is_map(tensor: tf.Tensor) -> bool:
    """Tell whether a tensor is a map (N, H, W, C) of known size."""
    return tensor.shape.rank == 4 and None not in tensor.shape.as_list()[1:]


def map_sizes(tensor: tf.Tensor) -> tuple[int, int, int]:
    """Return (height, width, channels) of a map of known size."""
    return cast(tuple[int, int, int], tuple(tensor.shape.as_list()[1:]))


def sliding_window(op: tf.Operation, axis: int) -> SlidingWindow:
    """Return how a convolution, pooling or zero padding slides along ``axis``, 1 (rows) or 2 (columns)."""
    if op.type in PADDING:
        before, after = tf.get_static_value(op.inputs[1])[axis]
        return SlidingWindow(1, padding=(int(before), int(after)))
    pools = op.type in ("MaxPool", "AvgPool")
    kernel: Any = op.get_attr("ksize")[axis] if pools else op.inputs[1].shape[axis - 1]
    dilation = 1 if pools else op.get_attr("dilations")[axis]
    padding = {
        b"SAME": lambda: None,
        b"VALID": lambda: (0, 0),
        b"EXPLICIT": lambda: tuple(op.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2]),
    }[op.get_attr("padding")]()
    return SlidingWindow(kernel, op.get_attr("strides")[axis], dilation, padding)


def apply_operation(op: tf.Operation, inputs: list[tf.Tensor], changed: dict | None = None) -> list[tf.Tensor]:
    """Add ``op`` to the current graph once more, with other inputs and ``changed`` attributes; tapes see it."""
    graph = tf.compat.v1.get_default_graph()
    attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
    new = graph.create_op(
        op.type,
        inputs,
        [tensor.dtype for tensor in op.outputs],
        attrs=attributes | (changed or {}),
        op_def=op.op_def,
        name=op.name.rpartition("/")[2],
    )
    if execute.must_record_gradient():
        attributes = [value for one in new.op_def.attr for value in (one.name, new.get_attr(one.name))]
        execute.record_gradient(op.type, new.inputs, tuple(attributes), new.outputs)
    return list(new.outputs)


class Origins:
    """Where the values of one graph's tensors come from: the graph's inputs, variables, both, or constants alone."""

    def __init__(self, graph: tf.Graph):
        # Constants that were made outside, which a function's graph takes in as placeholders.
        captures = [
            (outside, inside) for outside, inside in getattr(graph, "captures", ()) if inside.dtype != tf.resource
        ]
        self._held = {inside.op.name: outside for outside, inside in captures if not tf.is_symbolic_tensor(outside)}
        self._known: dict[str, frozenset[str]] = {}

    def of(self, tensor: tf.Tensor) -> frozenset[str]:
        """Return ``"input"`` or ``"weight"``, both, or neither for a constant."""
        pending = [tensor.op]
        while pending:
            op = pending[-1]
            missing = [x.op for x in op.inputs if x.op.name not in self._known]
            if missing and op.name not in self._known:
                pending += missing
                continue
            pending.pop()
            self._known[op.name] = self._own(op).union(*(self._known[x.op.name] for x in op.inputs))
        return self._known[tensor.op.name]

    def _own(self, op: tf.Operation) -> frozenset[str]:
        if any(x.dtype == tf.resource for x in op.outputs) or op.type == "VariableV2":
            return frozenset(("weight",))
        return frozenset(("input",) if op.type == "Placeholder" and op.name not in self._held else ())

    def uniform(self, tensor: tf.Tensor) -> float | None:
        """Return the one number that a constant holds everywhere, or None."""
        value = self._held.get(tensor.op.name)
        value = tf.get_static_value(tensor) if value is None else value.numpy()
        if value is None or np.size(value) == 0 or np.asarray(value).dtype.kind not in "fiuV":
            return None
        first = np.ravel(value)[0]
        return float(first) if (value == first).all() else None
