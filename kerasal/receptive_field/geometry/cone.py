"""One unit computed from its receptive field alone: every operation again, on what the unit looks at and nothing else.

A unit that sees no padding needs none: its convolutions and poolings run "valid" on the ranges that it looks at, which
shrink from the field to the unit itself. On VGG19's block3_pool that is half the arithmetic of the smallest canvas.
"""

import numpy as np

from kerasal.hooks.operations import BROADCASTING, PADDING, SLIDING, UNARY, apply_operation
from kerasal.receptive_field.geometry.route import Route

import tensorflow as tf

_AGAIN = UNARY | BROADCASTING | SLIDING | {"BiasAdd", "ConcatV2", "FusedBatchNormV3", "Split", "SplitV"}
_CUTS = PADDING | {"MirrorPad", "StridedSlice"}  # no unit that sees padding is asked for, so any padding is a cut
_VALID = {"padding": tf.compat.v1.AttrValue(s=b"VALID")}
_NO_PADS = {"explicit_paddings": tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue())}


def can_run_cone(route: Route) -> bool:
    """Tell whether all operations of a route can be run again on parts of their inputs."""
    return not route.whole and all(_is_repeatable(node.output.op, route) for node in route.nodes[1:])


def run_cone(route: Route, images: tf.Tensor, size: tuple[int, int], unit: tuple[int, int]) -> tf.Tensor:
    """Return what ``unit`` (row, column) makes of ``images``, which are its receptive fields: (N, channels).

    The unit must see no padding on images of ``size``, on which ``route`` was read. The operations are added to the
    current graph, under the gradients that are in force.
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
            wanted = [move.back(*span, n) for move, span, n in zip(node.moves, wanted, lengths, strict=True)]
        op = node.output.op
        inputs = [
            _cut_part(computed[place], [spans[axis][place] for axis in (0, 1)], wanted) if place is not None else tensor
            for tensor in op.inputs
            for place in [route.places.get(tensor.ref())]
        ]
        if op.type in _CUTS:
            steps = [move.kernel.stride for move in node.moves or ()]
            computed[number] = inputs[0][:, :: steps[0], :: steps[1], _slice_channels(op)]
        else:
            changed = (_VALID | (_NO_PADS if "explicit_paddings" in op.node_def.attr else {})) if node.moves else {}
            computed[number] = apply_operation(op, inputs, changed)[node.output.value_index]
    return computed[len(route.nodes) - 1][:, 0, 0]


def _cut_part(tensor: tf.Tensor, have, want) -> tf.Tensor:
    """Cut a map whose places are ``have``, (first, last) of rows and columns, to those that are wanted."""
    if all(tuple(one) == tuple(other) for one, other in zip(have, want, strict=True)):
        return tensor
    (top, left), (low, right) = ([int(ends[i]) for ends in want] for i in (0, 1))
    return tensor[:, top - have[0][0] : low + 1 - have[0][0], left - have[1][0] : right + 1 - have[1][0]]


def _is_repeatable(op: tf.Operation, route: Route) -> bool:
    """Tell whether an operation is the same on a part: what else goes in is one value per channel, or a kernel."""
    if op.type in _CUTS or op.type in SLIDING:
        return True
    others = [tensor for tensor in op.inputs if tensor.ref() not in route.places]
    one_a_channel = all(
        tensor.shape.rank is not None and all(size == 1 for size in tensor.shape.as_list()[:-1]) for tensor in others
    )
    return op.type in _AGAIN and one_a_channel


def _slice_channels(op) -> slice:
    """Return which channels a cut leaves."""
    if op.type != "StridedSlice" or op.inputs[1].shape[0] < 4:
        return slice(None)
    begin, end, step = (int(tf.get_static_value(tensor)[3]) for tensor in op.inputs[1:4])
    begin = None if op.get_attr("begin_mask") >> 3 & 1 else begin
    return slice(begin, None if op.get_attr("end_mask") >> 3 & 1 else end, step)
