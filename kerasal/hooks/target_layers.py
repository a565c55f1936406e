"""The maps that Grad-CAM and similar methods weight: the last convolutional map before a target, for each input."""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks import paths
from kerasal.hooks.dependencies import class_maps, cut_tensors, needed_operations, reached_inputs
from kerasal.hooks.positions import is_transposed, mixing_operation, move_axis
from kerasal.hooks.taps import check_single_run
from kerasal.hooks.view import View

import keras
import tensorflow as tf

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_PROJECTIONS = (keras.layers.EinsumDense,)  # queries, keys and values of attention: (N, tokens, heads, channels)
_POOLINGS = frozenset(("Max", "Mean", "Reshape", "Sum"))
UNUSED_LAYER_MESSAGE = (
    "The target must depend on layer {!r}, whose map is weighted, but it does not. Choose a layer before the target "
    "with layer=."
)


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """The output (N, h, w, C) of a run of a layer, with the layer's path and the channel axis of the output.

    ``transposed`` is True if the model exchanged the input's rows and columns first, as with ``Permute((2, 1, 3))``.
    """

    path: str
    tensor: tf.Tensor
    channel_axis: int
    transposed: bool = False

    def to_input_axes(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor with the axes of the map, such as its gradient, as (N, rows, columns, C) of the input."""
        tensor = move_axis(tensor, self.channel_axis, 3)
        return tf.transpose(tensor, (0, 2, 1, 3)) if self.transposed else tensor


def last_map(view: View, inputs: Sequence[tf.Tensor] | None = None) -> str:
    """Return the path of the layer with the model's last map, independent of the target.

    It is the last convolution, or a later layer that keeps the shape of its output. The model is traced on ``inputs``,
    by default the view's inputs; no values are computed.

    Raises:
        ValueError: the model has no two-dimensional convolution.
    """
    inputs = view.inputs if inputs is None else list(inputs)
    kinds = dict(paths.layers(view.model))
    outputs = view.run(inputs, taps=kinds, output=False, lenient=True).layers
    reached = reached_inputs(inputs, tf.compat.v1.get_default_graph().get_operations())
    maps = _maps_in_order(view, {path: [tensor] for path, tensor in outputs.items()})
    last = _last_convolution(_drop_pooled(maps, reached), kinds)
    if last is None:
        raise _no_map_error(view.model, None, inputs, 0, kinds, {})
    return last.path


def target_maps(view: View, layer: str | None = None) -> tuple[tf.Tensor, list[LayerMap]]:
    """Run the model; return the scores (N,) and one map per input on which the target depends.

    By default the map is the output of the last convolution including its normalization and activation, or of the
    layer that joins the last convolutions. Only layers that every path from the input to the target goes through
    (``hooks.dependencies``) are considered, in the order in which they run. If there is none, for example because of a
    skip connection around all of them, it is the last convolution. Maps of pooled features and maps that depend on
    several inputs do not count, and neither do class maps if the target reads the output per position.

    Args:
        view: the view of the model.
        layer: name or path of another layer. If it runs several times, each input gets the last run that depends on
            that input alone.

    Raises:
        ValueError: there is no convolution before the target; positions are mixed after the map, for example by
            attention; the layer has no map, or the target does not depend on it; an input has no map.
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
    path = [op for op in graph.get_operations()[before:] if op in needed]
    maps = _maps_in_order(view, {path: runs.get(path, []) for path in taps})
    heads = named is not None and isinstance(kinds[named], _PROJECTIONS) and bool(maps)
    if named is not None and (heads or not maps):
        raise ValueError(
            f"Layer {named!r} must have a map, an output (N, h, w, channels), but its output is "
            f"{run.layers[named].shape}{' of tokens and attention heads' * heads}. Choose a convolution."
        )
    maps = [layer_map for layer_map in maps if layer_map.tensor.op in needed]
    if named is not None and not maps:
        raise ValueError(UNUSED_LAYER_MESSAGE.format(named))
    if named is None:
        classes = class_maps(run.output)
        maps = [layer_map for layer_map in maps if layer_map.tensor.ref() not in classes]
    chosen_maps = []
    for number in range(len(inputs)):
        candidates = [layer_map for layer_map in maps if reached.get(layer_map.tensor.ref()) == {number}]
        if named is None:
            candidates = _drop_pooled(candidates, reached)
            cuts = cut_tensors(inputs[number], path)
            chosen = _last_cut(candidates, kinds, cuts) or _last_convolution(candidates, kinds)
            if chosen is not None:
                _check_positions(view.model, chosen, [op for op in operations if op in needed], candidates)
        else:
            chosen = candidates[-1] if candidates else None
        if chosen is None:
            raise _no_map_error(view.model, named, inputs, number, kinds, runs)
        transposed = is_transposed(inputs, number, operations, chosen.tensor, chosen.channel_axis)
        chosen_maps.append(dataclasses.replace(chosen, transposed=transposed))
    return scores, chosen_maps


def _maps_in_order(view: View, runs: dict[str, list[tf.Tensor]]) -> list[LayerMap]:
    """Return the maps among the outputs of layers, in the order in which the layers ran."""
    maps = [
        LayerMap(path, tensor, view.layout.channel_axis(path, tensor))
        for path, tensors in runs.items()
        for tensor in {tensor.ref(): tensor for tensor in tensors}.values()
        if tensor.shape.rank == 4
    ]
    operations = tf.compat.v1.get_default_graph().get_operations()
    place = {op.name: number for number, op in enumerate(operations)}
    return sorted(maps, key=lambda layer_map: (place[layer_map.tensor.op.name], layer_map.path.count("/")))


def _last_cut(maps: list[LayerMap], kinds: dict, cuts: set) -> LayerMap | None:
    """Return the last map that every path goes through and that convolutions computed, or that keeps such a map's size.

    This is a convolution, or a layer that joins the branches of several, such as a concatenation with the size of a map
    in the branches. There are paths around a branch, a gate and the weights of a pooling, so they do not count.
    """
    last, sizes, convolved = None, set(), False
    for layer_map in maps:
        convolved |= isinstance(kinds[layer_map.path], _CONVOLUTIONS)
        if layer_map.tensor.ref() not in cuts:
            sizes.add(_size(layer_map))
        elif isinstance(kinds[layer_map.path], _CONVOLUTIONS):
            last, sizes, convolved = layer_map, set(), False
        else:
            follows = last is not None and _size(layer_map) == _size(last) and _is_new(layer_map, last)
            if follows or (convolved and _size(layer_map) in sizes):
                last = layer_map
            sizes, convolved = set(), False
    return last


def _drop_pooled(maps: list[LayerMap], reached: dict) -> list[LayerMap]:
    """Return the maps that are not pooled to 1 × 1, or all maps if all are pooled."""
    return [layer_map for layer_map in maps if not _is_pooled(layer_map, reached)] or maps


def _last_convolution(maps: list[LayerMap], kinds: dict) -> LayerMap | None:
    """Return the last convolution's map, or a later map that keeps its shape or multiplies it."""
    last = None
    for layer_map in maps:
        if isinstance(kinds[layer_map.path], _CONVOLUTIONS) or (last is not None and _follows(layer_map, last)):
            last = layer_map
    return last


def _follows(later: LayerMap, earlier: LayerMap) -> bool:
    if not _is_new(later, earlier):
        return False
    # A map of a single channel that multiplies all channels is a gate, as in spatial attention, and holds no features.
    is_gated = earlier.tensor.shape[earlier.channel_axis] == 1 and later.tensor.op.type == "Mul"
    return _size(later) == _size(earlier) if is_gated else later.tensor.shape[1:] == earlier.tensor.shape[1:]


def _is_new(later: LayerMap, earlier: LayerMap) -> bool:
    # In inference mode a dropout returns its input; that tensor keeps the name of the layer that computed it.
    return later.tensor is not earlier.tensor or later.path.count("/") > earlier.path.count("/")


def _size(layer_map: LayerMap) -> tuple:
    return tuple(size for axis, size in enumerate(layer_map.tensor.shape) if axis not in (0, layer_map.channel_axis))


def _is_pooled(layer_map: LayerMap, reached: dict) -> bool:
    """Return whether a map of 1 × 1 comes from pooling, which loses positions; strides keep them."""
    if set(_size(layer_map)) != {1}:
        return False
    pending, done = [layer_map.tensor.op], set()
    while pending:
        op = pending.pop()
        done.add(op)
        # A normalization reshapes its parameters, which do not depend on an input.
        for tensor in (tensor for tensor in op.inputs if tensor.ref() in reached):
            rank = tensor.shape.rank
            if op.type in _POOLINGS and (rank != 4 or sum(size != 1 for size in tensor.shape[1:]) > 1):
                return True
            if rank == 4 and tensor.op not in done and sum(size != 1 for size in tensor.shape[1:]) <= 1:
                pending.append(tensor.op)
    return False


def _check_positions(model, chosen: LayerMap, operations, maps: list[LayerMap]) -> None:
    """Raise an error if positions are mixed between the map and the score, since the map is then no localization."""
    mixing = mixing_operation(chosen.tensor, operations, chosen.channel_axis)
    if mixing is None:
        return
    kinds = dict(paths.layers(model))
    large = [item.path for item in maps if set(_size(item)) != {1} and not isinstance(kinds[item.path], _PROJECTIONS)]
    names = list(dict.fromkeys(large))
    raise ValueError(
        f"The positions of the default layer must stay separate up to the score, but {model.name!r} mixes those of "
        f"{chosen.path!r} later ({mixing}), by attention or a layer along tokens. Use a gradient method such as "
        f"class_saliency, or accept the mixing and choose a layer with layer=: {', '.join(map(repr, names))}."
    )


def _no_map_error(model, named: str | None, inputs, number: int, kinds: dict, runs: dict) -> ValueError:
    if named is not None and len(inputs) == 1:
        return ValueError(f"Layer {named!r} must depend on the input to have a map of it. Choose another layer.")
    if len(inputs) > 1:
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        name = names[number] if len(names) == len(inputs) else str(number)
        what = f"Layer {named!r}" if named else "The model"
        return ValueError(
            f"{what} must have a map for input {name!r}: the output of a convolution that depends on this input alone "
            "and that the target depends on. There is none. Use a gradient method such as class_saliency, which "
            "explains every input."
        )
    where, which = "", "with an (N, h, w, channels) output."
    if any(isinstance(kinds[path], _CONVOLUTIONS) for path in runs):
        where, which = " before the target", "before the target with layer=."
    return ValueError(
        f"The model must have a two-dimensional convolution{where}, but {model.name!r} has none. Use a gradient method "
        f"such as class_saliency, or choose a layer {which}"
    )
