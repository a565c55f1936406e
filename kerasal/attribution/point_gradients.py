"""Gradients at many points of each image, a few a pass: one by one is slow, and all at once needs memory."""

from collections.abc import Callable
from typing import Any

from kerasal.hooks.model_inputs import values_at_once
from kerasal.hooks.view import View

import tensorflow as tf

# Images of the default size that one pass takes: from there on more only cost memory (VGG16 at 224 × 224, two cores).
_TOGETHER = 4


def over_points(view: View, count: int, points: Callable, add: Callable, state: Any) -> Any:
    """Take the gradient at ``count`` points of each image and add them up in the graph, some at a time.

    Args:
        view: a model, watched; its target is pinned.
        count: number of points.
        points: ``numbers (m,) int32 -> [(m, N, …), …]``, the points of these numbers, one tensor for each input.
        add: ``(state, numbers (m,), gradients [(m, N, …), …]) -> state``.
        state: what ``add`` starts from, a nest of tensors.

    Returns:
        The last state.
    """
    together = _at_once(view, count)

    def body(start, state):
        numbers = tf.range(start, tf.minimum(start + together, count))
        return start + together, add(state, numbers, _gradients(view, points(numbers)))

    # One pass after the other: what runs side by side takes memory side by side.
    _, state = tf.while_loop(lambda start, _: start < count, body, (0, state), parallel_iterations=1)
    return state


def _at_once(view: View, count: int):
    """Return how many points fit into one pass; 1 for a target that may count on the number of images."""
    if not view.repeatable:
        return 1
    values = sum(tf.size(x) for x in view.inputs)
    return tf.clip_by_value(_TOGETHER * values_at_once() // tf.maximum(values, 1), 1, count)


def _gradients(view: View, stacks: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the gradients at (m, N, …) points, run as m · N images."""
    images = []
    for stack, x in zip(stacks, view.inputs, strict=True):
        flat = tf.reshape(stack, tf.concat([[-1], tf.shape(x)[1:]], axis=0))
        flat.set_shape((None, *x.shape[1:]) if view.repeatable else x.shape)
        images.append(flat)
    repeated = view.repeat(tf.shape(stacks[0])[0]) if view.repeatable else view
    found = repeated.gradient(images)
    return [tf.reshape(gradient, tf.shape(stack)) for gradient, stack in zip(found, stacks, strict=True)]
