"""What the class activation maps share: the layer, its map, weights for it, and the way back to the input's size."""

from collections.abc import Callable

from kerasal import (
    hooks,
)
from kerasal.attribution.named_maps import OfEachInput

import tensorflow as tf

NO_EVIDENCE = "the layer holds no positive evidence for the score; what is there speaks against it"


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
            raise ValueError(
                f"The target does not depend on layer {one.path!r}, whose map is weighted. Name a layer that comes "
                "before the target with layer=."
            ) from error
        maps, gradients = (tf.cast(one.turn_back(tensor), tf.float32) for tensor in (one.tensor, gradients))
        summed = tf.nn.relu(tf.reduce_sum(weigh(maps, gradients, view, number) * maps, axis=-1))
        results.append(_resized(summed, x) if resize else summed)
    return results


def _resized(maps: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(maps[..., None], tf.shape(x)[1:3])[..., 0]
