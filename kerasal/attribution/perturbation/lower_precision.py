"""Forward passes in bfloat16, for one call of a method and not for the process."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context

_active: contextvars.ContextVar[bool] = contextvars.ContextVar("bfloat16", default=False)


@contextlib.contextmanager
def precision_context(precision: str) -> Iterator[None]:
    """Run the graph functions that this thread calls meanwhile in a precision: "float32" or "bfloat16".

    TensorFlow rewrites each graph when it is first called so: convolutions and matrix products in bfloat16, sums and
    sensitive operations in float32 (the pass ``auto_mixed_precision_onednn_bfloat16``). The options belong to the calls
    of a thread, so that other threads and later calls keep float32. Processors without bfloat16 stay at float32.
    """
    if precision == "float32":
        yield
        return
    current: Any = context.context()
    before, token = current.function_call_options, _active.set(True)
    config = config_pb2.ConfigProto()
    config.CopyFrom(current.config)
    config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = RewriterConfig.ON
    options = context.FunctionCallOptions(executor_type=before.executor_type, config_proto=config)
    current.function_call_options = options
    try:
        yield
    finally:
        current.function_call_options = before
        _active.reset(token)


def check_precision(precision: str) -> None:
    """Raise an error if a method is traced for bfloat16 outside of ``precision_context``.

    Raises:
        ValueError: the method is compiled or exported, whose callers choose how its graph is run.
    """
    if precision != "float32" and not _active.get():
        raise ValueError(
            f'precision must be "float32" in compiled and exported methods, got {precision!r}. The program that runs '
            "their graph chooses it, for example by tf.config.optimizer.set_experimental_options."
        )


def has_bfloat16() -> bool:
    """Return whether this processor runs convolutions in bfloat16, so that ``precision`` makes a difference."""

    @tf.function
    def multiply(x):
        return tf.matmul(x, x)

    x = tf.random.stateless_uniform([64, 64], (0, 0))
    with precision_context("bfloat16"):
        lower = multiply(x)
    return bool(tf.reduce_any(lower != multiply(x)))
