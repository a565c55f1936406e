"""What occlusion understands of a graph's operations: which are pointwise, and which slide a kernel.

What is not listed here is run on whole maps, which is always right.
"""

from collections.abc import Callable

from kerasal.attribution.window_replay.spans import Reach
from kerasal.hooks import operations
from kerasal.hooks.operations import is_map
from kerasal.hooks.operations import is_opaque as is_opaque

import tensorflow as tf


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
    if op.type in operations.UNARY:
        return True
    return op.type in operations.BROADCASTING and all(_one_a_channel(tensor) for tensor in others)


def is_sliding(op: tf.Operation, depends: Callable[[tf.Tensor], bool]) -> bool:
    """Tell whether an operation slides a kernel of known geometry over one map of the image."""
    first, *others = op.inputs
    if not (is_map(first) and is_map(op.outputs[0])) or any(map(depends, others)):
        return False
    if op.type in operations.PADDING:
        amounts, value = (tf.get_static_value(tensor) for tensor in (others[0], others[-1]))
        return amounts is not None and not amounts[[0, 3]].any() and (len(others) == 1 or value == 0)
    return op.type in operations.SLIDING and op.get_attr("data_format") == b"NHWC"


def reaches(op: tf.Operation) -> tuple[Reach, Reach]:
    """Return how a sliding operation looks at its input, along its rows and its columns."""
    found = []
    for axis in (1, 2):
        slide = operations.sliding(op, axis)
        before = slide.before(op.inputs[0].shape[axis])
        found.append(Reach(slide.kernel, slide.stride, slide.dilation, before, op.outputs[0].shape[axis]))
    return found[0], found[1]


def _one_a_channel(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return shape.rank is not None and all(size == 1 for size in shape.as_list()[:-1])
