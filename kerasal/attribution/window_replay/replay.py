"""Run a plan for many windows at once: recompute what they change, and take the rest from the clean activations.

A row of every tensor here is one window on one image, row = window · N + image.
"""

import numpy as np

from kerasal.attribution.window_replay.replay_plan import Part, Plan, Span, Step
from kerasal.hooks.operations import PADDING, SlidingWindow, apply_operation

import tensorflow as tf

_VALID = tf.compat.v1.AttrValue(s=b"VALID")


class Replay:
    """The tensors of a plan for the ``chosen`` windows (K,), built in the graph in which this is made."""

    def __init__(self, plan: Plan, filling: tf.Tensor, chosen: tf.Tensor):
        columns = plan.windows.shape[1]
        self._plan = plan
        self._row, self._column = chosen // columns, tf.math.floormod(chosen, columns)
        self._images, self._count = tf.shape(plan.image)[0], tf.size(chosen)
        self._new = {}
        part = plan.parts[plan.image.ref()]
        # The changed pixels are the filling's, at the windows.
        starts = [self._starts(part.y.start, self._row), self._starts(part.x.start, self._column)]
        self._new[plan.image.ref()] = self._gather(filling, None, None, starts, (part.y.size, part.x.size), 0)
        self._whole = {}
        for step in plan.steps:
            self._run(step)

    def whole(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return what a tensor of the clean graph is under the chosen windows, whole, (K · N, …)."""
        key = tensor.ref()
        if key in self._plan.parts and key not in self._whole:
            height, width = tensor.shape[1:3]
            self._whole[key] = self._surrounded(tensor, np.zeros(1, int), np.zeros(1, int), (height, width), 0)
        return self._whole.get(key, self._new.get(key, tensor))

    def _run(self, step: Step) -> None:
        op = step.op
        if step.part is None:
            if op.type == "Shape" and op.inputs[0].ref() in self._plan.parts:  # needs no values
                rows = tf.cast(self._count * self._images, op.outputs[0].dtype)
                results = [tf.concat([rows[None], op.outputs[0][1:]], axis=0)]
            else:
                results = apply_operation(op, [self.whole(tensor) for tensor in op.inputs])
                for old, new in zip(op.outputs, results, strict=True):
                    if old.shape.rank:  # known in the clean graph, where a shape was computed step by step
                        new.set_shape([None, *old.shape[1:]])
        elif step.reaches is None:
            y, x = step.part.y, step.part.x
            results = apply_operation(
                op, [self._at(tensor, y.start, x.start, (y.size, x.size)) for tensor in op.inputs]
            )
        else:
            results = [self._slide(op, step.part, step.reaches)]
        for old, new in zip(op.outputs, results, strict=True):
            self._new[old.ref()] = new

    def _slide(self, op, part: Part, slides: tuple[SlidingWindow, SlidingWindow]) -> tf.Tensor:
        axes = list(zip((part.y, part.x), slides, op.inputs[0].shape.as_list()[1:3], strict=True))
        begin_y, begin_x = [span.start * slide.stride - slide.padding_before(length) for span, slide, length in axes]
        sizes = tuple((span.size - 1) * slide.stride + slide.extent for span, slide, _ in axes)
        outside = op.inputs[0].dtype.min if op.type == "MaxPool" else 0
        looked_at = self._at(op.inputs[0], begin_y, begin_x, sizes, outside)
        if op.type in PADDING:
            return looked_at
        attributes = {"padding": _VALID}
        if "explicit_paddings" in op.node_def.attr:
            attributes["explicit_paddings"] = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue())
        result = apply_operation(op, [looked_at, *list(op.inputs)[1:]], attributes)[0]
        if op.type == "AvgPool" and op.get_attr("padding") == b"SAME":
            result *= tf.cast(self._overcounted(axes), result.dtype)
        return result

    def _overcounted(self, axes: list[tuple[Span, SlidingWindow, int]]) -> tf.Tensor:
        """Return by how much more values an average at the border was divided than it has, (K · N, h, w, 1)."""
        factors = []
        for (span, slide, length), index in zip(axes, (self._row, self._column), strict=True):
            begin = np.arange(slide.length(length)) * slide.stride - slide.padding_before(length)
            inside = np.minimum(begin + slide.kernel, length) - np.maximum(begin, 0)
            places = self._starts(span.start, index)[:, None] + tf.range(span.size)
            factors.append(tf.gather(tf.constant(slide.kernel / inside, tf.float32), places))
        factor = factors[0][:, :, None, None] * factors[1][:, None, :, None]
        return tf.repeat(factor, self._images, axis=0)

    def _at(self, tensor, begin_y, begin_x, size, outside=0) -> tf.Tensor:
        """Return the changed ``tensor`` at these places, from what is there already where that is all."""
        part = self._plan.parts.get(tensor.ref())
        if part is None:
            return tensor
        there = np.array_equal(begin_y, part.y.start) and np.array_equal(begin_x, part.x.start)
        if there and size == (part.y.size, part.x.size):
            return self._new[tensor.ref()]
        return self._surrounded(tensor, begin_y, begin_x, size, outside)

    def _surrounded(self, tensor, begin_y, begin_x, size, outside) -> tf.Tensor:
        part = self._plan.parts[tensor.ref()]
        begins = [self._starts(begin_y, self._row), self._starts(begin_x, self._column)]
        return self._gather(tensor, self._new[tensor.ref()], part, begins, size, outside)

    def _gather(self, clean, new, part, begins, size, outside) -> tf.Tensor:
        """Take (K · N, *size, C) from one table: the clean map, the new part, and one row for what is outside the map.

        One gather does the cutting out, the pasting and the padding; its index is made of rows and columns.
        """
        height, width, channels = clean.shape[1:]
        table = [tf.reshape(clean, [-1, channels])]
        image = tf.range(self._images)[None, :, None, None]
        window = tf.range(self._count)[:, None, None, None]
        y, x = begins[0][:, None] + tf.range(size[0]), begins[1][:, None] + tf.range(size[1])
        index = _outer(y * width, x) + image * (height * width)
        if new is not None:
            base = self._images * (height * width)
            table.append(tf.reshape(new, [-1, channels]))
            y_new = y - self._starts(part.y.start, self._row)[:, None]
            x_new = x - self._starts(part.x.start, self._column)[:, None]
            is_new = _both((y_new >= 0) & (y_new < part.y.size), (x_new >= 0) & (x_new < part.x.size))
            place = base + (window * self._images + image) * part.area
            index = tf.where(is_new, _outer(y_new * part.x.size, x_new) + place, index)
            end = base + self._count * self._images * part.area
            inside = _both((y >= 0) & (y < height), (x >= 0) & (x < width))
            index = tf.where(inside, index, end)
            table.append(tf.fill([1, channels], tf.cast(outside, clean.dtype)))
        gathered = tf.gather(tf.concat(table, axis=0) if len(table) > 1 else table[0], index)
        return tf.reshape(gathered, [-1, *size, channels])

    @staticmethod
    def _starts(values: np.ndarray, index: tf.Tensor) -> tf.Tensor:
        starts = tf.constant(values, tf.int32)
        return tf.gather(starts, index) if len(values) > 1 else tf.broadcast_to(starts, tf.shape(index))


def _outer(rows, columns):
    return rows[:, None, :, None] + columns[:, None, None, :]


def _both(rows, columns):
    return rows[:, None, :, None] & columns[:, None, None, :]
