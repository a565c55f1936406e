"""What methods share: maps without channels, gradients at many points, and class activation maps."""

from collections.abc import Callable
from typing import Any, Literal

from kerasal import hooks
from kerasal.attribution.map_notes import OfEachInput
from kerasal.hooks.model_inputs import values_per_pass
from kerasal.hooks.target_layers import UNUSED_LAYER_MESSAGE
from kerasal.hooks.view import View

import tensorflow as tf

Reduction = Literal["max_abs", "mean_abs", "norm", "sum"]

_REDUCTIONS = {
    "max_abs": (lambda x: tf.reduce_max(tf.abs(x), axis=-1), tf.abs),
    "mean_abs": (lambda x: tf.reduce_mean(tf.abs(x), axis=-1), tf.abs),
    "norm": (lambda x: tf.norm(x, axis=-1), tf.abs),
    "sum": (lambda x: tf.reduce_sum(x, axis=-1), tf.identity),
}
NO_EVIDENCE = "the layer holds no positive evidence for the score; what is there speaks against it"
# Images of the default size that one pass takes: from there on more only cost memory (VGG16 at 224 × 224, two cores).
_TOGETHER = 4


def reduce_channels(tensor: tf.Tensor, how: Reduction) -> tf.Tensor:
    """Reduce (N, H, W, C), or more axes, over the last one; (N, H, W) and (N, D) have no channel axis."""
    reduce, pointwise = _REDUCTIONS[how]
    return reduce(tensor) if tensor.shape.rank >= 4 else pointwise(tensor)


def over_points(view: View, count: int, points: Callable, add: Callable, state: Any) -> Any:
    """Take the gradient at ``count`` points of each image, some at a time; return the last state, a nest of tensors.

    ``points`` gives the points of some numbers, ``(m,) int32 -> [(m, N, …), …]``, one tensor for each input, and
    ``add(state, numbers (m,), gradients [(m, N, …), …])`` the next state. The view's target is pinned.
    """
    together = 1  # for a target that may count on the number of images
    if view.repeatable:
        values = sum(tf.size(x) for x in view.inputs)
        together = tf.clip_by_value(_TOGETHER * values_per_pass() // tf.maximum(values, 1), 1, count)

    def body(start, state):
        numbers = tf.range(start, tf.minimum(start + together, count))
        return start + together, add(state, numbers, _gradients(view, points(numbers)))

    # One pass after the other: what runs side by side takes memory side by side.
    _, state = tf.while_loop(lambda start, _: start < count, body, (0, state), parallel_iterations=1)
    return state


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


def class_activation_map(view, layer: str | None, resize: bool, weigh: Callable) -> list[tf.Tensor]:
    """Return relu(sum over channels of weights × maps) for each input, from a layer's maps and the score's gradient.

    ``weigh(maps, gradients, view, number)`` returns weights that broadcast to the maps (N, h, w, C) of an input.

    Raises:
        ValueError: an input without positions, or ``hooks.target_maps`` finds none; a target that gives no gradient.
    """
    for x in view.inputs:
        if x.shape.rank != 4:
            raise ValueError(f"A class activation map needs image inputs (N, H, W, C); this model takes {x.shape}.")
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        scores, found = hooks.target_maps(view, layer)
    names = [one.path for one in found]
    view.notes["layer"] = names[0] if len(set(names)) == 1 else OfEachInput(names)
    results = []
    for number, (one, x) in enumerate(zip(found, view.inputs, strict=True)):
        try:
            (gradients,) = hooks.differentiate(tape, scores, [one.tensor])
        except hooks.NoGradient as error:
            raise ValueError(UNUSED_LAYER_MESSAGE.format(one.path)) from error
        maps, gradients = (tf.cast(one.to_input_axes(tensor), tf.float32) for tensor in (one.tensor, gradients))
        summed = tf.nn.relu(tf.reduce_sum(weigh(maps, gradients, view, number) * maps, axis=-1))
        results.append(tf.image.resize(tf.expand_dims(summed, -1), tf.shape(x)[1:3])[..., 0] if resize else summed)
    return results
