"""Where features lie: blocks of images for each layer, in memory or in a folder, whole or not there.

In a folder a block is one file, written beside and renamed; so a pass that was stopped goes on at the first block that
is missing, and a layer that is added later is computed alone. The folder's name is a digest of everything that decides
a feature: of another model, weights, preprocessing or image nothing is found.
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
    """Features by (layer, block): in memory, or in ``folder``."""

    def __init__(self, folder: pathlib.Path | None = None):
        self.folder = folder
        self._held: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}

    def has(self, layer: str, block: int) -> bool:
        """Tell whether a block is there and can be read."""
        if self.folder is None:
            return (layer, block) in self._held
        try:
            self.read(layer, block)
        except (OSError, Damaged):
            return False
        return True

    def write(self, layer: str, block: int, numbers: Sequence[int], features: np.ndarray) -> None:
        """Keep the features (n, d) of the images with these numbers."""
        kept = np.asarray(numbers, np.int64)
        if self.folder is None:
            self._held[layer, block] = kept, features
        else:
            write_arrays(self.folder / _file_name(layer, block), {"numbers": kept, "features": features})

    def read(self, layer: str, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the images in a block, and their features."""
        if self.folder is None:
            return self._held[layer, block]
        with reading_arrays(self.folder / _file_name(layer, block)) as stored:
            return stored["numbers"], stored["features"]

    def forget(self, layer: str) -> None:
        """Drop every block of a layer."""
        self._held = {key: value for key, value in self._held.items() if key[0] != layer}
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob(f"{_slug(layer)}-*.npz"):
                path.unlink(missing_ok=True)


class Layer:
    """One layer's features: ``total`` images in blocks, which are filled in the order of the images."""

    def __init__(self, store: FeatureStore, path: str, length: int, total: int):
        self.store, self.path, self.length = store, path, length
        # By its own length alone: what is kept must fit whatever other layers are asked for beside it.
        self.size = max(1, min(256, _BLOCK // max(length, 1)))
        self.count = -(-total // self.size)
        self._next, self._numbers, self._parts = 0, [], []

    def first_missing(self) -> int | None:
        """Return the number of the first block that is not there, at which the filling then begins."""
        self._next = next((block for block in range(self.count) if not self.store.has(self.path, block)), self.count)
        return None if self._next == self.count else self._next

    def forget_unless(self, number: int, features: np.ndarray) -> None:
        """Drop what is kept if it does not say the same of the image with this number."""
        if not self.store.has(self.path, 0):
            return
        numbers, stored = self.store.read(self.path, 0)
        before = stored[numbers == number]
        if before.shape != (1, self.length) or not _alike(before[0], features):
            self.store.forget(self.path)

    def add(self, numbers: Sequence[int], features: np.ndarray) -> None:
        """Add the features (n, d) of the next images; those of blocks that are there already are left out."""
        for number, one in zip(numbers, features, strict=True):
            if number < self._next * self.size:
                continue
            while number >= (self._next + 1) * self.size:  # whole blocks may hold no readable image
                self._flush()
            self._numbers.append(number)
            self._parts.append(one)

    def finish(self) -> None:
        """Keep the last blocks."""
        while self._next < self.count:
            self._flush()

    def read(self, block: int) -> np.ndarray:
        """Return the features (n, d) of one block."""
        return self.store.read(self.path, block)[1]

    def numbers(self) -> list[np.ndarray]:
        """Return the numbers of the images in each block."""
        return [self.store.read(self.path, block)[0] for block in range(self.count)]

    def _flush(self) -> None:
        features = np.stack(self._parts) if self._parts else np.zeros((0, self.length), np.float32)
        self.store.write(self.path, self._next, self._numbers, features)
        self._next, self._numbers, self._parts = self._next + 1, [], []


def digest_features(model, images: np.ndarray | Sequence[pathlib.Path], settings: dict) -> str:
    """Return a digest of everything that decides the features: layers' definition, weights, images and settings."""
    paths = [path for path, _ in hooks.layers(model)]  # by which features are asked for
    shown = images if isinstance(images, np.ndarray) else digest_files(images)
    return digest(_FORMAT, hooks.digest_model(model), paths, shown, settings)


def _file_name(layer: str, block: int) -> str:
    return f"{_slug(layer)}-{block:05d}.npz"


def _slug(layer: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9_.]+", "_", layer)[-60:]
    return f"{readable}-{digest(layer)[:8]}"


def _alike(before: np.ndarray, now: np.ndarray) -> bool:
    return bool(np.allclose(before, now, rtol=1e-3, atol=1e-3 * max(np.abs(now).max(), np.abs(before).max())))
