"""The training data of a classifier: arrays, or images of class folders; checked, preprocessed and augmented."""

import dataclasses
from collections.abc import Iterator, Mapping
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
    """Return ``data`` as float32 images (N, H, W, C) and int32 labels (N,); errors name the data by ``what``.

    Raises:
        ValueError: ``data`` is not a pair or is empty; images that are not float, not of the model's input shape, or
            not finite; labels that are not integers in 0..classes-1, one per image.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"The {what} data must be a pair (images, labels), got {type(data).__name__}.")
    refuse_mask(data, f"the {what} data")
    images, labels = np.asarray(data[0]), np.asarray(data[1])
    wanted = ", ".join("any" if size is None else str(size) for size in image_shape)
    if images.ndim != 1 + len(image_shape) or any(
        expected not in (None, size) for expected, size in zip(image_shape, images.shape[1:], strict=True)
    ):
        raise ValueError(f"The {what} images must have the model's shape (N, {wanted}), got {images.shape}.")
    if not images.size:
        raise ValueError(f"The {what} data must not be empty, got images of shape {images.shape}.")
    if images.dtype.kind != "f":
        raise ValueError(
            f"The {what} images must be preprocessed model inputs, float32, got {images.dtype}. Apply "
            "kerasal.preprocessing first."
        )
    images = np.ascontiguousarray(images, dtype=np.float32)
    if not (np.isfinite(images.min()) and np.isfinite(images.max())):  # min and max propagate NaN and infinity
        first = int(np.flatnonzero(~np.isfinite(images).reshape(len(images), -1).all(axis=1))[0])
        raise ValueError(f"The {what} images must be finite, got NaN or infinity in image {first} (counted from 0).")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise ValueError(
            f"The {what} labels must be {len(images)} integers, one class index per image (not one-hot), got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The {what} labels must be in 0..{classes - 1}, for the model's {classes} outputs, got "
            f"{labels.min()}..{labels.max()}."
        )
    return images, labels.astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random changes of training images; by default none.

    Beyond its edges an image is continued by reflection; values between pixels are interpolated linearly.

    Attributes:
        shift: largest shift as a share of the image's sides, in 0..0.5; drawn uniformly in each direction.
        scale: largest relative change of size, in 0..1; factors are drawn from 1 / (1 + scale) to 1 + scale, uniformly
            in the logarithm.
        flip: whether to mirror a random half of the images left to right. Do not use it if this changes the class, as
            for digits, letters, or left and right hands.

    Raises:
        ValueError: ``shift`` or ``scale`` is out of range.
    """

    shift: float = 0.0
    scale: float = 0.0
    flip: bool = False

    def __post_init__(self):
        """Check the ranges."""
        for name, maximum in (("shift", 0.5), ("scale", 1.0)):
            check_number(name, getattr(self, name), minimum=0, maximum=maximum)

    def __bool__(self) -> bool:
        return bool(self.shift or self.scale or self.flip)

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draw changes (count, 4): shifts down and right as shares of the sides, factor of size, -1 if mirrored."""
        shifts = random.uniform(-self.shift, self.shift, (count, 2))
        sizes = np.exp(random.uniform(-1, 1, count) * np.log1p(self.scale))
        sides = np.where(random.random(count) < 0.5 * self.flip, -1.0, 1.0)
        return np.column_stack([shifts, sizes, sides])

    def apply(self, images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return float32 images (N, H, W, C) with the changes ``drawn`` (N, 4) of ``draw`` applied."""
        height, width = images.shape[1:3]
        middle = (np.array([height, width]) - 1) / 2
        down, right, size, side = drawn.T
        rows = middle[0] - (middle[0] + down * height) / size
        columns = middle[1] - (middle[1] + right * width) * side / size
        zeros = np.zeros(len(drawn))
        # Output (x, y) is the input at (a·x + b·y + c, d·x + e·y + f); the last two values are for perspective.
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
    """Model inputs and int32 labels (N,) of the training or test data: arrays, or images with a pixel convention."""

    def __init__(self, source: Labeled | ClassImages, convention: Preprocessing | None):
        self._source: Any = source
        self._convention = convention
        self.labels = source.labels if isinstance(source, ClassImages) else source[1]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the model inputs at the indices, float32 (n, H, W, C)."""
        if self._convention is None:
            return self._source[0][index]
        return self._convention.apply(self._source.load_images(index))

    def digest(self) -> str:
        """Return a digest of the data."""
        if self._convention is None:
            return digest(*self._source)
        return digest(self._source.digest(), self._convention.mean, self._convention.std, self._convention.bgr)

    def batches(
        self, order: np.ndarray, batch_size: int, changes: tuple[Augmentation, np.ndarray] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (inputs, labels) of every batch; a thread prepares the next batches.

        ``changes`` is an augmentation with the changes that it drew for the images in ``order``.
        """

        def gather(start: int):
            index = order[start : start + batch_size]
            images = self.take(index)
            if changes is not None:
                images = changes[0].apply(images, changes[1][start : start + batch_size])
            return images, self.labels[index]

        for _, batch in read_ahead(gather, range(0, len(order), batch_size), workers=1, pending=2):
            yield batch.result()


def describe_data(
    train_data: Labeled | ClassImages,
    test_data: Labeled | ClassImages,
    training: Inputs,
    test: Inputs,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the entries ``data`` (folder), ``split`` and ``skipped`` of run.json, with the digests in ``settings``."""
    origin = dict(getattr(train_data, "origin", {}))
    folder = origin.pop("folder", None)
    split: dict[str, Any] = {"how": "arrays or images that were passed to the training"} | origin
    skipped = {}
    for part, data, inputs in (("training", train_data, training), ("test", test_data, test)):
        counts = np.bincount(inputs.labels)
        names = getattr(data, "names", None) or [str(i) for i in range(len(counts))]
        counts = np.bincount(inputs.labels, minlength=len(names)).tolist()
        digest = settings["train_data" if part == "training" else "test_data"]
        split[part] = {"images": len(inputs), "classes": dict(zip(names, counts, strict=True)), "digest": digest}
        skipped[part] = dict(getattr(data, "skipped", {}))
    return {"data": [] if folder is None else [folder], "split": split, "skipped": skipped}


def prepare_inputs(data: Labeled | ClassImages, what: str, model, convention: Preprocessing | None) -> Inputs:
    """Return ``data`` as inputs of ``model``, after checking that they fit its input and output.

    Raises:
        ValueError: shapes or a number of classes that differ from the model's, images without a pixel convention, or
            unusable arrays.
    """
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    if not isinstance(data, ClassImages):
        return Inputs(check_labeled(data, what, shape, classes), None)
    if len(shape) != 3 or any(a not in (None, b) for a, b in zip(shape, data.shape, strict=True)):
        raise ValueError(f"The {what} images must be {shape}, the input of {model.name}, got {data.shape}.")
    if len(data.names) != classes:
        raise ValueError(
            f"The {what} images must have {classes} classes, the outputs of {model.name}, got {len(data.names)}. "
            f"Create a zoo model with classes={len(data.names)}, or another model with an output layer of that size."
        )
    if convention is None:
        raise ValueError(
            f"preprocessing must be specified to train {model.name} on images, got None. Examples: 'caffe', 'unit'."
        )
    return Inputs(data, convention)
