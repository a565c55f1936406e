"""What is understood of a graph's operations: which are pointwise, which slide a kernel, which cannot be looked into.

The rules act on TensorFlow's operations, not on Keras layers, so that a functional, nested or subclassed model, and a
ReLU as attribute, layer or op, are all alike. What is not listed here is run on whole maps, which is always right.
"""

from collections.abc import Callable

import tensorflow as tf

from kerasal.attribution.occluding.spans import Reach

# One value in, one value out at the same place (LRN and Softmax look along the channels only).
# fmt: off
_UNARY = frozenset((
    "Abs", "Cast", "Ceil", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Identity", "LRN", "LeakyRelu", "Log",
    "Log1p", "LogSoftmax", "Neg", "PreventGradient", "Reciprocal", "Relu", "Relu6", "Rint", "Round", "Rsqrt", "Selu",
    "Sigmoid", "Sign", "Snapshot", "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "StopGradient", "Tanh",
))
_BROADCASTING = frozenset((
    "Add", "AddN", "AddV2", "Div", "DivNoNan", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd",
    "LogicalOr", "Maximum", "Minimum", "Mul", "MulNoNan", "NotEqual", "Pow", "RealDiv", "SelectV2",
    "SquaredDifference", "Sub",
))
# fmt: on
_SLIDING = frozenset(("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"))
_PADDING = frozenset(("Pad", "PadV2"))


def is_opaque(op: tf.Operation) -> bool:
    """Tell whether an operation runs a function of its own: a tf.function, a loop, a branch or a SavedModel."""
    return any(value.HasField("func") or value.list.func for value in op.node_def.attr.values())


def is_map(tensor: tf.Tensor) -> bool:
    """Tell whether a tensor is a map (N, H, W, C) of known size."""
    return tensor.shape.rank == 4 and None not in tensor.shape.as_list()[1:]


def is_pointwise(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether each place of the output looks at the same place of the inputs, and at nothing else of the image.

    Inputs that do not depend on the image must be one value a channel, or one value.
    """
    size = op.outputs[0].shape[1:3]
    if not all(is_map(tensor) and tensor.shape[1:3] == size for tensor in op.inputs if depends(tensor)):
        return False
    others = [tensor for tensor in op.inputs if not depends(tensor)]
    if op.type in ("BiasAdd", "FusedBatchNormV3"):
        frozen = op.type == "BiasAdd" or not op.get_attr("is_training")
        return frozen and op.get_attr("data_format") == b"NHWC" and not any(map(depends, list(op.inputs)[1:]))
    if op.type in ("Concat", "ConcatV2"):
        axis = tf.get_static_value(op.inputs[-1])
        return op.type == "ConcatV2" and len(others) == 1 and axis is not None and int(axis) in (-1, 3)
    if op.type in _UNARY:
        return True
    return op.type in _BROADCASTING and all(_one_a_channel(tensor) for tensor in others)


def is_sliding(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether an operation slides a kernel of known geometry over one map of the image."""
    first, *others = op.inputs
    if not (is_map(first) and is_map(op.outputs[0])) or any(map(depends, others)):
        return False
    if op.type in _PADDING:
        amounts, value = (tf.get_static_value(tensor) for tensor in (others[0], others[-1]))
        return amounts is not None and not amounts[[0, 3]].any() and (len(others) == 1 or value == 0)
    return op.type in _SLIDING and op.get_attr("data_format") == b"NHWC"


def reaches(op: tf.Operation) -> tuple[Reach, Reach]:
    """Return how a sliding operation looks at its input, along its rows and its columns."""
    found = []
    for axis in (1, 2):
        length, out = op.inputs[0].shape[axis], op.outputs[0].shape[axis]
        if op.type in _PADDING:
            found.append(Reach(1, 1, 1, int(tf.get_static_value(op.inputs[1])[axis][0]), out))
            continue
        pools = op.type in ("MaxPool", "AvgPool")
        kernel = op.get_attr("ksize")[axis] if pools else op.inputs[1].shape[axis - 1]
        stride = op.get_attr("strides")[axis]
        dilation = 1 if pools else op.get_attr("dilations")[axis]
        extent = (kernel - 1) * dilation + 1
        padding = op.get_attr("padding")
        if padding == b"SAME":
            before = max((out - 1) * stride + extent - length, 0) // 2
        else:
            before = op.get_attr("explicit_paddings")[2 * axis] if padding == b"EXPLICIT" else 0
        found.append(Reach(kernel, stride, dilation, before, out))
    return found[0], found[1]


def _one_a_channel(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return shape.rank is not None and all(size == 1 for size in shape.as_list()[:-1])
