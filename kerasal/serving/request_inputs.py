"""How a request becomes model inputs: ``inputs``, ``image`` or ``bytes``, decoded, resized and checked in the graph.

A bad request gets an error and the server lives on. Each check comes before whatever it guards: a request of a lower
rank than declared otherwise ends the process inside oneDNN, an empty batch divides by 0, and a class that is not there
is read as 0 on a GPU. The size of an encoded image is read before it is decoded.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from kerasal.models.image_model import ImageModel
from kerasal.preprocessing import Preprocessing
from kerasal.serving import graph_resize
from kerasal.serving.served_model import input_specs, served_image

import tensorflow as tf


def check_shape(tensor: tf.Tensor, shape: Any, name: str | None) -> tf.Tensor:
    """Return ``tensor`` if it has this shape and at least one row."""
    tensor = tf.ensure_shape(tensor, shape)
    return require(tf.shape(tensor)[0] > 0, f"{name} holds no rows; expected at least one.", tensor)


def check_index(tensor: tf.Tensor, count: int, name: str) -> tf.Tensor:
    """Return indices (N,) if each is from 0 to below ``count``."""
    inside = tf.reduce_all((tensor >= 0) & (tensor < count))
    return require(inside, f"{name} is from 0 to {count - 1}.", tensor, shown=tensor)


def check_rows(first: tf.Tensor, tensor: tf.Tensor, name: str | None) -> tf.Tensor:
    """Return ``tensor`` if it has as many rows as ``first``."""
    rows = tf.shape(first)[0]
    return require(tf.shape(tensor)[0] == rows, f"{name} needs a row for each row of the first input.", tensor)


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor, shown: tf.Tensor | None = None) -> tf.Tensor:
    """Return ``tensor`` if the condition holds; otherwise the request fails with the message."""
    # The device is named because an assertion holds strings, which no GPU has.
    with tf.device("CPU:0") if tf.config.list_physical_devices("GPU") else contextlib.nullcontext():
        said = [message] if shown is None else [message, "Received:", shown]
        checked = tf.debugging.Assert(condition, said, summarize=8)
    with tf.control_dependencies([checked] if checked is not None else []):
        return tf.identity(tensor)


Fit = Literal["crop", "stretch"]
MAX_PIXELS = 50_000_000
"""The pixels that an encoded image may have; more are refused before decoding, which takes 3 or 4 bytes for each."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24
_JPEG = b"\xff\xd8\xff"


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decode one JPEG or PNG file, a scalar string, to uint8 RGB (H, W, 3); transparency is laid on white."""
    # A PNG shorter than its header would be named, with all its bytes, by the operation that reads the header.
    is_png = (tf.strings.substr(contents, 0, len(_PNG)) == _PNG) & (tf.strings.length(contents) >= _PNG_HEADER)
    is_jpeg = tf.strings.substr(contents, 0, len(_JPEG)) == _JPEG
    contents = require(is_png | is_jpeg, "Expected the bytes of a JPEG or PNG file.", contents)
    size = tf.cond(
        is_png,  # width and height stand in the header, which by the standard comes first
        lambda: tf.io.decode_raw(tf.strings.substr(contents, 16, 8), tf.int32, little_endian=False),
        lambda: tf.image.extract_jpeg_shape(contents)[:2],
    )
    pixels = tf.reduce_prod(tf.cast(size, tf.float64))
    limit = f"An image has from 1 pixel to {MAX_PIXELS // 10**6} megapixels."
    fits = (tf.reduce_min(size) > 0) & (pixels <= MAX_PIXELS)
    contents = require(fits, limit, contents, shown=size)
    image = tf.cond(
        is_png,
        lambda: _decode_png(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
    )
    return tf.ensure_shape(image, (None, None, 3))


def _decode_png(contents):
    # With the channels that the file has: asked for four, TensorFlow makes palettes of few bits nearly transparent.
    image = tf.io.decode_png(contents)
    channels = tf.shape(image)[2]
    color = tf.cond(channels < 3, lambda: tf.repeat(image[..., :1], 3, axis=2), lambda: image[..., :3])
    return tf.cond(tf.math.floormod(channels, 2) == 0, lambda: _lay_on_white(color, image[..., -1:]), lambda: color)


def _lay_on_white(color, cover):
    share = tf.cast(cover, tf.float32) / 255
    return tf.cast(tf.round(tf.cast(color, tf.float32) * share + 255 * (1 - share)), tf.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class RequestInputs:
    """Tensors of ``specs`` in, what ``read`` makes of them out; ``example`` is a request of one row."""

    specs: list[tf.TensorSpec]
    read: Callable[[list[tf.Tensor]], list[tf.Tensor]]
    example: dict[Any, Any]


def make_request_inputs(
    model: ImageModel, on: str, *, size: tuple[int, int] | None = None, fit: Fit = "crop", scale: float = 1.0
) -> RequestInputs:
    """Return what one signature takes, and how that becomes model inputs.

    Args:
        model: what is exported.
        on: ``"inputs"``, preprocessed as the model takes them; ``"image"``, uint8 RGB of any size; ``"bytes"``, files.
        size: (height, width) for a model that takes any.
        fit: cut an image to the model's proportions (``"crop"``), or stretch it.
        scale: makes images larger than the model takes them, for a method that cuts crops itself.

    Raises:
        ValueError: an unknown kind, or images for a model whose pixel convention is not known.
    """
    if on == "inputs":
        return _read_arrays(model, size, any_size=scale != 1)
    if model.preprocessing is None:
        raise ValueError(
            f"How does {model.name!r} want its pixels? A signature on images needs preprocessing: caffe, tf, "
            "torch, unit, none, or for example 'mean=127,std=128'. On float inputs (on=inputs) it does not."
        )
    height, width, channels = served_image(model, size)
    size = round(scale * height), round(scale * width)
    convention = model.preprocessing

    def finish(pixels):
        if channels == 3:
            return to_inputs(pixels, convention)
        luma = tf.tensordot(tf.cast(pixels, tf.float32), tf.constant([0.299, 0.587, 0.114]), axes=1)
        gray = to_inputs(tf.cast(tf.round(luma), tf.uint8)[..., tf.newaxis], convention)
        return gray if channels else tf.squeeze(gray, -1)

    return make_pixel_inputs(on, size, fit, finish)


def make_pixel_inputs(
    on: str, size: tuple[int, int] | None, fit: Fit = "crop", finish: Callable = lambda pixels: pixels
) -> RequestInputs:
    """Return the reading of uint8 RGB images (N, height, width, 3), through ``finish``; no ``size``: they keep theirs.

    ``on`` is ``"image"``, or ``"bytes"``, which needs a size.
    """
    if on == "bytes":
        return _read_files(size, fit, finish)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")

    def read(tensors):
        images = check_shape(tensors[0], spec.shape, spec.name)
        images = require(tf.size(images) > 0, "images hold no pixels.", images)
        return [finish(images if size is None else graph_resize.fit_image(images, size, fit))]

    return RequestInputs([spec], read, {"images": np.full((1, *(size or (240, 320)), 3), 127, np.uint8)})


def to_inputs(pixels: tf.Tensor, convention: Preprocessing) -> tf.Tensor:
    """Turn uint8 pixels (N, H, W, C) into model inputs, by a table that ``Preprocessing.apply`` itself has filled.

    TensorFlow may divide by multiplying, which is not the same to the last bit.
    """
    channels = int(pixels.shape[-1] or 0)
    table = convention.apply(np.repeat(np.arange(256.0)[:, None, None], channels, axis=2))[:, 0]
    order = range(channels)[::-1] if convention.bgr else range(channels)
    planes = tf.unstack(tf.cast(pixels, tf.int32), channels, axis=-1)
    return tf.stack([tf.gather(table[:, i], planes[source]) for i, source in enumerate(order)], axis=-1)


def _read_arrays(model: ImageModel, size, any_size: bool) -> RequestInputs:
    specs = input_specs(model)
    if any_size and len(specs) == 1 and specs[0].shape.rank == 4:
        specs = [tf.TensorSpec((None, None, None, specs[0].shape[3]), specs[0].dtype, specs[0].name)]
    elif size is not None:
        height, width, _ = served_image(model, size)
        specs = [tf.TensorSpec((None, height, width, *specs[0].shape[3:]), specs[0].dtype, specs[0].name)]

    def read(tensors):
        checked = [check_shape(one, spec.shape, spec.name) for one, spec in zip(tensors, specs, strict=True)]
        first = checked[0]
        rows = [check_rows(first, one, spec.name) for one, spec in zip(checked[1:], specs[1:], strict=True)]
        named = zip([first, *rows], specs, strict=True)
        return [tf.debugging.check_numerics(x, one.name) if x.dtype.is_floating else x for x, one in named]

    shapes = [[1, *(side or 224 for side in spec.shape[1:])] for spec in specs]
    zeros = {spec.name: np.zeros(shape, spec.dtype.as_numpy_dtype) for spec, shape in zip(specs, shapes, strict=True)}
    return RequestInputs(specs, read, zeros)


def _read_files(size, fit, finish) -> RequestInputs:
    spec = tf.TensorSpec((None,), tf.string, "image_bytes")

    def one(contents):
        return graph_resize.fit_image(decode_image(contents)[None], size, fit)[0]

    def read(tensors):
        files = check_shape(tensors[0], spec.shape, spec.name)
        # One at a time: an image is large until it is brought to the model's size.
        signature = tf.TensorSpec((*size, 3), tf.uint8)
        return [finish(tf.map_fn(one, files, fn_output_signature=signature, parallel_iterations=1))]

    gray = tf.io.encode_jpeg(np.full((*size, 3), 127, np.uint8)).numpy()
    return RequestInputs([spec], read, {"image_bytes": np.array([gray], dtype=object)})
