"""``Predictor``: a compiled gaze model that takes photos of any size and returns their raw maps."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from kerasal import preprocessing as conventions
from kerasal.checks import check_choice
from kerasal.hooks import unchanged
from kerasal.hooks.trace import RetracingFunction
from kerasal.images import check_image, resize, size_like
from kerasal.layers import LogDensity
from kerasal.models.image_model import ImageModel
from kerasal.names import RenamedAttribute
from kerasal.process import check_process

import keras
import tensorflow as tf

Postprocess = Literal["examiners", "pan", "none"]


class Predictor:
    """A compiled gaze model that returns raw maps of photos; it is compiled again when the model has changed.

    Args:
        model: a model that takes RGB images and returns one map per image; see ``kerasal.training.train_gaze``.
        preprocessing: how pixels become model inputs.
        size: (height, width) to which photos are resized, for a model that takes any size. Models of log-densities
            (``layers.LogDensity``) do not need it: photos keep their aspect ratio and get about as many pixels as the
            ``image_size`` of that layer has; see ``kerasal.images.size_like``.
        target_range: the range of the maps in training: 0..1 (``"unit"``), or -1..1 (``"pm1"``), which is mapped to
            0..1.

    Attributes:
        size: (height, width) to which photos are resized, or None if it depends on their aspect ratio; see ``fit``.
        gives_log_density: whether the output of the model is a log-density; ``raw`` then returns its exponential.
        postprocess: default method of resizing maps: ``"none"`` for densities, ``"examiners"`` for other maps; see
            ``kerasal.gaze.resize_map``.

    Raises:
        ValueError: the model does not take an RGB image or does not return maps, or ``size`` does not fit.
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
    def from_image_model(cls, model: ImageModel) -> "Predictor":
        """Return the predictor of an opened model; if its preprocessing is unknown, pixels are scaled to 0..1.

        A UserWarning says so.
        """
        if model.preprocessing is None:
            warn_of_assumption(model.name)
        target_range = model.facts.get("target_range", "unit")
        return cls(model.keras_model, model.preprocessing or "unit", size=model.size, target_range=target_range)

    net = RenamedAttribute("model")
    of = RenamedAttribute("from_image_model")

    def raw(self, photographs: Iterable[np.ndarray], batch_size: int = 16) -> Iterator[np.ndarray]:
        """Yield the output of the model for each photo: a map (h, w), float32, not clipped.

        Args:
            photographs: uint8 RGB (H, W, 3), of any sizes.
            batch_size: number of photos per batch.

        Raises:
            ValueError: a photo is not uint8 RGB.
        """
        check_process()
        batch: list[np.ndarray] = []
        for photograph in photographs:
            photograph = check_image(photograph, "A photo")
            # Stretched rather than cropped, because the map is stretched back to the photo.
            resized = self.fit(photograph)
            if len(batch) == batch_size or (batch and batch[0].shape != resized.shape):
                yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()
                batch = []
            batch.append(resized)
        if batch:
            yield from self._graph.current()(tf.constant(np.stack(batch))).numpy()

    def fit(self, photo: np.ndarray) -> np.ndarray:
        """Return a photo, uint8 RGB, resized to ``size``, or to a size like ``image_size`` in its own aspect ratio."""
        return resize(photo, self.size or size_like(photo.shape[:2], self.image_size))

    @property
    def image_size(self) -> tuple[int, int]:
        """The (height, width) of the images that a model of any size was trained on: that of its ``LogDensity``."""
        return self.model.layers[-1].image_size

    def forward(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the maps (N, h, w) of a tensor of resized photos, uint8 (N, H, W, 3)."""
        with unchanged(self.model):
            outputs = self.model(preprocess(pixels, self.convention), training=False)
        size = self.map_size or tuple(tf.unstack(tf.shape(outputs)[1:3]))
        maps = tf.cast(shape_maps(outputs, size, log=self.gives_log_density), tf.float32)
        return (maps + 1) / 2 if self._pm1 else maps


def warn_of_assumption(name: str) -> None:
    """Warn that the preprocessing of a gaze model is unknown and "unit" is assumed."""
    warnings.warn(
        f"The preprocessing of {name!r} is unknown: pixels are scaled to 0..1 ('unit'). Pass preprocessing= to "
        "change it, or 'unit' to confirm it.",
        stacklevel=3,
    )


def find_image_size(model, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) that ``model`` declares, or ``size`` if the model takes images of any size.

    Raises:
        ValueError: the model does not take a single RGB image, ``size`` differs from the size that it declares, or
            ``size`` is missing for a model of any size.
    """
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (3, None):
        name = getattr(model, "name", model)
        raise ValueError(f"A gaze model must take RGB images (N, H, W, 3), got {name!r}, which takes {shape}.")
    height, width = shape[1:3]
    if height is not None and width is not None:
        if size is not None and tuple(size) != (height, width):
            raise ValueError(f"size must be the size of {model.name!r}, {height} x {width}, got {tuple(size)}.")
        return height, width
    if size is None:
        raise ValueError(f"size must be (height, width) for {model.name!r}, which takes images of any size, got None.")
    return int(size[0]), int(size[1])


def find_map_size(model, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the (height, width) of the maps of ``model`` for images of ``find_image_size(model, size)``.

    Raises:
        ValueError: the output is not a map: (N, H, W), (N, H, W, 1), or the flattened pixels of a square map.
    """
    height, width = find_image_size(model, size)
    shape = tuple(model.compute_output_shape((1, height, width, 3)))
    side = math.isqrt(shape[1] or 0) if len(shape) == 2 else 0
    if side > 1 and side**2 == shape[1]:
        return side, side
    if len(shape) == 3 or (len(shape) == 4 and shape[3] == 1):
        return shape[1], shape[2]
    raise ValueError(
        "A gaze model must return one map per image, (N, H, W), (N, H, W, 1) or a flattened square, got "
        f"{model.name!r} with the output {shape}."
    )


def is_log_density(model) -> bool:
    """Return whether the outputs of a model are log-densities, that is, whether its last layer is ``LogDensity``."""
    return bool(getattr(model, "layers", None)) and isinstance(model.layers[-1], LogDensity)


def shape_maps(outputs, size: tuple[int, int], *, log: bool = False):
    """Return the outputs of a model, an array or a tensor, as maps (N, H, W).

    With ``log``, the outputs are log-densities, and the maps are the densities scaled to the maximum 1.
    """
    maps = tf.reshape(outputs, (-1, *size))
    # The gradient does not need the maximum, which only scales the map; all metrics except the MSE ignore scale.
    return tf.exp(maps - tf.stop_gradient(tf.reduce_max(maps, axis=(1, 2), keepdims=True))) if log else maps


def preprocess(pixels, convention: conventions.Preprocessing):
    """Return model inputs of a tensor of pixels (N, H, W, 3), 0..255: ``Preprocessing.apply`` in the graph."""
    pixels = tf.cast(pixels, tf.float32)
    if convention.bgr:
        pixels = pixels[..., ::-1]
    return (pixels - np.asarray(convention.mean, np.float32)) / np.asarray(convention.std, np.float32)
