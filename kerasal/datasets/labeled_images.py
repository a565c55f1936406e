"""The images of class folders at one size: kept in memory where they fit, else read again whenever they are wanted."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np

from kerasal.checks import check_number
from kerasal.datasets.class_folders import ClassFiles, class_files
from kerasal.digests import digest, digest_file
from kerasal.images import fit_image, read, read_ahead, to_channels
from kerasal.progress import progress_bar

IN_MEMORY = 2 << 30
"""Bytes of images that are kept in memory."""
NO_IMAGE = "not an image by its name"
"""Why a file of another kind is skipped; every other reason is of an image that cannot be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class ClassImages:
    """Images of named classes, all of one shape (H, W, C).

    Attributes:
        names: of the classes, in the order of their numbers.
        files: one an image.
        labels: int32 (N,), class numbers.
        shape: (H, W, C), C being 1 or 3.
        fit: how an image is brought to it: its largest centered part (``"crop"``), or all of it (``"stretch"``).
        skipped: what was left out, and why.
        pixels: uint8 (N, H, W, C); None where that is too much, and files are read instead.
    """

    names: list[str]
    files: list[pathlib.Path]
    labels: np.ndarray
    shape: tuple[int, int, int]
    fit: Literal["crop", "stretch"] = "crop"
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    pixels: np.ndarray | None = dataclasses.field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.files)

    def take(self, index: Sequence[int]) -> np.ndarray:
        """Return the images of some numbers, uint8 (n, H, W, C)."""
        if self.pixels is not None:
            return self.pixels[np.asarray(index)]
        return np.stack([image.result() for _, image in read_ahead(self._read, [self.files[i] for i in index])])

    def select(self, index: np.ndarray) -> "ClassImages":
        """Return some of the images, as a set of the same classes."""
        pixels = None if self.pixels is None else self.pixels[index]
        return dataclasses.replace(
            self, files=[self.files[i] for i in index], labels=self.labels[index], skipped={}, pixels=pixels
        )

    def split(self, share: float = 0.2, seed: int = 0) -> tuple["ClassImages", "ClassImages"]:
        """Split every class alike into a part to train on and a ``share`` to test on, drawn by ``seed``.

        The test part has round(share · N) images, shared out among the classes by largest remainders, and every part
        has at least one image of every class.

        Raises:
            ValueError: a share that is not between 0 and 1, or a class of a single image.
        """
        check_number("share", share, above=0, below=1)
        counts = np.bincount(self.labels, minlength=len(self.names))
        if counts.min() < 2:
            alone = [name for name, count in zip(self.names, counts, strict=True) if count < 2]
            raise ValueError(
                f"A class needs two images, one to train on and one to test on. These have one: {', '.join(alone)}. "
                "Add images, or choose other classes."
            )
        test = np.zeros(len(self), bool)
        for label, wanted in enumerate(_share_out(counts, share)):
            mine = np.flatnonzero(self.labels == label)
            test[np.random.default_rng([seed, label]).permutation(mine)[:wanted]] = True
        return self.select(np.flatnonzero(~test)), self.select(np.flatnonzero(test))

    def means(self) -> np.ndarray:
        """Return the mean image of each class, float32 (classes, H, W, C), 0..255."""
        total = np.zeros((len(self.names), *self.shape))
        for start in range(0, len(self), 64):
            index = range(start, min(start + 64, len(self)))
            np.add.at(total, self.labels[start : start + 64], self.take(index))
        counts = np.bincount(self.labels, minlength=len(self.names)).reshape(-1, 1, 1, 1)
        return (total / np.maximum(counts, 1)).astype(np.float32)

    def digest(self) -> str:
        """Return 32 hexadecimal digits that change with the classes, the files (names and contents) and the shape."""
        files = [(file.name, content.result()) for file, content in read_ahead(digest_file, self.files)]
        return digest(self.names, self.shape, self.fit, self.labels, files)

    def fingerprint(self) -> str:
        """Return ``digest()``, under its old name."""
        warnings.warn("ClassImages.fingerprint is called digest now.", DeprecationWarning, stacklevel=2)
        return self.digest()

    def _read(self, file: pathlib.Path) -> np.ndarray:
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
    """Open class folders: the images to train on and those to test on.

    Every file is read once, so that what is no image is known before anything is computed.

    Args:
        folder: ``FOLDER/CLASS/*.jpg``; or with parts ``train`` and ``val`` or ``test``, which are then kept.
        shape: (H, W, C) to which every image is brought; C is 3, or 1 for gray.
        classes: names of classes or folders, the only ones to use, in this order.
        fit: cut images to the shape, or stretch them.
        test_share: share of each class to test on, for a folder without parts.
        seed: of that choice.
        memory: bytes up to which the images stay in memory.
        progress: show a bar.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: see ``class_folders.class_files``; or a class without a readable image, or with a single one.
    """
    parts = [files for files in class_files(folder, classes) if files is not None]
    each = int(np.prod(shape))
    keep = each * sum(len(one.files) for one in parts) <= memory
    total = sum(len(one.files) for one in parts)
    with progress_bar("Reading images", total, progress) as advance:
        found = [_open_images(one, tuple(shape), fit, keep, advance) for one in parts]
    if len(found) == 2:
        return found[0], found[1]
    train, test = found[0].split(test_share, seed)
    return dataclasses.replace(train, skipped=found[0].skipped), test


def _open_images(listed: ClassFiles, shape: tuple, fit: Literal["crop", "stretch"], keep: bool, advance) -> ClassImages:
    images = ClassImages(listed.names, listed.files, listed.labels, shape, fit)
    pixels = np.empty((len(images), *shape), np.uint8) if keep else None
    skipped = {str(file): NO_IMAGE for file in listed.others}
    good = np.ones(len(images), bool)
    for number, (file, result) in enumerate(read_ahead(images._read, listed.files)):
        try:
            picture = result.result()
        except (ValueError, OSError) as error:
            good[number], skipped[str(file)] = False, str(error)
        else:
            if pixels is not None:
                pixels[number] = picture
        advance(1)
    if not good.all():
        index = np.flatnonzero(good)
        pixels = None if pixels is None else pixels[index]
        images = images.select(index)
        lost = set(range(len(images.names))) - set(images.labels.tolist())
        if lost:
            raise ValueError(
                f"Not one image can be read of {', '.join(images.names[label] for label in sorted(lost))}. The first: "
                f"{next(reason for reason in skipped.values() if reason != NO_IMAGE)}"
            )
    return dataclasses.replace(images, skipped=skipped, pixels=pixels)


def _share_out(counts: np.ndarray, share: float) -> np.ndarray:
    """Return how many of each class are tested on: together round(share · N), and 1 to all but one of each."""
    exact = counts * share
    wanted = np.floor(exact).astype(int)
    missing = round(share * int(counts.sum())) - int(wanted.sum())
    wanted[np.argsort(-(exact - wanted), kind="stable")[:missing]] += 1
    return np.clip(wanted, 1, counts - 1)
