"""Storage of features: blocks of images for each layer, in memory or in a folder.

In a folder each block is a file that is written to a temporary file and renamed. An interrupted pass resumes at the
first missing block, and a layer added later is computed alone. The name of the folder is a digest of the model, its
weights, the preprocessing and the images, so that features of anything else are never used.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np

from kerasal import hooks
from kerasal.digests import digest, digest_files
from kerasal.store import Damaged, reading_arrays, write_arrays

_FORMAT = 2
_BLOCK = 2**24  # values in a block: 64 MiB


class FeatureStore:
    """Features by (layer, block), stored in ``folder``, or in memory without a folder."""

    def __init__(self, folder: pathlib.Path | None = None):
        self.folder = folder
        self._blocks: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    def has(self, layer: str, block: int) -> bool:
        """Return whether a block is stored and readable."""
        if self.folder is None:
            return (layer, block) in self._blocks
        try:
            self.read(layer, block)
        except (OSError, Damaged):
            return False
        return True

    def write(self, layer: str, block: int, numbers: Sequence[int], features: np.ndarray) -> None:
        """Store a block: the features (n, d) of the images with these numbers."""
        stored_numbers = np.asarray(numbers, np.int64)
        if self.folder is None:
            self._blocks[layer, block] = stored_numbers, features
        else:
            write_arrays(self.folder / _file_name(layer, block), {"numbers": stored_numbers, "features": features})

    def read(self, layer: str, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the images in a block, and their features."""
        if self.folder is None:
            return self._blocks[layer, block]
        with reading_arrays(self.folder / _file_name(layer, block)) as stored:
            return stored["numbers"], stored["features"]

    def forget(self, layer: str) -> None:
        """Delete all blocks of a layer."""
        self._blocks = {key: value for key, value in self._blocks.items() if key[0] != layer}
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob(f"{_slug(layer)}-*.npz"):
                path.unlink(missing_ok=True)


class Layer:
    """Features of a layer for ``total`` images, in blocks that are filled in the order of the images."""

    def __init__(self, store: FeatureStore, path: str, length: int, total: int):
        self.store, self.path, self.length = store, path, length
        # Depends on this layer alone, so that stored blocks can be used in a probe of other layers too.
        self.size = max(1, min(256, _BLOCK // max(length, 1)))
        self.count = -(-total // self.size)
        self._next, self._numbers, self._parts = 0, [], []

    def first_missing(self) -> int | None:
        """Return the number of the first missing block, where ``add`` continues; None if all blocks are stored."""
        self._next = next((block for block in range(self.count) if not self.store.has(self.path, block)), self.count)
        return None if self._next == self.count else self._next

    def forget_if_changed(self, number: int, features: np.ndarray) -> None:
        """Delete all blocks if the stored features of the image ``number`` differ from ``features``."""
        if not self.store.has(self.path, 0):
            return
        numbers, stored = self.store.read(self.path, 0)
        known = stored[numbers == number]
        if known.shape != (1, self.length) or not _is_close(known[0], features):
            self.store.forget(self.path)

    def add(self, numbers: Sequence[int], features: np.ndarray) -> None:
        """Add the features (n, d) of the next images; images in stored blocks are skipped."""
        for number, image_features in zip(numbers, features, strict=True):
            if number < self._next * self.size:
                continue
            while number >= (self._next + 1) * self.size:  # whole blocks may hold no readable image
                self._flush()
            self._numbers.append(number)
            self._parts.append(image_features)

    def finish(self) -> None:
        """Store the remaining blocks."""
        while self._next < self.count:
            self._flush()

    def read(self, block: int) -> np.ndarray:
        """Return the features (n, d) of a block."""
        return self.store.read(self.path, block)[1]

    def numbers(self) -> list[np.ndarray]:
        """Return the numbers of the images in each block."""
        return [self.store.read(self.path, block)[0] for block in range(self.count)]

    def _flush(self) -> None:
        features = np.stack(self._parts) if self._parts else np.zeros((0, self.length), np.float32)
        self.store.write(self.path, self._next, self._numbers, features)
        self._next, self._numbers, self._parts = self._next + 1, [], []


def digest_features(model, images: np.ndarray | Sequence[pathlib.Path], settings: dict) -> str:
    """Return a digest of everything that the features depend on: architecture, weights, images and settings."""
    paths = [path for path, _ in hooks.layers(model)]  # features are stored by layer path
    image_digests = images if isinstance(images, np.ndarray) else digest_files(images)
    return digest(_FORMAT, hooks.digest_model(model), paths, image_digests, settings)


def _file_name(layer: str, block: int) -> str:
    return f"{_slug(layer)}-{block:05d}.npz"


def _slug(layer: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9_.]+", "_", layer)[-60:]
    return f"{readable}-{digest(layer)[:8]}"


def _is_close(stored: np.ndarray, computed: np.ndarray) -> bool:
    return bool(np.allclose(stored, computed, rtol=1e-3, atol=1e-3 * max(np.abs(computed).max(), np.abs(stored).max())))
