"""The formulas of the objectives, in the graph: ``structure, parameters, tensors -> (N,) scores``."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kerasal.objectives.detections import box_score
from kerasal.objectives.expression import COMBINING
from kerasal.objectives.model_outputs import ModelOutputs, live_function
from kerasal.objectives.regions import region_scores

import tensorflow as tf

_FORMULAS: dict[str, tuple[Callable, int]] = {}
_OPERATORS = {"add": operator.add, "multiply": operator.mul, "divide": operator.truediv}
_OWN_COUNTS = {"constant": 1, "callable": 0, "value": 0, "negative": 1, "box": 2}  # parameters of other leaves


def evaluate(
    structure: tuple,
    parameters: Sequence,
    output,
    taps: Mapping[str, Any],
    limits: list,
    top: Any = None,
    turned: Any = None,
    outputs: ModelOutputs | None = None,
) -> Any:
    """Return the scores of a structure in the graph: (N,), or (1,) for a constant.

    ``limits`` is extended by ``(parameter number, exclusive upper bound, description)`` for every index, so that the
    caller can check indices before the graph runs. ``top`` (N,) is each image's top class, if it does not follow from
    ``output``. A user's function receives ``output`` as the model returns it, or all ``outputs`` by name if none is
    selected; the formulas read ``turned``, which is the output with channels last.
    """
    queue, outputs = list(enumerate(parameters)), outputs or ModelOutputs()

    def value(node, output, turned, name=None):
        kind = node[0]
        if kind == "constant":
            return tf.cast(queue.pop(0)[1], tf.float32)
        if kind in COMBINING:
            left = value(node[1], output, turned, name)
            right = value(node[2], output, turned, name)
            return _OPERATORS[kind](left, right)
        if kind == "callable":
            return _call(node[1], dict(outputs.values) if output is None else output)
        if kind == "output":
            selected = outputs.values[outputs.key(node[1])]
            return value(node[2], selected, outputs.turn(outputs.key(node[1]), selected), outputs.key(node[1]))
        if kind == "box":
            return box_score(node, [queue.pop(0), queue.pop(0)], outputs, limits)
        tensor = turned if len(node) == 1 else taps[node[1]]
        if kind == "value":
            return _single_value(tensor, name)
        if kind == "negative":
            return _negative(value(("class",), output, turned, name), outputs, name)
        if tensor.shape.rank is None or tensor.shape.rank < 2:
            remedy = ""
            if len(node) == 1 and tensor.shape.rank == 1:
                remedy = f" Pass objectives.output({0 if name is None else repr(name)}) for a single value per input."
            raise ValueError(
                f"{'The output' if len(node) == 1 else repr(node[-1])} must have the shape (N, …, channels) for this "
                f"target, got {tensor.shape}.{remedy}"
            )
        if kind == "top" and top is not None:
            return tf.gather(_position_mean(tf.cast(tensor, tf.float32)), top, batch_dims=1)
        formula, count = _FORMULAS[kind]
        values = [queue.pop(0) for _ in range(count)]
        return formula(tf.cast(tensor, tf.float32), values, node[-1], limits)

    return value(structure, output, output if turned is None else turned)


def pin(structure: tuple, parameters: Sequence, top: Any) -> tuple[tuple, list]:
    """Return structure and parameters with "top class" replaced by the classes ``top`` (N,), fixed for other inputs."""
    queue, pinned = list(parameters), []

    def replace_top(node):
        kind = node[0]
        if kind in COMBINING:
            return (kind, replace_top(node[1]), replace_top(node[2]))
        if kind == "output":
            return (kind, node[1], replace_top(node[2]))
        if kind == "top":
            pinned.append(top)
            return ("class",)
        pinned.extend(queue.pop(0) for _ in range(parameter_count(kind)))
        return node

    return replace_top(structure), pinned


def parameter_count(kind: str) -> int:
    """Return the number of parameters of a leaf of a structure."""
    return _OWN_COUNTS[kind] if kind in _OWN_COUNTS else _FORMULAS[kind][1]


def top_classes(output: Any) -> Any:
    """Return the index of each image's top class by the position-averaged output, (N,) int32."""
    return tf.argmax(_position_mean(output), axis=-1, output_type=tf.int32)


def _formula(name: str, parameters: int):
    def register(function):
        _FORMULAS[name] = (function, parameters)
        return function

    return register


def _position_mean(tensor):
    return tf.reduce_mean(tensor, axis=list(range(1, tensor.shape.rank - 1))) if tensor.shape.rank > 2 else tensor


def _pick(vectors, index, name, limits):
    """Return entry ``index`` of each row of (N, C), and add C to ``limits`` as the bound of the index."""
    number, indices = index
    limits.append((number, vectors.shape[-1], f"channels of {name!r}" if name != "class" else "classes"))
    rows = tf.shape(vectors)[0]
    return tf.gather(vectors, tf.broadcast_to(indices, [rows]), batch_dims=1)


@_formula("class", 1)
def _class(output, values, name, limits):
    return _pick(_position_mean(output), values[0], name, limits)


@_formula("top", 0)
def _top(output, values, name, limits):
    # Not reduce_max, which would divide the gradient among tied classes.
    return tf.gather(_position_mean(output), top_classes(output), batch_dims=1)


@_formula("channel", 1)
def _channel(tensor, values, name, limits):
    return _pick(_position_mean(tensor), values[0], name, limits)


@_formula("neuron_center", 1)
def _neuron_center(tensor, values, name, limits):
    size = tf.shape(tensor)
    for _ in range(tensor.shape.rank - 2):  # each step removes the first axis after the batch
        tensor = tf.gather(tensor, size[1] // 2, axis=1)
        size = tf.shape(tensor)
    return _pick(tensor, values[0], name, limits)


@_formula("neuron", 2)
def _neuron(tensor, values, name, limits):
    number, position = values[1]
    axes = position.shape[-1]
    if tensor.shape.rank != axes + 2:
        shape = {1: "(N, T, C)", 2: "(N, h, w, C)", 3: "(N, d, h, w, C)"}[axes]
        raise ValueError(
            f"layer must have an output {shape} for a position of {axes} number{'s' * (axes > 1)}, got {name!r} with "
            f"{tensor.shape}. Pass one number per position axis, x first, or omit position."
        )
    names = f" ({', '.join('xyz'[:axes])})" if axes > 1 else ""
    limits.append((number, tuple(tensor.shape.as_list()[-2:0:-1]), f"positions{names} of {name!r}"))
    rows = tf.shape(tensor)[0]
    indices = tf.broadcast_to(position[:, ::-1], [rows, axes])
    return _pick(tf.gather_nd(tensor, indices, batch_dims=1), values[0], name, limits)


@_formula("layer", 0)
def _layer(tensor, values, name, limits):
    return tf.reduce_mean(tf.square(tensor), axis=list(range(1, tensor.shape.rank)))


@_formula("region", 2)
def _region(output, values, name, limits):
    return _pick(region_scores(output, values[1][1]), values[0], "class", limits)


@_formula("similarity", 1)
def _similarity(tensor, values, name, limits):
    embeddings, vectors = _position_mean(tensor), values[0][1]
    if not embeddings.shape[-1:].is_compatible_with(vectors.shape[-1:]):
        raise ValueError(f"vector must have {embeddings.shape[-1]} numbers, as the embedding, got {vectors.shape[-1]}.")
    products = tf.reduce_sum(embeddings * vectors, axis=-1)
    return tf.math.divide_no_nan(products, tf.norm(embeddings, axis=-1) * tf.norm(vectors, axis=-1))


@_formula("direction", 1)
def _direction(tensor, values, name, limits):
    vectors = _position_mean(tensor)
    if values[0][1].shape[-1] != vectors.shape[-1]:
        raise ValueError(
            f"vector must have {vectors.shape[-1]} numbers, one per channel of {name!r}, got {values[0][1].shape[-1]}."
        )
    return tf.reduce_sum(vectors * values[0][1], axis=-1)


def _single_value(tensor, name):
    if tensor.shape.rank == 1:
        return tf.cast(tensor, tf.float32)
    if tensor.shape.rank == 2 and tensor.shape[-1] == 1:
        return tf.cast(tensor[:, 0], tf.float32)
    raise ValueError(
        f"target must be set for output {name!r} {tensor.shape}, which is not a single value per input. Pass a class "
        "index, an objective or a function."
    )


def _negative(score, outputs: ModelOutputs, name):
    kind = outputs.kind(name)
    if kind.endswith("Softmax"):
        raise ValueError(
            "The output must come from a sigmoid for negative_class, but it comes from a softmax, in which the other "
            "classes have scores of their own. Use class_score."
        )
    return 1.0 - score if outputs.are_probabilities(name) and not outputs.logits else -score


def _call(reference: Any, output):
    scores = live_function(reference)(output)
    if scores is None:
        raise TypeError("A target function must return one score per image, shape (N,), got None.")
    if isinstance(scores, (list, tuple)):
        scores = tf.stack(scores)
    scores = tf.convert_to_tensor(scores)
    shapes = {name: str(value.shape) for name, value in output.items()} if isinstance(output, dict) else output.shape
    output = next(iter(output.values())) if isinstance(output, dict) else output
    # With an open batch size, a static length is that of another axis, such as the classes in output[0].
    is_other_axis = output.shape[0] is None and scores.shape.rank == 1 and scores.shape[0] is not None
    if is_other_axis or scores.shape.rank != 1 or not scores.shape.is_compatible_with(output.shape[:1]):
        raise ValueError(
            f"A target function must return one score per image, shape (N,), got {scores.shape} for the output "
            f"{shapes}."
        )
    return tf.cast(scores, tf.float32)
