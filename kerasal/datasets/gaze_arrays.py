"""Load a gaze data set into arrays, kept in memory or in memory-mapped files."""

import functools
import os
import pathlib
from typing import Any, Literal

import numpy as np

from kerasal.datasets.gaze_types import Shape, Stimulus
from kerasal.digests import digest, digest_files
from kerasal.files import atomic_write
from kerasal.fixations.map_files import read_map
from kerasal.images.drawings import fit_image
from kerasal.images.image_folders import read_ahead
from kerasal.names import abbreviate
from kerasal.progress import progress_bar

Fit = Literal["stretch", "crop"]
_FILES = ("numbers.npy", "images.npy", "maps.npy")


def load_arrays(
    data: Any,
    size: Shape,
    map_size: Shape,
    *,
    target: str = "density",
    sigma: float | str | None = None,
    fit: Fit = "stretch",
    empty: str = "error",
    cache: str | os.PathLike | None = None,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (indices int32 (N,), images uint8 (N, h, w, 3), maps float32 (N, mh, mw)) of a ``GazeDataset``.

    The arrays are cached in ``data`` and loaded again if images, fixations or densities have changed.
    """
    key = (tuple(size), tuple(map_size), target, sigma, fit, empty)
    source = digest(
        key, data.outside, [_list_sources(stimulus, target, sigma) for stimulus in map(data.stimulus, range(len(data)))]
    )
    if data._arrays.get(key, ("",))[0] != source:
        folder = None if cache is None else pathlib.Path(cache)
        loaded = None if folder is None else _load_cache(folder, source)
        if loaded is None:
            loaded = _load(data, key, progress)
            loaded = loaded if folder is None else _save_cache(folder, source, *loaded)
        data._arrays[key] = source, loaded
    return data._arrays[key][1]


def _list_sources(stimulus: Stimulus, target: str, sigma) -> list:
    """Return the values that identify the current pixels and density or fixations of an image, for a digest."""
    image = stimulus.image
    sources = [stimulus.name, stimulus.small, digest_files([image]) if isinstance(image, pathlib.Path) else image]
    try:
        if target == "density" and sigma is None and stimulus.density is not None:
            reader = stimulus.density
            of_file = isinstance(reader, functools.partial) and reader.func is read_map
            return [*sources, digest_files([reader.args[0]]) if of_file else reader()]
        if stimulus.fixations is not None:
            points = stimulus.fixations()
            return [*sources, points.xy, points.frame, points.are_indices]
    except (ValueError, OSError) as error:  # raised again when the image is loaded
        sources.append(str(error))
    return sources


def _load(data: Any, key: tuple, progress: bool):
    size, map_size, target, sigma, fit, empty = key

    def load_sample(index: int) -> tuple[np.ndarray, np.ndarray]:
        return _load_image(data, index, size, fit), _load_map(data, index, map_size, target, sigma, fit, size)

    images = np.zeros((len(data), *size, 3), np.uint8)
    maps = np.zeros((len(data), *map_size), np.float32)
    errors: dict[int, str] = {}
    with progress_bar("Reading images", len(data), progress) as advance:
        for index, result in read_ahead(load_sample, range(len(data)), workers=min(8, 2 * (os.cpu_count() or 1))):
            try:
                images[index], maps[index] = result.result()
            except (ValueError, OSError) as error:
                errors[index] = str(error).splitlines()[0]
            advance(1)
    if errors and (empty == "error" or len(errors) == len(data)):
        listed = abbreviate(data.names[index] for index in errors)
        raise ValueError(
            f"All images must be usable for training, got {len(errors)} of {len(data)} that are not ({listed}). "
            f'{next(iter(errors.values()))} Repair them, or pass empty="skip".'
        )
    indices = np.array([index for index in range(len(data)) if index not in errors], np.int32)
    return (indices, images[indices], maps[indices]) if errors else (indices, images, maps)


def _load_image(data: Any, index: int, size: Shape, fit: Fit) -> np.ndarray:
    pixels = data.stimulus(index).model_pixels(tuple(size))
    return pixels if pixels.shape[:2] == tuple(size) else fit_image(pixels, size, fit)


def _load_map(data: Any, index: int, size: Shape, target: str, sigma, fit: Fit, image_size: Shape) -> np.ndarray:
    if fit == "stretch":
        values = data.density(index, size, sigma) if target == "density" else data.fixation_map(index, size)
        return np.asarray(values, np.float32)
    if target == "density":
        density = np.asarray(data.density(index, None, sigma))
        return np.maximum(fit_image(fit_image(density, _crop_size(density.shape, image_size)), size, "stretch"), 0)
    counts = data.fixation_map(index)
    return _shrink_counts(fit_image(np.asarray(counts), _crop_size(counts.shape, image_size)), size)


def _crop_size(shape: Shape, like: Shape) -> Shape:
    """Return the size of the largest crop of ``shape`` with the aspect ratio of ``like``."""
    scale = min(shape[0] / like[0], shape[1] / like[1])
    return max(1, round(like[0] * scale)), max(1, round(like[1] * scale))


def _shrink_counts(counts: np.ndarray, size: Shape) -> np.ndarray:
    """Resize a map of counts to ``size`` and keep the number of fixations."""
    y, x = np.nonzero(counts)
    rows, columns = y * size[0] // counts.shape[0], x * size[1] // counts.shape[1]
    weights = counts[y, x]
    if not weights.size:
        raise ValueError("the centered crop must have at least one fixation, got none")
    return np.bincount(rows * size[1] + columns, weights, size[0] * size[1]).reshape(size).astype(np.float32)


def _load_cache(folder: pathlib.Path, source: str):
    files, source_file = [folder / name for name in _FILES], folder / "made_from.txt"
    if not all(file.is_file() for file in (source_file, *files)):
        return None
    if source_file.read_text(encoding="utf-8", errors="replace") != source:
        return None
    return tuple(np.load(file, mmap_mode="r") for file in files)


def _save_cache(folder: pathlib.Path, source: str, *loaded: np.ndarray):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_from.txt").unlink(missing_ok=True)
    for name, array in zip(_FILES, loaded, strict=True):
        with atomic_write(folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    with atomic_write(folder / "made_from.txt") as temporary:  # last, to mark the cache as complete
        temporary.write_text(source, encoding="utf-8")
    return _load_cache(folder, source)
