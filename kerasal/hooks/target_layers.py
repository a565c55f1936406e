"""Which of a model's layers gives the last map, for each of its inputs: ``view -> path``, or paths and tensors."""

import dataclasses
from collections.abc import Sequence

from kerasal.hooks import paths
from kerasal.hooks.dependencies import class_maps, cut_tensors, needed_operations, reached_inputs
from kerasal.hooks.positions import are_exchanged, mixing_operation, move_axis
from kerasal.hooks.taps import check_one_run
from kerasal.hooks.view import View

import keras
import tensorflow as tf

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLINGS = frozenset(("Max", "Mean", "Reshape", "Sum"))
UNUSED_LAYER_MESSAGE = (
    "The target does not depend on layer {!r}, whose map is weighted. Name a layer that comes before the target with "
    "layer=."
)


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """One run of a layer: its path, its output (N, h, w, C) as the layer gives it, and that output's channel axis.

    ``turned`` says that the model exchanged the input's rows and columns before it, as by ``Permute((2, 1, 3))``.
    """

    path: str
    tensor: tf.Tensor
    channel_axis: int
    turned: bool = False

    def turn_back(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return a tensor of the output's axes, such as its gradient, as (N, rows, columns, C) of the input."""
        tensor = move_axis(tensor, self.channel_axis, 3)
        return tf.transpose(tensor, (0, 2, 1, 3)) if self.turned else tensor


def last_map(view: View, inputs: Sequence[tf.Tensor] | None = None) -> str:
    """Return the path of the model's last map, whatever the target: the last convolution's, or what keeps its shape.

    The model is run at ``inputs``, by default the view's; nothing of that run is computed.

    Raises:
        ValueError: the model has no two-dimensional convolution.
    """
    inputs = view.inputs if inputs is None else list(inputs)
    kinds = dict(paths.layers(view.model))
    seen = view.run(inputs, taps=kinds, output=False, lenient=True).layers
    reached = reached_inputs(inputs, tf.compat.v1.get_default_graph().get_operations())
    found = _last(_with_places(_in_order(view, {path: [tensor] for path, tensor in seen.items()}), reached), kinds)
    if found is None:
        raise _no_map(view.model, None, inputs, 0, kinds, {})
    return found.path


def target_maps(view: View, layer: str | None = None) -> tuple[tf.Tensor, list[LayerMap]]:
    """Run the model; return the (N,) scores and, for each input, the map on which the target depends.

    By default it is the last convolution's, after its normalization and activation, or that of the layer which joins
    the last ones: layers are taken in the order in which they run, and of them those through which everything goes that
    the target reads of the input (``hooks.dependencies``). Only where none is, as beside a connection around all of them, it is
    the last convolution whatever it feeds. Maps of pooled features do not count, nor the classes' own maps where the
    target reads the output by position, nor what depends on several inputs. ``layer`` names another; of its runs, each
    input has the last that depends on it alone.

    Raises:
        ValueError: no convolution before the target; positions that are mixed later, by attention for example; a layer
            without a map, or on which the target does not depend; an input without a map of its own.
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
            check_one_run(name, runs[name])
    scores = view.score(run)
    reached = reached_inputs(inputs, operations)
    needed = needed_operations(scores)
    path = [op for op in graph.get_operations()[before:] if op in needed]
    maps = _in_order(view, {path: runs.get(path, []) for path in taps})
    if named is not None and not maps:
        raise ValueError(
            f"Layer {named!r} has no map: its output is {run.layers[named].shape}, expected (N, h, w, channels)."
        )
    maps = [one for one in maps if one.tensor.op in needed]
    if named is not None and not maps:
        raise ValueError(UNUSED_LAYER_MESSAGE.format(named))
    if named is None:
        classes = class_maps(run.output)
        maps = [one for one in maps if one.tensor.ref() not in classes]
    found = []
    for number in range(len(inputs)):
        mine = [one for one in maps if reached.get(one.tensor.ref()) == {number}]
        if named is None:
            mine = _with_places(mine, reached)
            chosen = _last_cut(mine, kinds, cut_tensors(inputs[number], path)) or _last(mine, kinds)
            if chosen is not None:
                _check_positions(view.model, chosen, [op for op in operations if op in needed], mine)
        else:
            chosen = mine[-1] if mine else None
        if chosen is None:
            raise _no_map(view.model, named, inputs, number, kinds, runs)
        turned = are_exchanged(inputs, number, operations, chosen.tensor, chosen.channel_axis)
        found.append(dataclasses.replace(chosen, turned=turned))
    return scores, found


def _in_order(view: View, runs: dict[str, list[tf.Tensor]]) -> list[LayerMap]:
    """Return the maps among what layers gave in their runs, in the order in which they ran."""
    maps = [
        LayerMap(path, tensor, view.layout.channel_axis(path, tensor))
        for path, tensors in runs.items()
        for tensor in {tensor.ref(): tensor for tensor in tensors}.values()
        if tensor.shape.rank == 4
    ]
    operations = tf.compat.v1.get_default_graph().get_operations()
    place = {op.name: number for number, op in enumerate(operations)}
    return sorted(maps, key=lambda one: (place[one.tensor.op.name], one.path.count("/")))


def _last_cut(maps: list[LayerMap], kinds: dict, cuts: set) -> LayerMap | None:
    """Return the last map that everything goes through and that convolutions made, or that keeps the size of one.

    A convolution itself is one, and what joins the branches of several: a concatenation as large as one of the maps
    in them. A branch, a gate or the weights of a pooling are passed by, and so are none.
    """
    found, sizes, convolved = None, set(), False
    for one in maps:
        convolved |= isinstance(kinds[one.path], _CONVOLUTIONS)
        if one.tensor.ref() not in cuts:
            sizes.add(_size(one))
        elif isinstance(kinds[one.path], _CONVOLUTIONS):
            found, sizes, convolved = one, set(), False
        else:
            follows = found is not None and _size(one) == _size(found) and _is_new(one, found)
            if follows or (convolved and _size(one) in sizes):
                found = one
            sizes, convolved = set(), False
    return found


def _with_places(maps: list[LayerMap], reached: dict) -> list[LayerMap]:
    return [one for one in maps if not _is_pooled(one, reached)] or maps  # a pooled map is better than none


def _last(maps: list[LayerMap], kinds: dict) -> LayerMap | None:
    """Return the last map that is a convolution's, or keeps the shape of one or multiplies with it."""
    found = None
    for one in maps:
        if isinstance(kinds[one.path], _CONVOLUTIONS) or (found is not None and _follows(one, found)):
            found = one
    return found


def _follows(one: LayerMap, before: LayerMap) -> bool:
    if not _is_new(one, before):
        return False
    # A map of one channel that is stretched over all is a gate, as spatial attention has it, and not the features.
    is_gated = before.tensor.shape[before.channel_axis] == 1 and one.tensor.op.type == "Mul"
    return _size(one) == _size(before) if is_gated else one.tensor.shape[1:] == before.tensor.shape[1:]


def _is_new(one: LayerMap, before: LayerMap) -> bool:
    # A dropout passes its input on at inference: the same tensor keeps the name of the layer that made it.
    return one.tensor is not before.tensor or one.path.count("/") > before.path.count("/")


def _size(one: LayerMap) -> tuple:
    return tuple(size for axis, size in enumerate(one.tensor.shape) if axis not in (0, one.channel_axis))


def _is_pooled(one: LayerMap, reached: dict) -> bool:
    """Tell whether a map of 1 × 1 was made of pooled features, whose places are gone; strides leave theirs.

    Only what an input ``reached`` counts: a normalization reshapes its parameters.
    """
    if set(_size(one)) != {1}:
        return False
    pending, done = [one.tensor.op], set()
    while pending:
        op = pending.pop()
        done.add(op)
        for tensor in (tensor for tensor in op.inputs if tensor.ref() in reached):
            rank = tensor.shape.rank
            if op.type in _POOLINGS and (rank != 4 or sum(size != 1 for size in tensor.shape[1:]) > 1):
                return True
            if rank == 4 and tensor.op not in done and sum(size != 1 for size in tensor.shape[1:]) <= 1:
                pending.append(tensor.op)
    return False


def _check_positions(model, chosen: LayerMap, operations, maps: list[LayerMap]) -> None:
    """Refuse a map whose positions are mixed on the way to the score: what the score reads there is not in place."""
    mixing = mixing_operation(chosen.tensor, operations, chosen.channel_axis)
    if mixing is None:
        return
    paths_ = list(dict.fromkeys(one.path for one in maps if set(_size(one)) != {1}))
    raise ValueError(
        f"{model.name!r} mixes the positions of its last convolution's map, {chosen.path!r}, after it ({mixing}): by "
        "attention, or a layer along its tokens. So there is no default layer. Name one with layer=, knowing that its "
        f"positions are mixed later: {', '.join(map(repr, paths_))}; or use a gradient method such as class_saliency."
    )


def _no_map(model, named: str | None, inputs, number: int, kinds: dict, runs: dict) -> ValueError:
    if named is not None and len(inputs) == 1:
        return ValueError(f"Layer {named!r} does not depend on the input, so it has no map of it. Name another.")
    if len(inputs) > 1:
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        name = names[number] if len(names) == len(inputs) else str(number)
        what = f"Layer {named!r}" if named else "The model"
        return ValueError(
            f"{what} must have a map for input {name!r}: one of a convolution that depends on this input alone, and on "
            "which the target depends. There is none. Use a gradient method such as class_saliency, which explains "
            "every input."
        )
    where, which = "", "with an (N, h, w, channels) output."
    if any(isinstance(kinds[path], _CONVOLUTIONS) for path in runs):
        where, which = " before the target", "that comes before the target with layer=."
    return ValueError(
        f"{model.name!r} has no two-dimensional convolution{where}, so there is no map to show. Use a gradient method "
        f"such as class_saliency, or name a layer {which}"
    )
