"""Request tensors -> model inputs: float inputs, images or encoded files, checked, decoded and resized in the graph.

An invalid request gets an error, and the server runs on. Each check precedes the operation that it protects: a tensor
of a lower rank than declared would abort the process inside oneDNN, an empty batch would divide by 0, and a class index
out of range would be read as 0 on a GPU. The size of an encoded image is read before the image is decoded.
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
    return require(tf.shape(tensor)[0] > 0, f"{name} must have at least one row, got 0.", tensor)


def check_index(tensor: tf.Tensor, count: int, name: str) -> tf.Tensor:
    """Return indices (N,) if all are in 0..``count`` - 1."""
    inside = tf.reduce_all((tensor >= 0) & (tensor < count))
    return require(inside, f"{name} must be in 0..{count - 1}", tensor, value=tensor)


def check_rows(first: tf.Tensor, tensor: tf.Tensor, name: str | None) -> tf.Tensor:
    """Return ``tensor`` if it has as many rows as ``first``."""
    rows = tf.shape(first)[0]
    return require(tf.shape(tensor)[0] == rows, f"{name} must have as many rows as the first input.", tensor)


def require(condition: tf.Tensor, message: str, tensor: tf.Tensor, value: tf.Tensor | None = None) -> tf.Tensor:
    """Return ``tensor`` if the condition holds; otherwise the request fails with the message and the ``value``."""
    # The assertion has string tensors, which must be on the CPU.
    with tf.device("CPU:0") if tf.config.list_physical_devices("GPU") else contextlib.nullcontext():
        data = [message] if value is None else [f"{message}, got", value]
        assertion = tf.debugging.Assert(condition, data, summarize=8)
    with tf.control_dependencies([assertion] if assertion is not None else []):
        return tf.identity(tensor)


Fit = Literal["crop", "stretch"]
MAX_PIXELS = 50_000_000
"""The most pixels of an encoded image; larger images are rejected before decoding, which takes 3 or 4 bytes each."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24
_JPEG = b"\xff\xd8\xff"


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG or PNG file, a scalar string, to uint8 RGB (H, W, 3); transparent pixels are blended with white."""
    # For a PNG shorter than its header, the operation that reads the header would quote all its bytes in the error.
    is_png = (tf.strings.substr(contents, 0, len(_PNG)) == _PNG) & (tf.strings.length(contents) >= _PNG_HEADER)
    is_jpeg = tf.strings.substr(contents, 0, len(_JPEG)) == _JPEG
    contents = require(is_png | is_jpeg, "image_bytes must be JPEG or PNG files.", contents)
    size = tf.cond(
        is_png,  # by the standard, the header with width and height comes first
        lambda: tf.io.decode_raw(tf.strings.substr(contents, 16, 8), tf.int32, little_endian=False),
        lambda: tf.image.extract_jpeg_shape(contents)[:2],
    )
    pixels = tf.reduce_prod(tf.cast(size, tf.float64))
    limit = f"An image must have 1 pixel to {MAX_PIXELS // 10**6} megapixels"
    fits = (tf.reduce_min(size) > 0) & (pixels <= MAX_PIXELS)
    contents = require(fits, limit, contents, value=size)
    image = tf.cond(
        is_png,
        lambda: _decode_png(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
    )
    return tf.ensure_shape(image, (None, None, 3))


def _decode_png(contents):
    # With channels=4, TensorFlow would decode images with small palettes as nearly transparent.
    image = tf.io.decode_png(contents)
    channels = tf.shape(image)[2]
    color = tf.cond(channels < 3, lambda: tf.repeat(image[..., :1], 3, axis=2), lambda: image[..., :3])
    return tf.cond(tf.math.floormod(channels, 2) == 0, lambda: _blend_with_white(color, image[..., -1:]), lambda: color)


def _blend_with_white(color, alpha):
    opacity = tf.cast(alpha, tf.float32) / 255
    return tf.cast(tf.round(tf.cast(color, tf.float32) * opacity + 255 * (1 - opacity)), tf.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class RequestInputs:
    """The inputs of a signature.

    Attributes:
        specs: the specs of the request tensors.
        read: the function that converts request tensors to model inputs.
        example: a request of one row.
    """

    specs: list[tf.TensorSpec]
    read: Callable[[list[tf.Tensor]], list[tf.Tensor]]
    example: dict[Any, Any]


def make_request_inputs(
    model: ImageModel, on: str, *, size: tuple[int, int] | None = None, fit: Fit = "crop", scale: float = 1.0
) -> RequestInputs:
    """Return the input specs of a signature and the conversion of requests to model inputs.

    Args:
        model: the exported model.
        on: ``"inputs"`` (preprocessed model inputs), ``"image"`` (uint8 RGB of any size) or ``"bytes"`` (JPEG or PNG
            files).
        size: (height, width) for a model that takes images of any size.
        fit: ``"crop"`` images to the model's aspect ratio, or ``"stretch"`` them.
        scale: factor on the model's image size, for a method that takes crops.

    Raises:
        ValueError: images for a model whose preprocessing is not known or that takes no images.
    """
    if on == "inputs":
        return _make_array_inputs(model, size, any_size=scale != 1)
    if model.preprocessing is None:
        raise ValueError(
            f"preprocessing must be known for a signature on images of {model.name!r}, got None. Choose caffe, tf, "
            "torch, unit, none, or for example 'mean=127,std=128'. A signature on float inputs (on=inputs) needs none."
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
    """Return the conversion of images to uint8 RGB (N, height, width, 3), to which ``finish`` is applied.

    ``on`` is ``"image"`` or ``"bytes"``, which requires a ``size``; without a size, images are not resized.
    """
    if on == "bytes":
        return _make_file_inputs(size, fit, finish)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")

    def read(tensors):
        images = check_shape(tensors[0], spec.shape, spec.name)
        images = require(tf.size(images) > 0, "images must have at least one pixel, got 0.", images)
        return [finish(images if size is None else graph_resize.fit_image(images, size, fit))]

    return RequestInputs([spec], read, {"images": np.full((1, *(size or (240, 320)), 3), 127, np.uint8)})


def to_inputs(pixels: tf.Tensor, convention: Preprocessing) -> tf.Tensor:
    """Return model inputs of uint8 pixels (N, H, W, C), looked up in a table from ``Preprocessing.apply``.

    With arithmetic in the graph, where TensorFlow may replace a division by a multiplication, the last bit could
    differ.
    """
    channels = int(pixels.shape[-1] or 0)
    table = convention.apply(np.repeat(np.arange(256.0)[:, None, None], channels, axis=2))[:, 0]
    order = range(channels)[::-1] if convention.bgr else range(channels)
    planes = tf.unstack(tf.cast(pixels, tf.int32), channels, axis=-1)
    return tf.stack([tf.gather(table[:, i], planes[source]) for i, source in enumerate(order)], axis=-1)


def _make_array_inputs(model: ImageModel, size, any_size: bool) -> RequestInputs:
    specs = input_specs(model)
    if any_size and len(specs) == 1 and specs[0].shape.rank == 4:
        specs = [tf.TensorSpec((None, None, None, specs[0].shape[3]), specs[0].dtype, specs[0].name)]
    elif size is not None:
        height, width, _ = served_image(model, size)
        specs = [tf.TensorSpec((None, height, width, *specs[0].shape[3:]), specs[0].dtype, specs[0].name)]

    def read(tensors):
        checked = [check_shape(tensor, spec.shape, spec.name) for tensor, spec in zip(tensors, specs, strict=True)]
        first = checked[0]
        others = [check_rows(first, tensor, spec.name) for tensor, spec in zip(checked[1:], specs[1:], strict=True)]
        pairs = zip([first, *others], specs, strict=True)
        return [tf.debugging.check_numerics(x, spec.name) if x.dtype.is_floating else x for x, spec in pairs]

    shapes = [[1, *(side or 224 for side in spec.shape[1:])] for spec in specs]
    zeros = {spec.name: np.zeros(shape, spec.dtype.as_numpy_dtype) for spec, shape in zip(specs, shapes, strict=True)}
    return RequestInputs(specs, read, zeros)


def _make_file_inputs(size, fit, finish) -> RequestInputs:
    spec = tf.TensorSpec((None,), tf.string, "image_bytes")

    def decode(contents):
        return graph_resize.fit_image(decode_image(contents)[None], size, fit)[0]

    def read(tensors):
        files = check_shape(tensors[0], spec.shape, spec.name)
        # One image at a time, to limit memory: before it is resized, an image can be large.
        signature = tf.TensorSpec((*size, 3), tf.uint8)
        return [finish(tf.map_fn(decode, files, fn_output_signature=signature, parallel_iterations=1))]

    gray = tf.io.encode_jpeg(np.full((*size, 3), 127, np.uint8)).numpy()
    return RequestInputs([spec], read, {"image_bytes": np.array([gray], dtype=object)})
