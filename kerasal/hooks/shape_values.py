"""Values of shape tensors in a graph, computed from the known sizes of other tensors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.hooks.operations import skip_operations

import tensorflow as tf

Sizes = list[int | None]
_ARITHMETIC: dict[str, Callable] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda x: x,
    "ConcatV2": lambda *inputs: np.concatenate([np.atleast_1d(x) for x in inputs[:-1]], int(inputs[-1])),
    "ExpandDims": lambda x, axis: np.expand_dims(x, int(axis)),
    "FloorDiv": np.floor_divide,
    "FloorMod": np.mod,
    "GatherV2": lambda x, indices, axis: np.take(x, np.asarray(indices, int), int(axis)),
    "Identity": lambda x: x,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pack": lambda *inputs: np.stack(inputs),
    "Prod": lambda x, axes: np.prod(x),
    "Range": lambda start, limit, step: np.arange(int(start), int(limit), int(step)),
    "Reshape": lambda x, shape: np.reshape(x, np.asarray(shape, int)),
    "Squeeze": np.squeeze,
    "Sub": np.subtract,
}


class ShapeValues:
    """Values of shape tensors.

    ``sizes(tensor)`` returns the sizes of a tensor, with None for each that is not known. It may return a stand-in for
    the number of images, so that shapes that contain this number are known too.
    """

    def __init__(self, sizes: Callable[[tf.Tensor], Sizes]):
        self.sizes = sizes
        self._known: dict[Any, np.ndarray | None] = {}

    def get(self, tensor: tf.Tensor) -> np.ndarray | None:
        """Return the value of a shape tensor, an integer array, or None if it is not known."""
        key = tensor.ref()
        if key not in self._known:
            try:
                value = self._compute(tensor)
            except (IndexError, TypeError, ValueError):
                value = None
            complete = value is not None and not any(item is None for item in np.ravel(value))
            self._known[key] = np.asarray(value, object) if complete else None
        return self._known[key]

    def require(self, tensor: tf.Tensor) -> np.ndarray:
        """Return the value of a shape tensor; raise a ``ValueError`` if it is known only at run time."""
        value = self.get(tensor)
        if value is None:
            raise ValueError(f"The value of {tensor.name!r} is known only at run time.")
        return value

    def partial(self, tensor: tf.Tensor) -> list | None:
        """Return the entries of a shape tensor of known length, with None for each that is not known."""
        value = self.get(tensor)
        if value is not None:
            return np.ravel(value).tolist()
        if tensor.op.type == "Pack":
            entries = [self.get(x) for x in tensor.op.inputs]
            return [None if entry is None else entry.item() for entry in entries]
        return None

    def target(self, op: tf.Operation, before: Sizes) -> tuple[Sizes, Sizes]:
        """Return the sizes after a reshape of a tensor with the sizes ``before``, and the axes whose sizes it copies.

        An entry of -1 follows from the sizes before. The second list holds None for sizes that are not copied.
        """
        static = op.outputs[0].shape.as_list()
        entries = self.partial(op.inputs[1]) if op.type == "Reshape" else None
        if entries is None or len(entries) != len(static):
            entries = [-1 if size is None else size for size in static] if static.count(None) <= 1 else static
        sizes = [size if size is not None else entry for size, entry in zip(static, entries, strict=True)]
        open_places = [place for place, size in enumerate(sizes) if size in (None, -1)]
        if len(open_places) == 1 and None not in before:
            rest = math.prod(size for size in sizes if size not in (None, -1))
            sizes[open_places[0]] = math.prod(size or 0 for size in before) // rest if rest else None
        wanted = op.inputs[1].op
        copied = [_copied_axis(entry, op.inputs[0]) for entry in wanted.inputs] if wanted.type == "Pack" else []
        return [None if size == -1 else size for size in sizes], copied

    def _compute(self, tensor: tf.Tensor) -> Any:
        value, op = tf.get_static_value(tensor), tensor.op
        if value is not None:
            return value
        if op.type in ("Shape", "ShapeN"):
            sizes = self.sizes(op.inputs[tensor.value_index])
            return np.array(sizes, object)
        if op.type not in _ARITHMETIC and op.type != "StridedSlice":
            return None
        if op.type == "StridedSlice":
            begin, end, steps = (int(np.ravel(tf.get_static_value(x))[0]) for x in op.inputs[1:4])
            values = self._entries(op.inputs[0])
            if values is None or len(op.inputs[1].shape) != 1 or op.inputs[1].shape[0] != 1:
                return None
            if op.get_attr("shrink_axis_mask"):
                return values[begin]
            first = None if op.get_attr("begin_mask") else begin
            return values[first : None if op.get_attr("end_mask") else end : steps]
        inputs = [self.get(x) for x in op.inputs]
        return None if any(x is None for x in inputs) else _ARITHMETIC[op.type](*inputs)

    def _entries(self, tensor: tf.Tensor) -> np.ndarray | None:
        """Return the entries of a shape, of which some may be None."""
        if tensor.op.type == "Shape":
            sizes = self.sizes(tensor.op.inputs[0])
            return np.array(sizes, object)
        return self.get(tensor)


def _copied_axis(entry: tf.Tensor, tensor: tf.Tensor) -> int | None:
    """Return the axis of ``tensor`` whose size is ``entry``, written as ``tf.shape(tensor)[axis]``, or None."""
    op = skip_operations(entry, ("Cast", "Identity")).op
    if op.type != "StridedSlice" or not op.get_attr("shrink_axis_mask"):
        return None
    shape, begin = skip_operations(op.inputs[0], ("Cast", "Identity")).op, tf.get_static_value(op.inputs[1])
    if shape.type != "Shape" or shape.inputs[0] is not tensor or begin is None or len(begin) != 1:
        return None
    return int(begin[0])
