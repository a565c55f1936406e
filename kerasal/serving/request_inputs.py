"""How a request's images become model inputs: ``inputs``, ``image`` or ``bytes``, each with the checks in the graph."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasal.models.image_model import ImageModel
from kerasal.preprocessing import Preprocessing
from kerasal.serving import graph_resize, guards, image_decoder
from kerasal.serving.served_model import input_specs, served_image

import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Intake:
    """Tensors of ``specs`` in, what ``read`` makes of them out; ``example`` is a request of one row."""

    specs: list[tf.TensorSpec]
    read: Callable[[list[tf.Tensor]], list[tf.Tensor]]
    example: dict[str, Any]


def make_intake(
    model: ImageModel, on: str, *, size: tuple[int, int] | None = None, fit: str = "crop", scale: float = 1.0
) -> Intake:
    """Return the intake for one signature.

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
        return _inputs(model, size, any_size=scale != 1)
    if model.preprocessing is None:
        raise ValueError(
            f"How does {model.name!r} want its pixels? A signature on images needs preprocessing: caffe, tf, "
            "torch, unit, none, or for example 'mean=127,std=128'. On float inputs (on=inputs) it does not."
        )
    height, width, channels = served_image(model, size)
    size = round(scale * height), round(scale * width)
    return make_pixels(on, size, fit, _to_inputs(model.preprocessing, channels))


def make_pixels(
    on: str, size: tuple[int, int] | None, fit: str = "crop", finish: Callable = lambda pixels: pixels
) -> Intake:
    """Return an intake that gives ``finish`` of uint8 RGB images (N, height, width, 3); no ``size`` leaves them theirs.

    ``on`` is ``"image"``, or ``"bytes"``, which needs a size.
    """
    return _images(size, fit, finish) if on == "image" else _files(size, fit, finish)


def to_inputs(pixels: tf.Tensor, convention: Preprocessing) -> tf.Tensor:
    """Turn uint8 pixels (N, H, W, C) into model inputs, by a table that ``Preprocessing.apply`` itself has filled.

    TensorFlow may divide by multiplying, which is not the same to the last bit.
    """
    channels = pixels.shape[-1]
    table = convention.apply(np.repeat(np.arange(256.0)[:, None, None], channels, axis=2))[:, 0]
    order = range(channels)[::-1] if convention.bgr else range(channels)
    numbers = tf.cast(pixels, tf.int32)
    return tf.stack([tf.gather(table[:, i], numbers[..., source]) for i, source in enumerate(order)], axis=-1)


def _inputs(model: ImageModel, size, any_size: bool) -> Intake:
    specs = input_specs(model)
    if any_size and len(specs) == 1 and specs[0].shape.rank == 4:
        specs = [tf.TensorSpec((None, None, None, specs[0].shape[3]), specs[0].dtype, specs[0].name)]
    elif size is not None:
        height, width, _ = served_image(model, size)
        specs = [tf.TensorSpec((None, height, width, *specs[0].shape[3:]), specs[0].dtype, specs[0].name)]

    def read(tensors):
        checked = [guards.shaped(one, spec.shape, spec.name) for one, spec in zip(tensors, specs, strict=True)]
        first = checked[0]
        rows = [guards.same_rows(first, one, spec.name) for one, spec in zip(checked[1:], specs[1:], strict=True)]
        return [guards.finite(one, spec.name) for one, spec in zip([first, *rows], specs, strict=True)]

    shapes = [[1, *(side or 224 for side in spec.shape[1:])] for spec in specs]
    zeros = {spec.name: np.zeros(shape, spec.dtype.as_numpy_dtype) for spec, shape in zip(specs, shapes, strict=True)}
    return Intake(specs, read, zeros)


def _images(size, fit, finish) -> Intake:
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8, "images")

    def read(tensors):
        images = guards.shaped(tensors[0], spec.shape, spec.name)
        images = guards.require(tf.size(images) > 0, "images hold no pixels.", images)
        return [finish(images if size is None else graph_resize.fit_image(images, size, fit))]

    return Intake([spec], read, {"images": np.full((1, *(size or (240, 320)), 3), 127, np.uint8)})


def _files(size, fit, finish) -> Intake:
    spec = tf.TensorSpec((None,), tf.string, "image_bytes")

    def one(contents):
        return graph_resize.fit_image(image_decoder.decode(contents)[None], size, fit)[0]

    def read(tensors):
        files = guards.shaped(tensors[0], spec.shape, spec.name)
        # One at a time: an image is large until it is brought to the model's size.
        signature = tf.TensorSpec((*size, 3), tf.uint8)
        return [finish(tf.map_fn(one, files, fn_output_signature=signature, parallel_iterations=1))]

    grey = tf.io.encode_jpeg(np.full((*size, 3), 127, np.uint8)).numpy()
    return Intake([spec], read, {"image_bytes": np.array([grey], dtype=object)})


def _to_inputs(convention: Preprocessing, channels: int) -> Callable:
    def finish(pixels):
        if channels == 3:
            return to_inputs(pixels, convention)
        luma = tf.tensordot(tf.cast(pixels, tf.float32), tf.constant([0.299, 0.587, 0.114]), axes=1)
        grey = to_inputs(tf.cast(tf.round(luma), tf.uint8)[..., None], convention)
        return grey if channels else grey[..., 0]

    return finish
