"""Moves of the operations that change a map's shape: transposed convolutions, resizing, slicing, and sequences."""

from fractions import Fraction
from typing import Any

from kerasal.hooks.operations import SlidingWindow, is_map, sliding_window
from kerasal.receptive_field.geometry.route import Node, Resize, Slide, TransposedSlide

import tensorflow as tf

_RESIZES = {"ResizeNearestNeighbor": None, "ResizeBilinear": 0, "ResizeBicubic": 1}

# Keras emits these sequences for dilated convolutions, UpSampling2D, and a dense layer applied at every position.
GROUPS = [
    ["SpaceToBatchND", "Conv2D", "BatchToSpaceND"],
    ["SpaceToBatchND", "DepthwiseConv2dNative", "BatchToSpaceND"],
    ["ExpandDims", "Tile", "Reshape"],
    ["Reshape", "MatMul", "Reshape"],
]


def group_node(source: int, start: Any, group: list[Any]) -> Node | None:
    """Return the node of a ``group``, a sequence of operations in ``GROUPS``, or None if it is not supported.

    ``source`` is the number of the node before the sequence, and ``start`` is its tensor.
    """
    last = group[-1]
    after, before = last.outputs[0].shape, start.shape
    if not is_map(last.outputs[0]):
        return None
    if group[0].type == "SpaceToBatchND":
        block, added = (tf.get_static_value(tensor) for tensor in group[0].inputs[1:])
        removed = tf.get_static_value(last.inputs[2])
        moves = []
        for axis in (0, 1):
            convolution = sliding_window(group[1], axis + 1)
            pad_before, pad_after = (int(added[axis][side] - removed[axis][side]) for side in (0, 1))
            moves.append(
                Slide(
                    SlidingWindow(
                        convolution.kernel,
                        convolution.stride,
                        convolution.dilation * int(block[axis]),
                        (pad_before, pad_after),
                    )
                )
            )
        return Node((source,), (moves[0], moves[1]))
    if group[0].type == "ExpandDims":
        factors = [Fraction(after[axis], before[axis]) for axis in (1, 2)]
        return Node((source,), (Resize(factors[0], None, True), Resize(factors[1], None, True)))
    per_place = group[1].inputs[1].shape[0] == before[3] and after[1:3] == before[1:3]
    return Node((source,)) if per_place else None


def shape_moves(op: Any, source: Any) -> tuple | None:
    """Return the moves (rows, columns) of a transposed convolution, resizing, slicing or depth-to-space operation.

    None stands for any other operation.
    """
    before, after = source.shape, op.outputs[0].shape
    if op.type == "Conv2DBackpropInput":
        moves = []
        for axis in (1, 2):
            kernel, stride = op.inputs[1].shape[axis - 1], op.get_attr("strides")[axis]
            padding = None if op.get_attr("padding") == b"SAME" else (0, 0)
            extra = after[axis] - stride * before[axis]
            moves.append(TransposedSlide(SlidingWindow(kernel, stride, op.get_attr("dilations")[axis], padding), extra))
        return moves[0], moves[1]
    if op.type in _RESIZES and not op.get_attr("align_corners"):
        centered = op.get_attr("half_pixel_centers")
        factors = [Fraction(after[axis], before[axis]) for axis in (1, 2)]
        return tuple(Resize(factor, _RESIZES[op.type], centered) for factor in factors)
    if op.type in ("DepthToSpace", "SpaceToDepth"):
        block = op.get_attr("block_size")
        move = Resize(Fraction(block), None, True) if op.type == "DepthToSpace" else Slide(SlidingWindow(block, block))
        return move, move
    if op.type == "StridedSlice":
        return _slice_moves(op, before)
    return None


def _slice_moves(op, before) -> tuple | None:
    """Return the moves of ``x[:, top:bottom, left:right, channels]``, or None for other slices."""
    begin, end, step = (tf.get_static_value(tensor) for tensor in op.inputs[1:4])
    masks = [op.get_attr(name) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")]
    if any(value is None for value in (begin, end, step)) or any(masks) or (step[1:3] < 1).any():
        return None
    moves = []
    for axis in (1, 2):
        if axis >= len(begin):
            moves.append(Slide(SlidingWindow(1)))
            continue
        first, last, stride = slice(
            None if op.get_attr("begin_mask") >> axis & 1 else int(begin[axis]),
            None if op.get_attr("end_mask") >> axis & 1 else int(end[axis]),
            int(step[axis]),
        ).indices(before[axis])
        moves.append(Slide(SlidingWindow(1, stride, padding=(-first, last - before[axis]))))
    return moves[0], moves[1]
