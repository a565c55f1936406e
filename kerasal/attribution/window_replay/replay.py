"""Run a plan for many windows at once: recompute what they change, and take the rest from the clean activations.

The first axis of every tensor here has a row for each pair of window and image: row = window · N + image.
"""

import numpy as np

from kerasal.attribution.window_replay.replay_plan import Part, Plan, Span, Step
from kerasal.attribution.window_replay.windows import grid_indices
from kerasal.hooks.operations import PADDING, SlidingWindow, apply_operation

import tensorflow as tf

_VALID = tf.compat.v1.AttrValue(s=b"VALID")


class Replay:
    """The tensors of a plan for the windows ``indices`` (K,), built in the current graph."""

    def __init__(self, plan: Plan, filling: tf.Tensor, indices: tf.Tensor):
        self._plan = plan
        self._row, self._column = grid_indices(plan.windows, indices)
        self._images, self._count = tf.shape(plan.image)[0], tf.size(indices)
        self._new = {}
        part = plan.parts[plan.image.ref()]
        # In the image itself, the changed pixels are those of the filling inside each window.
        starts = [self._starts(part.y.start, self._row), self._starts(part.x.start, self._column)]
        self._new[plan.image.ref()] = self._gather(filling, None, None, starts, (part.y.size, part.x.size), 0)
        self._whole = {}
        for step in plan.steps:
            self._run(step)

    def whole(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return the value of a ``tensor`` of the clean graph for the images with filled windows, (K · N, …)."""
        key = tensor.ref()
        if key in self._plan.parts and key not in self._whole:
            height, width = tensor.shape[1:3]
            self._whole[key] = self._patch_with_surroundings(
                tensor, np.zeros(1, int), np.zeros(1, int), (height, width), 0
            )
        return self._whole.get(key, self._new.get(key, tensor))

    def _run(self, step: Step) -> None:
        op = step.op
        if step.part is None:
            if op.type == "Shape" and op.inputs[0].ref() in self._plan.parts:  # needs no recomputed values
                rows = tf.cast(self._count * self._images, op.outputs[0].dtype)
                results = [tf.concat([rows[None], op.outputs[0][1:]], axis=0)]
            else:
                results = apply_operation(op, [self.whole(tensor) for tensor in op.inputs])
                for old, new in zip(op.outputs, results, strict=True):
                    if old.shape.rank:  # the clean graph knows sizes that a computed shape hides here
                        new.set_shape([None, *old.shape[1:]])
        elif step.slides is None:
            y, x = step.part.y, step.part.x
            results = apply_operation(
                op, [self._patch(tensor, y.start, x.start, (y.size, x.size)) for tensor in op.inputs]
            )
        else:
            results = [self._run_sliding(op, step.part, step.slides)]
        for old, new in zip(op.outputs, results, strict=True):
            self._new[old.ref()] = new

    def _run_sliding(self, op, part: Part, slides: tuple[SlidingWindow, SlidingWindow]) -> tf.Tensor:
        axes = list(zip((part.y, part.x), slides, op.inputs[0].shape.as_list()[1:3], strict=True))
        begin_y, begin_x = [span.start * slide.stride - slide.padding_before(length) for span, slide, length in axes]
        sizes = tuple((span.size - 1) * slide.stride + slide.extent for span, slide, _ in axes)
        outside = op.inputs[0].dtype.min if op.type == "MaxPool" else 0
        patch = self._patch(op.inputs[0], begin_y, begin_x, sizes, outside)
        if op.type in PADDING:
            return patch
        attributes = {"padding": _VALID}
        if "explicit_paddings" in op.node_def.attr:
            attributes["explicit_paddings"] = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue())
        result = apply_operation(op, [patch, *list(op.inputs)[1:]], attributes)[0]
        if op.type == "AvgPool" and op.get_attr("padding") == b"SAME":
            result *= tf.cast(self._average_correction(axes), result.dtype)
        return result

    def _average_correction(self, axes: list[tuple[Span, SlidingWindow, int]]) -> tf.Tensor:
        """Return kernel size / values averaged, the correction of averages at the border, (K · N, h, w, 1)."""
        factors = []
        for (span, slide, length), index in zip(axes, (self._row, self._column), strict=True):
            begin = np.arange(slide.length(length)) * slide.stride - slide.padding_before(length)
            inside = np.minimum(begin + slide.kernel, length) - np.maximum(begin, 0)
            positions = self._starts(span.start, index)[:, None] + tf.range(span.size)
            factors.append(tf.gather(tf.constant(slide.kernel / inside, tf.float32), positions))
        factor = factors[0][:, :, None, None] * factors[1][:, None, :, None]
        return tf.repeat(factor, self._images, axis=0)

    def _patch(self, tensor, begin_y, begin_x, size, outside=0) -> tf.Tensor:
        """Return a patch of the changed ``tensor``, without a gather if it is just the computed part."""
        part = self._plan.parts.get(tensor.ref())
        if part is None:
            return tensor
        is_same = np.array_equal(begin_y, part.y.start) and np.array_equal(begin_x, part.x.start)
        if is_same and size == (part.y.size, part.x.size):
            return self._new[tensor.ref()]
        return self._patch_with_surroundings(tensor, begin_y, begin_x, size, outside)

    def _patch_with_surroundings(self, tensor, begin_y, begin_x, size, outside) -> tf.Tensor:
        part = self._plan.parts[tensor.ref()]
        begins = [self._starts(begin_y, self._row), self._starts(begin_x, self._column)]
        return self._gather(tensor, self._new[tensor.ref()], part, begins, size, outside)

    def _gather(self, clean, new, part, begins, size, outside) -> tf.Tensor:
        """Return patches (K · N, *size, C) of the clean map with the new part pasted in, padded with ``outside``.

        A single gather crops, pastes and pads; its index is the sum of a row index and a column index.
        """
        height, width, channels = clean.shape[1:]
        table = [tf.reshape(clean, [-1, channels])]
        image = tf.range(self._images)[None, :, None, None]
        window = tf.range(self._count)[:, None, None, None]
        y, x = begins[0][:, None] + tf.range(size[0]), begins[1][:, None] + tf.range(size[1])
        index = _outer_sum(y * width, x) + image * (height * width)
        if new is not None:
            base = self._images * (height * width)
            table.append(tf.reshape(new, [-1, channels]))
            y_new = y - self._starts(part.y.start, self._row)[:, None]
            x_new = x - self._starts(part.x.start, self._column)[:, None]
            is_new = _outer_and((y_new >= 0) & (y_new < part.y.size), (x_new >= 0) & (x_new < part.x.size))
            position = base + (window * self._images + image) * part.area
            index = tf.where(is_new, _outer_sum(y_new * part.x.size, x_new) + position, index)
            end = base + self._count * self._images * part.area
            inside = _outer_and((y >= 0) & (y < height), (x >= 0) & (x < width))
            index = tf.where(inside, index, end)
            table.append(tf.fill([1, channels], tf.cast(outside, clean.dtype)))
        gathered = tf.gather(tf.concat(table, axis=0) if len(table) > 1 else table[0], index)
        return tf.reshape(gathered, [-1, *size, channels])

    @staticmethod
    def _starts(values: np.ndarray, index: tf.Tensor) -> tf.Tensor:
        starts = tf.constant(values, tf.int32)
        return tf.gather(starts, index) if len(values) > 1 else tf.broadcast_to(starts, tf.shape(index))


def _outer_sum(rows, columns):
    return rows[:, None, :, None] + columns[:, None, None, :]


def _outer_and(rows, columns):
    return rows[:, None, :, None] & columns[:, None, None, :]
