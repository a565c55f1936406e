"""Conventions by which networks expect their pixels, each with its inverse: ``image uint8 -> model input float32``.

A convention is one affine map a channel, ``input = (pixel - mean) / std`` on 0..255 pixels, after an optional swap of
RGB to BGR. The five named ones cover ``keras.applications`` and the networks of the zoo; ``"mean=127,std=128"`` or
``"mean=104/117/124,std=1,bgr"`` spells any other.
"""

import dataclasses
import warnings

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.names import unknown_name_message

__all__ = ["CONVENTIONS", "NoPreprocessing", "Preprocessing", "get"]


class NoPreprocessing(ValueError):
    """It is not known how a model wants its pixels."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """One convention: ``input = (pixel - mean) / std``, pixels in 0..255, channels swapped to BGR first if ``bgr``.

    ``mean`` and ``std`` are in pixel units, in the channel order of the model input; a single number serves any number
    of channels.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Turn pixels (..., H, W, C), values 0..255, RGB or gray, into a new float32 array of model inputs."""
        refuse_mask(images, "images")
        if np.asarray(images).dtype.kind not in "uif":
            raise ValueError(f"Pixels must be numbers of 0..255, got {np.asarray(images).dtype}. Convert them first.")
        pixels = np.array(images, dtype=np.float32)  # always a copy: the caller's array is never written to
        self._check_channels(pixels)
        if self.bgr:
            pixels = pixels[..., ::-1]
        mean, std = self._affine()
        return np.ascontiguousarray((pixels - mean) / std)

    def invert(self, inputs: np.ndarray) -> np.ndarray:
        """Turn model inputs (..., H, W, C) back into float32 pixels (RGB, 0..255; beyond it where the inputs are)."""
        refuse_mask(inputs, "inputs")
        inputs = np.array(inputs, dtype=np.float32)
        self._check_channels(inputs)
        mean, std = self._affine()
        pixels = inputs * std + mean
        return np.ascontiguousarray(pixels[..., ::-1] if self.bgr else pixels)

    def value_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest model input of a 0..255 image, float32, one a channel (or one for all)."""
        mean, std = self._affine()
        return (0.0 - mean) / std, (255.0 - mean) / std

    def check_range(self, inputs: np.ndarray) -> None:
        """Warn of model inputs that no image becomes, such as pixels that came as floats."""
        low, high = self.value_range()
        slack = 0.05 * (high - low).max()
        if inputs.min() < low.min() - slack or inputs.max() > high.max() + slack:
            warnings.warn(
                f"Float images are taken as model inputs, but these ({inputs.min():.3g}..{inputs.max():.3g}) lie "
                f"outside of what {self.name!r} makes of pixels ({low.min():.3g}..{high.max():.3g}). "
                "If they are pixels 0..255, give them as uint8, which is preprocessed here.",
                stacklevel=4,
            )

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)

    def _check_channels(self, array: np.ndarray) -> None:
        needed = max(len(self.mean), len(self.std))
        if array.ndim < 3 or (needed > 1 and array.shape[-1] != needed):
            raise ValueError(
                f"Preprocessing {self.name!r} expects {'images' if needed == 1 else f'{needed}-channel images'} of "
                f"shape (..., height, width, {'channels' if needed == 1 else needed}), received shape {array.shape}."
                + ("" if needed == 1 else " For one-channel images use 'unit', 'tf' or 'none'.")
            )


CONVENTIONS = {
    convention.name: convention
    for convention in (
        Preprocessing("caffe", mean=(103.939, 116.779, 123.68), std=(1.0,), bgr=True),
        Preprocessing("tf", mean=(127.5,), std=(127.5,)),
        # torchvision's constants, 0..1 there, times 255.
        Preprocessing("torch", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
        Preprocessing("unit", mean=(0.0,), std=(255.0,)),
        Preprocessing("none", mean=(0.0,), std=(1.0,)),
    )
}


def get(convention: "str | Preprocessing") -> Preprocessing:
    """Return a convention by name, from a spelling such as ``"mean=127,std=128,bgr"``, or as it is.

    Raises:
        ValueError: the name is unknown (the closest are listed) or the spelling cannot be read.
    """
    if isinstance(convention, Preprocessing):
        return convention
    if convention in CONVENTIONS:
        return CONVENTIONS[convention]
    if isinstance(convention, str) and "=" in convention:
        return _spelled(convention)
    raise ValueError(
        unknown_name_message(convention, CONVENTIONS, "preprocessing")
        + ' Any other is spelled like "mean=127,std=128" or '
        '"mean=104/117/124,std=1,bgr".'
    )


def _spelled(text: str) -> Preprocessing:
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
                raise ValueError(f"{name} needs 1 or 3 finite numbers")
        if min(values["std"]) <= 0:
            raise ValueError("std must be above 0")
    except ValueError as error:
        raise ValueError(
            f'Cannot read the preprocessing {text!r}: {error}. Expected for example "mean=127,std=128" or '
            '"mean=104/117/124,std=1,bgr", in pixel units (0..255).'
        ) from error
    return Preprocessing(text, values["mean"], values["std"], bgr)
