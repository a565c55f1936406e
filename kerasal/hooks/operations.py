"""What is known of a traced graph's operations, whatever layer they come from.

Rules on TensorFlow's operations, not on Keras layers, reach a functional, nested or subclassed model, and a ReLU as
attribute, layer or op, alike.
"""

import dataclasses

from kerasal import _keras  # noqa: F401

import tensorflow as tf  # isort: skip

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
SLIDING = frozenset(("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"))
PADDING = frozenset(("Pad", "PadV2"))


@dataclasses.dataclass(frozen=True)
class Sliding:
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

    def before(self, inputs: int) -> int:
        """Return how many padding values stand before the first of ``inputs`` values."""
        if self.padding is None:
            return max((self.length(inputs) - 1) * self.stride + self.extent - inputs, 0) // 2
        return self.padding[0]


def is_opaque(op: tf.Operation) -> bool:
    """Tell whether an operation runs a function of its own: a tf.function, a loop, a branch or a SavedModel."""
    return any(value.HasField("func") or value.list.func for value in op.node_def.attr.values())


def is_map(tensor: tf.Tensor) -> bool:
    """Tell whether a tensor is a map (N, H, W, C) of known size."""
    return tensor.shape.rank == 4 and None not in tensor.shape.as_list()[1:]


def sliding(op: tf.Operation, axis: int) -> Sliding:
    """Return how a convolution, pooling or zero padding slides along ``axis``, 1 (rows) or 2 (columns)."""
    if op.type in PADDING:
        before, after = tf.get_static_value(op.inputs[1])[axis]
        return Sliding(1, padding=(int(before), int(after)))
    pools = op.type in ("MaxPool", "AvgPool")
    kernel = op.get_attr("ksize")[axis] if pools else op.inputs[1].shape[axis - 1]
    dilation = 1 if pools else op.get_attr("dilations")[axis]
    padding = {
        b"SAME": lambda: None,
        b"VALID": lambda: (0, 0),
        b"EXPLICIT": lambda: tuple(op.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2]),
    }[op.get_attr("padding")]()
    return Sliding(kernel, op.get_attr("strides")[axis], dilation, padding)


def again(op: tf.Operation, inputs: list[tf.Tensor], changed: dict | None = None) -> list[tf.Tensor]:
    """Add ``op`` to the current graph once more, with other inputs and ``changed`` attributes."""
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
    return list(new.outputs)
