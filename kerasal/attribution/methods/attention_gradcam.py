"""Grad-CAM on attention: the heads of one layer, weighted by their mean gradients."""

from typing import Literal

from kerasal.attribution.attention_gradients import attention_gradients
from kerasal.attribution.attention_parts import fit_map, last_attentions
from kerasal.attribution.map_notes import PerInput
from kerasal.attribution.method import method
from kerasal.attribution.method_parts import position_axes

import tensorflow as tf


@method(
    reference="Chefer, Gur & Wolf 2021 (CVPR), section 4, the baseline GradCAM",
    family="attention",
    passes="1/2 pass",
    compared=False,
    check=last_attentions,
    needs="attention",
    separate_sizes=True,
    if_zero="no head has positive evidence for the score, so the ReLU sets the map to 0",
    question="region",
    trust="Trust it where transformer_relevance agrees; it knows a single layer.",
)
def attention_gradcam(
    view,
    *,
    layer: str | None = None,
    query: int | Literal["prefix", "mean"] | None = None,
    grid: int | tuple[int, ...] | None = None,
    resize: bool = True,
):
    """Where the class token of the last layer reads, with heads weighted by their mean gradients (Chefer et al. 2021).

    The map is relu(mean over heads of weight × attention), where the weight of a head is the mean over positions of the
    score's gradient by the attention. In a model without a class token the rows of all positions are averaged first.
    Where windows attend separately, as in a Swin transformer, the map is put together from the windows.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the attention's layer; by default the last attention.
        query: the token whose row is the map: "prefix" (the first token before the positions), "mean" (the mean over
            the positions) or the index of a token. By default "prefix" if there is such a token, else "mean".
        grid: number of tokens along every axis of the input, or one per axis, such as (rows, columns), if the graph
            does not determine them. Tokens that are no positions come first.
        resize: resize each map to its input's height and width, bilinearly; otherwise it has a value per token.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, in units of the score. The attribute ``layer`` of the
        result is the path of the layer.

    Raises:
        ValueError: as in ``raw_attention``, or the target depends on no attention.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        scores, found = last_attentions(view, layer, grid)
    names = [tokens.layer.name for tokens in found]
    view.notes["layer"] = names[0] if len(set(names)) == 1 else PerInput(names)
    maps = []
    pairs = attention_gradients(tape, scores, [tokens.layer for tokens in found])
    for tokens, pair, x in zip(found, pairs, view.inputs, strict=True):
        rows = [tf.einsum("nwhqk,q->nwkh", tensor, tokens.query_weights(query)) for tensor in pair]
        weights, gradients = (tokens.to_map(row, x) for row in rows)
        head_weights = tf.reduce_mean(gradients, axis=position_axes(gradients), keepdims=True)
        mean = tf.reduce_mean(head_weights * weights, axis=-1, keepdims=True)
        maps.append(fit_map(tf.nn.relu(mean), x, resize))
    return maps
