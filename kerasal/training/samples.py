"""The training data of a gaze model, resized once: images, densities and fixation counts as arrays."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from kerasal.datasets.gaze_arrays import load_arrays
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.mirror_images import find_mirror_images
from kerasal.images.image_folders import read_ahead

IN_MEMORY = 2 << 30
"""Largest size in bytes of images that are kept in memory; larger data are cached in files of the output folder."""

CACHE = "cache"

_LISTED = 10
_ROUNDING = 0.01  # cubic interpolation may exceed the range of the values


@dataclasses.dataclass
class Samples:
    """The images and maps of a data set, as arrays.

    Attributes:
        pixels: (N, h, w, 3), uint8 images or preprocessed float32 model inputs.
        density: float32 (N, mh, mw) in 0..1.
        fixations: fixation counts (N, mh, mw), or ``None``.
        names: names of the images.
        skipped: name and reason of each image without usable gaze data.
        mirrored: bool (N,), whether the mirror image of each image is also in the data; ``None`` if not known.
    """

    pixels: np.ndarray
    density: np.ndarray
    fixations: np.ndarray | None
    names: list[str]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    mirrored: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays of the training data: pixels, density and, if there are any, fixations."""
        return [self.pixels, self.density, *([] if self.fixations is None else [self.fixations])]

    @property
    def stored_mirrors(self) -> int:
        """The number of images whose mirror image is also in the data, as far as known."""
        return 0 if self.mirrored is None else int(self.mirrored.sum())

    def find_mirrors(self) -> None:
        """Set ``mirrored``."""
        self.mirrored = find_mirror_images(self.pixels, self.density) >= 0

    def take(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return pixels, density and fixations (zeros if there are none) of a batch."""
        fixations = np.zeros((len(index), 1, 1), np.float32) if self.fixations is None else self.fixations[index]
        return self.pixels[index], self.density[index], fixations


def prepare_samples(
    data,
    what: str,
    size: tuple[int, int],
    map_size: tuple[int, int],
    fixations: bool = False,
    sigma: float | None = None,
    folder: pathlib.Path | None = None,
    progress: bool = False,
) -> Samples:
    """Return ``data``, a ``GazeDataset`` or a pair (images, densities), as samples of the model's sizes.

    Args:
        data: the data set; or arrays (N, h, w, 3), uint8 or preprocessed float32, and (N, mh, mw), of these sizes.
        what: name of the data in messages, such as ``"training"``.
        size: (height, width) of the images.
        map_size: (height, width) of the maps.
        fixations: whether to include fixation counts.
        sigma: standard deviation of the Gaussian that blurs fixations, in pixels of the image, if the data set has no
            densities.
        folder: folder of the cache, for images that do not fit into memory.
        progress: whether to show a progress bar.

    Raises:
        ValueError: no usable images; arrays of other sizes; densities that are outside 0..1 or not finite, or images
            that cannot be read (the message lists them).
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return _from_arrays(data[0], data[1], what, size, map_size, fixations)
    if not isinstance(data, GazeDataset):
        raise ValueError(
            f"The {what} data must be a GazeDataset (kerasal.datasets.open_gaze) or a pair (images, densities), got "
            f"{type(data).__name__}."
        )
    return _from_dataset(data, what, size, map_size, fixations, sigma, folder, progress)


def _from_arrays(images, maps, what, size, map_size, fixations) -> Samples:
    images, maps = np.asarray(images), np.asarray(maps)
    maps = maps[..., 0] if maps.ndim == 4 and maps.shape[-1] == 1 else maps
    if images.shape[1:] != (*size, 3) or maps.shape != (len(images), *map_size) or not len(images):
        raise ValueError(
            f"The {what} data must be images (N, {size[0]}, {size[1]}, 3) and densities (N, {map_size[0]}, "
            f"{map_size[1]}), got {images.shape} and {maps.shape}."
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"The {what} images must be uint8 pixels or preprocessed float32, got {images.dtype}.")
    names = [str(i) for i in range(len(images))]
    if fixations:
        raise ValueError(
            f"The {what} data must be a GazeDataset for losses that need fixations (nss, likelihood), got two arrays."
        )
    density = maps.astype(np.float32) / np.float32(255 if maps.dtype == np.uint8 else 1)
    _check_densities(density, names, what)
    images = images if images.dtype == np.uint8 else np.ascontiguousarray(images, np.float32)
    nonzero = density.any(axis=(1, 2))
    skipped = {names[i]: "its density is 0 everywhere" for i in np.flatnonzero(~nonzero)}
    if not nonzero.any():
        raise ValueError(
            f"The {what} data must have images with gaze data, got none in {len(names)} images. "
            f"Image 0: {skipped['0']}."
        )
    if not nonzero.all():
        images, density, names = images[nonzero], density[nonzero], [names[i] for i in np.flatnonzero(nonzero)]
    return Samples(images, density, None, names, skipped)


def _from_dataset(data, what, size, map_size, fixations, sigma, folder, progress) -> Samples:
    skipped = data.unusable_images()
    if len(skipped) == len(data):
        name, reason = next(iter(skipped.items()))
        raise ValueError(
            f"The {what} data must have images with gaze data, got none in {len(data)} images. Image {name}: {reason}"
        )
    data = data.without_empty() if skipped else data
    if len(data) * size[0] * size[1] * 3 <= IN_MEMORY:
        folder = None
    results = {
        target: load_arrays(
            data,
            size,
            map_size,
            target=target,
            sigma=sigma if target == "density" else None,
            cache=None if folder is None else folder / CACHE / f"{what}-{target}",
            progress=progress,
        )
        for target in ("density", *(["fixations"] if fixations else []))
    }
    _, pixels, density = results["density"]
    counts = results["fixations"][2] if fixations else None
    _check_densities(density, data.names, what)
    return Samples(pixels, density, counts, list(data.names), skipped)


def _check_densities(density: np.ndarray, names: Sequence[str], what: str) -> None:
    low, high = density.min(axis=(1, 2)), density.max(axis=(1, 2))
    bad = [name for name, a, b in zip(names, low, high, strict=True) if not (a >= 0 and b <= 1 + _ROUNDING)]
    if bad:
        raise ValueError(
            f"The densities of the {what} images must be in 0..1, got others for {len(bad)} images: "
            f"{', '.join(bad[:_LISTED])}. Divide each density by its maximum."
        )


def epoch_order(
    count: int, mirror: str, seed: int, epoch: int, mirrored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image order (n,) of an epoch and whether to mirror each (n,); both depend only on (seed, epoch).

    With ``mirror="both"``, images whose mirror image is stored (``mirrored``, bool (count,)) are not mirrored again.
    """
    random = np.random.default_rng([seed, epoch])
    if mirror == "both":
        to_mirror = np.arange(count) if mirrored is None else np.flatnonzero(~mirrored)
        order = random.permutation(np.concatenate([np.arange(count), count + to_mirror]))
        return order % count, order >= count
    order = random.permutation(count)
    flipped = random.random(count) < 0.5 if mirror == "half" else np.zeros(count, bool)
    return order, flipped


def batches(samples: Samples, order: np.ndarray, flipped: np.ndarray, batch_size: int) -> Iterator[tuple]:
    """Yield (index, pixels, density, fixations, flipped) of every batch; a thread prepares the next batches."""
    starts = range(0, len(order), batch_size)
    index = [order[start : start + batch_size] for start in starts]
    for start, (batch_index, batch) in zip(starts, read_ahead(samples.take, index, workers=1, pending=2), strict=True):
        yield batch_index, *batch.result(), flipped[start : start + batch_size]
