"""How a picture becomes a model's input, and how an input becomes a picture again."""

import numpy as np

from kerasal import images as pictures
from kerasal import preprocessing as conventions
from kerasal.hooks.model_inputs import image_shape

import keras


class Intake:
    """One model's way to take pictures: its size, its channels and its pixel convention.

    Args:
        model: a built model with one image input (H, W, C).
        preprocessing: the convention, or None, which only float arrays can do without.
        fit: ``"crop"`` cuts the largest centred part of the model's shape, ``"stretch"`` keeps everything.
        size: (height, width) for a model that takes any; 224 × 224 by default.
    """

    def __init__(self, model: keras.Model, preprocessing, fit: str = "crop", size: tuple[int, int] | None = None):
        if fit not in ("crop", "stretch"):
            raise ValueError(f"fit is 'crop' or 'stretch'. Received: {fit!r}.")
        self.model, self.fit = model, fit
        self.convention = None if preprocessing is None else conventions.get(preprocessing)
        self.shape = image_shape(model, size)
        self._open = size is None
        if len(self.shape) != 3:
            raise ValueError(f"Expected a model that takes images (H, W, C). {model.name!r} takes {self.shape}.")

    def check_pixels(self) -> None:
        """Refuse pixels for a model of which it is not known how it wants them, or that takes no picture.

        Raises:
            ValueError: no convention, or neither 1 nor 3 channels.
        """
        if self.convention is None:
            raise ValueError(
                f"How does {self.model.name!r} want its pixels? Say preprocessing='caffe', 'tf', 'torch', 'unit', "
                "'none' (0..255, or a model that rescales by itself), or for example 'mean=127,std=128'."
            )
        if self.shape[2] not in (1, 3):
            raise ValueError(f"{self.model.name!r} takes {self.shape[2]} channels; a picture has 3, or 1 when grey.")

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Turn uint8 (h, w, 1 or 3) of any size into one model input, float32 (H, W, C).

        Raises:
            ValueError: no such picture.
        """
        picture = pictures.check_image(picture, "A picture", (3, 1))
        fitted = pictures.crop_square(picture, self.shape[:2], self.fit)
        return self.convention.apply(pictures.to_channels(fitted, self.shape[2]))

    def settle(self, shape: tuple[int, int, int]) -> None:
        """Take the size of ready model inputs, where the model leaves it open; all of them must be of one size.

        Raises:
            ValueError: inputs of another size came before.
        """
        if shape != self.shape and not self._open:
            raise ValueError(f"Expected model inputs of one size, {self.shape}. Received: {shape}.")
        self.shape, self._open = shape, False

    def picture(self, model_input: np.ndarray) -> np.ndarray:
        """Turn one model input (H, W, C) into uint8 RGB; exactly the pixels it was made of, if it was.

        Without a convention the input's own lowest value is drawn black and its highest white.
        """
        if self.convention is not None:
            pixels = self.convention.invert(model_input)
        else:
            low, high = model_input.min(), model_input.max()
            pixels = 255 * (model_input - low) / np.where(high > low, high - low, 1)
        pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
        return pictures.to_channels(pixels if pixels.shape[2] in (1, 3) else pixels[..., :1], 3)
