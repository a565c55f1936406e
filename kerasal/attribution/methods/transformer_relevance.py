"""Transformer relevance: attentions weighted by their gradients, accumulated over the layers."""

from typing import Literal

from kerasal.attribution.attention_gradients import attention_gradients
from kerasal.attribution.attention_parts import read_chains
from kerasal.attribution.method import method

import tensorflow as tf


@method(
    reference="Chefer, Gur & Wolf 2021 (ICCV), equations 5 and 6, the rule of self-attention",
    family="attention",
    passes="1 pass",
    check=read_chains,
    needs="attention",
    separate_sizes=True,
    if_zero="no attention has a positive gradient of the score",
    question="region",
    trust="Trust it over attention_rollout, since it answers for a class; it is as coarse as the tokens.",
)
def transformer_relevance(
    view,
    *,
    query: int | Literal["prefix", "mean"] | None = None,
    grid: int | tuple[int, ...] | None = None,
    resize: bool = True,
):
    """Relevance of each position of a transformer: attentions weighted by positive gradients (Chefer et al. 2021).

    The relevance starts as the identity, R = I, and each layer adds Ā R, where Ā is the mean over heads of the positive
    part of the attention times the gradient of the score by it. The map is the row of the class token, or of the first
    prefix token whatever it is; of a model without prefix tokens it is the mean over the rows of all positions. The
    identity is left out.

    Args:
        view: the model and its inputs in the graph.
        query: the token whose row is the map: "prefix" (the first token before the positions), "mean" (the mean over
            the positions) or the index of a token. By default "prefix" if there is such a token, else "mean".
        grid: number of tokens along every axis of the input, or one per axis, such as (rows, columns), if the graph
            does not determine them. Tokens that are no positions come first.
        resize: resize each map to its input's height and width, bilinearly; otherwise it has a value per token.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, in units of the score.

    Raises:
        ValueError: as in ``attention_rollout``, or the target depends on no attention.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(view.inputs)
        scores, chains = read_chains(view, grid)
    pairs = iter(attention_gradients(tape, scores, [layer for chain in chains for layer in chain.layers]))
    maps = []
    for chain, x in zip(chains, view.inputs, strict=True):
        start = chain.row(query)
        row = start
        for weights, gradients in reversed([next(pairs) for _ in chain.layers]):
            row = row + tf.matmul(row, tf.reduce_mean(tf.nn.relu(gradients * weights)[:, 0], axis=1))
        maps.append(chain.to_map(row - start, x, resize))
    return maps
