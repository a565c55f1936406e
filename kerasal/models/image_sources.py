"""What a user may give as images, as one thing: numbered model inputs, in batches, of which some can be had again."""

import os
import pathlib
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.hooks.model_inputs import conform
from kerasal.images import find_files, read, read_ahead
from kerasal.models.image_inputs import Intake

import tensorflow as tf

Batch = tuple[list[int], np.ndarray]


def open_source(images: Any, intake: Intake) -> "Source":
    """Return the source that ``images`` is: a path or a list of paths, an array, or an iterable of batches.

    Raises:
        TypeError, ValueError: none of these, or nothing in it.
        FileNotFoundError: a path at which there is nothing.
    """
    if isinstance(images, (str, os.PathLike)):
        return Files([images], intake)
    if isinstance(images, (list, tuple)) and images and all(isinstance(one, (str, os.PathLike)) for one in images):
        return Files(images, intake)
    refuse_mask(images, "images")
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return Array(np.asarray(images), intake)
    if isinstance(images, tf.data.Dataset) and images.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset repeats for ever; expected one that ends. Leave out repeat(), or add take(n).")
    if isinstance(images, Iterable) and not isinstance(images, (dict, bytes)):
        return Stream(images, intake)
    raise TypeError(
        "Expected images as the path of a folder or file, a list of paths, an array (N, H, W, C), or an iterable of "
        f"such arrays (a tf.data.Dataset). Received: {type(images).__name__}."
    )


class Files:
    """Image files, decoded by threads ahead of the network; one that cannot be read is noted in ``skipped``."""

    def __init__(self, paths: Sequence[str | os.PathLike], intake: Intake):
        intake.check_pixels()  # here, and not as a reason for which every single file is skipped
        self.files, self.intake = find_files(paths), intake
        self.total = len(self.files)
        self.skipped: list[tuple[str, str]] = []

    def name(self, number: int) -> str:
        """Return the path of a file."""
        return str(self.files[number])

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the readable files from ``start`` on, in order, as (numbers, inputs)."""
        numbers, inputs = [], []
        for number, future in read_ahead(self._read, range(start, self.total), pending=4 * size):
            try:
                inputs.append(future.result())
                numbers.append(number)
            except Exception as error:  # decoders raise anything on damaged files, and one must not end a long search
                self.skipped.append((self.name(number), _reason(error, self.files[number])))
            if len(numbers) == size:
                yield numbers, np.stack(inputs)
                numbers, inputs = [], []
        if numbers:
            yield numbers, np.stack(inputs)

    def again(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) of some numbers, in their order."""
        yield from (future.result() for _, future in read_ahead(self._read, numbers, pending=16))

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Keep nothing: files can be read again."""

    def _read(self, number: int) -> np.ndarray:
        return self.intake(read(self.files[number]))


class Array:
    """Images in memory: uint8 pixels of any size, or float model inputs."""

    def __init__(self, images: np.ndarray, intake: Intake):
        if images.ndim == 3 and images.dtype == np.uint8 and images.shape[2] not in (1, 3):
            images = images[..., None]  # (N, H, W), grey
        self.images = images[None] if images.ndim == 3 else images
        self.intake, self.total = intake, len(self.images)
        self.skipped: list[tuple[str, str]] = []
        if self.total == 0:
            raise ValueError(f"There are no images: the array has shape {images.shape}.")

    def name(self, number: int) -> str:
        """Return the position of an image, as its name."""
        return str(number)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the images from ``start`` on as (numbers, inputs)."""
        for first in range(start, self.total, size):
            inputs = as_inputs(self.images[first : first + size], self.intake)
            yield list(range(first, first + len(inputs))), inputs

    def again(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) of some numbers, in their order."""
        yield from (as_inputs(self.images[[number]], self.intake)[0] for number in numbers)

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Keep nothing: the array stays."""


class Stream:
    """Batches that pass by once, of any number; what may still be needed is kept."""

    total = None

    def __init__(self, batches: Iterable, intake: Intake):
        self.iterable, self.intake = batches, intake
        self.kept: dict[int, np.ndarray] = {}
        self.skipped: list[tuple[str, str]] = []

    def name(self, number: int) -> str:
        """Return the position of an image in the stream, as its name."""
        return str(number)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches as (numbers, inputs), large ones in parts of ``size``."""
        number = 0
        for element in self.iterable:
            images = element[0] if isinstance(element, (tuple, list)) and len(element) else element
            refuse_mask(images, "images")
            inputs = as_inputs(np.asarray(images), self.intake)
            for first in range(0, len(inputs), size):
                part = inputs[first : first + size]
                yield list(range(number, number + len(part))), part
                number += len(part)

    def again(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) of some numbers that were kept, in their order."""
        yield from (self.kept[number] for number in numbers)

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Keep those of the batch that are among ``numbers``, and forget kept ones that no longer are."""
        wanted = set(numbers)
        self.kept = {number: one for number, one in self.kept.items() if number in wanted}
        self.kept |= {number: one.copy() for number, one in zip(*batch, strict=True) if number in wanted}


Source = Files | Array | Stream


def as_inputs(images: np.ndarray, intake: Intake) -> np.ndarray:
    """Turn a batch into model inputs (N, H, W, C): uint8 pixels are preprocessed, floats are model inputs already."""
    if images.dtype == np.uint8:
        intake.check_pixels()
        if images.ndim == 3:
            images = images[None] if images.shape[2] in (1, 3) else images[..., None]
        if images.ndim != 4:
            raise ValueError(f"Expected uint8 images (N, H, W, 1 or 3). Received shape {images.shape}.")
        return np.stack([intake(one) for one in images])
    if images.dtype.kind not in "f" and images.dtype.name != "bfloat16":
        raise ValueError(
            f"Expected uint8 pixels (0..255, preprocessed here) or float model inputs (preprocessed already). "
            f"Received {images.dtype}."
        )
    inputs = conform(intake.model, images)[0]
    intake.settle(inputs.shape[1:])
    _check_range(inputs, intake)
    return inputs


def _check_range(inputs: np.ndarray, intake: Intake) -> None:
    """Warn of pixels that came as floats, and so were never preprocessed."""
    if intake.convention is None:
        return
    low, high = intake.convention.value_range()
    slack = 0.05 * (high - low).max()
    if inputs.min() < low.min() - slack or inputs.max() > high.max() + slack:
        warnings.warn(
            f"Float images are taken as model inputs, but these ({inputs.min():.3g}..{inputs.max():.3g}) lie outside "
            f"of what {intake.convention.name!r} makes of pixels ({low.min():.3g}..{high.max():.3g}). If they are "
            "pixels 0..255, give them as uint8, which is preprocessed here.",
            stacklevel=2,
        )


def _reason(error: Exception, path: pathlib.Path) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.removeprefix(f"{path} ").rstrip(".")
