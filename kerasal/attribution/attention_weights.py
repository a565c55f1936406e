"""``attention``: the attention weights of a model's layers as arrays."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasal.hooks.attention_layers import read_attentions
from kerasal.hooks.model_inputs import conform
from kerasal.hooks.trace import run_batches
from kerasal.hooks.view import Settings, View

import keras
import tensorflow as tf


def attention(
    model: keras.Model, inputs: Any, layers: str | Iterable[str] | None = None, *, batch_size: int | None = None
) -> dict[str, np.ndarray]:
    """Return the attention weights of layers, ``{layer: float32 (N, heads, queries, keys)}``, in the order of the run.

    They are read from the softmax in the model's graph, however it is spelled: ``MultiHeadAttention`` and
    ``GroupQueryAttention`` on their fused path, ``keras.ops.dot_product_attention``, or a softmax of your own. They are
    the weights that ``return_attention_scores=True`` returns, before dropout, and each row of keys sums to 1. The model
    is neither changed nor rebuilt.

    A layer whose windows attend separately, as in a Swin transformer, has weights (N, windows, heads, queries, keys).
    The weights of all layers can be large: 12 layers of 6 heads and 257 tokens are 19 MB per image.

    Args:
        model: any built Keras model.
        inputs: preprocessed inputs; see ``kerasal.attribution``.
        layers: names of attention layers as in the result, or names or ends of paths of layers that hold attentions, at
            any depth; by default all attentions.
        batch_size: number of images per batch; by default the fastest number.

    Returns:
        A dictionary from the path of the innermost layer that holds the attention, such as "block3_attention". A second
        attention in the same layer has the name with ":2", and one outside all layers is called "attention".

    Raises:
        ValueError: the model has no attention, or one inside a compiled function or a loop; a layer holds none; or an
            attention mixes its heads between the softmax and the values (talking heads).
    """
    names = None if layers is None else (layers,) if isinstance(layers, str) else tuple(dict.fromkeys(layers))
    arrays = conform(model, inputs)
    settings = Settings().for_inputs(inputs)
    options = {"layers": names}
    weights, trace = run_batches(
        _weights, model, arrays, settings=settings, options=options, batch_size=batch_size, declared=False
    )
    return dict(zip(trace.notes["attentions"], weights, strict=True))


def _weights(view: View, *, layers: tuple[str, ...] | None) -> list[tf.Tensor]:
    found = read_attentions(view, output=False)[1]
    chosen = found if layers is None else [layer for layer in found if any(layer.is_in(name) for name in layers)]
    for name in layers or ():
        if not any(layer.is_in(name) for layer in chosen):
            raise ValueError(
                f"layers must name layers that hold an attention, got {name!r}. The attentions of {view.model.name!r} "
                f"are {', '.join(repr(layer.name) for layer in found)}."
            )
    for layer in chosen:
        layer.check_heads()
    view.notes["attentions"] = [layer.name for layer in chosen]
    arranged = [(layer, layer.arrange(layer.attention.weights)) for layer in chosen]
    return [weights if layer.windows else tf.squeeze(weights, [1]) for layer, weights in arranged]
