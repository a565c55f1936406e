"""What a classifier is trained on: arrays or images of class folders, checked, prepared and randomly changed."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasal.checks import check_number, refuse_mask
from kerasal.datasets.labeled_images import ClassImages
from kerasal.digests import digest
from kerasal.images.image_folders import read_ahead
from kerasal.preprocessing import Preprocessing

import tensorflow as tf

Labeled = tuple[np.ndarray, np.ndarray]


def check_labeled(data: Labeled, what: str, image_shape: tuple[int | None, ...], classes: int) -> Labeled:
    """Return ``data`` as float32 images (N, H, W, C) and int32 labels (N,), or say what is wrong with ``what``.

    Raises:
        ValueError: no pair; no images; not float, of another shape than the model's, or not finite; labels that are
            not integers in 0..classes-1, one an image.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"The {what} data is a pair (images, labels). Received: {type(data).__name__}.")
    refuse_mask(data, f"the {what} data")
    images, labels = np.asarray(data[0]), np.asarray(data[1])
    wanted = ", ".join("any" if size is None else str(size) for size in image_shape)
    if images.ndim != 1 + len(image_shape) or any(
        size not in (None, received) for size, received in zip(image_shape, images.shape[1:], strict=True)
    ):
        raise ValueError(f"The {what} images must have the model's shape (N, {wanted}). Received: {images.shape}.")
    if not images.size:
        raise ValueError(f"The {what} data is empty: there is nothing to compute. Received images of {images.shape}.")
    if images.dtype.kind != "f":
        raise ValueError(
            f"The {what} images must be preprocessed model inputs, float32. Received: {images.dtype}; apply "
            "kerasal.preprocessing first."
        )
    images = np.ascontiguousarray(images, dtype=np.float32)
    if not (np.isfinite(images.min()) and np.isfinite(images.max())):  # a NaN or an infinity is in one of the two
        first = int(np.flatnonzero(~np.isfinite(images).reshape(len(images), -1).all(axis=1))[0])
        raise ValueError(f"The {what} images must be finite. Image {first} (counted from 0) holds NaN or infinity.")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(
            f"The {what} labels must be {len(images)} integers, one an image (class numbers, not one-hot). "
            f"Received: {labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The {what} labels must lie in 0..{classes - 1}, the model's {classes} outputs. "
            f"Received: {labels.min()}..{labels.max()}."
        )
    return images, labels.astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far training images are changed; nothing is, by default.

    What is drawn into view is the image mirrored at its edge; values between pixels are interpolated linearly.

    Attributes:
        shift: up to this share of its sides, each way, uniformly.
        scale: up to 1 + this times as large, or as small, uniformly in the logarithm.
        flip: a random half are mirrored left to right. Not for what that makes into something else: digits, letters,
            left and right hands.

    Raises:
        ValueError: a shift not in 0..0.5, or a scale not in 0..1.
    """

    shift: float = 0.0
    scale: float = 0.0
    flip: bool = False

    def __post_init__(self):
        """Check the ranges."""
        for name, most in (("shift", 0.5), ("scale", 1.0)):
            check_number(name, getattr(self, name), minimum=0, maximum=most)

    def __bool__(self) -> bool:
        return bool(self.shift or self.scale or self.flip)

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draw for each of ``count`` images: shift down and right in shares of its sides, size, and -1 if mirrored."""
        shifts = random.uniform(-self.shift, self.shift, (count, 2))
        sizes = np.exp(random.uniform(-1, 1, count) * np.log1p(self.scale))
        sides = np.where(random.random(count) < 0.5 * self.flip, -1.0, 1.0)
        return np.column_stack([shifts, sizes, sides])

    def apply(self, images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return float32 images (N, H, W, C), changed as ``drawn`` (N, 4) says."""
        height, width = images.shape[1:3]
        middle = (np.array([height, width]) - 1) / 2
        down, right, size, side = drawn.T
        rows = middle[0] - (middle[0] + down * height) / size
        columns = middle[1] - (middle[1] + right * width) * side / size
        zeros = np.zeros(len(drawn))
        # Output (x, y) shows the input at (a·x + b·y + c, d·x + e·y + f); the last two are of a perspective.
        matrices = np.column_stack([side / size, zeros, columns, zeros, 1 / size, rows, zeros, zeros])
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=matrices.astype(np.float32),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="REFLECT",
            fill_value=0.0,
        ).numpy()


class Inputs:
    """Model inputs and labels of one part of the data, arrays or images with their convention; labels int32 (N,)."""

    def __init__(self, source: Labeled | ClassImages, convention: Preprocessing | None):
        self._source: Any = source
        self._convention = convention
        self.labels = source.labels if isinstance(source, ClassImages) else source[1]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the model inputs of some numbers, float32 (n, H, W, C)."""
        if self._convention is None:
            return self._source[0][index]
        return self._convention.apply(self._source.take(index))

    def digest(self) -> str:
        """Return what tells these data from others."""
        if self._convention is None:
            return digest(*self._source)
        return digest(self._source.digest(), self._convention.mean, self._convention.std, self._convention.bgr)

    def batches(
        self, order: np.ndarray, batch_size: int, changes: tuple[Augmentation, np.ndarray] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of every batch, gathered by a thread while the one before is computed.

        ``changes`` are an augmentation and what it drew for each image of the ``order``.
        """

        def gather(start: int):
            index = order[start : start + batch_size]
            images = self.take(index)
            if changes is not None:
                images = changes[0].apply(images, changes[1][start : start + batch_size])
            return images, self.labels[index]

        for _, batch in read_ahead(gather, range(0, len(order), batch_size), workers=1, pending=2):
            yield batch.result()


def prepare_inputs(data: Labeled | ClassImages, what: str, model, convention: Preprocessing | None) -> Inputs:
    """Check ``data`` against what ``model`` takes and gives.

    Raises:
        ValueError: other shapes or numbers of classes than the model's, no convention for pixels, or bad arrays.
    """
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    if not isinstance(data, ClassImages):
        return Inputs(check_labeled(data, what, shape, classes), None)
    if len(shape) != 3 or any(a not in (None, b) for a, b in zip(shape, data.shape, strict=True)):
        raise ValueError(f"{model.name} takes images {shape}, the {what} images are {data.shape}. Open them so.")
    if len(data.names) != classes:
        raise ValueError(
            f"{model.name} has {classes} outputs and the {what} images have {len(data.names)} classes. A zoo model "
            f"takes classes={len(data.names)}; give another model an output layer of that size."
        )
    if convention is None:
        raise ValueError(f'How does {model.name} want its pixels? Say preprocessing="caffe", "unit" or another.')
    return Inputs(data, convention)
