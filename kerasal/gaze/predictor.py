"""A gaze model at work: photographs of any size in, one map of its own size per photograph out."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from kerasal import preprocessing as conventions
from kerasal.checks import check_choice
from kerasal.hooks import unchanged
from kerasal.hooks.trace import RetracingFunction
from kerasal.images import check_image, resize, size_of_area
from kerasal.layers import LogDensity
from kerasal.models.image_model import ImageModel
from kerasal.process import check_process

import keras
import tensorflow as tf

Postprocess = Literal["examiners", "pan", "none"]

AREA = 240 * 320
"""The pixels on which a model of any size looks at a photograph, unless it is given a size."""


class Predictor:
    """A gaze model, compiled once and again when it has changed, that gives raw maps of photographs.

    Args:
        model: RGB images in, one map per image out; see ``kerasal.training.train_gaze``.
        preprocessing: how it wants its pixels.
        size: (height, width) to look at photographs in, for a model that takes any size. One that gives log-densities
            (``layers.LogDensity``) needs none: it looks at each photograph in its own proportions, on ``AREA`` pixels.
        target_range: the range of the maps it was trained on: 0..1 (``"unit"``), or -1..1 (``"pm1"``), which is brought
            to 0..1.

    Attributes:
        gives_log_density: whether the model's output is a log-density, of which ``raw`` gives the density.
        postprocess: how its maps are finished unless something else is asked for: ``"none"`` for densities, for other
            maps ``"examiners"``; see ``kerasal.gaze.finish``.

    Raises:
        ValueError: no such model.
    """

    def __init__(
        self,
        model: keras.Model,
        preprocessing: str | conventions.Preprocessing = "unit",
        *,
        size: tuple[int, int] | None = None,
        target_range: Literal["unit", "pm1"] = "unit",
    ):
        check_process()
        check_choice("target_range", target_range, ("unit", "pm1"))
        self.model, self.convention = model, conventions.get(preprocessing)
        self._pm1, self.gives_log_density = target_range == "pm1", is_log_density(model)
        self.postprocess: Postprocess = "none" if self.gives_log_density else "examiners"
        self.size = self.map_size = None
        if not (self.gives_log_density and size is None and None in model.input_shape[1:3]):
            self.size, self.map_size = find_image_size(model, size), find_map_size(model, size)
        pixels = tf.TensorSpec((None, *(self.size or (None, None)), 3), tf.uint8)
        self._graph = RetracingFunction(self.forward, [pixels], model, autograph=True)

    @classmethod
    def of(cls, model: ImageModel) -> "Predictor":
        """Return the predictor of an opened model; pixels are 0..1 where it is not known how it wants them."""
        target_range = model.facts.get("target_range", "unit")
        return cls(model.keras_model, model.preprocessing or "unit", size=model.size, target_range=target_range)

    @property
    def net(self) -> keras.Model:
        """The model; deprecated, use ``model``."""
        warnings.warn("Predictor.net is called Predictor.model now.", DeprecationWarning, stacklevel=2)
        return self.model

    def raw(self, photographs: Iterable[np.ndarray], batch_size: int = 16) -> Iterator[np.ndarray]:
        """Yield the model's own map (h, w) of each photograph, uint8 RGB of any size; float32, not clipped.

        Raises:
            ValueError: no such photograph.
        """
        check_process()
        batch: list[np.ndarray] = []
        for photograph in photographs:
            photograph = check_image(photograph, "A photograph")
            # All of it, stretched, because its map is stretched back.
            ready = resize(photograph, self.size or size_of_area(photograph.shape[:2], AREA))
            if len(batch) == batch_size or (batch and batch[0].shape != ready.shape):
                yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()
                batch = []
            batch.append(ready)
        if batch:
            yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()

    def forward(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the model's maps (N, h, w) of a tensor of pixels, uint8 (N, H, W, 3) of the size that it looks at."""
        with unchanged(self.model):
            outputs = self.model(preprocess(pixels, self.convention), training=False)
        size = self.map_size or tuple(tf.unstack(tf.shape(outputs)[1:3]))
        maps = tf.cast(shape_maps(outputs, size, log=self.gives_log_density), tf.float32)
        return (maps + 1) / 2 if self._pm1 else maps


def find_image_size(model, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) that ``model`` takes: its own, or ``size`` where it takes any.

    Raises:
        ValueError: no model of one RGB image, or one of another size than ``size``; one of any size, and no ``size``.
    """
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (3, None):
        raise ValueError(f"A gaze net takes RGB images (N, H, W, 3). {getattr(model, 'name', model)!r} takes {shape}.")
    own = shape[1:3]
    if None not in own:
        if size is not None and tuple(size) != own:
            raise ValueError(f"{model.name} takes images of {own[0]} x {own[1]}. Received size {tuple(size)}.")
        return own[0], own[1]
    if size is None:
        raise ValueError(f"{model.name} takes images of any size: say which, as size=(height, width).")
    return int(size[0]), int(size[1])


def find_map_size(model, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of the maps that ``model`` makes of images of ``find_image_size(model, size)``.

    Raises:
        ValueError: the output is no map: (N, H, W), (N, H, W, 1), or the pixels of a square one in a row.
    """
    height, width = find_image_size(model, size)
    shape = tuple(model.compute_output_shape((1, height, width, 3)))
    side = math.isqrt(shape[1] or 0) if len(shape) == 2 else 0
    if side > 1 and side**2 == shape[1]:
        return side, side
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return shape[1], shape[2]
    raise ValueError(
        f"A gaze net makes one map an image: (N, H, W), (N, H, W, 1) or a square in a row. {model.name} makes {shape}."
    )


def is_log_density(model) -> bool:
    """Tell whether a model gives log-densities, that is, whether its last layer is ``LogDensity``."""
    return bool(getattr(model, "layers", None)) and isinstance(model.layers[-1], LogDensity)


def shape_maps(outputs, size: tuple[int, int], *, log: bool = False):
    """Shape the outputs of a model, an array or a tensor, as (N, H, W); log-densities become maps of maximum 1."""
    maps = tf.reshape(outputs, (-1, *size))
    # The maximum only sets the scale, which no metric but the MSE looks at: no gradient goes through it.
    return tf.exp(maps - tf.stop_gradient(tf.reduce_max(maps, axis=(1, 2), keepdims=True))) if log else maps


def preprocess(pixels, convention: conventions.Preprocessing):
    """Turn a tensor of pixels (N, H, W, 3), 0..255, into model inputs: ``Preprocessing.apply`` in the graph."""
    pixels = tf.cast(pixels, tf.float32)
    if convention.bgr:
        pixels = pixels[..., ::-1]
    return (pixels - np.asarray(convention.mean, np.float32)) / np.asarray(convention.std, np.float32)
