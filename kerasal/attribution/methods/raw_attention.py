"""Raw attention: the weights with which a token of one layer reads the others, as a map."""

from typing import Literal

from kerasal.attribution.attention_parts import fit_map, last_attentions
from kerasal.attribution.map_notes import PerInput
from kerasal.attribution.method import method

import tensorflow as tf

_REDUCTIONS = {"mean": tf.reduce_mean, "max": tf.reduce_max, "min": tf.reduce_min}


@method(
    reference="Dosovitskiy et al. 2021, appendix D; Caron et al. 2021, figure 1",
    family="attention",
    passes="1 forward pass",
    compared=False,
    check=last_attentions,
    needs="attention",
    separate_sizes=True,
    question="attention",
    trust="Trust it for where a layer reads, never for a class: it is the same for all of them.",
)
def raw_attention(
    view,
    *,
    layer: str | None = None,
    head: int | Literal["mean", "max", "min"] = "mean",
    query: int | Literal["prefix", "mean"] | None = None,
    grid: int | tuple[int, ...] | None = None,
    resize: bool = True,
):
    """Weights with which a token of one layer reads the positions, such as the class token of the last layer.

    The weights are those of ``kerasal.attribution.attention``. Where windows attend separately, as in a Swin
    transformer, the map is put together from the windows. It is not class specific: the target changes nothing.

    Args:
        view: the model and its inputs in the graph.
        layer: name or path of the attention's layer; by default the last attention.
        head: the number of a head, counted from 0, or "mean", "max" or "min" over all heads.
        query: the token whose row is the map: "prefix" (the first token before the positions), "mean" (the mean over
            the positions) or the index of a token. By default "prefix" if there is such a token, else "mean".
        grid: number of tokens along every axis of the input, or one per axis, such as (rows, columns), if the graph
            does not determine them. Tokens that are no positions come first.
        resize: resize each map to its input's height and width, bilinearly; otherwise it has a value per token.

    Returns:
        float32 (N, *positions), such as (N, H, W), at least 0, a share per token. The attribute ``layer`` of the result
        is the path of the layer.

    Raises:
        ValueError: the model has no attention, or one inside a compiled function or a loop; ``layer`` holds none; the
            grid is not known; or there is no such head or token.
    """
    _, found = last_attentions(view, layer, grid)
    names = [tokens.layer.name for tokens in found]
    view.notes["layer"] = names[0] if len(set(names)) == 1 else PerInput(names)
    maps = []
    for tokens, x in zip(found, view.inputs, strict=True):
        attention, count = tokens.layer, tokens.layer.shape[1]
        weights = attention.arrange(attention.attention.weights)
        rows = tf.einsum("nwhqk,q->nwhk", weights, tokens.query_weights(query))
        if isinstance(head, str):
            row = _REDUCTIONS[head](rows, axis=2)
        elif 0 <= head < count:
            row = rows[:, :, head]
        else:
            raise ValueError(f"head must be the number of one of the {count} heads of {attention.name!r}, got {head}.")
        maps.append(fit_map(tokens.to_map(tf.expand_dims(row, -1), x), x, resize))
    return maps
