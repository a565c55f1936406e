"""``ImageModel``: a Keras model with its preprocessing, its image size and its class labels."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import hooks, images
from kerasal import preprocessing as conventions
from kerasal.checks import check_choice, check_size
from kerasal.hooks.image_shapes import declared_image_shape, takes_channels_first
from kerasal.hooks.model_inputs import conform
from kerasal.labels import short
from kerasal.models.model_files import output_shapes

import keras
import tensorflow as tf

_LONGEST = 512  # pixels; the longer side of a single image for a model that takes any size


@dataclasses.dataclass(eq=False, repr=False)
class ImageModel:
    """A Keras model with its preprocessing, image size and labels, as ``kerasal.open_model`` returns it.

    Attributes:
        keras_model: a built ``keras.Model``; it is never changed.
        preprocessing: how uint8 pixels become inputs; None if unknown: then the model takes only float inputs.
        labels: class names in the order of the outputs; empty if unknown.
        size: (height, width) to which images are resized, for a model that takes any size.
        fit: ``"crop"`` cuts the largest centered part with the model's aspect ratio, ``"stretch"`` distorts the image.
        name, task: display name; ``"classification"``, ``"gaze"``, or ``""`` if unknown.
        notes: sentences about what was assumed when the model was opened.
        unclear: a sentence about what the first layers compute, if the preprocessing could not be told from it.
        facts, untrained: further entries of its training run or of the registry; whether the weights are random.
    """

    keras_model: keras.Model
    preprocessing: conventions.Preprocessing | None = None
    labels: Sequence[str] = ()
    size: tuple[int, int] | None = None
    fit: Literal["crop", "stretch"] = "crop"
    name: str = ""
    task: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    untrained: bool = False
    unclear: str = ""

    def __post_init__(self):
        check_choice("fit", self.fit, ("crop", "stretch"))
        if self.preprocessing is not None:
            self.preprocessing = conventions.get(self.preprocessing)
        self.labels = [str(label) for label in self.labels]
        if self.size is not None:
            height, width = check_size("size", self.size)
            self.size = height, width
        self.name = self.name or self.keras_model.name

    def __repr__(self) -> str:
        return f"ImageModel({self.name!r}): the Keras model is .keras_model"

    @functools.cached_property
    def shape(self) -> tuple[int | None, ...]:
        """The declared (height, width, channels) of an image, channels last, or (height, width); None is any length.

        Raises:
            ValueError: the model does not take exactly one image.
        """
        return declared_image_shape(self.keras_model)

    @functools.cached_property
    def channels_first(self) -> bool:
        """Whether the inputs of the model are (N, channels, height, width)."""
        return takes_channels_first(self.keras_model)

    @property
    def channels(self) -> int:
        """The number of channels of the input: 1 for inputs (N, height, width), 3 if the model takes any number."""
        return 1 if len(self.shape) == 2 else self.shape[2] or 3

    def input_size(self, image: np.ndarray | None = None) -> tuple[int, int]:
        """Return the (height, width) to which images are resized.

        This is ``size`` or the size that the model declares (ValueError if they differ). For a model of any size it is
        that of ``image``, reduced to 512 pixels on the longer side, or 224 × 224 without an ``image``.
        """
        declared = self.shape[:2]
        if self.size is not None:
            if not getattr(self.keras_model, "inputs", None):
                declared = (None, None)  # a subclassed model reports the last size it saw, but takes any
            if any(side not in (None, wanted) for side, wanted in zip(declared, self.size, strict=True)):
                raise ValueError(
                    f"size must be that of {self.name!r}, {declared[0] or 'any'} x {declared[1] or 'any'}, got "
                    f"{self.size}. Leave it out to use the size of the model."
                )
            return int(self.size[0]), int(self.size[1])
        default = (224, 224)
        if image is not None:
            scale = min(1.0, _LONGEST / max(image.shape[:2]))
            default = tuple(max(1, round(side * scale)) for side in image.shape[:2])
        return declared[0] or default[0], declared[1] or default[1]

    def input_shape(self) -> tuple[int, int, int]:
        """Return the (height, width, channels) of a preprocessed image, channels last."""
        return *self.input_size(), self.channels

    def check_pixels(self) -> conventions.Preprocessing:
        """Return the preprocessing; raise an error if the model cannot take uint8 images.

        Raises:
            NoPreprocessing: a ValueError; ``preprocessing`` is None.
            ValueError: the model takes neither 1 nor 3 channels.
        """
        if self.preprocessing is None:
            raise conventions.unknown_preprocessing(self.name, self.unclear)
        if self.channels not in (1, 3):
            raise ValueError(
                f"{self.name!r} must have 1 or 3 input channels to take images, got {self.channels}. Pass float inputs."
            )
        return self.preprocessing

    def fit_image(self, image: np.ndarray, *, scale: float = 1.0, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return a uint8 image (h, w, 3 or 1) cropped or stretched to the model's size, (height, width, channels).

        ``size`` replaces ``input_size(image)``; ``scale`` enlarges the result for methods that cut crops themselves.
        """
        self.check_pixels()
        image = images.check_image(image, "An image", (3, 1))
        height, width = size or self.input_size(image)
        fitted = images.fit_image(image, (round(scale * height), round(scale * width)), self.fit)
        return images.to_channels(fitted, self.channels)

    def to_inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Return preprocessed inputs, float32 in the model's layout, of uint8 images (N, height, width, channels)."""
        inputs = self.check_pixels().apply(pixels)
        if len(self.shape) == 2:
            return inputs[..., 0]
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.channels_first else inputs

    def show(self, image: np.ndarray, *, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return an image as the model sees it, uint8 RGB (height, width, 3), and its input (1, …)."""
        pixels = self.fit_image(image, scale=scale)
        return images.to_channels(pixels, 3), self.to_inputs(pixels[None])

    def inputs(self, photos: Any) -> np.ndarray:
        """Return preprocessed images, float32 (N, …) in the model's layout.

        Args:
            photos: a uint8 image (h, w, 3 or 1), a path or a folder, a list of images or paths, or an array (N, h, w,
                C) of uint8 images; float arrays are taken as inputs and only checked. For a model of any size, a
                single image keeps its size, up to 512 pixels on the longer side; several are resized to 224 × 224.

        Raises:
            NoPreprocessing: a ValueError; the preprocessing of the model is unknown.
            ValueError: there are no images, or some cannot be read.
            FileNotFoundError: a path does not exist.
        """
        uint8_images = images.read_images(photos)
        if isinstance(uint8_images, np.ndarray):
            return self.check_inputs(uint8_images)
        size = self.input_size(uint8_images[0] if len(uint8_images) == 1 else None)
        return self.to_inputs(np.stack([self.fit_image(image, size=size) for image in uint8_images]))

    def check_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return float inputs in the dtype and layout of the model; warn if they look like unprocessed pixels.

        Raises:
            ValueError: the dtype or shape does not fit the model, or values are NaN or infinite.
        """
        if inputs.dtype.kind not in "f" and inputs.dtype.name != "bfloat16":
            raise ValueError(
                "inputs must be uint8 images (0..255, preprocessed by kerasal) or preprocessed float arrays, got "
                f"{inputs.dtype}. Convert pixels with images.astype('uint8')."
            )
        inputs = conform(self.keras_model, inputs)[0]
        if self.preprocessing is not None:
            self.preprocessing.check_range(inputs)
        return inputs

    def picture(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs, a batch (N, …) or a single input, as uint8 RGB images (…, height, width, 3).

        Inverts the preprocessing exactly; if it is unknown, scales each input from its lowest to its highest value.
        """
        inputs = np.asarray(inputs)
        if inputs.ndim > len(self.shape):
            return np.stack([self.picture(single) for single in inputs])
        if len(self.shape) == 2:
            inputs = inputs[..., None]
        elif self.channels_first:
            inputs = np.moveaxis(inputs, 0, -1)
        if self.preprocessing is not None:
            pixels = self.preprocessing.invert(inputs)
        else:
            low, high = inputs.min(), inputs.max()
            pixels = 255 * (inputs - low) / np.where(high > low, high - low, 1)
        pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
        return images.to_channels(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1], 3)

    def scores(self, photos: Any, *, top: int = 5) -> pd.DataFrame:
        """Return the top classes of each image, one row per class: image, rank, class_index, label, score.

        Scores are the outputs of the model; ranks count from 1. Raises the errors of ``inputs`` and ``outputs``.
        """
        rows = []
        for image, values in enumerate(self.outputs(self.inputs(photos))):
            order = np.argsort(-values, kind="stable")[:top]
            rows += [(image, rank, int(i), self.label(int(i)), values[i]) for rank, i in enumerate(order, 1)]
        return pd.DataFrame(rows, columns=["image", "rank", "class_index", "label", "score"])

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs of a classifier, float64 (N, classes), at inference; ValueError for other models."""
        with hooks.unchanged(self.keras_model):
            outputs = self.keras_model(inputs, training=False)
        if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
            shapes = keras.tree.map_structure(np.shape, outputs)
            raise ValueError(f"{self.name!r} must have a single output (N, classes), got {shapes}.")
        return np.asarray(outputs, dtype=np.float64)

    def label(self, class_index: int) -> str:
        """Return the first name of a class, or ``"class 7"`` if the model has no labels."""
        return short(self.labels, class_index)

    def _input_spec(self) -> tf.TensorSpec:
        shape = self.input_shape()[: len(self.shape)]
        return tf.TensorSpec((None, *((shape[2], *shape[:2]) if self.channels_first else shape)), tf.float32)

    @functools.cached_property
    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shapes of the outputs by name, without the batch axis; a single output is called ``scores``."""
        return output_shapes(self.keras_model, self._input_spec)

    @property
    def class_count(self) -> int:
        """The number of classes of a classifier; 0 for other tasks or without a single output (N, classes)."""
        shapes = list(self.output_shapes.values())
        if self.task not in ("", "classification") or len(shapes) != 1 or len(shapes[0]) != 1:
            return 0
        return shapes[0][0] or 0

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that determine the input made from an image, for digests and stores."""
        return {"shape": list(self.input_shape()), "fit": self.fit, "preprocessing": repr(self.preprocessing)}
