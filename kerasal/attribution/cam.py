"""What the class activation maps share: the layer, its map, weights for it, and the way back to the input's size."""

from collections.abc import Callable

from kerasal import (
    _keras,  # noqa: F401
    hooks,
)

import tensorflow as tf  # isort: skip

NO_EVIDENCE = "the layer holds no positive evidence for the score; what is there speaks against it"


def class_activation_map(view, layer: str | None, resize: bool, weigh: Callable) -> list[tf.Tensor]:
    """Return relu(sum over channels of weights × maps) for each input, from a layer's maps and the score's gradient.

    ``weigh(maps, gradients, view)`` returns weights that broadcast to the maps (N, h, w, C).
    """
    maps, scores = tapped(view, layer)
    try:
        (gradients,) = hooks.gradients(scores, [maps])
    except ValueError as error:
        raise ValueError(
            f"The target does not depend on layer {view.notes['layer']!r}, whose map is weighted. Name a layer that "
            "comes before the target with layer=."
        ) from error
    maps, gradients = tf.cast(maps, tf.float32), tf.cast(gradients, tf.float32)
    summed = tf.nn.relu(tf.reduce_sum(weigh(maps, gradients, view) * maps, axis=-1))
    return [_resized(summed, x) if resize else summed for x in view.inputs]


def tapped(view, layer: str | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the map (N, h, w, C) of a layer, by default of the last that has positions, and the (N,) scores.

    Raises:
        ValueError: an input without positions, a model without convolutions, or a layer without a map.
    """
    for x in view.inputs:
        if x.shape.rank != 4:
            raise ValueError(f"A class activation map needs image inputs (N, H, W, C); this model takes {x.shape}.")
    path = hooks.last_map(view) if layer is None else hooks.find_layer(view.model, layer)[0]
    scores, seen = view.score(taps=[path])
    if seen[path].shape.rank != 4:
        raise ValueError(f"Layer {path!r} has no map: its output is {seen[path].shape}, expected (N, h, w, channels).")
    view.notes["layer"] = path
    return seen[path], scores


def _resized(maps: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(maps[..., None], tf.shape(x)[1:3])[..., 0]
