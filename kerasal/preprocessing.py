"""Preprocessing conventions of models, with their inverses: ``image uint8 -> model input float32``.

A convention is an affine function of each channel, ``input = (pixel - mean) / std`` with pixels in 0..255, after an
optional swap of RGB to BGR. The five named conventions cover ``keras.applications`` and the models of the zoo. Others
are written as ``"mean=127,std=128"`` or ``"mean=104/117/124,std=1,bgr"``.
"""

import dataclasses
import warnings

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.names import unknown_name_message

__all__ = ["CONVENTIONS", "NoPreprocessing", "Preprocessing", "get", "unknown_preprocessing"]


class NoPreprocessing(ValueError):
    """Error for a model whose preprocessing is unknown and was not passed."""


def unknown_preprocessing(name: str, seen: str = "") -> NoPreprocessing:
    """Return the error for a model of this name; ``seen`` is a sentence about what its first layers compute."""
    recognized = (
        "It is recognized for models that scale or normalize their pixels themselves, and for trained classifiers with "
        "the 1,000 ImageNet classes."
    )
    return NoPreprocessing(
        f"preprocessing must be known for {name!r} to take images, got None. {seen + ' ' if seen else ''}Pass 'unit' "
        "for pixels of 0..1, 'tf' for -1..1, 'none' for 0..255, 'caffe' or 'torch' as in keras.applications, or a mean "
        f"and a standard deviation as in 'mean=127,std=128'.{'' if seen else ' ' + recognized}"
    )


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """A preprocessing convention: ``input = (pixel - mean) / std`` with pixels in 0..255.

    Attributes:
        name: name of the convention, or its text such as "mean=127,std=128".
        mean: mean of each channel of the model input in pixel units; a single number is for any number of channels.
        std: standard deviation of each channel of the model input in pixel units; a single number is for any number.
        bgr: whether the channels of the model input are blue, green and red, in this order.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Return the model inputs of images, a new float32 array.

        Args:
            images: RGB or gray pixels (..., H, W, C) in 0..255, integer or float.

        Raises:
            ValueError: the images are not numbers, have masked values or the wrong number of channels.
        """
        refuse_mask(images, "images")
        if np.asarray(images).dtype.kind not in "uif":
            raise ValueError(f"images must be numbers in 0..255, got {np.asarray(images).dtype}.")
        pixels = np.array(images, dtype=np.float32)  # always a copy, so that the caller's array is never changed
        self._check_channels(pixels)
        if self.bgr:
            pixels = pixels[..., ::-1]
        mean, std = self._affine()
        return np.ascontiguousarray((pixels - mean) / std)

    def invert(self, inputs: np.ndarray) -> np.ndarray:
        """Return the pixels of model inputs (..., H, W, C): RGB, float32, in 0..255 for inputs of images.

        Raises:
            ValueError: the inputs have masked values or the wrong number of channels.
        """
        refuse_mask(inputs, "inputs")
        inputs = np.array(inputs, dtype=np.float32)
        self._check_channels(inputs)
        mean, std = self._affine()
        pixels = inputs * std + mean
        return np.ascontiguousarray(pixels[..., ::-1] if self.bgr else pixels)

    def value_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the model inputs of black and white pixels (0 and 255), float32, for each channel or for all."""
        mean, std = self._affine()
        return (0.0 - mean) / std, (255.0 - mean) / std

    def check_range(self, inputs: np.ndarray) -> None:
        """Warn if model inputs are outside the range of any image, such as float pixels that are not preprocessed."""
        low, high = self.value_range()
        slack = 0.05 * (high - low).max()
        if inputs.min() < low.min() - slack or inputs.max() > high.max() + slack:
            warnings.warn(
                f"Float images are treated as model inputs and must be in {low.min():.3g}..{high.max():.3g} for "
                f"{self.name!r} preprocessing, got {inputs.min():.3g}..{inputs.max():.3g}. If they are pixels, "
                "pass them as uint8, which is preprocessed.",
                stacklevel=4,
            )

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)

    def _check_channels(self, array: np.ndarray) -> None:
        channels = max(len(self.mean), len(self.std))
        if array.ndim < 3 or (channels > 1 and array.shape[-1] != channels):
            raise ValueError(
                f"images must have the shape (..., height, width, {'channels' if channels == 1 else channels}) for "
                f"{self.name!r} preprocessing, got {array.shape}."
                + ("" if channels == 1 else " For gray images, use 'unit', 'tf' or 'none'.")
            )


CONVENTIONS = {
    convention.name: convention
    for convention in (
        Preprocessing("caffe", mean=(103.939, 116.779, 123.68), std=(1.0,), bgr=True),
        Preprocessing("tf", mean=(127.5,), std=(127.5,)),
        # The constants of torchvision, which are for pixels in 0..1, times 255.
        Preprocessing("torch", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
        Preprocessing("unit", mean=(0.0,), std=(255.0,)),
        Preprocessing("none", mean=(0.0,), std=(1.0,)),
    )
}


def get(convention: "str | Preprocessing") -> Preprocessing:
    """Return a preprocessing convention.

    Args:
        convention: its name ("caffe", "tf", "torch", "unit" or "none"), a text such as "mean=127,std=128,bgr" with
            numbers in pixel units, or a ``Preprocessing``, which is returned as it is.

    Raises:
        ValueError: the name is unknown (the error lists the closest names), or the text is invalid.
    """
    if isinstance(convention, Preprocessing):
        return convention
    if convention in CONVENTIONS:
        return CONVENTIONS[convention]
    if isinstance(convention, str) and "=" in convention:
        return _parse(convention)
    raise ValueError(
        unknown_name_message(convention, CONVENTIONS, "preprocessing")
        + ' Write any other convention as "mean=127,std=128" or '
        '"mean=104/117/124,std=1,bgr".'
    )


def from_range(low: float, high: float) -> Preprocessing:
    """Return the convention of model inputs in ``low``..``high`` that are not pixels: 0..255 stands for this range."""
    std = 255 / (high - low)
    return Preprocessing(f"{low:g}..{high:g}", (-low * std,), (std,))


def _parse(text: str) -> Preprocessing:
    values: dict[str, tuple[float, ...]] = {"mean": (0.0,), "std": (1.0,)}
    bgr = False
    try:
        for part in text.split(","):
            key, _, value = part.strip().partition("=")
            if key == "bgr" and not value:
                bgr = True
            elif key in values:
                values[key] = tuple(float(number) for number in value.split("/"))
            else:
                raise ValueError(f"unknown part {part!r}")
        for name, numbers in values.items():
            if len(numbers) not in (1, 3) or not np.all(np.isfinite(numbers)):
                raise ValueError(f"{name} must be 1 or 3 finite numbers")
        if min(values["std"]) <= 0:
            raise ValueError("std must be positive")
    except ValueError as error:
        raise ValueError(
            'preprocessing must be a text such as "mean=127,std=128" or "mean=104/117/124,std=1,bgr", in pixel units '
            f"(0..255), got {text!r}: {error}."
        ) from error
    return Preprocessing(text, values["mean"], values["std"], bgr)
