"""What a user may give as images, as one thing: numbered model inputs, in batches, of which some can be had again."""

import os
import pathlib
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasal.checks import refuse_mask
from kerasal.images import find_files, fit_image, read, read_ahead, to_channels
from kerasal.models.image_model import ImageModel
from kerasal.names import describe_skipped

import tensorflow as tf

Batch = tuple[list[int], np.ndarray]


def open_source(images: Any, model: ImageModel) -> "ImageSource":
    """Return numbered model inputs of ``images``: a path or a list of paths, an array, or an iterable of batches.

    TypeError or ValueError for none of these, or nothing in it; FileNotFoundError for a path at which there is nothing.
    """
    if isinstance(images, (str, os.PathLike)):
        return Files([images], model)
    if isinstance(images, (list, tuple)) and images and all(isinstance(one, (str, os.PathLike)) for one in images):
        return Files(images, model)
    refuse_mask(images, "images")
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return Array(np.asarray(images), model)
    if isinstance(images, tf.data.Dataset) and images.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("The dataset repeats for ever; expected one that ends. Leave out repeat(), or add take(n).")
    if isinstance(images, Iterable) and not isinstance(images, (dict, bytes)):
        return Stream(images, model)
    raise TypeError(
        "Expected images as the path of a folder or file, a list of paths, an array (N, H, W, C), or an iterable of "
        f"such arrays (a tf.data.Dataset). Received: {type(images).__name__}."
    )


class _Source:
    """What the sources share: the model, the shape of its inputs, and what could not be read."""

    total: int | None = None

    def __init__(self, model: ImageModel):
        self.model, self.shape = model, model.input_shape()
        self.skipped: list[tuple[str, str]] = []
        self._open = model.size is None

    def name(self, number: int) -> str:
        """Return the name of an image: its position."""
        return str(number)

    @property
    def settings(self) -> dict[str, Any]:
        """What decides which inputs the images become, for digests and stores."""
        return {"shape": self.shape, "fit": self.model.fit, "preprocessing": repr(self.model.preprocessing)}

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Keep some inputs of a batch for ``again``; nothing is to be kept of what can be read again."""

    def _to_inputs(self, images: np.ndarray) -> np.ndarray:
        """Turn a batch into model inputs (N, …): uint8 pixels are preprocessed, floats are model inputs already.

        The first float inputs of a model that leaves its size open settle it for those that follow.
        """
        if images.dtype == np.uint8:
            if images.ndim == 3:
                images = images[None] if images.shape[2] in (1, 3) else images[..., None]
            if images.ndim != 4:
                raise ValueError(f"Expected uint8 images (N, H, W, 1 or 3). Received shape {images.shape}.")
            fitted = [self.model.fit_image(image, size=self.shape[:2]) for image in images]
            return self.model.to_inputs(np.stack(fitted))
        inputs = self.model.check_inputs(images)
        shape = image_shape_of(inputs, self.model)
        if shape != self.shape and not self._open:
            raise ValueError(f"Expected model inputs of one size, {self.shape}. Received: {shape}.")
        self.shape, self._open = shape, False
        return inputs


class Files(_Source):
    """Image files, decoded by threads ahead of the model; unreadable ones are listed in ``skipped``."""

    def __init__(self, paths: Sequence[str | os.PathLike], model: ImageModel):
        super().__init__(model)
        model.check_pixels()  # here, and not as a reason for which every single file is skipped
        self.files = find_files(paths)
        self.total = len(self.files)

    def name(self, number: int) -> str:
        """Return the path of a file."""
        return str(self.files[number])

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the readable files from ``start`` on, in order, as (numbers, inputs)."""
        numbers, inputs = [], []
        for number, future in read_ahead(self._read, range(start, len(self.files)), pending=4 * size):
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

    def _read(self, number: int) -> np.ndarray:
        return self._to_inputs(read(self.files[number])[None])[0]


class Array(_Source):
    """Images in memory: uint8 pixels of any size, or float model inputs."""

    def __init__(self, images: np.ndarray, model: ImageModel):
        super().__init__(model)
        if images.ndim == 3 and images.dtype == np.uint8 and images.shape[2] not in (1, 3):
            images = images[..., None]  # (N, H, W), gray
        self.images = images[None] if images.ndim == 3 else images
        self.total = len(self.images)
        if self.total == 0:
            raise ValueError(f"There are no images: the array has shape {images.shape}.")

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the images from ``start`` on as (numbers, inputs)."""
        for first in range(start, len(self.images), size):
            inputs = self._to_inputs(self.images[first : first + size])
            yield list(range(first, first + len(inputs))), inputs

    def again(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) of some numbers, in their order."""
        yield from (self._to_inputs(self.images[[number]])[0] for number in numbers)


class Stream(_Source):
    """Batches that pass by once, of any number; what may still be needed is kept."""

    def __init__(self, batches: Iterable, model: ImageModel):
        super().__init__(model)
        self.iterable = batches
        self.kept: dict[int, np.ndarray] = {}

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches as (numbers, inputs), large ones in parts of ``size``."""
        number = 0
        for element in self.iterable:
            images = element[0] if isinstance(element, (tuple, list)) and len(element) else element
            refuse_mask(images, "images")
            inputs = self._to_inputs(np.asarray(images))
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


ImageSource = Files | Array | Stream


def read_all(source: "ImageSource", purpose: str) -> tuple[np.ndarray, list[str]]:
    """Return the model inputs of all images of a source, and their names; files that are skipped are a warning.

    Without any image, a ValueError names the ``purpose``, such as ``"draw maps of"``.
    """
    batches = list(source.batches(64))
    if not batches:
        raise ValueError(f"There is not one image to {purpose}. {describe_skipped(source.skipped)}")
    if source.skipped:
        warnings.warn(f"Skipped: {describe_skipped(source.skipped)}", stacklevel=3)
    names = [source.name(number) for numbers, _ in batches for number in numbers]
    return np.concatenate([inputs for _, inputs in batches]), names


def image_shape_of(inputs: np.ndarray, model: ImageModel) -> tuple[int, int, int]:
    """Return (height, width, channels) of model inputs (N, …), whatever the model's own layout is."""
    shape = inputs.shape[1:]
    if len(shape) == 2:
        return *shape, 1
    return (*shape[1:], shape[0]) if model.channels_first else shape


def mean_input(
    paths: Sequence[str | os.PathLike], model: ImageModel, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, int, list[str]]:
    """Return the mean of images as one model input, float32 (H, W, C), their number, and the unreadable files.

    The mean is taken of their pixels, at ``size`` = (height, width) or what the model takes, and rounded. Errors are
    those of ``ImageModel.inputs``.
    """
    preprocessing = model.check_pixels()
    size = size or model.input_size()
    total, count, skipped = np.zeros((*size, 3)), 0, []
    for file, result in read_ahead(read, find_files(paths)):
        try:
            total += fit_image(result.result(), size, model.fit)
            count += 1
        except (ValueError, OSError) as error:
            skipped.append(f"{file.name} ({error})")
    if not count:
        raise ValueError(f"None of the images in {', '.join(map(str, paths))} can be read. The first: {skipped[0]}")
    mean = np.round(total / count).astype(np.uint8)
    return preprocessing.apply(to_channels(mean, model.channels)), count, skipped


def _reason(error: Exception, path: pathlib.Path) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.removeprefix(f"{path} ").rstrip(".")
