"""Properties of the TensorFlow operations in a traced graph, whatever layer added them.

The rules are about TensorFlow's operations instead of Keras layers. They therefore hold for functional, nested and
subclassed models, and for a ReLU that is a layer, an ``activation`` argument or a call of ``tf.nn.relu``.
"""

import dataclasses
from collections.abc import Collection
from typing import Any, cast

import numpy as np

import tensorflow as tf
from tensorflow.python.eager import execute

# Each output value depends on the input value at the same position (LRN and Softmax also on its other channels).
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
# ReLU operations and the kernel of their gradient, which is faster than comparing and selecting.
RELUS = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}
POOLS = ("MaxPool",)
SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))  # they read no value of the input
SLIDING = frozenset(("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"))
SLIDING_3D = frozenset(("Conv3D", "MaxPool3D", "AvgPool3D"))
CONVOLVING = frozenset(("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"))
PADDING = frozenset(("Pad", "PadV2"))
ORDER_PRESERVING = frozenset(
    ("Identity", "Reshape", "Cast", "Squeeze", "ExpandDims", "EnsureShape", "CheckNumerics", "Snapshot")
)
SQUASHING = ("Softmax", "Sigmoid", "LogSoftmax")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Operations that move, select or repeat values; the number is the index of the input that holds the values.
# fmt: off
REARRANGING = {"Split": 1} | dict.fromkeys((
    *ORDER_PRESERVING, "Transpose", "StridedSlice", "Slice", "GatherV2", "GatherNd", "ReverseV2", "Roll", "Tile",
    "BroadcastTo", "SplitV", "Unpack", "DepthToSpace", "SpaceToDepth", "ResizeNearestNeighbor",
), 0)
# fmt: on
INCREASING = frozenset(("Log", "Log1p", "Exp", "Expm1", "Sqrt", "Relu", "Relu6", "Elu", "Selu", "Softplus", "Tanh"))
ARITHMETIC = frozenset(("Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"))
VALUEWISE = frozenset(REARRANGING) | INCREASING | ARITHMETIC | {"ConcatV2", "Pack"}
_SHAPE_ARITHMETIC = {
    "AddV2": np.add,
    "ConcatV2": lambda *inputs: np.concatenate(inputs[:-1], inputs[-1]),
    "Pack": lambda *inputs: np.stack(inputs),
    "Range": np.arange,
    "Sub": np.subtract,
}
# Operations on images or volumes. Their data_format names the channel axis; without a data_format it is the last.
# fmt: off
SPATIAL = frozenset((
    "AvgPool", "AvgPool3D", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2", "DepthToSpace",
    "DepthwiseConv2dNative", "ExtractImagePatches", "FusedBatchNormV3", "LRN", "MaxPool", "MaxPool3D", "MaxPoolV2",
    "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "SpaceToBatchND", "SpaceToDepth",
))
# fmt: on
_HARMLESS = frozenset(("Placeholder", "Identity", "ReadVariableOp", "Const", "NoOp", "Cast"))


@dataclasses.dataclass(frozen=True)
class SlidingWindow:
    """The geometry of a kernel along an axis; ``padding`` is (before, after), or None for "same" padding."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: tuple[int, int] | None = (0, 0)

    @property
    def extent(self) -> int:
        """Number of input values from the first to the last value under the kernel."""
        return (self.kernel - 1) * self.dilation + 1

    def length(self, inputs: int) -> int:
        """Return the number of outputs for ``inputs`` input values."""
        if self.padding is None:
            return -(-inputs // self.stride)
        return (inputs + sum(self.padding) - self.extent) // self.stride + 1

    def padding_before(self, inputs: int) -> int:
        """Return the number of padding values before the first of ``inputs`` input values."""
        if self.padding is None:
            return max((self.length(inputs) - 1) * self.stride + self.extent - inputs, 0) // 2
        return self.padding[0]


def skip_operations(tensor: tf.Tensor, types: Collection[str]) -> tf.Tensor:
    """Return the tensor from before operations of these types, following the first input of each."""
    while tensor.op.type in types:
        tensor = tensor.op.inputs[0]
    return tensor


def is_opaque(op: tf.Operation) -> bool:
    """Return whether an operation calls a graph function: a tf.function, a loop, a branch or a SavedModel."""
    return any(value.HasField("func") or value.list.func for value in op.node_def.attr.values())


def static_value(tensor: tf.Tensor) -> np.ndarray | None:
    """Return a tensor's value if the graph determines it, also through arithmetic on shapes; None otherwise."""
    value = tf.get_static_value(tensor)
    if value is None and tensor.op.type in _SHAPE_ARITHMETIC:
        inputs = [static_value(x) for x in tensor.op.inputs]
        value = None if any(x is None for x in inputs) else _SHAPE_ARITHMETIC[tensor.op.type](*inputs)
    return value


def known_sizes(shape: tf.Tensor) -> Any:
    """Return the size or list of sizes in a shape tensor, with None for sizes that are known only at run time."""
    value, op = static_value(shape), shape.op
    if value is not None:
        return value.tolist()
    if op.type == "Shape":
        return None if op.inputs[0].shape.rank is None else op.inputs[0].shape.as_list()
    if op.type in ("Cast", "Identity"):
        return known_sizes(op.inputs[0])
    if op.type == "Pack":
        return [known_sizes(x) for x in op.inputs]
    sizes = known_sizes(op.inputs[0]) if op.inputs else None
    if op.type == "ConcatV2":
        parts = [known_sizes(x) for x in op.inputs[:-1]]
        return [size for part in parts for size in part] if all(isinstance(part, list) for part in parts) else None
    if sizes is None or op.type not in ("GatherV2", "Prod"):
        return None
    if op.type == "Prod":
        return None if None in sizes else int(np.prod(sizes))
    indices = static_value(op.inputs[1])
    return None if indices is None else np.array(sizes, object)[indices].tolist()


def output_sizes(op: tf.Operation) -> list[int | None]:
    """Return the sizes of an operation's output, including sizes that a reshape computes from other axes."""
    sizes = op.outputs[0].shape.as_list()
    target = known_sizes(op.inputs[1]) if op.type == "Reshape" else None
    if not isinstance(target, list) or len(target) != len(sizes):
        return sizes
    return [size or (None if wanted == -1 else wanted) for size, wanted in zip(sizes, target, strict=True)]


def only_convolution(op: tf.Operation) -> tf.Operation | None:
    """Return the single convolution inside a compiled function (Keras compiles grouped convolutions), or None."""
    graph = called_graph(op)
    inside = [] if graph is None else [inner for inner in graph.get_operations() if inner.type not in _HARMLESS]
    return inside[0] if len(inside) == 1 and inside[0].type in SLIDING else None


def called_graph(op: tf.Operation) -> Any:
    """Return the graph of the function that an operation calls, or None if it calls none or its graph is unknown."""
    if op.type not in CALLS:
        return None
    name = op.get_attr("f").name
    return getattr(op.graph._get_function(name), "graph", None) if name else None


def is_map(tensor: tf.Tensor) -> bool:
    """Return whether a tensor is a map (N, H, W, C) of known size."""
    return tensor.shape.rank == 4 and None not in tensor.shape.as_list()[1:]


def map_sizes(tensor: tf.Tensor) -> tuple[int, int, int]:
    """Return (height, width, channels) of a map of known size."""
    return cast(tuple[int, int, int], tuple(tensor.shape.as_list()[1:]))


def sliding_window(op: tf.Operation, axis: int) -> SlidingWindow:
    """Return the geometry of a convolution, pooling or zero padding along a position ``axis``, from 1 on."""
    if op.type in PADDING:
        before, after = tf.get_static_value(op.inputs[1])[axis]
        return SlidingWindow(1, padding=(int(before), int(after)))
    pools = "Pool" in op.type
    kernel: Any = op.get_attr("ksize")[axis] if pools else op.inputs[1].shape[axis - 1]
    dilation = 1 if pools else op.get_attr("dilations")[axis]
    padding = {
        b"SAME": lambda: None,
        b"VALID": lambda: (0, 0),
        b"EXPLICIT": lambda: tuple(op.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2]),
    }[op.get_attr("padding")]()
    return SlidingWindow(kernel, op.get_attr("strides")[axis], dilation, padding)


def apply_operation(op: tf.Operation, inputs: list[tf.Tensor], changed: dict | None = None) -> list[tf.Tensor]:
    """Apply ``op`` to other inputs in the current graph, with ``changed`` attributes; gradient tapes record it."""
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
        attributes = [value for attr in new.op_def.attr for value in (attr.name, new.get_attr(attr.name))]
        execute.record_gradient(op.type, new.inputs, tuple(attributes), new.outputs)
    return list(new.outputs)


class Origins:
    """What the tensors of a graph are computed from: the graph's inputs, variables, both, or constants only."""

    def __init__(self, graph: tf.Graph):
        # A function's graph receives constants from outside as placeholders.
        captures = [
            (outside, inside) for outside, inside in getattr(graph, "captures", ()) if inside.dtype != tf.resource
        ]
        self._constants = {inner.op.name: outer for outer, inner in captures if not tf.is_symbolic_tensor(outer)}
        self._known: dict[str, frozenset[str]] = {}

    def get(self, tensor: tf.Tensor) -> frozenset[str]:
        """Return the set of ``"input"`` and ``"weight"`` that a tensor depends on; it is empty for a constant."""
        pending = [tensor.op]
        while pending:
            op = pending[-1]
            missing = [x.op for x in op.inputs if x.op.name not in self._known]
            if missing and op.name not in self._known:
                pending += missing
                continue
            pending.pop()
            self._known[op.name] = self._source(op).union(*(self._known[x.op.name] for x in op.inputs))
        return self._known[tensor.op.name]

    def _source(self, op: tf.Operation) -> frozenset[str]:
        if any(x.dtype == tf.resource for x in op.outputs) or op.type == "VariableV2":
            return frozenset(("weight",))
        return frozenset(("input",) if op.type == "Placeholder" and op.name not in self._constants else ())

    def uniform(self, tensor: tf.Tensor) -> float | None:
        """Return the value of a constant that is the same everywhere, or None."""
        value = self._constants.get(tensor.op.name)
        value = tf.get_static_value(tensor) if value is None else value.numpy()
        if value is None or np.size(value) == 0 or np.asarray(value).dtype.kind not in "fiuV":
            return None
        first = np.ravel(value)[0]
        return float(first) if (value == first).all() else None
