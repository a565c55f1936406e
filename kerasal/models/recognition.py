"""Recognition of a model's preprocessing: from the zoo, from the model itself, or by trying the conventions.

``recognize``            what the zoo, keras-hub or the first layers of a model say about the pixels that it takes
``try_conventions``      the convention with which a classifier of the 1,000 ImageNet classes recognizes photos best
``require_preprocessing``  the preprocessing by either way, or the error that asks for it
"""

import dataclasses
import pathlib
import weakref
from typing import Any

import numpy as np

from kerasal import hooks, images
from kerasal.hooks.image_shapes import image_shape, takes_channels_first
from kerasal.hooks.pixel_arithmetic import RANGES, PixelArithmetic, pixel_arithmetic
from kerasal.hooks.trace import remember
from kerasal.preprocessing import CONVENTIONS, Preprocessing, get, unknown_preprocessing

import keras

_TRAINED_PROBABILITY = 0.02  # mean probability of the right classes above which a model is trained; chance is .003
_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
# The bundled photos, and the ImageNet classes that are right for each.
_CLASSES = {
    "cat": (281, 282, 285),
    "coffee": (504, 967),
    "rocket": (657, 744, 812),
    "admiral": (457, 652, 906),
}
PHOTOGRAPHS = [_ASSETS / f"{name}.jpg" for name in _CLASSES]

_zoo_models: weakref.WeakKeyDictionary[Any, tuple[str, str]] = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True)
class Recognition:
    """The preprocessing of a model, if it was recognized, with a sentence that says from what.

    ``note`` states the preprocessing and the reason; ``unclear`` says what the first layers compute if no preprocessing
    follows from it. Both are empty if the model says nothing.
    """

    preprocessing: Preprocessing | None = None
    note: str = ""
    unclear: str = ""


@dataclasses.dataclass(frozen=True)
class Trial:
    """The convention that classifies bundled photos best, and the mean probabilities of the right classes."""

    convention: Preprocessing
    share: float
    second: float

    @property
    def is_trained(self) -> bool:
        """Whether the model recognizes the photos clearly better than by chance."""
        return self.share > _TRAINED_PROBABILITY

    @property
    def shares(self) -> str:
        """The probabilities as text."""
        return f"(mean probability {self.share:.2f}, next {self.second:.2f})"

    @property
    def note(self) -> str:
        """A sentence that states the convention and the reason."""
        return (
            f"Preprocessing: {self.convention.name}, with which the model classifies four bundled photos best "
            f"{self.shares}."
        )


def note_zoo_model(model: keras.Model, name: str, preprocessing: str) -> None:
    """Record that a model was built by the zoo, as long as the model exists."""
    _zoo_models[model] = name, preprocessing


def recognize(model: keras.Model) -> Recognition:
    """Return what is known about the preprocessing of a model without running it as a whole.

    In this order: a model of the zoo, the preprocessor that keras-hub attaches to its models, and the arithmetic on
    pixels at the start of the model (``kerasal.hooks.pixel_arithmetic``).
    """
    if model in _zoo_models:
        name, convention = _zoo_models[model]
        return Recognition(get(convention), f"Preprocessing: {convention}, that of the zoo model {name}.")
    return _read_hub_preprocessor(model) or _judge(pixel_arithmetic(model))


def try_conventions(model: keras.Model, size: tuple[int, int] | None = None) -> Trial | None:
    """Return the convention with which a classifier gives the highest probability to the right classes of four photos.

    None for a model that is not a classifier of color images with 1,000 classes, channels last.
    """
    shape = getattr(model, "output_shape", None)
    inputs: list[Any] = getattr(model, "inputs", None) or [None]
    if not (isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 1000 and len(inputs) == 1):
        return None
    if inputs[0] is not None and (len(inputs[0].shape) != 4 or takes_channels_first(model) or inputs[0].shape[3] != 3):
        return None
    size = size or image_shape(model)[:2]
    pixels = np.stack([images.fit_image(images.read(file), size) for file in PHOTOGRAPHS])
    shares = []
    for convention in CONVENTIONS.values():
        with hooks.unchanged(model):
            outputs = np.asarray(model(convention.apply(pixels), training=False), dtype=np.float64)
        if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):  # logits
            outputs = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            outputs /= outputs.sum(axis=1, keepdims=True)
        right = [outputs[i, list(classes)].sum() for i, classes in enumerate(_CLASSES.values())]
        shares.append((float(np.mean(right)), convention))
    shares.sort(key=lambda pair: -pair[0])
    return Trial(shares[0][1], shares[0][0], shares[1][0])


def require_preprocessing(model: keras.Model) -> Preprocessing:
    """Return the preprocessing of a model, recognized from the model itself or by trying the conventions.

    Raises:
        NoPreprocessing: a ValueError; it is not recognized. The message says what was seen.
    """
    recognition = remember(model, ("preprocessing",), lambda: recognize(model))
    if recognition.preprocessing is not None:
        return recognition.preprocessing
    trial = remember(model, ("preprocessing", "trial"), lambda: try_conventions(model))
    if trial is not None and trial.is_trained:
        return trial.convention
    raise unknown_preprocessing(model.name, recognition.unclear)


def _judge(arithmetic: PixelArithmetic | None) -> Recognition:
    """Return the preprocessing that follows from the arithmetic at the start of a model."""
    if arithmetic is None:
        return Recognition()
    ranges = arithmetic.ranges
    if len(ranges) == 1:
        low, high = RANGES[ranges[0]]
        verb = arithmetic.verb + "s" * (len(arithmetic.layers) == 1)
        return Recognition(
            CONVENTIONS[ranges[0]],
            f"Preprocessing: {ranges[0]}, because {arithmetic.names} {verb} pixels of {low:g}..{high:g}.",
        )
    texts = [f"{low:g}..{high:g} ({name!r})" for name, (low, high) in RANGES.items() if name in (ranges or RANGES)]
    fits = f"neither pixels of {', '.join(texts[:-1])} nor of {texts[-1]}"
    if ranges:
        fits = f"pixels of {' as well as of '.join(texts)}"
    names = arithmetic.names
    computes = "computes" if len(arithmetic.layers) == 1 else "compute"
    seen = f"{names[0].upper()}{names[1:]} {computes} {arithmetic.describe()}, which fits {fits}."
    return Recognition(unclear=seen)


def _read_hub_preprocessor(model: Any) -> Recognition | None:
    """Return the preprocessing of a keras-hub task, whose preprocessor scales and shifts pixels of 0..255."""
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    if converter is None:
        return None
    scale, shift = (
        np.asarray(default if value is None else value, np.float64).ravel()
        for default, value in ((1.0, getattr(converter, "scale", None)), (0.0, getattr(converter, "offset", None)))
    )
    if (scale <= 0).any() or len(scale) not in (1, 3) or len(shift) not in (1, 3):
        return None
    mean, deviation = -shift / scale, 1 / scale * np.ones_like(shift)
    convention = next((one for one in CONVENTIONS.values() if _equals(one, mean, deviation)), None)
    if convention is None:
        mean_text, deviation_text = ("/".join(f"{value:.6g}" for value in values) for values in (mean, deviation))
        convention = get(f"mean={mean_text},std={deviation_text}")
    return Recognition(
        convention, f"Preprocessing: {convention.name}, that of the keras-hub preprocessor of the model."
    )


def _equals(convention: Preprocessing, mean: np.ndarray, deviation: np.ndarray) -> bool:
    """Return whether a convention, without a change of channels, has this mean and standard deviation."""
    pairs = ((convention.mean, mean), (convention.std, deviation))
    return not convention.bgr and all(np.allclose(*pair, rtol=1e-3, atol=0.1) for pair in pairs)
