"""Parameterizations of the maximized image, by pixels or by a Fourier spectrum, and their initial parameters.

``Pixels`` uses the pixels themselves. ``Fourier`` scales each frequency as in photos and uses decorrelated colors
(Olah et al. 2017, section "Preconditioning and Parameterization"). Both map parameters to images (K, H, W, C) in gray
levels, where 0 is a model input of 0, and back. Signals are (K, T, C), volumes (K, D, H, W, C), and an input without
channels has one.
"""

import dataclasses
import functools

import numpy as np

from kerasal import images as pictures
from kerasal import preprocessing as conventions
from kerasal.hooks.image_shapes import InputLayout
from kerasal.preprocessing import Preprocessing

import tensorflow as tf

# Covariance of R, G, B (0..1) over the pixels of 1,000 ImageNet photos, one per class:
# python benchmarks/color_covariance.py DATA/imagenet1000/images
COLOR_COVARIANCE = ((0.07624, 0.06746, 0.06208), (0.06746, 0.07342, 0.06999), (0.06208, 0.06999, 0.08037))

# Initial images are kept this far from black and white, as a share of the range, since a sigmoid saturates there.
_MARGIN = 1 / 256

Bounds = tuple[tuple[float, ...], tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Parameterization by pixels; ``valid`` is the lowest and highest gray level per channel, or None for no limit."""

    shape: tuple[int, ...]
    valid: Bounds | None = None

    def images(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the images (K, H, W, C) for the parameters."""
        return parameters

    def start(self, images: np.ndarray) -> np.ndarray:
        """Return the parameters for images (K, H, W, C)."""
        return images

    def noise(self, random: np.random.Generator) -> np.ndarray:
        """Return noise (H, W, C) of RMS 1 gray level."""
        return random.standard_normal(self.shape).astype(np.float32)

    def constrain(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the parameters clipped to the valid range."""
        if self.valid is None:
            return parameters
        low, high = np.array(self.valid, np.float32)
        return tf.clip_by_value(parameters, low, high)


@dataclasses.dataclass(frozen=True)
class Fourier:
    """Parameterization by spectra, real and imaginary parts (K, 2, C, H, W // 2 + 1), of up to three position axes.

    The image is the inverse Fourier transform of the parameters, each multiplied by 1 / frequency.
    White noise of RMS 1 in the parameters gives an image of RMS 1 gray level with the spectrum and colors of photos.
    The channels of signals and volumes are independent.
    ``valid`` is the lowest and highest gray level per channel: a sigmoid with slope 1 in the middle keeps the image
    between them; None means no limit. ``bgr=True`` means that the channels are blue, green, red.

    Source: Olah et al. 2017, appendix and section "Preconditioning and Parameterization".
    """

    shape: tuple[int, ...]
    valid: Bounds | None = None
    bgr: bool = False

    def images(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the images (K, H, W, C) for the spectra."""
        spectrum = tf.complex(parameters[:, 0], parameters[:, 1]) * tf.constant(self._scale, tf.complex64)
        axes = len(self.shape) - 1
        if axes == 3:  # TensorFlow has no gradient of irfft3d
            spectrum = tf.signal.ifft(tf.transpose(spectrum, [0, 1, 3, 4, 2]))
            spectrum = tf.transpose(spectrum, [0, 1, 4, 2, 3])
        invert = tf.signal.irfft if axes == 1 else tf.signal.irfft2d
        planes = invert(spectrum, fft_length=self.shape[:-1][-2:])
        order = [0, *range(2, axes + 2), 1]
        levels = tf.tensordot(tf.transpose(planes, order), tf.constant(self._colors.T), axes=1)
        levels = tf.reshape(levels, [-1, *self.shape])
        if self.valid is None:
            return levels
        low, high = np.array(self.valid, np.float32)
        return low + (high - low) * tf.sigmoid(levels * (4 / (high - low)))

    def start(self, images: np.ndarray) -> np.ndarray:
        """Return the spectra for images (K, H, W, C); values near the ends of the valid range are clipped."""
        levels = np.asarray(images, np.float64)
        if self.valid is not None:
            low, high = np.array(self.valid, np.float64)
            share = np.clip((levels - low) / (high - low), _MARGIN, 1 - _MARGIN)
            levels = np.log(share / (1 - share)) * (high - low) / 4
        planes = np.moveaxis(levels.reshape(-1, *self.shape) @ np.linalg.inv(self._colors).T, -1, 1)
        spectrum = np.fft.rfftn(planes, axes=range(2, planes.ndim)) / self._scale
        return np.stack([spectrum.real, spectrum.imag], axis=1).astype(np.float32)

    def noise(self, random: np.random.Generator) -> np.ndarray:
        """Return the spectrum (2, C, H, W // 2 + 1) of noise of RMS 1 gray level."""
        *sides, last, channels = self.shape
        return random.standard_normal((2, channels, *sides, last // 2 + 1)).astype(np.float32)

    def constrain(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the parameters unchanged, since the sigmoid limits the image."""
        return parameters

    @functools.cached_property
    def _scale(self) -> np.ndarray:
        """Factor of each frequency, (H, W // 2 + 1): 1 / frequency, normalized so that white noise has RMS 1."""
        sides = self.shape[:-1]
        frequency = functools.reduce(np.hypot, np.ix_(*map(np.fft.fftfreq, sides)), np.float64(0))
        decay = 1 / np.maximum(frequency, 1 / max(sides))
        decay = decay[..., : sides[-1] // 2 + 1]
        # Each wave occurs twice in the full spectrum, except in the outer columns.
        counts = np.full(decay.shape[-1], 4.0)
        counts[[0, -1] if sides[-1] % 2 == 0 else 0] = 1
        rms = np.sqrt((np.square(decay) * counts).sum()) / np.prod(sides)
        return (decay / rms).astype(np.float32)

    @functools.cached_property
    def _colors(self) -> np.ndarray:
        """Matrix (C, C) from decorrelated colors to the model's channels, with mean square 1."""
        if len(self.shape) != 3 or self.shape[2] != 3:
            return np.eye(self.shape[-1], dtype=np.float32)
        values, vectors = np.linalg.eigh(np.array(COLOR_COVARIANCE))
        matrix = vectors * np.sqrt(values / values.mean())
        return (matrix[::-1] if self.bgr else matrix).astype(np.float32)


def value_range(convention: Preprocessing | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest model input of pixels; 0 and 255 without a convention."""
    return (convention or conventions.get("none")).value_range()


def make_parameterization(
    name: str, shape: tuple[int, ...], convention: Preprocessing | None, clip: bool
) -> tuple[Pixels | Fourier, np.ndarray]:
    """Return the parameterization for images of a shape, and the change of the model's input per gray level, (C,).

    Without a ``convention``, a gray level is 1, and only ``clip`` limits the inputs, to 0..255.

    Raises:
        ValueError: if ``clip`` is used with a spectrum, which a sigmoid limits.
    """
    low, high = value_range(convention)
    gray_level = np.broadcast_to((high - low) / 255.0, shape[-1:]).astype(np.float32)
    bounds = tuple((low / gray_level).tolist()), tuple((high / gray_level).tolist())
    if name == "pixels":
        return Pixels(shape, bounds if clip else None), gray_level
    if clip:
        raise ValueError(
            "clip must be False with parameterization='fourier', got True. A sigmoid limits its pixels already."
        )
    return Fourier(shape, None if convention is None else bounds, bool(convention and convention.bgr)), gray_level


def start_parameters(
    init: str | np.ndarray,
    count: int,
    *,
    copies: int,
    space: Pixels | Fourier,
    convention: Preprocessing | None,
    gray_level: np.ndarray,
    seed: int,
    layout: InputLayout,
) -> np.ndarray:
    """Return the initial parameters (K, ...) of ``count`` objectives, with ``copies`` for each objective in a row.

    Random parameters are the same for every objective and different for every copy. An array ``init`` has the layout of
    the model's input.

    Raises:
        ValueError: if ``init`` is unknown or does not fit, or if all copies would be the same.
    """
    shape = space.shape
    if isinstance(init, str) and init == "normal":
        starts = [space.noise(np.random.default_rng((seed, copy) if copy else seed)) for copy in range(copies)]
        return np.tile(np.stack(starts), (count, *(1,) * starts[0].ndim))
    if isinstance(init, str) and init == "uniform":
        low, high = value_range(convention)
        noise = [_uniform_noise(shape, np.random.default_rng((seed, copy) if copy else seed)) for copy in range(copies)]
        starts = space.start(((low + (high - low) * np.stack(noise)) / gray_level).astype(np.float32))
        return np.tile(starts, (count, *(1,) * (starts.ndim - 1)))
    if copies > 1 and np.ndim(init) <= len(layout.model_shape(shape)):
        raise ValueError(
            f'init must be "normal", "uniform" or an array of {count * copies} images with copies={copies}, got '
            f"{repr(init) if isinstance(init, str) else f'shape {np.shape(init)}'}. Copies differ only by their start."
        )
    return space.start(_read_start(init, count * copies, shape, convention, layout) / gray_level)


def _uniform_noise(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return noise (H, W, C) in 0..1 in which neighboring pixels are alike: uniform at half the size, and enlarged."""
    sides = shape[:-1]
    coarse = random.uniform(0, 1, (*(-(-side // 2) for side in sides), shape[-1])).astype(np.float32)
    if len(sides) == 2:
        return np.clip(pictures.resize(coarse, (shape[0], shape[1])), 0, 1)
    for axis, side in enumerate(sides):
        places = np.linspace(0, coarse.shape[axis] - 1, side)
        coarse = np.apply_along_axis(
            lambda row, places=places: np.interp(places, np.arange(len(row)), row), axis, coarse
        )
    return coarse.astype(np.float32)


def _read_start(init, count: int, shape: tuple, convention: Preprocessing | None, layout: InputLayout) -> np.ndarray:
    """Return the initial model inputs (K, H, W, C) of an ``init`` other than noise."""
    low, high = (np.broadcast_to(bound, shape) for bound in value_range(convention))
    if isinstance(init, str):
        if init not in ("zero", "mean"):
            raise ValueError(
                f'init must be "normal", "uniform", "zero", "mean" or an array of model inputs, got {init!r}.'
            )
        start = np.zeros(shape) if init == "zero" else (low + high) / 2
    else:
        start, wanted = np.asarray(init, dtype=np.float32), layout.model_shape(shape)
        if start.shape not in (wanted, (count, *wanted)):
            raise ValueError(
                f"init must contain model inputs of shape {wanted} or {(count, *wanted)}, got shape {start.shape}."
            )
        axis = -1 if layout.axis is None else layout.axis - len(shape) - 1
        start = start[..., None] if layout.axis is None else np.moveaxis(start, axis, -1)
        if not np.isfinite(start).all():
            raise ValueError("init must have finite values, got NaN or infinite values.")
    return np.array(np.broadcast_to(start, (count, *shape)), dtype=np.float32)
