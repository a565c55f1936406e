"""Moves of the operations that change a map's shape: transposed convolutions, resizing, slicing, and sequences."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from kerasal.hooks.operations import SlidingWindow, sliding_window
from kerasal.receptive_field.geometry.route import Node, Resize, Slide, TransposedSlide

import tensorflow as tf

_RESIZES = {"ResizeNearestNeighbor": None, "ResizeBilinear": 0, "ResizeBicubic": 1}

# Keras emits these sequences for dilated convolutions, UpSampling2D, and a dense layer applied at every position.
GROUPS = [
    ["SpaceToBatchND", "Conv2D", "BatchToSpaceND"],
    ["SpaceToBatchND", "Conv3D", "BatchToSpaceND"],
    ["SpaceToBatchND", "ExpandDims", "Conv2D", "Squeeze", "BatchToSpaceND"],
    ["SpaceToBatchND", "DepthwiseConv2dNative", "BatchToSpaceND"],
    ["ExpandDims", "Tile", "Reshape"],
    ["Reshape", "MatMul", "Reshape"],
]


def group_node(source: int, start: Any, group: list[Any], axes: Sequence[int]) -> Node | None:
    """Return the node of a ``group``, a sequence of operations in ``GROUPS``, or None if it is not supported.

    ``source`` is the number of the node before the sequence, ``start`` is its tensor, and ``axes`` are the position
    axes of both ends.
    """
    last = group[-1]
    after, before = last.outputs[0].shape, start.shape
    if after.rank != before.rank or None in after.as_list()[1:]:
        return None
    if group[0].type == "SpaceToBatchND":
        block, added = (tf.get_static_value(tensor) for tensor in group[0].inputs[1:])
        removed = tf.get_static_value(last.inputs[2])
        moves = []
        (inner,) = (op for op in group if "Conv" in op.type)
        for axis in axes:
            convolution = sliding_window(inner, axis + inner.outputs[0].shape.rank - before.rank)
            pad_before, pad_after = (int(added[axis - 1][side] - removed[axis - 1][side]) for side in (0, 1))
            moves.append(
                Slide(
                    SlidingWindow(
                        convolution.kernel,
                        convolution.stride,
                        convolution.dilation * int(block[axis - 1]),
                        (pad_before, pad_after),
                    )
                )
            )
        return Node((source,), tuple(moves))
    if group[0].type == "ExpandDims":
        return Node((source,), tuple(Resize(Fraction(after[axis], before[axis]), None, True) for axis in axes))
    per_place = group[1].inputs[1].shape[0] == before[-1] and after[1:-1] == before[1:-1]
    return Node((source,)) if per_place else None


def shape_moves(op: Any, source: Any, axes: Sequence[int] = (1, 2)) -> tuple | None:
    """Return the moves along the ``axes`` of a transposed convolution, resizing, slicing or depth-to-space operation.

    None stands for any other operation.
    """
    before, after = source.shape, op.outputs[0].shape
    if op.type in ("Conv2DBackpropInput", "Conv3DBackpropInputV2"):
        moves = []
        for axis in axes:
            kernel, stride = op.inputs[1].shape[axis - 1], op.get_attr("strides")[axis]
            padding = None if op.get_attr("padding") == b"SAME" else (0, 0)
            extra = after[axis] - stride * before[axis]
            moves.append(TransposedSlide(SlidingWindow(kernel, stride, op.get_attr("dilations")[axis], padding), extra))
        return tuple(moves)
    if op.type in _RESIZES and not op.get_attr("align_corners"):
        centered = op.get_attr("half_pixel_centers")
        factors = [Fraction(after[axis], before[axis]) for axis in axes]
        return tuple(Resize(factor, _RESIZES[op.type], centered) for factor in factors)
    if op.type in ("DepthToSpace", "SpaceToDepth"):
        block = op.get_attr("block_size")
        move = Resize(Fraction(block), None, True) if op.type == "DepthToSpace" else Slide(SlidingWindow(block, block))
        return (move,) * len(axes)
    if op.type == "StridedSlice":
        return _slice_moves(op, before, axes)
    return None


def _slice_moves(op, before, axes: Sequence[int]) -> tuple | None:
    """Return the moves of ``x[:, top:bottom, left:right, channels]``, or None for other slices."""
    begin, end, step = (tf.get_static_value(tensor) for tensor in op.inputs[1:4])
    masks = [op.get_attr(name) for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")]
    if any(value is None for value in (begin, end, step)) or any(masks) or (step[1 : axes[-1] + 1] < 1).any():
        return None
    moves = []
    for axis in axes:
        if axis >= len(begin):
            moves.append(Slide(SlidingWindow(1)))
            continue
        first, last, stride = slice(
            None if op.get_attr("begin_mask") >> axis & 1 else int(begin[axis]),
            None if op.get_attr("end_mask") >> axis & 1 else int(end[axis]),
            int(step[axis]),
        ).indices(before[axis])
        moves.append(Slide(SlidingWindow(1, stride, padding=(-first, last - before[axis]))))
    return tuple(moves)
