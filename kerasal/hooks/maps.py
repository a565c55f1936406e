"""Which of a model's layers gives the last map, for each of its inputs: ``view -> path``, or paths and tensors."""

import dataclasses
from collections.abc import Sequence

from kerasal import _keras  # noqa: F401
from kerasal.hooks import paths, watching
from kerasal.hooks.operations import BROADCASTING, UNARY
from kerasal.hooks.positions import mixing_operation
from kerasal.hooks.view import View

import keras  # isort: skip
import tensorflow as tf  # isort: skip

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_SHAPES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))
_POOLINGS = frozenset(("Max", "Mean", "Reshape", "Sum"))
# From the map of the logits to a score by position: each channel on its own, or none that is new.
_OUTPUT_STEPS = UNARY | BROADCASTING | {"BiasAdd", "Reshape", "Transpose"}
_OUTPUT_STEPS |= {"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"}


@dataclasses.dataclass(frozen=True)
class LayerMap:
    """One run of a layer: its path, its output (N, h, w, C) as the layer gives it, and that output's channel axis."""

    path: str
    tensor: tf.Tensor
    channel_axis: int


def last_map(view: View, inputs: Sequence[tf.Tensor] | None = None) -> str:
    """Return the path of the model's last map, whatever the target: the last convolution's, as in ``target_maps``.

    The model is run at ``inputs``, by default the view's; nothing of that run is computed.

    Raises:
        ValueError: the model has no two-dimensional convolution.
    """
    inputs = view.inputs if inputs is None else list(inputs)
    kinds = dict(paths.layers(view.model))
    _, seen = view.run(inputs, taps=kinds, lenient=True)
    found = _last(_in_order(view, {path: [tensor] for path, tensor in seen.items()}), kinds)
    if found is None:
        _refuse(view.model, None, inputs, 0, kinds, {})
    return found.path


def target_maps(view: View, layer: str | None = None) -> tuple[tf.Tensor, list[LayerMap]]:
    """Run the model; return the (N,) scores and, for each input, the map on which the target depends.

    By default it is the last convolution's, after its normalization and activation: layers are taken in the order in
    which they run; after a convolution, those that keep its shape still count, and those that it gates. Maps of pooled
    features do not, nor the classes' own maps where the target reads the output by position, nor what depends on
    several inputs. ``layer`` names another; of its runs, each input has the last that depends on it alone.

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
    output, seen = view.look(inputs, taps=taps, lenient=set(taps) - {named, *view.layers}, runs=runs)
    operations = graph.get_operations()[before:]
    if len(inputs) > 1:
        for name in view.layers:
            watching.check_one_run(name, runs[name])
    scores = view.value(output, seen)
    reached = _reached(inputs, operations)
    needed = _needed(scores)
    maps = _in_order(view, {path: runs.get(path, []) for path in taps})
    if named is not None and not maps:
        raise ValueError(
            f"Layer {named!r} has no map: its output is {seen[named].shape}, expected (N, h, w, channels)."
        )
    maps = [one for one in maps if one.tensor.op in needed]
    if named is not None and not maps:
        raise ValueError(
            f"The target does not depend on layer {named!r}, whose map is weighted. Name a layer that comes before the "
            "target with layer=."
        )
    if named is None:
        classes = _class_maps(output)
        maps = [one for one in maps if one.tensor.ref() not in classes]
    found = []
    for number in range(len(inputs)):
        mine = [one for one in maps if reached.get(one.tensor.ref()) == {number}]
        if named is None:
            chosen = _last(mine, kinds)
            if chosen is not None:
                _check_positions(view.model, chosen, operations, needed, mine)
        else:
            chosen = mine[-1] if mine else None
        if chosen is None:
            _refuse(view.model, named, inputs, number, kinds, runs)
        found.append(chosen)
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


def _last(maps: list[LayerMap], kinds: dict) -> LayerMap | None:
    """Return the last map that is a convolution's, or keeps the shape of one or multiplies with it."""
    found = None
    for one in [one for one in maps if not _is_pooled(one)] or maps:  # a pooled map is better than none
        if isinstance(kinds[one.path], _CONVOLUTIONS) or (found is not None and _follows(one, found)):
            found = one
    return found


def _follows(one: LayerMap, before: LayerMap) -> bool:
    # A dropout passes its input on at inference: the same tensor keeps the name of the layer that made it.
    if one.tensor is before.tensor and one.path.count("/") <= before.path.count("/"):
        return False
    # A map of one channel that is stretched over all is a gate, as spatial attention has it, and not the features.
    is_gated = before.tensor.shape[before.channel_axis] == 1 and one.tensor.op.type == "Mul"
    return _size(one) == _size(before) if is_gated else one.tensor.shape[1:] == before.tensor.shape[1:]


def _size(one: LayerMap) -> tuple:
    return tuple(size for axis, size in enumerate(one.tensor.shape) if axis not in (0, one.channel_axis))


def _is_pooled(one: LayerMap) -> bool:
    """Tell whether a map of 1 × 1 was made of pooled features, whose places are gone; strides leave theirs."""
    if set(_size(one)) != {1}:
        return False
    pending, done = [one.tensor.op], set()
    while pending:
        op = pending.pop()
        done.add(op)
        for tensor in op.inputs:
            rank = tensor.shape.rank
            if op.type in _POOLINGS and (rank != 4 or sum(size != 1 for size in tensor.shape[1:]) > 1):
                return True
            if rank == 4 and tensor.op not in done and sum(size != 1 for size in tensor.shape[1:]) <= 1:
                pending.append(tensor.op)
    return False


def _check_positions(model, chosen: LayerMap, operations, needed: set, maps: list[LayerMap]) -> None:
    """Refuse a map whose positions are mixed on the way to the score: what the score reads there is not in place."""
    mixing = mixing_operation(chosen.tensor, [op for op in operations if op in needed], chosen.channel_axis)
    if mixing is None:
        return
    paths_ = list(dict.fromkeys(one.path for one in maps if set(_size(one)) != {1}))
    raise ValueError(
        f"{model.name!r} mixes the positions of its last convolution's map, {chosen.path!r}, after it ({mixing}): by "
        "attention, or a layer along its tokens. So there is no default layer. Name one with layer=, knowing that its "
        f"positions are mixed later: {', '.join(map(repr, paths_))}; or use a gradient method such as class_saliency."
    )


def _refuse(model, named: str | None, inputs, number: int, kinds: dict, runs: dict) -> None:
    if named is not None and len(inputs) == 1:
        raise ValueError(f"Layer {named!r} does not depend on the input, so it has no map of it. Name another.")
    if len(inputs) > 1:
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        name = names[number] if len(names) == len(inputs) else str(number)
        what = f"Layer {named!r}" if named else "The model"
        raise ValueError(
            f"{what} must have a map for input {name!r}: one of a convolution that depends on this input alone, and on "
            "which the target depends. There is none. Use a gradient method such as class_saliency, which explains "
            "every input."
        )
    if any(isinstance(kinds[path], _CONVOLUTIONS) for path in runs):
        raise ValueError(
            f"{model.name!r} has no two-dimensional convolution before the target, so there is no map to show. Use a "
            "gradient method such as class_saliency, or name a layer that comes before the target with layer=."
        )
    raise ValueError(
        f"{model.name!r} has no two-dimensional convolution, so there is no map to show. Use a gradient "
        "method such as class_saliency, or name a layer with an (N, h, w, channels) output."
    )


def _reached(inputs: Sequence[tf.Tensor], operations) -> dict:
    """Return on which inputs, by number, each tensor depends."""
    reached = {x.ref(): {number} for number, x in enumerate(inputs)}
    for op in operations:
        if op.type in _SHAPES:
            continue
        own = [reached[tensor.ref()] for tensor in op.inputs if tensor.ref() in reached]
        if own:
            union = set().union(*own)
            reached |= {tensor.ref(): union for tensor in op.outputs}
    return reached


def _needed(scores: tf.Tensor) -> set[tf.Operation]:
    """Return the operations whose values the scores depend on."""
    needed, pending = set(), [scores.op]
    while pending:
        op = pending.pop()
        if op not in needed and op.type not in _SHAPES:
            needed.add(op)
            pending += [tensor.op for tensor in op.inputs]
    return needed


def _class_maps(output: tf.Tensor | None) -> set:
    """Return the maps, from the logits on, that a target with positions reads as its classes."""
    if output is None or output.shape.rank != 4:
        return set()
    found, pending = set(), [output]
    while pending:
        tensor = pending.pop()
        if tensor.shape.rank == 4 and tensor.ref() not in found:
            found.add(tensor.ref())
            if tensor.op.type in _OUTPUT_STEPS:
                pending += list(tensor.op.inputs)
    return found
