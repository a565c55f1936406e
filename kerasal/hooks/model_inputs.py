"""Conversion of a user's arrays to the inputs of a model, and the batch size that a model takes."""

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.hooks.positions import channel_axes
from kerasal.hooks.token_inputs import check_vocabulary, convert_integers, refuse_words
from kerasal.process import check_process

import keras
import tensorflow as tf


class PixelInputs(UserWarning):
    """Warning that inputs are pixels of another range than the model takes: of 0..255, or of 0..1."""


def conform(model: keras.Model, inputs: Any, *, any_size: bool = False, integers: bool = False) -> list[np.ndarray]:
    """Return a float32 array (N, …) for each input of the model; values are not scaled.

    ``inputs`` is an array, a tensor, a DataFrame, a list of arrays for the inputs (for a model of one input, a list of
    images), or a dictionary with the names of the inputs as keys. Integers become float32. A single image becomes a
    batch, and images of a single channel may lack the channel axis. Arrays that are float32 already are not copied, so
    do not write to the results. With ``any_size``, images may have another size than the model declares. With
    ``integers``, inputs that the model declares as integers or bool, such as token indices, keep that type.

    Values are used as they are, with the warning ``PixelInputs`` if they are uint8 and the model does not rescale
    pixels of 0..255, or if they are fractions of 1 and it does.

    Raises:
        ValueError: the model has no weights yet, or takes integers (token indices) and ``integers`` is not set; the
            number, names or shapes of the inputs do not fit; an input is empty or holds NaN or infinity; a list for a
            model that takes a dictionary of several inputs; an index is outside of the vocabulary of an embedding.
        TypeError: an input is not a numeric array.
    """
    specs = input_specs(model)
    if specs is None or not all(dtype.startswith("int") for _, _, dtype in specs):
        _refuse_unread_images(inputs)
    names = [name for name, _, _ in specs or ()]
    if isinstance(inputs, Mapping):
        names = names or list(inputs)
        if set(inputs) != set(names):
            raise ValueError(
                f"inputs must be a dictionary with the keys {', '.join(map(str, names))}, "
                f"got {', '.join(map(str, inputs))}."
            )
        flat = [inputs[name] for name in names]
    elif isinstance(inputs, (list, tuple)) and len(names) != 1:
        if isinstance(getattr(model, "_inputs_struct", None), Mapping):  # whose order is not that of the caller's
            raise ValueError(
                f"inputs of {model.name!r} must be a dictionary with the keys {', '.join(names)}, got a "
                f"{type(inputs).__name__}. Pass {{{', '.join(f'{name!r}: …' for name in names)}}}."
            )
        flat, names = list(inputs), names or [str(i) for i in range(len(inputs))]
    else:
        flat, names = [inputs], names[:1] or ["input"]
    if specs is not None and len(flat) != len(specs):
        listed = ", ".join(f"{name} {format_shape(shape)}" for name, shape, _ in specs)
        raise ValueError(f"inputs of {model.name!r} must be {len(specs)} arrays, {listed}, got {len(flat)}.")
    arrays = []
    for i, (name, array) in enumerate(zip(names, flat, strict=True)):
        shape, dtype = (specs[i][1], specs[i][2]) if specs else (None, "float32")
        if any_size and shape is not None and len(shape) in (2, 3):
            channels = channel_axes(model)[i]
            if len(shape) - (channels is not None) == 2:
                shape = tuple(size if axis == channels else None for axis, size in enumerate(shape, 1))
        arrays.append(_conform_array(name, array, shape, dtype, integers))
        if arrays[-1].dtype.kind in "iu":
            check_vocabulary(model, i, name, arrays[-1])
        if arrays[-1].dtype == np.float32:
            _warn_of_pixels(model, array, arrays[-1])
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(f"inputs must all have the same number of images, got {[len(array) for array in arrays]}.")
    return arrays


def unpack(model: keras.Model, arrays: list, example: Any) -> Any:
    """Return ``arrays``, one result per input of the model, in the structure of the user's inputs, ``example``."""
    if isinstance(example, Mapping):
        names = [tensor.name for tensor in getattr(model, "inputs", None) or []]
        return dict(zip(names or example, arrays, strict=True))
    return arrays if len(arrays) > 1 else arrays[0]


def chunk_size(arrays: Sequence[Any]) -> int:
    """Return the number of images per batch: about two of 224 × 224 on a CPU, where more would only cost memory."""
    values = sum(math.prod(array.shape[1:]) for array in arrays)
    return max(1, min(256, 2 * values_per_pass() // max(values, 1)))


def values_per_pass() -> int:
    """Return the number of input values in an efficient pass: an image of 224 × 224 × 3 on a CPU, 32 on a GPU."""
    return 224 * 224 * 3 * (32 if tf.config.list_physical_devices("GPU") else 1)


def input_specs(model) -> list[tuple[str, tuple, str]] | None:
    """Return (name, shape without the batch axis, dtype) of each input; None for a subclassed model."""
    check_process()
    if not isinstance(model, keras.Model):
        opened = hasattr(model, "keras_model")
        remedy = "Pass its .keras_model" if opened else "Use kerasal.load_model(name) for a name"
        raise TypeError(f"model must be a keras.Model, got {model.name if opened else model!r}. {remedy}.")
    if not model.built:
        raise ValueError(
            f"model must be built, but {model.name!r} has no weights yet. Call it once on a batch of inputs."
        )
    tensors = getattr(model, "inputs", None) or []
    return [(tensor.name, tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in tensors] or None


def _conform_array(name: str, value: Any, shape: tuple | None, dtype: str, integers: bool) -> np.ndarray:
    is_float = dtype.startswith(("float", "bfloat"))
    if not is_float and not (integers and dtype.startswith(("int", "uint", "bool"))):
        remedy = "Use the part of the model after the embedding." if "int" in dtype else "Convert it before the model."
        raise ValueError(f"Input {name!r} must be floating point, got {dtype}, which has no gradient. {remedy}")
    refuse_mask(value, f"Input {name!r}")
    if not is_float:
        refuse_words(name, value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
            raise TypeError(array.dtype.name)
        array = array.astype(np.float32, copy=False) if is_float else array
    except (TypeError, ValueError) as error:
        remedy = (
            _length_remedy(value, shape) if is_float else " Pad sequences to one length (keras.utils.pad_sequences)."
        )
        raise TypeError(
            f"Input {name!r} must be a numeric array of {'images' if is_float else 'sequences'} of equal size, got "
            f"{type(value).__name__} ({error}).{remedy}"
        ) from error
    if not is_float:
        array = convert_integers(name, array, dtype)
    if shape is not None:
        array = _add_axes(name, array, shape, is_float)
    if array.size == 0:
        raise ValueError(f"Input {name!r} must not be empty, got shape {array.shape}.")
    if not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise ValueError(f"Input {name!r} must be finite, got NaN or infinity, first in image {bad}.")
    return array


def _length_remedy(value: Any, shape: tuple | None) -> str:
    """Return what to do about inputs (*positions, channels) of different sizes, or "" if that is not the fault."""
    if not isinstance(value, (list, tuple, np.ndarray)) or len({np.shape(item) for item in value}) < 2:
        return ""
    sizes = " and ".join(map(str, list(dict.fromkeys(np.shape(item) for item in value))[:2]))
    if None not in (shape or (None,)):
        return f" Bring {sizes} to the shape that the model takes, {format_shape(shape or ())}."
    return f" Pass the inputs, of {sizes}, one at a time, or pad them to one size."


def _refuse_unread_images(inputs: Any) -> None:
    """Raise an error for paths and PIL images, which only an ``ImageModel`` reads and preprocesses."""
    first = inputs
    while isinstance(first, (list, tuple, Mapping)) and first:
        first = next(iter(first.values() if isinstance(first, Mapping) else first))
    if isinstance(first, (str, os.PathLike)):
        what = f"the path {os.fspath(first)!r}"
    elif type(first).__module__.split(".")[0] == "PIL":
        what = "a PIL image"
    else:
        return
    raise TypeError(
        f"inputs must be an array of preprocessed images, got {what}. Open the model with kerasal.open_model and call "
        "kerasal.explain(model, photo), or pass model.keras_model and model.inputs(photos), which reads and "
        f"preprocesses photos{'' if isinstance(first, (str, os.PathLike)) else ' (numpy.asarray(photo))'}."
    )


def _warn_of_pixels(model: keras.Model, value: Any, array: np.ndarray) -> None:
    """Warn if the values are those of another range of pixels than the layers at the start of the model take.

    ``value`` was passed by the user, and ``array`` is its float32 version. uint8 pixels need a model that rescales
    0..255. A model that does so needs more than fractions of 1, which are pixels that were divided by 255 already.
    """
    dtype = getattr(value, "dtype", None)
    is_bytes = getattr(dtype, "name", dtype) == "uint8" and np.max(value, initial=0) > 1
    is_unit = not is_bytes and array.min() >= 0 and array.max() <= 1 and bool((array % 1).any())
    if not (is_bytes or is_unit):
        return
    from kerasal.hooks.pixel_arithmetic import pixel_arithmetic

    arithmetic = pixel_arithmetic(model)
    takes_bytes = arithmetic is not None and arithmetic.ranges == ["none"]
    if is_bytes and not takes_bytes:
        text = (
            f"inputs must be preprocessed for {model.name!r}, got uint8 pixels, which are used as numbers of 0..255. "
            "Open the model with kerasal.open_model and pass model.inputs(images). If the model was trained on 0..255, "
            "convert them: images.astype('float32')."
        )
    elif is_unit and takes_bytes:
        text = (
            f"inputs must be pixels of 0..255 for {model.name!r}, which rescales them itself, got values of "
            f"{array.min():.3g}..{array.max():.3g}. Multiply them by 255 if they are pixels of 0..1."
        )
    else:
        return
    warnings.warn(text, PixelInputs, stacklevel=4)


def _add_axes(name: str, array: np.ndarray, shape: tuple, is_float: bool = True) -> np.ndarray:
    """Add the batch axis and the axis of a single channel if they are missing."""
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
    remedy = ""
    if not is_float and len(shape) == 1 < shape[0] and array.ndim in (1, 2):
        remedy = f"Pad or cut sequences, as by keras.utils.pad_sequences(sequences, maxlen={shape[0]})."
    elif len(shape) == 3 and array.ndim in (3, 4):
        if shape[-1] in (None, array.shape[-1]):
            remedy = "Resize the images first (kerasal.images.resize)."
        elif shape[0] == array.shape[-1]:
            remedy = "The model takes channels first (numpy.moveaxis(images, -1, -3))."
        else:
            remedy = f"The model takes {shape[-1]} channel{'s' * (shape[-1] != 1)}, channels last."
    raise ValueError(f"Input {name!r} must have shape {format_shape(shape)}, got {array.shape}. {remedy}".rstrip())


def format_shape(shape: tuple) -> str:
    """Return a shape without the batch axis as text, such as "(N, 28, any, 1)"."""
    return "(" + ", ".join(["N", *("any" if size is None else str(size) for size in shape)]) + ")"
