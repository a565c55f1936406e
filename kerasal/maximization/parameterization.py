"""What is ascended on, and where it starts: the pixels, or a spectrum that becomes an image.

``Pixels`` takes each pixel for itself. ``Fourier`` makes the same step in every frequency as likely as photographs do,
and in colors that vary independently of each other (Olah et al. 2017, section "Preconditioning and Parameterization").
Both give images (K, H, W, C) in gray levels, around the model's zero, and know their own inverse.
"""

import dataclasses
import functools

import numpy as np

from kerasal import preprocessing as conventions
from kerasal.preprocessing import Preprocessing

import tensorflow as tf

# Covariance of R, G, B (0..1) over the pixels of 1,000 ImageNet photographs, one per class:
# python benchmarks/color_covariance.py DATA/imagenet1000/images
COLOR_COVARIANCE = ((0.07624, 0.06746, 0.06208), (0.06746, 0.07342, 0.06999), (0.06208, 0.06999, 0.08037))

# How near to black and white a start may be: at the very ends of a sigmoid nothing moves any more.
_MARGIN = 1 / 256

Bounds = tuple[tuple[float, ...], tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Pixels:
    """The parameters are the images; ``valid`` holds them, after each step, between two gray levels a channel."""

    shape: tuple[int, ...]
    valid: Bounds | None = None

    def images(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the images (K, H, W, C) of the parameters."""
        return parameters

    def start(self, images: np.ndarray) -> np.ndarray:
        """Return the parameters of images (K, H, W, C)."""
        return images

    def noise(self, random: np.random.Generator) -> np.ndarray:
        """Return noise (H, W, C) of RMS 1 gray level."""
        return random.standard_normal(self.shape).astype(np.float32)

    def constrain(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the parameters, cut to what is allowed."""
        if self.valid is None:
            return parameters
        low, high = np.array(self.valid, np.float32)
        return tf.clip_by_value(parameters, low, high)


@dataclasses.dataclass(frozen=True)
class Fourier:
    """The parameters are spectra (K, 2, C, H, W // 2 + 1), real and imaginary, divided by 1 / frequency.

    White noise of RMS 1 in the parameters is noise with a photograph's spectrum and colors, of RMS 1 gray level. With
    ``valid``, the lowest and the highest gray level per channel, a sigmoid keeps the image between them; its slope is 1
    in the middle. Without, nothing does. ``bgr`` says that the channels stand in that order.

    Source: Olah et al. 2017, appendix and section "Preconditioning and Parameterization".
    """

    shape: tuple[int, ...]
    valid: Bounds | None = None
    bgr: bool = False

    def images(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the images (K, H, W, C) of the spectra."""
        spectrum = tf.complex(parameters[:, 0], parameters[:, 1]) * tf.constant(self._scale, tf.complex64)
        planes = tf.signal.irfft2d(spectrum, fft_length=self.shape[:2])
        levels = tf.tensordot(tf.transpose(planes, [0, 2, 3, 1]), tf.constant(self._colors.T), axes=1)
        levels = tf.reshape(levels, [-1, *self.shape])
        if self.valid is None:
            return levels
        low, high = np.array(self.valid, np.float32)
        return low + (high - low) * tf.sigmoid(levels * (4 / (high - low)))

    def start(self, images: np.ndarray) -> np.ndarray:
        """Return the spectra of images (K, H, W, C), which ``images`` turns back; too black or white is held back."""
        levels = np.asarray(images, np.float64)
        if self.valid is not None:
            low, high = np.array(self.valid, np.float64)
            share = np.clip((levels - low) / (high - low), _MARGIN, 1 - _MARGIN)
            levels = np.log(share / (1 - share)) * (high - low) / 4
        levels = levels.reshape(-1, *self.shape[:2], self._channels)
        planes = np.moveaxis(levels @ np.linalg.inv(self._colors).T, -1, 1)
        spectrum = np.fft.rfft2(planes) / self._scale
        return np.stack([spectrum.real, spectrum.imag], axis=1).astype(np.float32)

    def noise(self, random: np.random.Generator) -> np.ndarray:
        """Return the spectrum (2, C, H, W // 2 + 1) of noise of RMS 1 gray level."""
        height, width = self.shape[:2]
        return random.standard_normal((2, self._channels, height, width // 2 + 1)).astype(np.float32)

    def constrain(self, parameters: tf.Tensor) -> tf.Tensor:
        """Return the parameters: the sigmoid needs nothing cut."""
        return parameters

    @property
    def _channels(self) -> int:
        return self.shape[2] if len(self.shape) > 2 else 1

    @functools.cached_property
    def _scale(self) -> np.ndarray:
        """The factor of each frequency, (H, W // 2 + 1): 1 / frequency, of an RMS that makes white noise 1."""
        height, width = self.shape[:2]
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
        decay = 1 / np.maximum(frequency, 1 / max(height, width))
        decay = decay[:, : width // 2 + 1]
        counts = np.full(decay.shape[1], 4.0)  # a wave and its mirror image; the outermost columns are their own
        counts[[0, -1] if width % 2 == 0 else 0] = 1
        rms = np.sqrt((np.square(decay) * counts).sum()) / (height * width)
        return (decay / rms).astype(np.float32)

    @functools.cached_property
    def _colors(self) -> np.ndarray:
        """The matrix (C, C) from independent colors to the model's channels; of mean square 1."""
        if self._channels != 3:
            return np.eye(self._channels, dtype=np.float32)
        values, vectors = np.linalg.eigh(np.array(COLOR_COVARIANCE))
        matrix = vectors * np.sqrt(values / values.mean())
        return (matrix[::-1] if self.bgr else matrix).astype(np.float32)


def value_range(convention: Preprocessing | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest model input of a photograph; 0 and 255 where its convention is not known."""
    return (convention or conventions.get("none")).value_range()


def make_parameterization(
    name: str, shape: tuple[int, ...], convention: Preprocessing | None, clip: bool
) -> tuple[Pixels | Fourier, np.ndarray]:
    """Return the parameterization for images of a shape, and how much of the model's input a gray level is, (C,).

    Without a ``convention`` inputs are taken as they are, a gray level as 1, and only ``clip`` bounds them, to 0..255.

    Raises:
        ValueError: ``clip`` for a spectrum, which a sigmoid holds.
    """
    low, high = value_range(convention)
    gray_level = np.broadcast_to((high - low) / 255.0, shape[-1:]).astype(np.float32)
    ends = tuple((low / gray_level).tolist()), tuple((high / gray_level).tolist())
    if name == "pixels":
        return Pixels(shape, ends if clip else None), gray_level
    if clip:
        raise ValueError("clip is for pixels; a Fourier image stays in its range by a sigmoid. Leave clip out.")
    return Fourier(shape, None if convention is None else ends, bool(convention and convention.bgr)), gray_level


def start_parameters(
    init: str | np.ndarray,
    count: int,
    *,
    copies: int,
    space: Pixels | Fourier,
    convention: Preprocessing | None,
    gray_level: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the parameters (K, ...) to start from, ``copies`` of each of the objectives one after the other.

    Random ones are the same for every objective, and different for every copy.

    Raises:
        ValueError: an unknown start, an array that does not fit, or copies that would all be the same.
    """
    shape = space.shape
    if isinstance(init, str) and init == "normal":
        starts = [space.noise(np.random.default_rng((seed, copy) if copy else seed)) for copy in range(copies)]
        return np.tile(np.stack(starts), (count, *(1,) * starts[0].ndim))
    if copies > 1 and np.ndim(init) <= len(shape):
        raise ValueError(
            'Copies of one objective differ by where they start: with copies, init is "normal", or an array of '
            f"{count * copies} starts. Received: {init if isinstance(init, str) else f'one of shape {np.shape(init)}'}."
        )
    return space.start(_read_start(init, count * copies, shape, convention) / gray_level)


def _read_start(init, count: int, shape: tuple, convention: Preprocessing | None) -> np.ndarray:
    """Return the model inputs (K, H, W, C) that an ``init`` other than noise means."""
    low, high = (np.broadcast_to(bound, shape) for bound in value_range(convention))
    if isinstance(init, str):
        if init not in ("zero", "mean"):
            raise ValueError(f'init is "normal", "zero", "mean" or an array of model inputs. Received: {init!r}.')
        start = np.zeros(shape) if init == "zero" else (low + high) / 2
    else:
        start = np.asarray(init, dtype=np.float32)
        if start.shape not in (shape, (count, *shape)) or not np.isfinite(start).all():
            raise ValueError(
                f"init expects finite model inputs of shape {shape} or {(count, *shape)}. Received shape {start.shape}."
            )
    return np.array(np.broadcast_to(start, (count, *shape)), dtype=np.float32)
