"""Images from files, arrays or datasets as batches of numbered model inputs that can be reloaded by number."""

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
    """Return a source of numbered model inputs, read in batches.

    Args:
        images: a path or a list of paths (files or folders), an array (N, H, W, C), or an iterable of batches such as a
            ``tf.data.Dataset``; uint8 images are preprocessed, float arrays are inputs already.
        model: an opened model.

    Raises:
        TypeError: ``images`` is none of these.
        ValueError: there are no images, or the dataset never ends.
        FileNotFoundError: a path does not exist.
    """
    if isinstance(images, (str, os.PathLike)):
        return Files([images], model)
    if isinstance(images, (list, tuple)) and images and all(isinstance(path, (str, os.PathLike)) for path in images):
        return Files(images, model)
    refuse_mask(images, "images")
    if isinstance(images, (np.ndarray, tf.Tensor)):
        return Array(np.asarray(images), model)
    if isinstance(images, tf.data.Dataset) and images.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("images must be a finite dataset, got one that repeats forever. Drop repeat() or add take(n).")
    if isinstance(images, Iterable) and not isinstance(images, (dict, bytes)):
        return Stream(images, model)
    raise TypeError(
        "images must be the path of a file or folder, a list of paths, an array (N, H, W, C), or an iterable of such "
        f"arrays (a tf.data.Dataset), got {type(images).__name__}."
    )


class _Source:
    """The base class of the sources: the model, the shape of its inputs, and the unreadable files."""

    total: int | None = None

    def __init__(self, model: ImageModel):
        self.model, self.shape = model, model.input_shape()
        self.skipped: list[tuple[str, str]] = []
        self._size_is_free = model.size is None

    def name(self, number: int) -> str:
        """Return the name of an image, here its position."""
        return str(number)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that determine the inputs made from the images, for digests and stores."""
        return {"shape": self.shape, "fit": self.model.fit, "preprocessing": repr(self.model.preprocessing)}

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Store some inputs of a batch for ``reload_inputs``; a no-op for sources that can be read a second time."""

    def _to_inputs(self, images: np.ndarray) -> np.ndarray:
        """Return a batch as model inputs (N, …): uint8 images are preprocessed, float arrays are inputs already.

        For a model of any size, the first float inputs fix the size of all that follow.
        """
        if images.dtype == np.uint8:
            if images.ndim == 3:
                images = images[None] if images.shape[2] in (1, 3) else images[..., None]
            if images.ndim != 4:
                raise ValueError(f"uint8 images must have shape (N, H, W, 1 or 3), got {images.shape}.")
            fitted = [self.model.fit_image(image, size=self.shape[:2]) for image in images]
            return self.model.to_inputs(np.stack(fitted))
        inputs = self.model.check_inputs(images)
        shape = image_shape_of(inputs, self.model)
        if shape != self.shape and not self._size_is_free:
            raise ValueError(f"Model inputs must all have the shape {self.shape}, got {shape}. Resize them first.")
        self.shape, self._size_is_free = shape, False
        return inputs


class Files(_Source):
    """Image files, decoded in threads ahead of the model; unreadable files are listed in ``skipped``."""

    def __init__(self, paths: Sequence[str | os.PathLike], model: ImageModel):
        super().__init__(model)
        model.check_pixels()  # fail here rather than skip every file for the same reason
        self.files = find_files(paths)
        self.total = len(self.files)

    def name(self, number: int) -> str:
        """Return the path of a file as its name."""
        return str(self.files[number])

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the readable files, beginning with number ``start``, in order, as (numbers, inputs)."""
        numbers, inputs = [], []
        for number, future in read_ahead(self._read_input, range(start, len(self.files)), pending=4 * size):
            try:
                inputs.append(future.result())
                numbers.append(number)
            except Exception as error:  # decoders raise any class on damaged files, which must not end the search
                self.skipped.append((self.name(number), _reason(error, self.files[number])))
            if len(numbers) == size:
                yield numbers, np.stack(inputs)
                numbers, inputs = [], []
        if numbers:
            yield numbers, np.stack(inputs)

    def reload_inputs(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) with these numbers, in this order."""
        yield from (future.result() for _, future in read_ahead(self._read_input, numbers, pending=16))

    def _read_input(self, number: int) -> np.ndarray:
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
            raise ValueError(f"images must contain at least one image, got an array of shape {images.shape}.")

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the images, beginning with number ``start``, as (numbers, inputs)."""
        for first in range(start, len(self.images), size):
            inputs = self._to_inputs(self.images[first : first + size])
            yield list(range(first, first + len(inputs))), inputs

    def reload_inputs(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the inputs (H, W, C) with these numbers, in this order."""
        yield from (self._to_inputs(self.images[[number]])[0] for number in numbers)


class Stream(_Source):
    """Batches of unknown number that can be read once; inputs that may be needed later are stored in ``kept``."""

    def __init__(self, batches: Iterable, model: ImageModel):
        super().__init__(model)
        self.iterable = batches
        self.kept: dict[int, np.ndarray] = {}

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches as (numbers, inputs); batches larger than ``size`` are split."""
        number = 0
        for element in self.iterable:
            images = element[0] if isinstance(element, (tuple, list)) and len(element) else element
            refuse_mask(images, "images")
            inputs = self._to_inputs(np.asarray(images))
            for first in range(0, len(inputs), size):
                part = inputs[first : first + size]
                yield list(range(number, number + len(part))), part
                number += len(part)

    def reload_inputs(self, numbers: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the stored inputs (H, W, C) with these numbers, in this order."""
        yield from (self.kept[number] for number in numbers)

    def keep(self, numbers: Collection[int], batch: Batch) -> None:
        """Store the inputs of the batch whose numbers are in ``numbers``; discard stored ones that are not."""
        wanted = set(numbers)
        self.kept = {number: inputs for number, inputs in self.kept.items() if number in wanted}
        self.kept |= {number: inputs.copy() for number, inputs in zip(*batch, strict=True) if number in wanted}


ImageSource = Files | Array | Stream


def read_all(source: "ImageSource", purpose: str) -> tuple[np.ndarray, list[str]]:
    """Return the model inputs of all images of a source, and their names; warn about unreadable files.

    Raises:
        ValueError: no image can be read; the message contains the ``purpose``, such as ``"draw maps of"``.
    """
    batches = list(source.batches(64))
    if not batches:
        raise ValueError(f"There is no image to {purpose}. {describe_skipped(source.skipped)}".rstrip())
    if source.skipped:
        warnings.warn(f"Skipped: {describe_skipped(source.skipped)}", stacklevel=3)
    names = [source.name(number) for numbers, _ in batches for number in numbers]
    return np.concatenate([inputs for _, inputs in batches]), names


def image_shape_of(inputs: np.ndarray, model: ImageModel) -> tuple[int, int, int]:
    """Return the (height, width, channels) of model inputs (N, …) in any layout."""
    shape = inputs.shape[1:]
    if len(shape) == 2:
        return *shape, 1
    return (*shape[1:], shape[0]) if model.channels_first else shape


def mean_input(
    paths: Sequence[str | os.PathLike], model: ImageModel, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, int, list[str]]:
    """Return the mean image as a model input, float32 (H, W, C), the number of images, and the unreadable files.

    The mean is that of the pixels, rounded to uint8, before preprocessing.

    Args:
        paths: image files and folders.
        model: an opened model.
        size: (height, width) to which the images are resized; by default the input size of the model.

    Raises:
        NoPreprocessing: a ValueError; the preprocessing of the model is unknown.
        ValueError: there are no images, or none of them can be read.
        FileNotFoundError: a path does not exist.
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
        listed = ", ".join(map(str, paths))
        raise ValueError(f"paths must contain readable images, got none in {listed}. The first error: {skipped[0]}.")
    mean = np.round(total / count).astype(np.uint8)
    return preprocessing.apply(to_channels(mean, model.channels)), count, skipped


def _reason(error: Exception, path: pathlib.Path) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.removeprefix(f"{path} ").rstrip(".")
