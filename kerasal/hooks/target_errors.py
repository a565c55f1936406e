"""Errors for models without a map to weight, or whose positions are mixed after it."""

from kerasal.hooks.called_functions import first_call, has_types
from kerasal.hooks.dependencies import custom_gradient
from kerasal.hooks.layer_maps import CONVOLUTIONS, LayerMap
from kerasal.hooks.operations import CONVOLVING

import keras
import tensorflow as tf

PROJECTIONS = (keras.layers.EinsumDense, keras.layers.Dense)  # of attention: queries, keys and values
UNUSED_LAYER_MESSAGE = (
    "The target must depend on layer {!r}, whose map is weighted, but it does not. Choose a layer before the target "
    "with layer=."
)


def unused_layer_error(path: str, tensor: tf.Tensor, scores: tf.Tensor) -> ValueError:
    """Return the error for scores without a gradient by the map of a layer, ``tensor``."""
    hidden = custom_gradient(tensor, scores)
    return ValueError(UNUSED_LAYER_MESSAGE.format(path)) if hidden is None else custom_gradient_error(path, hidden)


def custom_gradient_error(path: str, operation: tf.Operation) -> ValueError:
    """Return the error for a layer inside a function with a custom gradient, which ends in ``operation``."""
    return ValueError(
        f"The gradient of the target by layer {path!r} must be known, but the layer is inside a function with a custom "
        f"gradient ({operation.name}): tf.custom_gradient, tf.recompute_grad or keras.RematScope. Build the model "
        "without it; the weights fit."
    )


def mixing_error(model, chosen: LayerMap, maps: list[LayerMap], kinds: dict, mixing: str) -> ValueError:
    """Return the error for positions of the ``chosen`` map that ``mixing`` combines; it lists the other maps."""
    large = [item.path for item in maps if set(item.grid) != {1} and not isinstance(kinds[item.path], PROJECTIONS[:1])]
    names = list(dict.fromkeys(large))
    return ValueError(
        f"The positions of the default layer must stay separate up to the score, but {model.name!r} mixes those of "
        f"{chosen.path!r} later ({mixing}), by attention or a layer along tokens. Use a gradient method such as "
        f"class_saliency, or accept the mixing and choose a layer with layer=: {', '.join(map(repr, names))}."
    )


def no_map_error(model, named: str | None, inputs, number: int, kinds: dict, runs: dict) -> ValueError:
    """Return the error for input ``number`` without a map, of the layer ``named`` or of any."""
    if named is not None and len(inputs) == 1:
        return ValueError(f"Layer {named!r} must depend on the input to have a map of it. Choose another layer.")
    if len(inputs) > 1:
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        name = names[number] if len(names) == len(inputs) else str(number)
        what = f"Layer {named!r}" if named else "The model"
        return ValueError(
            f"{what} must have a map for input {name!r}: the output of a convolution that depends on this input alone "
            "and that the target depends on. There is none. Use a gradient method such as class_saliency, which "
            "explains every input."
        )
    calling = first_call(tf.compat.v1.get_default_graph().get_operations(), has_types(CONVOLVING))
    if calling is not None:
        return ValueError(
            f"The model must run its convolutions in its own graph, but operation {calling.name!r} runs them inside a "
            "compiled function or a loop, where their maps cannot be read. Remove the tf.function, load the .keras "
            "file instead of a SavedModel, or use a gradient method such as class_saliency."
        )
    where, which = "", "with an output (N, *positions, channels)."
    if any(isinstance(kinds[path], CONVOLUTIONS) for path in runs):
        where, which = " before the target", "before the target with layer=."
    if any(isinstance(layer, keras.layers.TimeDistributed) for layer in kinds.values()):
        which += " A TimeDistributed of a whole model hides the positions inside: wrap its layers one by one."
    return ValueError(
        f"The model must have a convolution, an attention or a recurrent layer with known positions{where}, but "
        f"{model.name!r} has none. Use a gradient method such as class_saliency, or choose a layer {which}"
    )
