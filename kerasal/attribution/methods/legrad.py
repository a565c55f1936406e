"""LeGrad: the positive gradients of the score of each block by its attention, averaged over the blocks."""

from kerasal.attribution.attention_gradients import check_gradient, no_attention_of_target
from kerasal.attribution.block_scores import read_block_scores
from kerasal.attribution.method import method

import tensorflow as tf


@method(
    reference="Bousselham et al. 2024, section 3",
    family="attention",
    passes="1 pass, in parts",
    compared=False,
    check=read_block_scores,
    needs="attention",
    separate_sizes=True,
    if_zero="no attention has a positive gradient of the score of its block",
    question="region",
    trust="Trust it where transformer_relevance agrees; it counts how the score would react, not what was attended to.",
)
def legrad(
    view,
    *,
    last_layers: int | None = None,
    grid: int | tuple[int, ...] | None = None,
    resize: bool = True,
):
    """How much the score of each block would rise if its attention read a position more (Bousselham et al. 2024).

    Each block has a score: what follows the last block, such as a normalization, the class token and the classes, is
    applied to the output of the block. The map is the positive part of the gradient of this score by the attention of
    the block, averaged over heads, over all tokens that read, and over the blocks. The attention itself is no factor,
    and the class of every score is that of the whole model.

    What follows the last block is read from the graph. The paper multiplies the class token or the pooled tokens of a
    block with the vector of a class, which is the same for a model that ends in this way. Its scaling of each map to 0
    to 1 is left out, and its variant for models that end in attention pooling is not implemented. The authors' code
    averages the last two layers by default, as ``last_layers=2`` does, and pools all tokens of CLIP models.

    Args:
        view: the model and its inputs in the graph.
        last_layers: number of attentions, counted from the last, that are averaged; by default all. The last alone
            needs no score of a block besides that of the model.
        grid: number of tokens along every axis of the input, or one per axis, such as (rows, columns), if the graph
            does not determine them. Tokens that are no positions come first.
        resize: resize each map to its input's height and width, bilinearly; otherwise it has a value per token.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, in units of the score.

    Raises:
        ValueError: as in ``attention_rollout``; the target depends on no attention; or the graph does not show where
            the blocks end, such as in a model whose classes read several blocks.
    """
    maps = []
    for (chain, blocks), x in zip(read_block_scores(view, grid, last_layers), view.inputs, strict=True):
        rows = []
        for layer, scores in blocks:
            # Not a tape, which would differentiate the scores through the blocks before, too.
            (gradient,) = tf.gradients(scores, [layer.attention.weights])
            check_gradient(layer, gradient, scores)
            if gradient is not None:
                rows.append(tf.reduce_mean(tf.nn.relu(layer.arrange(gradient))[:, 0], axis=(1, 2)))
        if not rows:
            raise no_attention_of_target()
        row = tf.add_n(rows) / len(blocks)
        maps.append(chain.to_map(tf.expand_dims(row, 1), x, resize))
    return maps
