"""Attention rollout: the product of the attentions of all layers."""

from typing import Literal

from kerasal.attribution.attention_parts import read_chains
from kerasal.attribution.method import method

import tensorflow as tf

_REDUCTIONS = {"mean": tf.reduce_mean, "max": tf.reduce_max, "min": tf.reduce_min}


@method(
    reference="Abnar & Zuidema 2020, section 3",
    family="attention",
    passes="1 forward pass",
    check=read_chains,
    needs="attention",
    separate_sizes=True,
    question="attention",
    trust="Trust it for where tokens are read, never for a class: it is the same for all of them.",
)
def attention_rollout(
    view,
    *,
    head_reduction: Literal["mean", "max", "min"] = "mean",
    query: int | Literal["prefix", "mean"] | None = None,
    grid: int | tuple[int, ...] | None = None,
    resize: bool = True,
):
    """Share of each position in a token of the last layer, if tokens only mixed by attention (Abnar & Zuidema 2020).

    Half of each layer's attention A, reduced over heads, and half of the identity for the residual connection are
    multiplied over the layers, (½A + ½I) of the last · … · (½A + ½I) of the first. The map is the row of the class
    token, or of the first prefix token whatever it is; of a model without prefix tokens it is the mean over the rows of
    all positions. It is not class specific: the target changes nothing.

    Args:
        view: the model and its inputs in the graph.
        head_reduction: reduction over the heads of a layer, "mean", "max" or "min". After "max" and "min" each row is
            divided by its sum.
        query: the token whose row is the map: "prefix" (the first token before the positions), "mean" (the mean over
            the positions) or the index of a token. By default "prefix" if there is such a token, else "mean".
        grid: number of tokens along every axis of the input, or one per axis, such as (rows, columns), if the graph
            does not determine them. Tokens that are no positions come first.
        resize: resize each map to its input's height and width, bilinearly; otherwise it has a value per token.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, a share per token. The shares of all tokens, with those
        that are no positions, add up to 1.

    Raises:
        ValueError: the model has no attention, or one that is not over the same tokens as the others (windows, reduced
            keys, cross-attention), causal, or inside a compiled function or a loop; the grid is not known; or there is
            no token ``query``.
    """
    _, chains = read_chains(view, grid)
    maps = []
    for chain, x in zip(chains, view.inputs, strict=True):
        row = chain.row(query)
        for layer in reversed(chain.layers):
            weights = _REDUCTIONS[head_reduction](layer.arrange(layer.attention.weights)[:, 0], axis=1)
            if head_reduction != "mean":
                weights = weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
            row = 0.5 * tf.matmul(row, weights) + 0.5 * row
        maps.append(chain.to_map(row, x, resize))
    return maps
