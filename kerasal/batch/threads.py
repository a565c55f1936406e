"""How many threads compute. Others take sums in another order, and a GPU does too, which changes their last bits."""

import contextlib
import os
import sys
from collections.abc import Iterator


def hide_gpu(threads: int | None) -> None:
    """Keep TensorFlow from a GPU where a number of threads is to compute; before it is loaded."""
    if threads is not None and "tensorflow" not in sys.modules:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def limit(threads: int | None) -> None:
    """Let TensorFlow compute with so many threads, on the CPU; None leaves it as it is.

    Raises:
        RuntimeError: it has already computed with another number.
    """
    if threads is None:
        return
    import tensorflow as tf

    config = tf.config
    try:
        config.set_visible_devices([], "GPU")
        config.threading.set_intra_op_parallelism_threads(threads)
        config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow has computed in this process already, so it can no longer be held to {threads} thread"
            f"{'s' if threads > 1 else ''}, and other threads change the last bits of results. Use workers=1, which "
            "has a process of its own, or run the batch first, or say threads=None."
        ) from error


@contextlib.contextmanager
def bounded(threads: int | None) -> Iterator[None]:
    """Hold the linear algebra outside of TensorFlow to so many threads too."""
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        yield
