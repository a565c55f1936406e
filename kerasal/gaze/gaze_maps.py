"""What a gaze net takes and gives: photographs of one size in, one map an image out, however the net shapes it."""

import math

import numpy as np

from kerasal import images
from kerasal.preprocessing import Preprocessing


def image_size(net, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) that ``net`` takes: its own, or ``size`` where it takes any.

    Raises:
        ValueError: no net of one RGB image, or one of another size than ``size``; one of any size, and no ``size``.
    """
    shape = getattr(net, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (3, None):
        raise ValueError(f"A gaze net takes RGB images (N, H, W, 3). {getattr(net, 'name', net)!r} takes {shape}.")
    own = shape[1:3]
    if None not in own:
        if size is not None and tuple(size) != own:
            raise ValueError(f"{net.name} takes images of {own[0]} x {own[1]}. Received size {tuple(size)}.")
        return own
    if size is None:
        raise ValueError(f"{net.name} takes images of any size: say which, as size=(height, width).")
    return tuple(int(side) for side in size)


def map_size(net, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of the maps that ``net`` makes of images of ``image_size(net, size)``.

    Raises:
        ValueError: the output is no map: (N, H, W), (N, H, W, 1), or the pixels of a square one in a row.
    """
    height, width = image_size(net, size)
    shape = tuple(net.compute_output_shape((1, height, width, 3)))
    if len(shape) == 2 and shape[1] and shape[1] > 1 and math.isqrt(shape[1]) ** 2 == shape[1]:
        return (math.isqrt(shape[1]),) * 2
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return shape[1:3]
    raise ValueError(
        f"A gaze net makes one map an image: (N, H, W), (N, H, W, 1) or a square in a row. {net.name} makes {shape}."
    )


def is_log_density(net) -> bool:
    """Tell whether what a net gives are log-densities, that is, whether its last layer is ``LogDensity``."""
    from kerasal.layers import LogDensity

    return bool(getattr(net, "layers", None)) and isinstance(net.layers[-1], LogDensity)


def as_maps(outputs, size: tuple[int, int], *, log: bool = False):
    """Shape the outputs of a net, an array or a tensor, as (N, H, W); log-densities become maps of maximum 1."""
    import tensorflow as tf

    maps = tf.reshape(outputs, (-1, *size))
    # The maximum only sets the scale, which no metric but the MSE looks at: no gradient goes through it.
    return tf.exp(maps - tf.stop_gradient(tf.reduce_max(maps, axis=(1, 2), keepdims=True))) if log else maps


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a photograph to a net's size, uint8: all of it, stretched, because its map is stretched back."""
    return images.resize(image, size)


def prepare(pixels, convention: Preprocessing):
    """Turn a tensor of pixels (N, H, W, 3), 0..255, into model inputs: ``Preprocessing.apply`` in the graph."""
    import tensorflow as tf

    pixels = tf.cast(pixels, tf.float32)
    if convention.bgr:
        pixels = pixels[..., ::-1]
    return (pixels - np.float32(convention.mean)) / np.float32(convention.std)
