"""The formulas behind the objectives: ``structure, parameters, tensors -> (N,) scores`` in the graph."""

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
    """Compute the scores of a structure in the graph: (N,), or (1,) if it is a constant.

    ``limits`` receives ``(parameter number, exclusive upper bound, what it counts)`` for every index, so that the
    caller can refuse one that is out of range before anything runs. ``top`` (N,) is each image's top class where it is
    not the one with the largest ``output``. ``turned`` is the output channels last, for the formulas, where a user's
    function sees ``output`` as the model gives it.
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
            raise ValueError(f"Expected (N, …, channels) from {node[-1]!r}, received shape {tensor.shape}.")
        if kind == "top" and top is not None:
            return tf.gather(_position_mean(tf.cast(tensor, tf.float32)), top, batch_dims=1)
        formula, count = _FORMULAS[kind]
        own = [queue.pop(0) for _ in range(count)]
        return formula(tf.cast(tensor, tf.float32), own, node[-1], limits)

    return value(structure)


def pin(structure: tuple, parameters: Sequence, top: Any) -> tuple[tuple, list]:
    """Replace "each image's top class" by the classes ``top`` (N,), which stay what they are if the input changes."""
    queue, pinned = list(parameters), []

    def replaced(node):
        kind = node[0]
        if kind in ("add", "multiply"):
            return (kind, replaced(node[1]), replaced(node[2]))
        if kind == "top":
            pinned.append(top)
            return ("class",)
        count = 1 if kind == "constant" else 0 if kind == "callable" else _FORMULAS[kind][1]
        pinned.extend(queue.pop(0) for _ in range(count))
        return node

    return replaced(structure), pinned


def top_classes(output: Any) -> Any:
    """Return the number of each image's top class, (N,) int32, by the position-averaged output."""
    return tf.argmax(_position_mean(output), axis=-1, output_type=tf.int32)


def _formula(name: str, parameters: int):
    def enter(function):
        _FORMULAS[name] = (function, parameters)
        return function

    return enter


def _position_mean(tensor):
    return tf.reduce_mean(tensor, axis=list(range(1, tensor.shape.rank - 1))) if tensor.shape.rank > 2 else tensor


def _pick(vectors, index, name, limits):
    """Take entry ``index`` of each row of (N, C), and note that the index has C as its limit."""
    number, values = index
    limits.append((number, vectors.shape[-1], f"channels of {name!r}" if name != "class" else "classes"))
    rows = tf.shape(vectors)[0]
    return tf.gather(vectors, tf.broadcast_to(values, [rows]), batch_dims=1)


@_formula("class", 1)
def _class(output, own, name, limits):
    return _pick(_position_mean(output), own[0], name, limits)


@_formula("top", 0)
def _top(output, own, name, limits):
    return tf.gather(_position_mean(output), top_classes(output), batch_dims=1)  # reduce_max would share out a tie


@_formula("channel", 1)
def _channel(tensor, own, name, limits):
    return _pick(_position_mean(tensor), own[0], name, limits)


@_formula("neuron_center", 1)
def _neuron_center(tensor, own, name, limits):
    size = tf.shape(tensor)
    for _ in range(tensor.shape.rank - 2):  # each step takes the middle of what is now the first axis after the batch
        tensor = tf.gather(tensor, size[1] // 2, axis=1)
        size = tf.shape(tensor)
    return _pick(tensor, own[0], name, limits)


@_formula("neuron", 2)
def _neuron(tensor, own, name, limits):
    if tensor.shape.rank != 4:
        raise ValueError(f"{name!r} has no (x, y) positions, its output is {tensor.shape}; leave position out.")
    number, place = own[1]
    limits.append((number, (tensor.shape[2], tensor.shape[1]), f"positions (x, y) of {name!r}"))
    rows = tf.shape(tensor)[0]
    at = tf.broadcast_to(place[:, ::-1], [rows, 2])
    return _pick(tf.gather_nd(tensor, at, batch_dims=1), own[0], name, limits)


@_formula("layer", 0)
def _layer(tensor, own, name, limits):
    return tf.reduce_mean(tf.square(tensor), axis=list(range(1, tensor.shape.rank)))


@_formula("direction", 1)
def _direction(tensor, own, name, limits):
    vectors = _position_mean(tensor)
    if own[0][1].shape[-1] != vectors.shape[-1]:
        raise ValueError(f"{name!r} has {vectors.shape[-1]} channels; the direction has {own[0][1].shape[-1]} numbers.")
    return tf.reduce_sum(vectors * own[0][1], axis=-1)


def _call(held: Any, output):
    function = held()
    if function is None:
        raise RuntimeError(
            "The target function no longer exists; keep it in a variable while the compiled method is used."
        )
    scores = function(output)
    if scores is None:
        raise TypeError("A target function must return one score an image, shape (N,). It returned None.")
    if isinstance(scores, (list, tuple)):
        scores = tf.stack(scores)
    scores = tf.convert_to_tensor(scores)
    # Where the number of images is open, a fixed length is another axis: output[0] would be the first image's classes.
    counted = output.shape[0] is None and scores.shape.rank == 1 and scores.shape[0] is not None
    if counted or scores.shape.rank != 1 or not scores.shape.is_compatible_with(output.shape[:1]):
        raise ValueError(
            f"A target function must return one score an image, shape (N,). It received the output {output.shape} and "
            f"returned {scores.shape}."
        )
    return tf.cast(scores, tf.float32)
