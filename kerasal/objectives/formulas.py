"""The formulas of the objectives, in the graph: ``structure, parameters, tensors -> (N,) scores``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

_FORMULAS: dict[str, tuple[Callable, int]] = {}


def evaluate(
    structure: tuple,
    parameters: Sequence,
    output,
    taps: Mapping[str, Any],
    limits: list,
    top: Any = None,
    *,
    turned: Any = None,
) -> Any:
    """Return the scores of a structure in the graph: (N,), or (1,) for a constant.

    ``limits`` is extended by ``(parameter number, exclusive upper bound, description)`` for every index, so that the
    caller can check indices before the graph runs. ``top`` (N,) is each image's top class, if it does not follow from
    ``output``. A user's function receives ``output`` as the model returns it; the formulas read ``turned``, which is
    the output with channels last.
    """
    turned = output if turned is None else turned
    queue = list(enumerate(parameters))

    def value(node):
        kind = node[0]
        if kind == "constant":
            return tf.cast(queue.pop(0)[1], tf.float32)
        if kind in ("add", "multiply"):
            left = value(node[1])
            right = value(node[2])
            return left + right if kind == "add" else left * right
        if kind == "callable":
            return _call(node[1], output)
        tensor = turned if len(node) == 1 else taps[node[1]]
        if tensor.shape.rank is None or tensor.shape.rank < 2:
            raise ValueError(f"{node[-1]!r} must have an output (N, …, channels), got shape {tensor.shape}.")
        if kind == "top" and top is not None:
            return tf.gather(_position_mean(tf.cast(tensor, tf.float32)), top, batch_dims=1)
        formula, count = _FORMULAS[kind]
        values = [queue.pop(0) for _ in range(count)]
        return formula(tf.cast(tensor, tf.float32), values, node[-1], limits)

    return value(structure)


def pin(structure: tuple, parameters: Sequence, top: Any) -> tuple[tuple, list]:
    """Return structure and parameters with "top class" replaced by the classes ``top`` (N,), fixed for other inputs."""
    queue, pinned = list(parameters), []

    def replace_top(node):
        kind = node[0]
        if kind in ("add", "multiply"):
            return (kind, replace_top(node[1]), replace_top(node[2]))
        if kind == "top":
            pinned.append(top)
            return ("class",)
        count = 1 if kind == "constant" else 0 if kind == "callable" else _FORMULAS[kind][1]
        pinned.extend(queue.pop(0) for _ in range(count))
        return node

    return replace_top(structure), pinned


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


@_formula("direction", 1)
def _direction(tensor, values, name, limits):
    vectors = _position_mean(tensor)
    if values[0][1].shape[-1] != vectors.shape[-1]:
        raise ValueError(
            f"vector must have {vectors.shape[-1]} numbers, one per channel of {name!r}, got {values[0][1].shape[-1]}."
        )
    return tf.reduce_sum(vectors * values[0][1], axis=-1)


def _call(reference: Any, output):
    function = reference()
    if function is None:
        raise RuntimeError(
            "The target function was garbage-collected. Keep a reference to it while the compiled method is used."
        )
    scores = function(output)
    if scores is None:
        raise TypeError("A target function must return one score per image, shape (N,), got None.")
    if isinstance(scores, (list, tuple)):
        scores = tf.stack(scores)
    scores = tf.convert_to_tensor(scores)
    # With an open batch size, a static length is that of another axis, such as the classes in output[0].
    is_other_axis = output.shape[0] is None and scores.shape.rank == 1 and scores.shape[0] is not None
    if is_other_axis or scores.shape.rank != 1 or not scores.shape.is_compatible_with(output.shape[:1]):
        raise ValueError(
            f"A target function must return one score per image, shape (N,), got {scores.shape} for the output "
            f"{output.shape}."
        )
    return tf.cast(scores, tf.float32)
