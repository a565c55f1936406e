"""What a gaze net is trained on, brought to its size once: pixels, densities and fixation counts as plain arrays."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from kerasal.datasets.gaze_arrays import load_arrays
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.images.image_folders import read_ahead

IN_MEMORY = 2 << 30
"""Bytes of images that are kept in memory; what is more lies in files of the run's folder while it trains."""

CACHE = "cache"

_NAMED = 10
_ROUNDING = 0.01  # a cubic kernel goes beyond its samples


@dataclasses.dataclass
class Samples:
    """``pixels`` (N, h, w, 3), ``density`` float32 (N, mh, mw) in 0..1, ``fixations`` (counts) or None, names.

    ``pixels`` are uint8 and yet to be prepared for the net, or float32 model inputs. ``skipped`` says of images that
    there is nothing to learn from why not.
    """

    pixels: np.ndarray
    density: np.ndarray
    fixations: np.ndarray | None
    names: list[str]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def arrays(self) -> list[np.ndarray]:
        """All that is trained on."""
        return [self.pixels, self.density, *([] if self.fixations is None else [self.fixations])]

    def take(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return pixels, density and fixations (zeros where there are none) of a batch."""
        fixations = np.zeros((len(index), 1, 1), np.float32) if self.fixations is None else self.fixations[index]
        return self.pixels[index], self.density[index], fixations


def samples_of(
    data,
    what: str,
    size: tuple[int, int],
    map_size: tuple[int, int],
    fixations: bool = False,
    sigma: float | None = None,
    folder: pathlib.Path | None = None,
    progress: bool = False,
) -> Samples:
    """Bring ``data``, a ``GazeDataset`` or a pair (images, densities), to the sizes of a net.

    Args:
        data: the data set; or arrays (N, h, w, 3), uint8 or prepared float32, and (N, mh, mw), already of these sizes.
        what: how messages call it.
        size: (height, width) of the images.
        map_size: of the maps.
        fixations: also bring the fixations.
        sigma: blur of the fixations in pixels of the image, where the data set holds no densities.
        folder: for what does not fit into memory.
        progress: show a bar.

    Raises:
        ValueError: nothing to train on; arrays of other sizes; a density beyond 0..1 or not finite, or images that
            cannot be read: all of them are named.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return _from_arrays(data[0], data[1], what, size, map_size, fixations)
    if not isinstance(data, GazeDataset):
        raise ValueError(
            f"The {what} data is a GazeDataset (kerasal.datasets.open_gaze) or a pair (images, densities). Received: "
            f"{type(data).__name__}."
        )
    return _from_dataset(data, what, size, map_size, fixations, sigma, folder, progress)


def _from_arrays(images, maps, what, size, map_size, fixations) -> Samples:
    images, maps = np.asarray(images), np.asarray(maps)
    maps = maps[..., 0] if maps.ndim == 4 and maps.shape[-1] == 1 else maps
    if images.shape[1:] != (*size, 3) or maps.shape != (len(images), *map_size) or not len(images):
        raise ValueError(
            f"The {what} data must be images (N, {size[0]}, {size[1]}, 3) and densities (N, {map_size[0]}, "
            f"{map_size[1]}). Received: {images.shape} and {maps.shape}."
        )
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ValueError(f"The {what} images are uint8 pixels or prepared float32. Received: {images.dtype}.")
    names = [str(i) for i in range(len(images))]
    if fixations:
        raise ValueError("The NSS is of fixations, which a pair of arrays does not bring: pass a GazeDataset.")
    density = maps.astype(np.float32) / np.float32(255 if maps.dtype == np.uint8 else 1)
    _check_densities(density, names, what)
    images = images if images.dtype == np.uint8 else np.ascontiguousarray(images, np.float32)
    some = density.any(axis=(1, 2))
    skipped = {names[i]: "its density is 0 everywhere" for i in np.flatnonzero(~some)}
    if not some.any():
        raise ValueError(f"None of the {len(names)} {what} images can be learned from. 0: {skipped['0']}.")
    if not some.all():
        images, density, names = images[some], density[some], [names[i] for i in np.flatnonzero(some)]
    return Samples(images, density, None, names, skipped)


def _from_dataset(data, what, size, map_size, fixations, sigma, folder, progress) -> Samples:
    skipped = data.empty()
    if len(skipped) == len(data):
        name, reason = next(iter(skipped.items()))
        raise ValueError(f"None of the {len(data)} {what} images can be learned from. {name}: {reason}")
    data = data.without_empty() if skipped else data
    if len(data) * size[0] * size[1] * 3 <= IN_MEMORY:
        folder = None
    found = {
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
    _, pixels, density = found["density"]
    counts = found["fixations"][2] if fixations else None
    _check_densities(density, data.names, what)
    return Samples(pixels, density, counts, list(data.names), skipped)


def _check_densities(density: np.ndarray, names: Sequence[str], what: str) -> None:
    low, high = density.min(axis=(1, 2)), density.max(axis=(1, 2))
    bad = [name for name, a, b in zip(names, low, high, strict=True) if not (a >= 0 and b <= 1 + _ROUNDING)]
    if bad:
        raise ValueError(
            f"The densities of {len(bad)} {what} images are not in 0..1: {', '.join(bad[:_NAMED])}. Divide each by its "
            "maximum."
        )


def epoch_order(count: int, mirror: str, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of an epoch, and for each place whether it is mirrored; both follow from (seed, epoch) alone."""
    random = np.random.default_rng([seed, epoch])
    if mirror == "both":
        order = random.permutation(2 * count)
        return order % count, order >= count
    order = random.permutation(count)
    flipped = random.random(count) < 0.5 if mirror == "half" else np.zeros(count, bool)
    return order, flipped


def batches(samples: Samples, order: np.ndarray, flipped: np.ndarray, batch_size: int) -> Iterator[tuple]:
    """Yield (index, pixels, density, fixations, flipped) of every batch, gathered while the one before is computed."""
    starts = range(0, len(order), batch_size)
    index = [order[start : start + batch_size] for start in starts]
    for start, (mine, batch) in zip(starts, read_ahead(samples.take, index, workers=1, pending=2), strict=True):
        yield mine, *batch.result(), flipped[start : start + batch_size]
