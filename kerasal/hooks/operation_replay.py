"""Operations of a traced graph applied to other tensors, and their vector-Jacobian products."""

from collections.abc import Sequence
from typing import Any

from kerasal.hooks.operations import apply_operation

import tensorflow as tf

_HALVES = (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)
_FLOAT32 = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)


def widen(tensor: tf.Tensor) -> tf.Tensor:
    """Return a tensor with half precision as float32, any other as it is."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def replay(op: tf.Operation, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Apply the operation ``op`` to other ``inputs`` in the current graph; gradient tapes record it.

    The type of the results follows from the inputs, so that a model in half precision can be computed in float32.
    """
    if op.type in ("Cast", "IdentityN"):  # casts between floating-point types would only lose precision
        return [widen(tensor) for tensor in inputs]
    types = {name: value.type for name, value in op.node_def.attr.items() if not name.startswith("_")}
    changed = {name: _FLOAT32 for name, number in types.items() if number in _HALVES}
    return apply_operation(op, [widen(tensor) for tensor in inputs], changed)


def pull_back(
    op: tf.Operation, inputs: Sequence[tf.Tensor], sources: Sequence[tf.Tensor], signals: Sequence[Any]
) -> list[tf.Tensor]:
    """Return the vector-Jacobian product of an operation with ``signals``, one per output, for each of ``sources``.

    ``inputs`` are those of the operation; ``sources`` are some of them. The other outputs have no signal (None).
    """
    wide = {tensor.ref(): widen(tensor) for tensor in inputs}
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch([wide[source.ref()] for source in sources])
        outputs = replay(op, [wide[tensor.ref()] for tensor in inputs])
    pairs = [(output, signal) for output, signal in zip(outputs, signals, strict=True) if signal is not None]
    gradients = tape.gradient(
        [output for output, _ in pairs],
        [wide[source.ref()] for source in sources],
        output_gradients=[tf.cast(signal, output.dtype) for output, signal in pairs],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def sum_like(tensor: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return a tensor summed over the axes along which ``like`` would be broadcast to it."""
    if tensor.shape.rank == like.shape.rank and tensor.shape.as_list() == like.shape.as_list():
        return tensor
    tape: Any = tf.GradientTape(watch_accessed_variables=False)
    with tape:
        source = tf.cast(like, tensor.dtype)
        tape.watch(source)
        result = tf.broadcast_to(source, tf.shape(tensor))
    return tape.gradient(result, source, output_gradients=tensor)
