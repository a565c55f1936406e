"""One noun: a model with the way it takes images, its labels, and what is known of it."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from kerasal import hooks, images
from kerasal import preprocessing as conventions
from kerasal.checks import check_choice, check_size
from kerasal.hooks.model_inputs import conform, declared_image_shape, takes_channels_first
from kerasal.labels import short
from kerasal.models.model_files import output_shapes

import keras
import tensorflow as tf

_LONGEST = 512  # pixels: the longer side of one image for a model that takes any size


@dataclasses.dataclass(eq=False, repr=False)
class ImageModel:
    """A model with the way it takes images. ``kerasal.open_model`` makes it of a file, a zoo name or a model.

    Attributes:
        keras_model: a built model; it is never changed.
        preprocessing: how pixels become inputs; None where it is not known: then only float inputs can be given.
        labels: the names of the classes in the order of the outputs, or none.
        size: the (height, width) at which the model is to see images, where it takes any.
        fit: ``"crop"`` cuts the largest centered part of the model's proportions, ``"stretch"`` keeps everything.
        name: what people call it; by default the model's own name.
        task: ``"classification"``, ``"gaze"``, or "" where nothing says it.
        notes: sentences that say what was assumed when the model was opened.
        facts, untrained: what its run or the registry says besides; whether its weights are random.
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
        return f"ImageModel({self.name!r}): routines take its .keras_model"

    @functools.cached_property
    def shape(self) -> tuple[int | None, ...]:
        """The declared (height, width, channels) of the image, channels last, or (height, width); None where any.

        Raises:
            ValueError: the model does not take exactly one image.
        """
        return declared_image_shape(self.keras_model)

    @functools.cached_property
    def channels_first(self) -> bool:
        """Whether the model itself takes (N, channels, height, width)."""
        return takes_channels_first(self.keras_model)

    @property
    def channels(self) -> int:
        """The number of channels of an image as the model takes it: 1 also for (height, width), 3 where it is open."""
        return 1 if len(self.shape) == 2 else self.shape[2] or 3

    def input_size(self, image: np.ndarray | None = None) -> tuple[int, int]:
        """Return the (height, width) at which the model sees images.

        That is its own, else ``size``, else that of the one ``image``, at most 512 pixels long, else 224 × 224.

        Raises:
            ValueError: ``size`` is not what the model takes.
        """
        own = self.shape[:2]
        if self.size is not None:
            if not getattr(self.keras_model, "inputs", None):
                own = (None, None)  # a model that declares no input remembers a size, and takes any
            if any(mine not in (None, asked) for mine, asked in zip(own, self.size, strict=True)):
                raise ValueError(
                    f"size must be that of {self.name!r}, {own[0] or 'any'} x {own[1] or 'any'}, got {self.size}."
                )
            return int(self.size[0]), int(self.size[1])
        free = (224, 224)
        if image is not None:
            scale = min(1.0, _LONGEST / max(image.shape[:2]))
            free = tuple(max(1, round(side * scale)) for side in image.shape[:2])
        return own[0] or free[0], own[1] or free[1]

    def input_shape(self) -> tuple[int, int, int]:
        """Return the (height, width, channels) of an image as the model takes it, channels last."""
        return *self.input_size(), self.channels

    def check_pixels(self) -> conventions.Preprocessing:
        """Return the preprocessing; refuse pixels where it is not known, or where the model takes no picture.

        Raises:
            NoPreprocessing: a ValueError: ``preprocessing`` is None.
            ValueError: the model takes neither 1 nor 3 channels.
        """
        if self.preprocessing is None:
            raise conventions.NoPreprocessing(
                f"How does {self.name!r} want its pixels? Give preprocessing='caffe', 'tf', 'torch', 'unit', 'none' "
                "(0..255, or a model that rescales by itself), or for example 'mean=127,std=128'. (For classifiers "
                "with the 1,000 ImageNet classes it is recognized.)"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"{self.name!r} takes {self.channels} channels; an image has 3, or 1 when gray. Give float inputs."
            )
        return self.preprocessing

    def fit_image(self, image: np.ndarray, *, scale: float = 1.0, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return what the model sees of an image, uint8 RGB or gray (h, w, 1 or 3): uint8 (height, width, channels).

        ``size`` = (height, width) stands in for ``input_size(image)``, and ``scale`` makes it larger than the model
        takes it, for a method that cuts crops itself.
        """
        self.check_pixels()
        image = images.check_image(image, "An image", (3, 1))
        height, width = size or self.input_size(image)
        fitted = images.fit_image(image, (round(scale * height), round(scale * width)), self.fit)
        return images.to_channels(fitted, self.channels)

    def to_inputs(self, pixels: np.ndarray) -> np.ndarray:
        """Preprocess uint8 images (N, height, width, channels) that fit; return inputs in the model's own layout."""
        inputs = self.check_pixels().apply(pixels)
        if len(self.shape) == 2:
            return inputs[..., 0]
        return np.ascontiguousarray(np.moveaxis(inputs, -1, 1)) if self.channels_first else inputs

    def show(self, image: np.ndarray, *, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return what the model sees of one image, uint8 RGB (height, width, 3), and its input (1, …)."""
        pixels = self.fit_image(image, scale=scale)
        return images.to_channels(pixels, 3), self.to_inputs(pixels[None])

    def inputs(self, photos: Any) -> np.ndarray:
        """Return model inputs, float32 (N, …) in the model's own layout, of images.

        Args:
            photos: a uint8 image (h, w, 3 or 1), a path or a folder, a list of images or paths, or an array (N, h, w,
                C) of uint8 images; float arrays are inputs already and are only checked. For a model that takes any
                size, one image keeps its own, at most 512 pixels long; several are brought to 224 × 224.

        Raises:
            NoPreprocessing: a ValueError: it is not known how the model wants its pixels.
            ValueError: no images, or some that cannot be read.
            FileNotFoundError: a path at which there is nothing.
        """
        pictures = images.read_images(photos)
        if pictures is None:
            return self.check_inputs(np.asarray(photos))
        one = pictures[0] if len(pictures) == 1 else None
        size = self.input_size(one)
        return self.to_inputs(np.stack([self.fit_image(picture, size=size) for picture in pictures]))

    def check_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return float inputs as the model takes them; warn of pixels that came as floats, which are not preprocessed.

        Raises:
            ValueError: another dtype or shape, NaN or infinite values.
        """
        if inputs.dtype.kind not in "f" and inputs.dtype.name != "bfloat16":
            raise ValueError(
                "Expected uint8 pixels (0..255, preprocessed here) or float model inputs (preprocessed already). "
                f"Received {inputs.dtype}."
            )
        inputs = conform(self.keras_model, inputs)[0]
        if self.preprocessing is not None:
            self.preprocessing.check_range(inputs)
        return inputs

    def picture(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs, one or (N, …), as the uint8 RGB images (…, height, width, 3) that the model saw.

        They are exactly the pixels that the inputs were made of, if they were. Without a preprocessing the lowest value
        of an input is drawn black and its highest white.
        """
        inputs = np.asarray(inputs)
        if inputs.ndim > len(self.shape):
            return np.stack([self.picture(one) for one in inputs])
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

        Scores are the model's outputs as it gives them; ranks count from 1. Errors are those of ``inputs`` and
        ``outputs``.
        """
        rows = []
        for image, values in enumerate(self.outputs(self.inputs(photos))):
            order = np.argsort(-values, kind="stable")[:top]
            rows += [(image, rank, int(i), self.label(int(i)), values[i]) for rank, i in enumerate(order, 1)]
        return pd.DataFrame(rows, columns=["image", "rank", "class_index", "label", "score"])

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Run a classifier at inference; return its outputs, float64 (N, classes). ValueError for any other model."""
        with hooks.unchanged(self.keras_model):
            outputs = self.keras_model(inputs, training=False)
        if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
            raise ValueError(f"Expected a classifier, with one output (N, classes). {self.name!r} is none.")
        return np.asarray(outputs, dtype=np.float64)

    def label(self, class_index: int) -> str:
        """Return the first name of a class, or "class 7" where it has none."""
        return short(self.labels, class_index)

    def _input_spec(self) -> tf.TensorSpec:
        shape = self.input_shape()[: len(self.shape)]
        return tf.TensorSpec((None, *((shape[2], *shape[:2]) if self.channels_first else shape)), tf.float32)

    @functools.cached_property
    def output_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shapes of the model's outputs by name, without the batch axis; one output is called ``scores``."""
        return output_shapes(self.keras_model, self._input_spec)

    @property
    def class_count(self) -> int:
        """How many classes a classifier tells apart; 0 for another task, or without one output (N, classes)."""
        shapes = list(self.output_shapes.values())
        if self.task not in ("", "classification") or len(shapes) != 1 or len(shapes[0]) != 1:
            return 0
        return shapes[0][0] or 0

    @property
    def settings(self) -> dict[str, Any]:
        """What decides which inputs an image becomes, for digests and stores."""
        return {"shape": list(self.input_shape()), "fit": self.fit, "preprocessing": repr(self.preprocessing)}
