"""A user's arrays, made into what a model takes: ``array, list or dict -> [float32 (N, …), …]``, or a clear error."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.checks import check_size, refuse_mask
from kerasal.hooks.positions import channel_axes
from kerasal.process import check_process

import keras
import tensorflow as tf


def conform(model: keras.Model, inputs: Any, *, any_size: bool = False) -> list[np.ndarray]:
    """Return one float32 array for each input of the model, all with a batch axis; nothing is scaled.

    Accepted are arrays, tensors and DataFrames; integers are cast; a single image becomes a batch of one; one-channel
    images may lack their channel axis; a list is the model's several inputs or, for a model of one input, its images;
    a dictionary goes by the names of the inputs. With ``any_size`` images may be of another height and width. What is
    float32 already is not copied: write into none of the results.

    Raises:
        ValueError: the model has no weights yet, takes whole numbers (token indices), or the shapes, the number of
            inputs or their values (NaN, infinite, none) do not fit. Expected and received are said.
        TypeError: something that is no numeric array.
    """
    specs = _specs(model)
    names = [name for name, _, _ in specs or ()]
    if isinstance(inputs, Mapping):
        names = names or list(inputs)
        if set(inputs) != set(names):
            raise ValueError(f"Expected inputs named {names}, received {list(inputs)}.")
        flat = [inputs[name] for name in names]
    elif isinstance(inputs, (list, tuple)) and len(names) != 1:
        flat, names = list(inputs), names or [str(i) for i in range(len(inputs))]
    else:
        flat, names = [inputs], names[:1] or ["input"]
    if specs is not None and len(flat) != len(specs):
        listed = ", ".join(f"{name} {_shown(shape)}" for name, shape, _ in specs)
        raise ValueError(f"{model.name!r} takes {len(specs)} inputs: {listed}. Received {len(flat)}.")
    arrays = []
    for i, (name, array) in enumerate(zip(names, flat, strict=True)):
        shape, dtype = (specs[i][1], specs[i][2]) if specs else (None, "float32")
        if any_size and shape is not None and len(shape) == 3:
            channels = channel_axes(model)[i]
            shape = tuple(size if axis == channels else None for axis, size in enumerate(shape, 1))
        arrays.append(_conform_one(name, array, shape, dtype))
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(f"The inputs are for different numbers of images: {[len(array) for array in arrays]}.")
    return arrays


def unpack(model: keras.Model, arrays: list, example: Any) -> Any:
    """Give results, one an input, the structure in which the user gave the inputs."""
    if isinstance(example, Mapping):
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        return dict(zip(names or example, arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]


def chunk_size(arrays: Sequence[Any]) -> int:
    """Return how many images are run at once: about two of 224 × 224 on a CPU, where more only cost memory."""
    values = sum(math.prod(array.shape[1:]) for array in arrays)
    return max(1, min(256, 2 * values_at_once() // max(values, 1)))


def values_at_once() -> int:
    """Return the numbers in an image of 224 × 224, or in as many of them as fill a GPU: the measure of a pass."""
    return 224 * 224 * 3 * (32 if tf.config.list_physical_devices("GPU") else 1)


def declared_image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Return (height, width, channels) of the one image that a model takes, or (height, width); None where any.

    Channels come last here, also for a model that takes them first (``takes_channels_first``). A subclassed model and
    a Sequential without an input layer remember what they were built on.

    Raises:
        TypeError: not a ``keras.Model``.
        ValueError: the model has no weights yet, or not exactly one image input.
    """
    shape = _one_image(model)
    return (*shape[1:], shape[0]) if takes_channels_first(model) else shape


def takes_channels_first(model: keras.Model) -> bool:
    """Return whether the one image input of a model is (N, channels, height, width)."""
    shape = _one_image(model)
    return len(shape) == 3 and channel_axes(model, [(None, *shape)]) != [3]


def image_shape(model: keras.Model, size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Return (height, width, channels) of the one image that a model takes; ``size`` takes the place of its own.

    Where the model leaves it open, the size is 224 × 224, and the channels are 3.

    Raises:
        ValueError: the model has no weights yet, or not exactly one image input, or takes its channels first.
    """
    shape = _one_image(model)
    if len(shape) != 3:
        raise ValueError(f"Expected a model with one image input (N, H, W, C). {model.name!r} takes {_shown(shape)}.")
    if channel_axes(model, [(None, *shape)]) != [3]:
        raise ValueError(
            f"Images must be channels last here, but {model.name!r} takes {_shown(shape)}, channels first. Wrap it: "
            "keras.Sequential([keras.Input((H, W, C)), keras.layers.Permute((3, 1, 2)), model]). The methods of "
            "kerasal.attribution explain it as it is."
        )
    own_height, own_width, channels = shape
    height, width = (own_height or 224, own_width or 224) if size is None else check_size("size", size)
    return height, width, channels or 3


def _one_image(model: keras.Model) -> tuple[int | None, ...]:
    """Return the shape of a model's one image input as the model takes it, without the batch axis."""
    specs = _specs(model)
    if specs is None:  # a subclassed model remembers what it was first called on
        shapes = [tuple(one[1:]) for one in (getattr(model, "_build_shapes_dict", None) or {}).values() if one]
    else:
        shapes = [shape for _, shape, _ in specs]
    shapes = shapes or [(None, None, None)]
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        raise ValueError(
            f"Expected a model with one image input (N, H, W, C). {model.name!r} takes "
            f"{', '.join(map(_shown, shapes))}."
        )
    return shapes[0]


def _specs(model) -> list[tuple[str, tuple, str]] | None:
    """List (name, shape without the batch, dtype) of each input; None for a subclassed model, which does not say."""
    check_process()
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a keras.Model. Received: {model!r}. By name: kerasal.load_model(name).")
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet. Call it once on a batch of inputs, then try again.")
    tensors = getattr(model, "inputs", None) or []
    return [(tensor.name, tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in tensors] or None


def _conform_one(name: str, value: Any, shape: tuple | None, dtype: str) -> np.ndarray:
    if not dtype.startswith(("float", "bfloat")):
        raise ValueError(
            f"Input {name!r} takes whole numbers ({dtype}), which have no gradient. Start after the embedding."
        )
    refuse_mask(value, f"Input {name!r}")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise TypeError(array.dtype.name)
        array = array.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Input {name!r} is not a numeric array (or its images differ in size): {error}.") from error
    if shape is not None:
        array = _with_axes(name, array, shape)
    if len(array) == 0:
        raise ValueError(f"Input {name!r} holds no images: its shape is {array.shape}.")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise ValueError(f"Input {name!r} holds NaN or infinite values, first in image {bad}. Expected finite numbers.")
    return array


def _with_axes(name: str, array: np.ndarray, shape: tuple) -> np.ndarray:
    """Add the batch axis or the axis of a single channel where only they are missing."""
    candidates = [array]
    if array.ndim == len(shape):
        candidates.append(array[None])
    if len(shape) == 3 and shape[0] == 1 != shape[-1] and array.ndim == 3:
        candidates.append(array[:, None])
    if shape and shape[-1] == 1:
        candidates += [candidate[..., None] for candidate in list(candidates)]
        if array.ndim == len(shape) - 1:
            candidates.append(array[None, ..., None])
    for candidate in candidates:
        if candidate.ndim == len(shape) + 1 and all(
            want in (None, have) for want, have in zip(shape, candidate.shape[1:], strict=True)
        ):
            return candidate
    advice = "."
    if len(shape) == 3 and array.ndim in (3, 4):
        if shape[-1] in (None, array.shape[-1]):
            advice = "; resize the images first (kerasal.images.resize)."
        elif shape[0] == array.shape[-1]:
            advice = "; the model takes channels first (numpy.moveaxis(images, -1, -3))."
        else:
            advice = f"; the model takes {shape[-1]} channel{'s' * (shape[-1] != 1)}, channels last."
    raise ValueError(f"Input {name!r}: expected shape {_shown(shape)}, received {array.shape}{advice}")


def _shown(shape: tuple) -> str:
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape)]) + ")"
