"""The attentions of a run of a model, by the names of their layers, with weights (N, windows, heads, queries, keys)."""

import dataclasses
import math
from collections.abc import Mapping

from kerasal.hooks import paths
from kerasal.hooks.attention_checks import check_hidden_attentions, is_causal
from kerasal.hooks.attentions import Attention, find_attentions
from kerasal.hooks.axis_factors import BATCH, BATCH_SIZE, CHANNEL, Axis, Factor, channel
from kerasal.hooks.dependencies import reached_inputs
from kerasal.hooks.layer_maps import trace_positions
from kerasal.hooks.map_positions import Positions, find_positions
from kerasal.hooks.position_tracer import PositionTracer
from kerasal.hooks.view import Run, View

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class AttentionLayer:
    """An attention of a run.

    Attributes:
        name: path of the innermost layer that holds the whole attention; see ``read_attentions``.
        attention: its softmax, with which a tape differentiates a score (``attention.weights``).
        inputs: numbers of the model's inputs on which it depends.
        windows: factors of the positions whose windows attend separately; empty if all positions attend to each other.
        queries: axis of the tokens that attend, or None if it is not known.
        keys: axis of the tokens that they attend to, or None if it is not known.
        shape: number of windows, heads, queries and keys.
    """

    name: str
    attention: Attention
    inputs: frozenset[int]
    windows: tuple[Factor, ...]
    queries: Axis | None
    keys: Axis | None
    shape: tuple[int, int, int, int]
    _sizes: tuple[int, ...]
    _order: tuple[int, ...]
    _tracer: PositionTracer

    def is_in(self, name: str) -> bool:
        """Return whether this is the attention of this name, or is inside the layer of this name or end of a path."""
        return f"/{name}/" in f"/{self.name}/" or f"/{name}:" in f"/{self.name}"

    def arrange(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor with the axes of the weights, such as their gradient, as (N, windows, heads, queries, keys).

        It is float32.
        """
        tensor = tf.cast(tensor, tf.float32)
        if len(self._sizes) != tensor.shape.rank:
            tensor = tf.reshape(tensor, self._sizes)
        if self._order != tuple(range(len(self._order))):
            tensor = tf.transpose(tensor, self._order)
        return tf.reshape(tensor, [-1, *self.shape])

    def is_causal(self) -> bool:
        """Return whether a constant mask lets each token attend only to tokens on one side of it."""
        return is_causal(self.attention, self._tracer)

    def check_heads(self) -> None:
        """Raise an error if heads are mixed after the softmax, so that its weights are not those of the values.

        Raises:
            ValueError: as above.
        """
        if self.attention.mixes_heads:
            raise ValueError(
                f"{self.name!r} must weight its values by a softmax, but it mixes its heads between the softmax and "
                "the values (talking heads). Choose other layers, or use another method such as gradcam."
            )

    def positions(self, keys: Axis | None, channels: int = 1) -> Positions | None:
        """Return the positions of a tensor (N, *windows, keys, channels), or None if they are not known.

        ``keys`` is the axis of the keys, ``self.keys`` or one that is known from elsewhere.
        """
        batch = Axis((Factor(BATCH, BATCH_SIZE),))
        return find_positions((batch, *[Axis((factor,)) for factor in self.windows], keys, channel(channels)))

    def to_map(self, values: tf.Tensor, positions: Positions) -> tf.Tensor:
        """Return values (N, windows, keys, channels) as a map (N, *positions, channels) of the positions they have."""
        sizes = [factor.size for factor in self.windows]
        maps = positions.to_map(tf.reshape(values, [-1, *sizes, self.shape[3], values.shape[-1]]))
        return positions.cover_input(maps)


def read_attentions(view: View, *, output: bool | None = None) -> tuple[Run, list[AttentionLayer]]:
    """Run the model; return the run and its attentions, in the order in which they run.

    An attention is named after the innermost layer that holds both its softmax and the product with the values, or if
    there is none after the layer that holds the softmax, or "attention". A second attention of this name gets ":2".

    Args:
        view: the view of the model.
        output: whether the output is needed; see ``View.run``.

    Raises:
        ValueError: there is no attention, one is inside a compiled function or a loop, or its axes are not known.
    """
    kinds = dict(paths.layers(view.model))
    graph = tf.compat.v1.get_default_graph()
    before, runs, spans = graph.num_operations(), {}, {}
    run = view.run(taps=list(kinds), lenient=set(kinds) - set(view.layers), runs=runs, spans=spans, output=output)
    operations = graph.get_operations()
    added = operations[before:]
    check_hidden_attentions(added)
    tracer = trace_positions(view, view.inputs, added, runs, kinds)
    place = {op.name: number for number, op in enumerate(operations)}
    reached, names, layers = reached_inputs(view.inputs, added), {}, []
    for attention in find_attentions(tracer, added):
        keys = (tracer.axes(attention.weights) or (None,))[attention.axis]
        if keys is not None and keys.has(CHANNEL):  # attention over channels, or a mixture of experts
            continue
        name = _layer_name(attention, spans, place)
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name}:{names[name]}"
        numbers = frozenset(reached.get(attention.weights.ref(), ()))
        layers.append(_make_layer(name, attention, numbers, tracer))
    if not layers:
        raise ValueError(
            f"The model must have an attention, a softmax over positions times values, but {view.model.name!r} has "
            "none. Use another method, such as gradcam."
        )
    return run, layers


def _layer_name(attention: Attention, spans: Mapping[str, list[tuple[int, int]]], place: Mapping[str, int]) -> str:
    start, end = place[attention.weights.op.name], place[attention.product.name]
    whole, part = [], []
    for path, runs in spans.items():
        for first, after in runs:
            if first <= start < after:
                (whole if end < after else part).append((after - first, -path.count("/"), path))
    return min(whole or part, default=(0, 0, "attention"))[-1]


@dataclasses.dataclass(frozen=True)
class _Part:
    """A part of an axis of weights: its kind, size (-1 for the number of images) and factor."""

    kind: str
    size: int
    factor: Factor | None = None


def _make_layer(name: str, attention: Attention, inputs: frozenset[int], tracer: PositionTracer) -> AttentionLayer:
    weights = attention.weights
    axes = tracer.axes(weights) or ()
    keys = attention.axis % len(axes)
    others = [axis for axis in range(1, len(axes)) if axis != keys]
    queries = attention.query_axis
    if queries is None:
        queries = next((axis for axis in reversed(others) if _may_be_queries(axes[axis])), None)
    if queries is None:
        raise _unknown_axes(name, weights)
    parts: list[_Part] = []
    for number, (axis, size) in enumerate(zip(axes, weights.shape.as_list(), strict=True)):
        if size is None and axis is not None:
            size = axis.size
        if number in (keys, queries):
            parts.append(_Part("keys" if number == keys else "queries", _known_size(name, weights, size)))
        elif axis is None or not axis.factors:
            if axis is None and (number == 0 or len(axes) > 4):  # it may hold images or windows
                raise _unknown_axes(name, weights)
            parts.append(_Part("heads", _known_size(name, weights, size)))
        elif axis.before or axis.after:
            raise _unknown_axes(name, weights)
        else:
            parts += [_make_part(name, weights, factor) for factor in axis.factors]
    groups = {
        kind: [place for place, part in enumerate(parts) if part.kind == kind]
        for kind in (BATCH, "windows", "heads", "queries", "keys")
    }
    if len(groups[BATCH]) != 1:
        raise _unknown_axes(name, weights)
    windows, heads, *tokens = [math.prod(parts[place].size for place in group) for group in list(groups.values())[1:]]
    return AttentionLayer(
        name,
        attention,
        inputs,
        tuple(factor for part in parts if part.kind == "windows" and (factor := part.factor) is not None),
        axes[queries],
        axes[keys],
        (windows, heads, tokens[0], tokens[1]),
        tuple(part.size for part in parts),
        tuple(place for group in groups.values() for place in group),
        tracer,
    )


def _make_part(name: str, weights: tf.Tensor, factor: Factor) -> _Part:
    if factor.source == BATCH:
        return _Part(BATCH, -1, factor)
    return _Part("windows" if factor.is_position else "heads", _known_size(name, weights, factor.size), factor)


def _known_size(name: str, weights: tf.Tensor, size: int | None) -> int:
    if size is None:
        raise ValueError(f"Attention {name!r} must have a known number of tokens, got weights {weights.shape}.")
    return size


def _may_be_queries(axis: Axis | None) -> bool:
    return axis is None or not (axis.has(CHANNEL) or axis.has(BATCH))


def _unknown_axes(name: str, weights: tf.Tensor) -> ValueError:
    return ValueError(
        f"Attention {name!r} must have weights (N, heads, queries, keys), got {weights.shape} with axes whose meaning "
        "is not known. Use a gradient method such as class_saliency."
    )
