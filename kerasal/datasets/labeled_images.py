"""Images of class folders at a common size, kept in memory if they fit and otherwise read on access."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kerasal.checks import check_number
from kerasal.datasets.class_folders import ClassFiles, class_files
from kerasal.digests import digest, digest_file
from kerasal.images import fit_image, read, read_ahead, to_channels
from kerasal.names import RenamedAttribute
from kerasal.progress import progress_bar

IN_MEMORY = 2 << 30
"""Maximum number of bytes of images to keep in memory."""
NO_IMAGE = "not an image by its name"
"""Reason for skipping a file without an image suffix; all other reasons are errors of reading an image."""


@dataclasses.dataclass(frozen=True, eq=False)
class ClassImages:
    """Images with class labels, all resized to the same shape (H, W, C).

    Attributes:
        names: class names; the position of a name is its label.
        files: path of each image.
        labels: class indices, int32 (N,).
        shape: (H, W, C) with C = 1 or 3.
        fit: ``"crop"`` to resize the largest centered part of each image, or ``"stretch"`` to resize all of it.
        skipped: dictionary from skipped file to reason.
        pixels: images in memory, uint8 (N, H, W, C), or None if they are too large and read on access.
        origin: the folder, and how the images were split: ``folder``, ``how``, ``fit``, and ``test_share`` and ``seed``
            (None if the folder determines the split). Empty if unknown. Only for the record of a training.
    """

    names: list[str]
    files: list[pathlib.Path]
    labels: np.ndarray
    shape: tuple[int, int, int]
    fit: Literal["crop", "stretch"] = "crop"
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    pixels: np.ndarray | None = dataclasses.field(default=None, repr=False)
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.files)

    def load_images(self, index: Sequence[int]) -> np.ndarray:
        """Return the images with the given indices as uint8 (n, H, W, C)."""
        if self.pixels is not None:
            return self.pixels[np.asarray(index)]
        return np.stack([image.result() for _, image in read_ahead(self._read_image, [self.files[i] for i in index])])

    def subset(self, index: np.ndarray) -> "ClassImages":
        """Return the subset of images with these indices, with the same classes."""
        pixels = None if self.pixels is None else self.pixels[index]
        return dataclasses.replace(
            self, files=[self.files[i] for i in index], labels=self.labels[index], skipped={}, pixels=pixels
        )

    def split(self, share: float = 0.2, seed: int = 0) -> tuple["ClassImages", "ClassImages"]:
        """Return a random stratified split into training images and a ``share`` of test images.

        There are round(share · N) test images, allocated to the classes by largest remainders, and both parts have
        images of every class.

        Raises:
            ValueError: ``share`` is not between 0 and 1, or a class has a single image.
        """
        check_number("share", share, above=0, below=1)
        counts = np.bincount(self.labels, minlength=len(self.names))
        if counts.min() < 2:
            single = [name for name, count in zip(self.names, counts, strict=True) if count < 2]
            raise ValueError(
                "Every class must have two images, for training and for testing, got a single image for "
                f"{', '.join(single)}. Add images, or choose other classes."
            )
        test = np.zeros(len(self), bool)
        for label, test_count in enumerate(_allocate_test_images(counts, share)):
            members = np.flatnonzero(self.labels == label)
            test[np.random.default_rng([seed, label]).permutation(members)[:test_count]] = True
        return self.subset(np.flatnonzero(~test)), self.subset(np.flatnonzero(test))

    def means(self) -> np.ndarray:
        """Return the mean image of each class as float32 (classes, H, W, C), 0..255."""
        total = np.zeros((len(self.names), *self.shape))
        for start in range(0, len(self), 64):
            index = range(start, min(start + 64, len(self)))
            np.add.at(total, self.labels[start : start + 64], self.load_images(index))
        counts = np.bincount(self.labels, minlength=len(self.names)).reshape(-1, 1, 1, 1)
        return (total / np.maximum(counts, 1)).astype(np.float32)

    def digest(self) -> str:
        """Return a digest of the classes, the files (names and contents) and the shape, as 32 hexadecimal digits."""
        files = [(file.name, content.result()) for file, content in read_ahead(digest_file, self.files)]
        return digest(self.names, self.shape, self.fit, self.labels, files)

    fingerprint = RenamedAttribute("digest")
    take = RenamedAttribute("load_images")
    select = RenamedAttribute("subset")

    def _read_image(self, file: pathlib.Path) -> np.ndarray:
        return to_channels(fit_image(read(file), self.shape[:2], self.fit), self.shape[2])


def class_images(
    folder: str | os.PathLike,
    shape: tuple[int, int, int],
    *,
    classes: Sequence[str] | None = None,
    fit: Literal["crop", "stretch"] = "crop",
    test_share: float = 0.2,
    seed: int = 0,
    memory: int = IN_MEMORY,
    progress: bool = False,
) -> tuple[ClassImages, ClassImages]:
    """Return the training images and the test images of class folders.

    Every file is read once, so that unreadable files are known before training starts.

    Args:
        folder: folder with images in ``FOLDER/CLASS/*.jpg``, or with folders ``train`` and ``val`` or ``test`` of class
            folders, which determine the split.
        shape: (H, W, C) of the resized images; C is 3, or 1 for gray.
        classes: names of the classes or folders to use, in this order; by default all.
        fit: ``"crop"`` to resize the largest centered part of each image, or ``"stretch"`` to resize all of it.
        test_share: share of test images in each class, for a folder without ``train`` and ``val`` or ``test``.
        seed: seed for the random split.
        memory: maximum number of bytes of images to keep in memory.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: ``folder`` does not exist.
        ValueError: the folder has no valid class folders (see ``class_folders.class_files``), or a class has no
            readable image or, for a random split, only a single image.
    """
    parts = [files for files in class_files(folder, classes) if files is not None]
    bytes_per_image = int(np.prod(shape))
    keep = bytes_per_image * sum(len(part.files) for part in parts) <= memory
    total = sum(len(part.files) for part in parts)
    with progress_bar("Reading images", total, progress) as advance:
        opened = [_open_images(part, tuple(shape), fit, keep, advance) for part in parts]
    origin: dict[str, Any] = {"folder": os.fspath(folder), "fit": fit, "test_share": None, "seed": None}
    if len(opened) == 2:
        origin["how"] = "the folder has a part for training and one for testing"
        train, test = opened
    else:
        origin |= {"test_share": test_share, "seed": seed}
        origin["how"] = f"a random {test_share:.3g} of the images for testing, stratified by class, with seed {seed}"
        train, test = opened[0].split(test_share, seed)
        train = dataclasses.replace(train, skipped=opened[0].skipped)
    return dataclasses.replace(train, origin=origin), dataclasses.replace(test, origin=origin)


def _open_images(listed: ClassFiles, shape: tuple, fit: Literal["crop", "stretch"], keep: bool, advance) -> ClassImages:
    images = ClassImages(listed.names, listed.files, listed.labels, shape, fit)
    pixels = np.empty((len(images), *shape), np.uint8) if keep else None
    skipped = {str(file): NO_IMAGE for file in listed.others}
    is_readable = np.ones(len(images), bool)
    for number, (file, result) in enumerate(read_ahead(images._read_image, listed.files)):
        try:
            image = result.result()
        except (ValueError, OSError) as error:
            is_readable[number], skipped[str(file)] = False, str(error)
        else:
            if pixels is not None:
                pixels[number] = image
        advance(1)
    if not is_readable.all():
        index = np.flatnonzero(is_readable)
        pixels = None if pixels is None else pixels[index]
        images = images.subset(index)
        empty = set(range(len(images.names))) - set(images.labels.tolist())
        if empty:
            raise ValueError(
                "Every class must have readable images, got none for "
                f"{', '.join(images.names[label] for label in sorted(empty))}. The first error is: "
                f"{next(reason for reason in skipped.values() if reason != NO_IMAGE)}"
            )
    return dataclasses.replace(images, skipped=skipped, pixels=pixels)


def _allocate_test_images(counts: np.ndarray, share: float) -> np.ndarray:
    """Return the number of test images per class, with the sum round(share · N), leaving a training image per class."""
    exact = counts * share
    test_counts = np.floor(exact).astype(int)
    missing = round(share * int(counts.sum())) - int(test_counts.sum())
    test_counts[np.argsort(-(exact - test_counts), kind="stable")[:missing]] += 1
    return np.clip(test_counts, 1, counts - 1)
