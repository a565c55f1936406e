"""The maps that Grad-CAM and similar methods weight: the last map before a target, for each input."""

import math
from collections.abc import Sequence

from kerasal.hooks import paths
from kerasal.hooks.attention_checks import hidden_attention
from kerasal.hooks.attentions import Attention, find_attentions, read_tensor
from kerasal.hooks.default_layers import COMPUTING, last_convolution, last_cut
from kerasal.hooks.dependencies import class_maps, cut_tensors, needed_operations, reached_inputs
from kerasal.hooks.layer_maps import CONVOLUTIONS, RECURRENT, LayerMap, find_maps, trace_positions
from kerasal.hooks.position_tracer import PositionTracer
from kerasal.hooks.positions import mixing_operation
from kerasal.hooks.taps import check_single_run
from kerasal.hooks.target_errors import PROJECTIONS, UNUSED_LAYER_MESSAGE, mixing_error, no_map_error
from kerasal.hooks.view import View

import keras
import tensorflow as tf


def default_layer(view: View, inputs: Sequence[tf.Tensor] | None = None) -> str:
    """Return the path of the layer with the model's last map, independent of the target.

    It is the last convolution or recurrent layer, or a later layer that keeps the positions of its output. The model is
    traced on ``inputs``, by default the view's inputs; no values are computed.

    Raises:
        ValueError: the model has no convolution and no recurrent layer.
    """
    inputs = view.inputs if inputs is None else list(inputs)
    kinds = dict(paths.layers(view.model))
    graph, runs = tf.compat.v1.get_default_graph(), {}
    before = len(graph.get_operations())
    view.run(inputs, taps=kinds, output=False, lenient=True, runs=runs)
    tracer = trace_positions(view, inputs, graph.get_operations()[before:], runs, kinds)
    last = last_convolution(find_maps(tracer, {path: tensors[-1:] for path, tensors in runs.items()}), kinds)
    if last is None:
        raise no_map_error(view.model, None, inputs, 0, kinds, {})
    return last.path


def target_maps(view: View, layer: str | None = None) -> tuple[tf.Tensor, list[LayerMap]]:
    """Run the model; return the scores (N,) and one map per input on which the target depends.

    A map has a value for each position along all position axes of the input, (N, *positions, C) as a method sees it.
    By default it is the output of the last convolution or recurrent layer including its normalization and activation,
    or of the layer that joins the last ones. Only layers that every path from the input to the target goes through
    (``hooks.dependencies``) are considered, in the order in which they run. If there is none, for example because of a
    skip connection around all of them, it is the last convolution. Maps that depend on several inputs do not count, and
    neither do class maps if the target reads the output per position. For an output with scores per position, as of a
    segmentation, it is the last of the maps with the fewest positions, which see the largest part of the input.

    If attention follows, the map is the tensor from which the last attention takes its keys: in a vision transformer
    the output of the first normalization of the last block.

    Args:
        view: the view of the model.
        layer: name or path of another layer. If it runs several times, each input gets the last run that depends on
            that input alone.

    Raises:
        ValueError: the model has no such layer before the target; positions are mixed after the map in another way than
            by attention; the layer has no map, or the target does not depend on it; an input has no map.
    """
    inputs = view.inputs
    named = None if layer is None else paths.find(view.model, layer)[0]
    kinds = dict(paths.layers(view.model))
    graph, runs = tf.compat.v1.get_default_graph(), {}
    before = len(graph.get_operations())
    taps = list(kinds) if named is None else [named]
    run = view.run(taps=taps, lenient=set(taps) - {named, *view.layers}, runs=runs)
    operations = graph.get_operations()[before:]
    if len(inputs) > 1:
        for name in view.layers:
            check_single_run(name, runs[name])
    scores = view.score(run)
    reached = reached_inputs(inputs, operations)
    needed = needed_operations(scores)
    tracer = trace_positions(view, inputs, operations, runs, kinds)
    maps = find_maps(tracer, {path: runs.get(path, []) for path in taps})
    if named is not None:
        _check_named(named, run.layers[named], maps, inputs)
    maps = [layer_map for layer_map in maps if layer_map.tensor.op in needed]
    if named is not None and not any(tensor.op in needed for tensor in runs.get(named, [])):
        raise ValueError(UNUSED_LAYER_MESSAGE.format(named))
    if named is None:
        outputs = [run.output, *run.outputs.values.values()]
        classes = set().union(*map(class_maps, outputs))
        maps = [layer_map for layer_map in maps if layer_map.tensor.ref() not in classes]
    chosen_maps = []
    for number, x in enumerate(inputs):
        candidates = [
            layer_map
            for layer_map in maps
            if reached.get(layer_map.tensor.ref()) == {number} and layer_map.covers(number, x)
        ]
        if named is not None:
            chosen = candidates[-1] if candidates else None
        else:
            path = [op for op in graph.get_operations()[before:] if op in needed]
            by_position = any(output is not None and output.shape.rank == x.shape.rank > 2 for output in outputs)
            if by_position:
                candidates = _coarsest(candidates)
            inside = [op for op in operations if op in needed]  # not those of the target
            chosen = _default_map(view.model, tracer, candidates, number, x, (path, inside), kinds, by_position)
        if chosen is None:
            raise no_map_error(view.model, named, inputs, number, kinds, runs)
        chosen_maps.append(chosen)
    return scores, chosen_maps


def _coarsest(maps: list[LayerMap]) -> list[LayerMap]:
    """Return the maps with the fewest positions."""
    sizes = [float("inf") if None in item.grid else math.prod(item.grid) for item in maps]
    return [item for item, size in zip(maps, sizes, strict=True) if size == min(sizes)]


def _default_map(
    model, tracer: PositionTracer, maps: list[LayerMap], number: int, x, paths_to_score, kinds, by_position: bool
) -> LayerMap | None:
    """Return the default map for an input.

    ``paths_to_score`` are the operations that the score needs, in their order, with and without those of the target.
    """
    whole, path = paths_to_score
    cuts = set() if by_position else cut_tensors(x, whole)
    chosen = last_cut(maps, kinds, cuts) or last_convolution(maps, kinds)
    place = {x.op.name: -1, **{op.name: order for order, op in enumerate(path)}}  # a layer may return its input
    attentions = [item for item in find_attentions(tracer, path) if _reads_positions(item, tracer, number)]
    if by_position:  # those in a decoder read more positions
        grids = {item.grid for item in maps}
        attentions = [item for item in attentions if _grid_read(item, tracer) in {None, *grids}]
    if any(attention.product in tracer.mixing for attention in attentions):
        last = attentions[-1]
        convolved = [place[item.tensor.op.name] for item in maps if isinstance(kinds[item.path], CONVOLUTIONS)]
        if place[last.product.name] > max(convolved, default=-1):
            attended = _attended_map(tracer, attentions, maps, number, x, place, kinds)
            if attended is not None:
                return attended
    if chosen is not None:
        end = place[chosen.tensor.op.name]
        computing = [kinds[item.path] for item in maps if place[item.tensor.op.name] <= end]
        computing = [layer for layer in computing if isinstance(layer, COMPUTING)]
        is_first = bool(attentions) and end < place[attentions[0].product.name]
        if is_first and computing and all(map(_is_patch_embedding, computing)):
            raise mixing_error(model, chosen, maps, kinds, f"{attentions[0].product.name}, the first to mix patches")
        if not by_position:
            _check_mixing(model, chosen, path, maps, kinds)
            convolved = [place[item.tensor.op.name] for item in maps if isinstance(kinds[item.path], CONVOLUTIONS)]
            last = max(convolved, default=-1)
            unknown = [item.product for item in attentions if (tracer.axes(item.weights) or (None,))[item.axis] is None]
            lost = [op for op in unknown if place[op.name] > last] + [hidden_attention(path[last + 1 :])]
            if lost[0] is not None:
                what = f"{lost[0].name}, an attention whose positions cannot be followed"
                raise mixing_error(model, chosen, maps, kinds, what)
    return chosen


def _reads_positions(attention: Attention, tracer: PositionTracer, number: int) -> bool:
    """Return whether the weights of an attention run over positions of this input, or over an axis that is unknown."""
    axes = tracer.axes(attention.weights)
    last = axes[-1] if axes else None
    return last is None or any(
        isinstance(factor.source, tuple) and factor.source[0] == number for factor in last.positions
    )


def _grid_read(attention: Attention, tracer: PositionTracer) -> tuple | None:
    """Return the grid of the tensor from which an attention takes its keys, or None if it is not known."""
    tensor = read_tensor(attention, tracer)
    positions = None if tensor is None else tracer.positions(tensor)
    return None if positions is None else positions.grid


def _attended_map(
    tracer, attentions: list[Attention], maps: list[LayerMap], number, x, place, kinds
) -> LayerMap | None:
    """Return the map from which the last attention takes its keys, or else the last map between two attentions."""
    tensor = read_tensor(attentions[-1], tracer)
    positions = None if tensor is None else tracer.positions(tensor)
    if tensor is not None and positions is not None:
        same = [layer_map for layer_map in maps if layer_map.tensor.ref() == tensor.ref()]
        if any(isinstance(kinds[layer_map.path], CONVOLUTIONS) for layer_map in same):
            return None  # the patch embedding, which holds no context
        found = same[-1] if same else LayerMap(tensor.op.name, tensor, positions)
        return found if found.covers(number, x) else None
    if len(attentions) < 2:
        return None
    start, end = place[attentions[-2].product.name], place[attentions[-1].weights.op.name]
    between = [
        layer_map
        for layer_map in maps
        if start < place[layer_map.tensor.op.name] < end and not isinstance(kinds[layer_map.path], PROJECTIONS)
    ]
    return between[-1] if between else None


def _check_named(named: str, output: tf.Tensor, maps: list[LayerMap], inputs: Sequence[tf.Tensor]) -> None:
    """Raise an error if the output of the layer that the caller names is no map of an input."""
    if len(inputs) > 1:
        return
    if not maps:
        is_open = output.shape.rank is not None and None in output.shape[1:]
        remedy = "Build the model for inputs of a fixed size, or choose" if is_open else "Choose"
        raise ValueError(
            f"Layer {named!r} must have a map, an output with positions of the input and an axis of channels, but its "
            f"output is {output.shape} and its positions are not known. {remedy} another layer, such as a convolution "
            "or the normalization before an attention."
        )
    if not any(layer_map.covers(number, x) for layer_map in maps for number, x in enumerate(inputs)):
        counts = " or ".join(str(x.shape.rank - 2) for x in inputs)
        raise ValueError(
            f"Layer {named!r} must have positions along all {counts} position axes of an input, but its output "
            f"{output.shape} has them along {len(maps[-1].positions.sources)}. Choose an earlier layer."
        )


def _check_mixing(model, chosen: LayerMap, operations, maps: list[LayerMap], kinds: dict) -> None:
    """Raise an error if positions are mixed between the map and the score, since the map is then no localization."""
    if isinstance(kinds.get(chosen.path), RECURRENT):
        return
    mixing = mixing_operation(chosen.tensor, operations, chosen.positions.channel_axis)
    if mixing is not None:
        raise mixing_error(model, chosen, maps, kinds, mixing)


def _is_patch_embedding(layer: keras.Operation | None) -> bool:
    """Return whether a layer is a convolution whose windows do not overlap, so that it sees a patch at a time."""
    sizes = getattr(layer, "kernel_size", None)
    return isinstance(layer, CONVOLUTIONS) and sizes == getattr(layer, "strides", None) and max(sizes or (1,)) > 1
