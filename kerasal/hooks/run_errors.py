"""Clear errors for what TensorFlow refuses when a trace runs: batches larger than memory, layers that need a GPU."""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from kerasal.hooks import paths

import keras
import tensorflow as tf

# Operations of keras.ops by a word in the name of the layer that runs them.
_OPERATIONS = {"Transpose": "conv_transpose", "Separable": "separable_conv", "Depthwise": "depthwise_conv"}


@contextlib.contextmanager
def clear_errors(model: keras.Model, batch: Sequence[np.ndarray]) -> Iterator[None]:
    """Replace TensorFlow's errors that have a known cause; all others pass as they are.

    Raises:
        MemoryError: the batch needs more memory than there is.
        ValueError: a layer of the model runs only on a GPU, and there is none.
    """
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise _no_memory(error, batch) from error
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
        device = missing_device(model)
        if not device:
            raise
        raise ValueError(f"{device} Use a GPU, or build the model with data_format='channels_last'.") from error


def missing_device(model: keras.Model) -> str:
    """Return why TensorFlow cannot run a model on this machine, or "".

    Which convolutions TensorFlow runs channels first depends on the machine and the build, so it is tried.
    """
    if tf.config.list_physical_devices("GPU"):
        return ""
    for path, layer in paths.layers(model):
        bases = " ".join(base.__name__ for base in type(layer).__mro__)
        rank = getattr(layer, "rank", None)
        if "Conv" in bases and rank is not None and getattr(layer, "data_format", "") == "channels_first":
            name = next((name for word, name in _OPERATIONS.items() if word in bases), "conv")
            if not runs_channels_first(name, rank, getattr(layer, "groups", 1) > 1):
                return f"TensorFlow runs {path!r} (channels_first) only on a GPU, and there is none here."
    return ""


@functools.cache
def runs_channels_first(name: str, rank: int, is_grouped: bool = False) -> bool:
    """Return whether TensorFlow runs a convolution of ``keras.ops`` and its gradient channels first on this machine."""
    channels = 2 if is_grouped else 1
    kernels = [tf.ones((*[3] * rank, 1, channels))]
    if name == "separable_conv":
        kernels.append(tf.ones((*[1] * rank, 1, 1)))

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(keras.ops, name)(x, *kernels, data_format="channels_first")
        return tape.gradient(y, x)

    try:
        run(tf.ones((1, channels, *[4] * rank)))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return False
    return True


def _no_memory(error: Exception, batch: Sequence[np.ndarray]) -> MemoryError:
    """Return the error for a batch that needs more memory than there is."""
    shapes, size = ", ".join(str(array.shape) for array in batch), sum(array.nbytes for array in batch) / 2**20
    cause = next((line for line in str(error).splitlines() if "OOM" in line or "allocate" in line), "no memory")
    one = "" if len(batch[0]) == 1 else "Pass batch_size=1. "
    return MemoryError(
        f"A batch must fit into memory with the outputs of all layers, got {shapes}, {size:.3g} MiB ({cause.strip()}). "
        f"{one}Crop or downsample the inputs, or choose a coarser layer for a class activation map with layer=."
    )
