"""Gradients of a target by the weights of attentions, and the errors where there are none."""

from collections.abc import Sequence
from typing import Any

from kerasal.hooks.attention_layers import AttentionLayer
from kerasal.hooks.dependencies import custom_gradient
from kerasal.hooks.target_errors import custom_gradient_error

import tensorflow as tf


def attention_gradients(
    tape: tf.GradientTape, scores: tf.Tensor, layers: Sequence[AttentionLayer]
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return for each attention its weights and the gradients of the scores, (N, windows, heads, queries, keys) each.

    Raises:
        ValueError: the scores depend on none of the attentions, or an attention is inside a custom gradient.
    """
    weights = [layer.attention.weights for layer in layers]
    found = tape.gradient(scores, weights)
    for layer, gradient in zip(layers, found, strict=True):
        check_gradient(layer, gradient, scores)
    if all(gradient is None for gradient in found):
        raise no_attention_of_target()
    gradients = [
        tf.zeros_like(x) if gradient is None else tf.convert_to_tensor(gradient)
        for x, gradient in zip(weights, found, strict=True)
    ]
    pairs = zip(layers, weights, gradients, strict=True)
    return [(layer.arrange(weight), layer.arrange(gradient)) for layer, weight, gradient in pairs]


def check_gradient(layer: AttentionLayer, gradient: Any, scores: tf.Tensor) -> None:
    """Raise an error if scores depend on an attention only through a custom gradient, which hides their gradient.

    Raises:
        ValueError: as above.
    """
    hidden = custom_gradient(layer.attention.weights, scores) if gradient is None else None
    if hidden is not None:
        raise custom_gradient_error(layer.name, hidden)


def no_attention_of_target() -> ValueError:
    """Return the error for a target that depends on no attention."""
    return ValueError(
        "The target must depend on an attention, but it depends on none. Choose a target after the attentions."
    )
