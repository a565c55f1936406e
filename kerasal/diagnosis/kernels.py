"""A model's convolutions and their kernels."""

import numpy as np

from kerasal import hooks

import keras


def find_kernels(
    model: keras.Model, name: str | None = None
) -> tuple[str, np.ndarray, tuple[int, int], tuple[int, int]]:
    """Return path, kernels (h, w, in, filters), stride and dilation of a convolution; by default the first one.

    Raises:
        ValueError: no such layer, or it is no two-dimensional convolution.
    """
    if name is None:
        found = [(path, layer) for path, layer in hooks.layers(model) if _is_convolution(layer)]
        if not found:
            raise ValueError(f"{model.name!r} has no two-dimensional convolution.")
        path, layer = found[0]
    else:
        path, layer = hooks.find_layer(model, name)
        if not _is_convolution(layer):
            known = [one for one, layer in hooks.layers(model) if _is_convolution(layer)]
            raise ValueError(
                f"Layer {path!r} of {model.name!r} is no two-dimensional convolution. There "
                f"{'is ' + ', '.join(known[:8]) if known else 'is none'}."
            )
    kernels = np.asarray(layer.kernel, np.float32)
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (h, w, channels, multiplier): each filter sees one channel
        kernels = kernels.reshape(*kernels.shape[:2], 1, -1)
    return path, kernels, tuple(layer.strides), tuple(layer.dilation_rate)


def _is_convolution(layer) -> bool:
    kernel = getattr(layer, "kernel", None)
    transposed = isinstance(layer, keras.layers.Conv2DTranspose)
    return len(getattr(kernel, "shape", ())) == 4 and hasattr(layer, "strides") and not transposed
