"""What a gaze net is trained on, brought to its size once: pixels, densities and fixation counts as plain arrays."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from kerasal.gaze.maps import fitted
from kerasal.progress import progress_bar

IN_MEMORY = 2 << 30
"""Bytes of images that are kept in memory; what is more lies in a file of the run's folder while it trains."""

_NAMED = 10


@dataclasses.dataclass
class Samples:
    """``pixels`` (N, h, w, 3), ``density`` float32 (N, mh, mw) of maximum 1, ``fixations`` (counts) or None, names.

    ``pixels`` are uint8 and yet to be prepared for the net, or float32 model inputs. ``skipped`` names the images that
    had no fixation or an empty map.
    """

    pixels: np.ndarray
    density: np.ndarray
    fixations: np.ndarray | None
    names: list[str]
    skipped: list[str] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def arrays(self) -> list[np.ndarray]:
        """All that is trained on."""
        return [self.pixels, self.density, *([] if self.fixations is None else [self.fixations])]

    def take(self, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return pixels, density and fixations (zeros where there are none) of a batch."""
        fixations = np.zeros((len(index), 1, 1), np.uint16) if self.fixations is None else self.fixations[index]
        return self.pixels[index], self.density[index], fixations


def samples_of(
    data,
    what: str,
    size: tuple[int, int],
    map_size: tuple[int, int],
    *,
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
        folder: for the file of what does not fit into memory.
        progress: show a bar.

    Raises:
        ValueError: nothing to train on; arrays of other sizes; a density that is negative or not finite, or images that
            cannot be read: all of them are named.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return _from_arrays(*data, what, size, map_size, fixations)
    if not all(hasattr(data, name) for name in ("names", "image", "density", "fixation_map")):
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
    density = np.array(maps, np.float32)
    kept = _scale(density, names, what)
    images = images if images.dtype == np.uint8 else np.ascontiguousarray(images, np.float32)
    return _kept(Samples(images, density, None, names), kept)


def _from_dataset(data, what, size, map_size, fixations, sigma, folder, progress) -> Samples:
    count = len(data)
    if not count:
        raise ValueError(f"The {what} data is empty: there is nothing to compute.")
    names = [str(name) for name in data.names]
    pixels = _store((count, *size, 3), folder)
    density = np.zeros((count, *map_size), np.float32)
    counts = np.zeros((count, *map_size), np.uint16) if fixations else None
    wrong = []
    with progress_bar(f"Reading {what} images", count, progress) as advance:
        for i, name in enumerate(names):
            try:
                pixels[i] = fitted(data.image(i), size)
                density[i] = _density(data, i, map_size, sigma)
                if counts is not None:
                    counts[i] = data.fixation_map(i, size=map_size)
            except (ValueError, OSError) as error:
                wrong.append(f"{name} ({error})")
            advance(1)
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {count} {what} images cannot be used: {'; '.join(wrong[:_NAMED])}"
            f"{' ...' if len(wrong) > _NAMED else ''} Repair them or leave them out."
        )
    kept = _scale(density, names, what)
    if counts is not None:
        kept &= counts.any(axis=(1, 2))
    return _kept(Samples(pixels, density, counts, names), kept)


def _density(data, i: int, map_size, sigma) -> np.ndarray:
    """Return the density of an image; zeros where there is no fixation, which ``_scale`` leaves out by name."""
    fixated = data.fixations(i)
    if fixated is not None and len(fixated) == 0:
        return np.zeros(map_size, np.float32)
    return data.density(i, size=map_size) if sigma is None else data.density(i, size=map_size, sigma=sigma)


def _store(shape: tuple[int, ...], folder: pathlib.Path | None) -> np.ndarray:
    if folder is None or np.prod(shape, dtype=np.int64) <= IN_MEMORY:
        return np.zeros(shape, np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:  # it has no name, so nothing of it is left, whatever happens
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _scale(density: np.ndarray, names: Sequence[str], what: str) -> np.ndarray:
    """Scale every map to a maximum of 1 in place; return which have one above 0."""
    low, high = density.min(axis=(1, 2)), density.max(axis=(1, 2))
    bad = [name for name, a, b in zip(names, low, high, strict=True) if not (a >= 0 and np.isfinite(b))]
    if bad:
        raise ValueError(
            f"The densities of {len(bad)} {what} images are negative or not finite: {', '.join(bad[:_NAMED])}."
        )
    kept = high > 0
    density[kept] /= high[kept][:, None, None]
    if not kept.any():
        raise ValueError(f"None of the {len(names)} {what} images has a density or a fixation.")
    return kept


def _kept(samples: Samples, kept: np.ndarray) -> Samples:
    if kept.all():
        return samples
    index = np.flatnonzero(kept)
    names = [samples.names[i] for i in index]
    skipped = [samples.names[i] for i in np.flatnonzero(~kept)]
    fixations = None if samples.fixations is None else samples.fixations[index]
    return Samples(samples.pixels[index], samples.density[index], fixations, names, skipped)


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
    import concurrent.futures

    starts = range(0, len(order), batch_size)
    index = [order[start : start + batch_size] for start in starts]
    with concurrent.futures.ThreadPoolExecutor(1) as ahead:
        following = ahead.submit(samples.take, index[0])
        for number, (start, mine) in enumerate(zip(starts, index, strict=True)):
            arrays = following.result()
            if number + 1 < len(index):
                following = ahead.submit(samples.take, index[number + 1])
            yield mine, *arrays, flipped[start : start + batch_size]
