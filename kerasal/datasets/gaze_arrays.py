"""A gaze data set as arrays of one size: read once, in threads, and kept in memory or in memory-mapped files."""

import functools
import os
import pathlib
from typing import Any, Literal

import numpy as np

from kerasal.datasets.gaze_types import Shape, Stimulus
from kerasal.digests import digest, digest_files
from kerasal.files import replacing
from kerasal.fixations.map_files import read_map
from kerasal.images.drawings import fit_image
from kerasal.images.image_folders import read_ahead
from kerasal.names import abbreviate
from kerasal.progress import progress_bar

Fit = Literal["stretch", "crop"]
_FILES = ("numbers.npy", "images.npy", "maps.npy")


def arrays(
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
    """Return (numbers int32 (N,), images uint8 (N, h, w, 3), maps float32 (N, mh, mw)) of a ``GazeDataset``.

    They are kept with ``data``, and read again where files, fixations, densities or images have changed since.
    """
    key = (tuple(size), tuple(map_size), target, sigma, fit, empty)
    made_from = digest(
        key, data.outside, [_source(stimulus, target, sigma) for stimulus in map(data.stimulus, range(len(data)))]
    )
    if data._arrays.get(key, ("",))[0] != made_from:
        folder = None if cache is None else pathlib.Path(cache)
        found = None if folder is None else _load_cache(folder, made_from)
        if found is None:
            found = _read(data, key, progress)
            found = found if folder is None else _save_cache(folder, made_from, *found)
        data._arrays[key] = made_from, found
    return data._arrays[key][1]


def _source(stimulus: Stimulus, target: str, sigma) -> list:
    """Return what decides the arrays of one image as it is now: its pixels, and the density or the fixations."""
    image = stimulus.image
    found = [stimulus.name, stimulus.small, digest_files([image]) if isinstance(image, pathlib.Path) else image]
    try:
        if target == "density" and sigma is None and stimulus.density is not None:
            reader = stimulus.density
            of_file = isinstance(reader, functools.partial) and reader.func is read_map
            return [*found, digest_files([reader.args[0]]) if of_file else reader()]
        if stimulus.fixations is not None:
            points = stimulus.fixations()
            return [*found, points.xy, points.frame, points.whole]
    except (ValueError, OSError) as error:  # named when it is read
        found.append(str(error))
    return found


def _read(data: Any, key: tuple, progress: bool):
    size, map_size, target, sigma, fit, empty = key

    def read(number: int) -> tuple[np.ndarray, np.ndarray]:
        return _image(data, number, size, fit), _map(data, number, map_size, target, sigma, fit, size)

    images = np.zeros((len(data), *size, 3), np.uint8)
    maps = np.zeros((len(data), *map_size), np.float32)
    wrong: dict[int, str] = {}
    with progress_bar("Reading images", len(data), progress) as advance:
        for number, result in read_ahead(read, range(len(data)), workers=min(8, 2 * (os.cpu_count() or 1))):
            try:
                images[number], maps[number] = result.result()
            except (ValueError, OSError) as error:
                wrong[number] = str(error).splitlines()[0]
            advance(1)
    if wrong and (empty == "error" or len(wrong) == len(data)):
        listed = abbreviate(data.names[number] for number in wrong)
        raise ValueError(
            f"{len(wrong)} of {len(data)} images cannot be trained on ({listed}). {next(iter(wrong.values()))} "
            'Repair them, or pass empty="skip".'
        )
    kept = np.array([number for number in range(len(data)) if number not in wrong], np.int32)
    return (kept, images[kept], maps[kept]) if wrong else (kept, images, maps)


def _image(data: Any, number: int, size: Shape, fit: Fit) -> np.ndarray:
    small = data.stimulus(number).small
    if small is not None and small.shape[:2] == tuple(size):
        return small
    return fit_image(data.image(number), size, fit)


def _map(data: Any, number: int, size: Shape, target: str, sigma, fit: Fit, image_size: Shape) -> np.ndarray:
    if fit == "stretch":
        found = data.density(number, size, sigma) if target == "density" else data.fixation_map(number, size)
        return np.asarray(found, np.float32)
    if target == "density":
        whole = np.asarray(data.density(number, None, sigma))
        return np.maximum(fit_image(fit_image(whole, _crop_of(whole.shape, image_size)), size, "stretch"), 0)
    counts = data.fixation_map(number)
    return _shrink_counts(fit_image(np.asarray(counts), _crop_of(counts.shape, image_size)), size)


def _crop_of(shape: Shape, like: Shape) -> Shape:
    """Return the size of the largest part of ``shape`` that has the shape of ``like``: nothing is resized by it."""
    scale = min(shape[0] / like[0], shape[1] / like[1])
    return max(1, round(like[0] * scale)), max(1, round(like[1] * scale))


def _shrink_counts(counts: np.ndarray, size: Shape) -> np.ndarray:
    """Return counts on another grid; every fixation stays one."""
    y, x = np.nonzero(counts)
    rows, columns = y * size[0] // counts.shape[0], x * size[1] // counts.shape[1]
    weights = counts[y, x]
    if not weights.size:
        raise ValueError("no fixation is left in the centered part")
    return np.bincount(rows * size[1] + columns, weights, size[0] * size[1]).reshape(size).astype(np.float32)


def _load_cache(folder: pathlib.Path, made_from: str):
    files, mark = [folder / name for name in _FILES], folder / "made_from.txt"
    if not all(file.is_file() for file in (mark, *files)):
        return None
    if mark.read_text(encoding="utf-8", errors="replace") != made_from:
        return None
    return tuple(np.load(file, mmap_mode="r") for file in files)


def _save_cache(folder: pathlib.Path, made_from: str, *found: np.ndarray):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_from.txt").unlink(missing_ok=True)
    for name, array in zip(_FILES, found, strict=True):
        with replacing(folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    with replacing(folder / "made_from.txt") as temporary:  # last: it says that the others are whole
        temporary.write_text(made_from, encoding="utf-8")
    return _load_cache(folder, made_from)
