"""Parts that methods share: reduction over channels, gradients at many points, and class activation maps."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from kerasal import hooks
from kerasal.attribution.map_notes import PerInput
from kerasal.hooks.model_inputs import values_per_pass
from kerasal.hooks.second_derivatives import differentiate_twice, whole_variances
from kerasal.hooks.target_errors import unused_layer_error
from kerasal.hooks.target_layers import LayerMap
from kerasal.hooks.view import View

import tensorflow as tf

Reduction = Literal["max_abs", "mean_abs", "norm", "sum"]

_REDUCTIONS = {
    "max_abs": lambda x: tf.reduce_max(tf.abs(x), axis=-1),
    "mean_abs": lambda x: tf.reduce_mean(tf.abs(x), axis=-1),
    "norm": lambda x: tf.norm(x, axis=-1),
    "sum": lambda x: tf.reduce_sum(x, axis=-1),
}
NO_EVIDENCE = "the layer has no positive evidence for the score, so the ReLU of the class activation map sets it to 0"
# Images of 224 × 224 per pass: larger batches only need more memory (measured on VGG16 and two cores).
_IMAGES_PER_PASS = 4


def sums_channels(options: dict[str, Any]) -> bool:
    """Return whether a map keeps the sign of its gradient: only if its channels are summed."""
    return options["channel_reduction"] == "sum"


def reduce_channels(tensor: tf.Tensor, reduction: Reduction) -> tf.Tensor:
    """Return a tensor (N, *positions, C) reduced over its channels, (N, *positions)."""
    return _REDUCTIONS[reduction](tensor)


def over_points(view: View, count: int, points: Callable, add: Callable, state: Any) -> Any:
    """Accumulate the gradients at ``count`` points of each image, several at a time; return the final state.

    ``points(numbers)`` returns the points with these numbers, ``(m,) int32 -> [(m, N, …), …]``, a tensor per input of
    the model. ``add(state, numbers (m,), gradients [(m, N, …), …])`` returns the next state, a nest of tensors. The
    target of the view must be the same at all points (``View.pin``).
    """
    chunk = 1  # for a target that may depend on the batch size
    if view.repeatable:
        values = sum(tf.size(x) for x in view.inputs)
        chunk = tf.clip_by_value(_IMAGES_PER_PASS * values_per_pass() // tf.maximum(values, 1), 1, count)

    def body(start, state):
        numbers = tf.range(start, tf.minimum(start + chunk, count))
        return start + chunk, add(state, numbers, _gradients(view, points(numbers)))

    # Sequential, because parallel iterations need the memory of several passes.
    _, state = tf.while_loop(lambda start, _: start < count, body, (0, state), parallel_iterations=1)
    return state


def _gradients(view: View, stacks: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the gradients at (m, N, …) points, which are run as a batch of m · N images."""
    images = []
    for stack, x in zip(stacks, view.inputs, strict=True):
        flat = tf.reshape(stack, tf.concat([[-1], tf.shape(x)[1:]], axis=0))
        flat.set_shape((None, *x.shape[1:]) if view.repeatable else x.shape)
        images.append(flat)
    repeated = view.repeat(tf.shape(stacks[0])[0]) if view.repeatable else view
    gradients = repeated.gradient(images)
    return [tf.reshape(gradient, tf.shape(stack)) for gradient, stack in zip(gradients, stacks, strict=True)]


def expand_like(numbers: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Return (m,) numbers as (m, 1, …), so that they broadcast against (m, *x.shape)."""
    return tf.reshape(numbers, [-1] + [1] * x.shape.rank)


def normal_noise(x: tf.Tensor, numbers: tf.Tensor, seed: int) -> tf.Tensor:
    """Return (m, 1, …) standard normal noise for any image; it depends on the seed and the sample numbers alone."""

    def sample(number):
        return tf.random.stateless_normal(tf.shape(x)[1:], (seed, number))

    signature = tf.TensorSpec(x.shape[1:], tf.float32)
    return tf.map_fn(sample, numbers, fn_output_signature=signature)[:, None]


def value_range(x: tf.Tensor) -> tf.Tensor:
    """Return the largest minus the smallest value of each input, (N, 1, …)."""
    axes = list(range(1, x.shape.rank))
    return tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)


def weighted_maps(view: View, layer: str | None = None) -> tuple[tf.Tensor, list[LayerMap]]:
    """Return the scores (N,) and, for each input, the maps that a class activation map weights; errors as there."""
    for x in view.inputs:
        if x.shape.rank < 3:
            raise ValueError(
                f"model must have inputs (N, *positions, C) for a class activation map, got {x.shape}. "
                "Use a gradient method such as class_saliency."
            )
    return hooks.target_maps(view, layer)


@dataclasses.dataclass(frozen=True)
class WeightedLayer:
    """The layer of a class activation map for an input of the model.

    Attributes:
        view: the view of the model.
        number: the number of the input.
        target: the layer's map, with the tensor as the model computes it.
        scores: the scores, (N,).
        maps: the map, float32 (N, *positions, C).
        gradients: the gradient of each score by the map, of the same shape.
        product: the Hessian of each score times the map, of the same shape; None if it was not requested.
    """

    view: View
    number: int
    target: LayerMap
    scores: tf.Tensor
    maps: tf.Tensor
    gradients: tf.Tensor
    product: Any = None

    @property
    def channels(self) -> int:
        """The number of channels of the map."""
        count: Any = self.maps.shape[-1]
        return count

    def cover(self, maps: tf.Tensor) -> tf.Tensor:
        """Return maps (N, *positions, C) with zeros where the model has cropped the input."""
        return self.target.positions.cover_input(maps)


def class_activation_map(view, layer: str | None, resize: bool, weigh: Callable) -> list[tf.Tensor]:
    """Return relu(sum over channels of weights × maps) for each input, from a layer's maps and the score's gradient.

    ``weigh(maps, gradients, weighted)`` returns weights that broadcast to the maps (N, *positions, C) of an input;
    ``weighted`` is its ``WeightedLayer``.

    Raises:
        ValueError: as in ``activation_map``.
    """

    def combine(weighted: WeightedLayer) -> tf.Tensor:
        weights = weigh(weighted.maps, weighted.gradients, weighted)
        return tf.nn.relu(tf.reduce_sum(weights * weighted.maps, axis=-1))

    return activation_map(view, layer, resize, combine)


def activation_map(
    view, layer: str | None, resize: bool, combine: Callable, *, second_order: bool = False
) -> list[tf.Tensor]:
    """Return for each input ``combine(weighted)``, (N, *positions), made from its ``WeightedLayer``.

    ``second_order`` also computes the product of the Hessian and the map.

    Raises:
        ValueError: an input has no positions, ``hooks.target_maps`` finds no layer, or the score does not depend on it.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        with whole_variances() if second_order else contextlib.nullcontext():
            scores, targets = weighted_maps(view, layer)
    names = [layer_map.path for layer_map in targets]
    view.notes["layer"] = names[0] if len(set(names)) == 1 else PerInput(names)
    results = []
    for number, (layer_map, x) in enumerate(zip(targets, view.inputs, strict=True)):
        tensor = layer_map.tensor
        try:
            derivatives = (
                differentiate_twice(scores, tensor) if second_order else hooks.differentiate(tape, scores, [tensor])
            )
        except hooks.NoGradient as error:
            raise unused_layer_error(layer_map.path, tensor, scores) from error
        tensors = [tf.cast(layer_map.to_input_axes(x), tf.float32) for x in (tensor, *derivatives)]
        weighted = WeightedLayer(view, number, layer_map, scores, *tensors)
        covered = weighted.cover(tf.expand_dims(combine(weighted), -1))
        results.append(tf.squeeze(resize_maps(covered, tf.shape(x)[1:-1]) if resize else covered, -1))
    return results


def position_axes(maps: tf.Tensor) -> list[int]:
    """Return the axes of the positions of maps (N, *positions, C)."""
    return list(range(1, maps.shape.rank - 1))


def resize_maps(maps: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Return maps (N, *positions, C) resized to ``sizes`` linearly along each position axis.

    As in ``tf.image.resize``, which does it in two dimensions, values belong to the centers of positions, and the
    values at the borders are repeated beyond them.
    """
    if maps.shape.rank == 4:
        return tf.image.resize(maps, sizes)
    for place, axis in enumerate(position_axes(maps)):
        count, size = tf.shape(maps)[axis], sizes[place]
        scale = tf.cast(count, tf.float32) / tf.cast(size, tf.float32)
        centers = (tf.cast(tf.range(size), tf.float32) + 0.5) * scale - 0.5
        low = tf.floor(centers)
        share = tf.reshape(centers - low, [1] * axis + [-1] + [1] * (maps.shape.rank - axis - 1))
        first, second = (
            tf.gather(maps, tf.clip_by_value(tf.cast(low, tf.int32) + step, 0, count - 1), axis=axis) for step in (0, 1)
        )
        maps = first * (1 - share) + second * share
    return maps


def crop_corners(bottom, right) -> list[tuple]:
    """Return (top, left) of the five crops of Simonyan et al. 2013: the corners, and the center last.

    ``bottom`` and ``right`` are the top and the left of the crop in the lower right corner, integers or tensors.
    """
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
