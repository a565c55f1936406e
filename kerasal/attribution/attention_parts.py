"""Parts that methods over attentions share: attentions over the same tokens, rows of weights, and their maps."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasal.attribution.method_parts import resize_maps
from kerasal.hooks.attention_layers import AttentionLayer, read_attentions
from kerasal.hooks.axis_factors import Axis, Factor
from kerasal.hooks.view import View
from kerasal.names import count_noun

import tensorflow as tf

_SINGLE_LAYERS = "Look at single layers with raw_attention or attention_gradcam, or use gradcam."


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The tokens of an attention: where among them the positions of an input of the model are.

    Attributes:
        layer: the attention.
        number: number of the model's input.
        keys: axis of the tokens that are attended to.
    """

    layer: AttentionLayer
    number: int
    keys: Axis

    def query_weights(self, query: Any) -> tf.Tensor:
        """Return weights (queries,) that select a query; see the function of this name."""
        unknown = self.layer.queries is None and self.layer.shape[2] == self.layer.shape[3]
        return query_weights(self.keys if unknown else self.layer.queries, self.layer, query)

    def to_map(self, values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Return values (N, windows, keys, channels) as a map (N, *positions, channels) of an input (N, *positions, C).

        An axis of the input along which the tokens have no positions has size 1.
        """
        channels: Any = values.shape[-1]
        positions: Any = self.layer.positions(self.keys, channels)
        maps = self.layer.to_map(values, positions)
        for place in range(x.shape.rank - 2):
            if (self.number, place) not in positions.sources:
                maps = tf.expand_dims(maps, 1 + place)
        return maps


@dataclasses.dataclass(frozen=True)
class Chain:
    """The attentions of an input over the same tokens, in the order in which they run."""

    layers: list[AttentionLayer]
    tokens: Tokens

    def row(self, query: Any) -> tf.Tensor:
        """Return the row of weights over tokens, (1, 1, tokens), that selects a query; see ``query_weights``."""
        return query_weights(self.tokens.keys, self.layers[-1], query)[None, None]

    def to_map(self, row: tf.Tensor, x: tf.Tensor, resize: bool) -> tf.Tensor:
        """Return a row over tokens (N, 1, tokens) as a map (N, *positions) of an input, resized to it or not."""
        return fit_map(self.tokens.to_map(tf.expand_dims(row, -1), x), x, resize)


def read_chains(view: View, grid: Any = None) -> tuple[tf.Tensor, list[Chain]]:
    """Run the model; return the scores (N,) and the attentions of each input, all over the same tokens.

    Args:
        view: the view of the model.
        grid: number of positions along each axis; see ``find_tokens``.

    Raises:
        ValueError: as ``read_attentions`` and ``find_tokens``; an attention is over other tokens, inside windows,
            causal, mixes its heads, or depends on several inputs.
    """
    run, layers = read_attentions(view)
    return view.score(run), [_make_chain(view, layers, number, grid) for number in range(len(view.inputs))]


def last_attentions(view: View, layer: str | None = None, grid: Any = None) -> tuple[tf.Tensor, list[Tokens]]:
    """Run the model; return the scores (N,) and for each input its last attention, or that of the named layer.

    Raises:
        ValueError: as ``read_attentions`` and ``find_tokens``, the layer holds no attention, or it mixes its heads.
    """
    run, layers = read_attentions(view)
    named = [found for found in layers if layer is None or found.is_in(layer)]
    if not named:
        raise ValueError(
            f"layer must name a layer that holds an attention, got {layer!r}. The attentions of {view.model.name!r} "
            f"are {', '.join(repr(found.name) for found in layers)}."
        )
    tokens = []
    for number in range(len(view.inputs)):
        own = [found for found in named if found.inputs == {number}]
        if not own:
            raise _no_attention_of_input(view, number)
        own[-1].check_heads()
        tokens.append(find_tokens(own[-1], own[-1].keys, number, view.inputs[number], grid))
    return view.score(run), tokens


def fit_map(maps: tf.Tensor, x: tf.Tensor, resize: bool) -> tf.Tensor:
    """Return a map (N, *positions, 1) as (N, *positions), with ``resize`` of the sizes of the input."""
    return tf.squeeze(resize_maps(maps, tf.shape(x)[1:-1]) if resize else maps, [-1])


def find_tokens(layer: AttentionLayer, keys: Axis | None, number: int, x: tf.Tensor, grid: Any) -> Tokens:
    """Return where the positions of an input are among the keys of an attention.

    Args:
        layer: the attention.
        keys: the axis of its keys, if it is known.
        number: number of the input.
        x: the input (N, *positions, C).
        grid: number of positions along each axis, or one for all, for keys that are not known; other tokens come first.

    Raises:
        ValueError: the grid is not known, or ``grid`` does not fit the tokens or is not that of the graph.
    """
    count, rank = layer.shape[3], x.shape.rank - 2
    positions = None if keys is None else layer.positions(keys)
    if positions is not None and any(source[0] != number for source in positions.sources):
        positions = None
    if grid is not None:
        sizes = (grid,) * rank if np.ndim(grid) == 0 else tuple(grid)
        if positions is not None:
            known = dict(zip(positions.sources, positions.grid, strict=True))
            if sizes != (found := tuple(known.get((number, place), 1) for place in range(rank))):
                what = f"the {count} tokens of {layer.name!r}, which the graph of the model determines, {found}"
                raise ValueError(f"grid must be that of {what}, got {grid}. Leave grid out.")
        elif len(sizes) != rank or min(sizes) < 1 or math.prod(sizes) > count or layer.windows:
            raise ValueError(
                f"grid must hold the positions of the {count} tokens of {layer.name!r} along {rank} axes, got {grid}."
            )
        else:
            factors = tuple(Factor((number, place), int(size)) for place, size in enumerate(sizes))
            keys = Axis(factors, before=count - math.prod(sizes))
            positions = layer.positions(keys)
    if keys is None or positions is None:
        example = ", ".join(["rows", "columns"][:rank]) if rank < 3 else "…"
        raise ValueError(
            f"The grid of the {count} tokens of {layer.name!r} must be known, but the graph of the model does not "
            f"determine it. Pass grid=({example}), the numbers of tokens along the axes of the input."
        )
    return Tokens(layer, number, keys)


def query_weights(queries: Axis | None, layer: AttentionLayer, query: Any) -> tf.Tensor:
    """Return weights (queries,) that select one query, or average those that are positions.

    Args:
        queries: axis of the tokens that attend, if it is known.
        layer: the attention.
        query: "prefix" for the first token in front of the positions, "mean" for the mean over the positions, the index
            of a token, or None for "prefix" if there is such a token, else "mean".

    Raises:
        ValueError: there is no such token.
    """
    count, prefix = layer.shape[2], 0 if queries is None else queries.before
    if query is None:
        query = "prefix" if prefix else "mean"
    if query == "mean":
        selected = np.ones(count)
        if queries is not None and queries.factors:
            selected[:prefix] = 0
            selected[count - queries.after :] = 0
        return tf.constant(selected / selected.sum(), tf.float32)
    if query == "prefix" and not prefix:
        raise ValueError(
            f"query must be 'mean' or the index of a token, got 'prefix'. {layer.name!r} has no tokens before those of "
            "the positions, such as a class token."
        )
    index = 0 if query == "prefix" else query
    if not 0 <= index < count:
        raise ValueError(f"query must be the index of one of the {count} tokens of {layer.name!r}, got {query}.")
    return tf.one_hot(index, count)


def _make_chain(view: View, layers: Sequence[AttentionLayer], number: int, grid: Any) -> Chain:
    own = [layer for layer in layers if number in layer.inputs]
    if not own:
        raise _no_attention_of_input(view, number)
    known = next((layer.keys for layer in own if layer.keys is not None), None)
    for layer in own:
        layer.check_heads()
        problem = _describe_problem(layer, own[0], known)
        if problem:
            raise ValueError(
                f"All attentions must be over the same tokens to be combined, but {layer.name!r} {problem}. "
                f"{_SINGLE_LAYERS}"
            )
    return Chain(own, find_tokens(own[-1], known, number, view.inputs[number], grid))


def _describe_problem(layer: AttentionLayer, first: AttentionLayer, known: Axis | None) -> str:
    """Return why the weights of an attention cannot be multiplied with those of the first, or ""."""
    windows, _, queries, keys = layer.shape
    if len(layer.inputs) > 1:
        return f"depends on {len(layer.inputs)} inputs"
    if layer.windows:
        return f"attends within {windows} windows separately"
    if queries != keys or (layer.queries is not None and layer.keys is not None and layer.queries != layer.keys):
        return f"attends from {count_noun(queries, 'token')} to {keys} others"
    if keys != first.shape[3] or (layer.keys is not None and layer.keys != known):
        return f"is over {keys} tokens and {first.name!r} over {first.shape[3]} others"
    if layer.is_causal():
        return "is causal: its first tokens never read the others"
    return ""


def _no_attention_of_input(view: View, number: int) -> ValueError:
    names = [tensor.name for tensor in getattr(view.model, "inputs", None) or []]
    name = names[number] if len(names) == len(view.inputs) else str(number)
    return ValueError(
        f"The model must have an attention that depends on input {name!r} alone, but it has none. Use a gradient "
        "method such as class_saliency, which explains every input."
    )
