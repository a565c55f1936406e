"""A single unit computed from its receptive field: each operation runs on the part of its input that the unit needs.

A unit whose receptive field contains no padding can be computed with "valid" convolutions and poolings on ranges that
shrink from the receptive field down to the unit. For VGG19's block3_pool this takes half the arithmetic of the smallest
padded image.
"""

import numpy as np

from kerasal.hooks.operations import BROADCASTING, PADDING, SLIDING, UNARY, apply_operation
from kerasal.receptive_field.geometry.route import Route

import tensorflow as tf

_REPEATABLE = UNARY | BROADCASTING | SLIDING | {"BiasAdd", "ConcatV2", "FusedBatchNormV3", "Split", "SplitV"}
_CROPS = PADDING | {"MirrorPad", "StridedSlice"}  # the unit sees no padding, so padding operations only crop
_VALID = {"padding": tf.compat.v1.AttrValue(s=b"VALID")}
_NO_PADS = {"explicit_paddings": tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue())}


def can_run_cone(route: Route) -> bool:
    """Return whether every operation of a route can run on a part of its input."""
    return not route.whole and all(_is_repeatable(node.output.op, route) for node in route.nodes[1:])


def run_cone(route: Route, images: tf.Tensor, size: tuple[int, int], unit: tuple[int, int]) -> tf.Tensor:
    """Return the activations (N, channels) of the unit at (row, column) for images (N, h, w, C) of its receptive field.

    ``size`` is the (height, width) of the full image for which ``route`` was read; on it the unit must see no padding.
    The operations are added to the current graph, so a ``gradient_override_map`` around this call applies to them.
    """
    spans = []
    for axis in (0, 1):
        ranges = route.ranges(axis, route.lengths(axis, size[axis]), np.array([unit[axis]]))
        spans.append([(int(first[0]), int(last[0])) for first, last in ranges])
    computed = {0: images}
    for number, node in enumerate(route.nodes[1:], start=1):
        wanted = [spans[axis][number] for axis in (0, 1)]
        if node.moves:
            lengths = [route.lengths(axis, size[axis])[node.sources[0]] for axis in (0, 1)]
            wanted = [move.input_range(*span, n) for move, span, n in zip(node.moves, wanted, lengths, strict=True)]
        op = node.output.op
        inputs = [
            _crop_map(computed[source], [spans[axis][source] for axis in (0, 1)], wanted)
            if source is not None
            else tensor
            for tensor in op.inputs
            for source in [route.places.get(tensor.ref())]
        ]
        if op.type in _CROPS:
            steps = [move.kernel.stride for move in node.moves or ()]
            computed[number] = inputs[0][:, :: steps[0], :: steps[1], _slice_channels(op)]
        else:
            changed = (_VALID | (_NO_PADS if "explicit_paddings" in op.node_def.attr else {})) if node.moves else {}
            computed[number] = apply_operation(op, inputs, changed)[node.output.value_index]
    return computed[len(route.nodes) - 1][:, 0, 0]


def _crop_map(tensor: tf.Tensor, extent, wanted) -> tf.Tensor:
    """Crop a map that covers ``extent``, (first, last) of rows and of columns, to the ``wanted`` rows and columns."""
    if all(tuple(present) == tuple(needed) for present, needed in zip(extent, wanted, strict=True)):
        return tensor
    (top, left), (low, right) = ([int(ends[i]) for ends in wanted] for i in (0, 1))
    return tensor[:, top - extent[0][0] : low + 1 - extent[0][0], left - extent[1][0] : right + 1 - extent[1][0]]


def _is_repeatable(op: tf.Operation, route: Route) -> bool:
    """Return whether an operation can run on a crop: its other inputs must be kernels or values per channel."""
    if op.type in _CROPS or op.type in SLIDING:
        return True
    others = [tensor for tensor in op.inputs if tensor.ref() not in route.places]
    per_channel = all(
        tensor.shape.rank is not None and all(size == 1 for size in tensor.shape.as_list()[:-1]) for tensor in others
    )
    return op.type in _REPEATABLE and per_channel


def _slice_channels(op) -> slice:
    """Return the channels that a cropping operation keeps."""
    if op.type != "StridedSlice" or op.inputs[1].shape[0] < 4:
        return slice(None)
    begin, end, step = (int(tf.get_static_value(tensor)[3]) for tensor in op.inputs[1:4])
    begin = None if op.get_attr("begin_mask") >> 3 & 1 else begin
    return slice(begin, None if op.get_attr("end_mask") >> 3 & 1 else end, step)
