"""A gaze data set as arrays of one size: read once, in threads, and kept in memory or in memory-mapped files."""

import concurrent.futures
import os
import pathlib

import numpy as np

from kerasal.datasets.gaze import GazeDataset, some
from kerasal.datasets.gaze_types import Shape
from kerasal.files import replacing
from kerasal.images.drawing import crop_square
from kerasal.progress import progress_bar


def arrays(
    data: GazeDataset,
    size: Shape,
    map_size: Shape,
    *,
    target: str = "density",
    sigma: float | str | None = None,
    fit: str = "stretch",
    empty: str = "error",
    cache: str | os.PathLike | None = None,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (numbers int32 (N,), images uint8 (N, h, w, 3), maps float32 (N, mh, mw)) of all usable images.

    They are kept with ``data``, so that asking again costs nothing.

    Raises:
        ValueError: see ``to_tf_data``.
    """
    key = (tuple(size), tuple(map_size), target, sigma, fit, empty)
    if key not in data._arrays:
        folder = None if cache is None else pathlib.Path(cache)
        stored = None if folder is None else _stored(folder, data, key)
        data._arrays[key] = stored or _read(data, key, folder, progress)
    return data._arrays[key]


def _read(data: GazeDataset, key: tuple, folder: pathlib.Path | None, progress: bool):
    size, map_size, target, sigma, fit, empty = key

    def one(number: int):
        try:
            return _image(data, number, size, fit), _map(data, number, map_size, target, sigma, fit, size)
        except (ValueError, OSError) as error:
            return str(error).splitlines()[0]

    images = np.zeros((len(data), *size, 3), np.uint8)
    maps = np.zeros((len(data), *map_size), np.float32)
    wrong: dict[int, str] = {}
    with (
        progress_bar("Reading images", len(data), progress) as advance,
        concurrent.futures.ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool,
    ):
        for number, result in enumerate(pool.map(one, range(len(data)))):
            if isinstance(result, str):
                wrong[number] = result
            else:
                images[number], maps[number] = result
            advance(1)
    if wrong and (empty == "error" or len(wrong) == len(data)):
        listed = some(data.names[number] for number in wrong)
        raise ValueError(
            f"{len(wrong)} of {len(data)} images cannot be trained on ({listed}). {next(iter(wrong.values()))} "
            'Repair them, or pass empty="skip".'
        )
    kept = np.array([number for number in range(len(data)) if number not in wrong], np.int32)
    if wrong:
        images, maps = images[kept], maps[kept]
    return (kept, images, maps) if folder is None else _store(folder, data, key, kept, images, maps)


def _image(data: GazeDataset, number: int, size: Shape, fit: str) -> np.ndarray:
    small = data.stimulus(number).small
    if small is not None and small.shape[:2] == tuple(size):
        return small
    return crop_square(data.image(number), size, fit)


def _map(data: GazeDataset, number: int, size: Shape, target: str, sigma, fit: str, image_size: Shape) -> np.ndarray:
    if fit == "stretch":
        found = data.density(number, size, sigma) if target == "density" else data.fixation_map(number, size)
        return np.asarray(found, np.float32)
    if target == "density":
        whole = np.asarray(data.density(number, None, sigma))
        return np.maximum(crop_square(crop_square(whole, _crop_of(whole.shape, image_size)), size, "stretch"), 0)
    counts = data.fixation_map(number)
    return _shrunk(crop_square(np.asarray(counts), _crop_of(counts.shape, image_size)), size)


def _crop_of(shape: Shape, like: Shape) -> Shape:
    """Return the size of the largest part of ``shape`` that has the shape of ``like``: nothing is resized by it."""
    scale = min(shape[0] / like[0], shape[1] / like[1])
    return max(1, round(like[0] * scale)), max(1, round(like[1] * scale))


def _shrunk(counts: np.ndarray, size: Shape) -> np.ndarray:
    """Return counts on another grid; every fixation stays one."""
    y, x = np.nonzero(counts)
    rows, columns = y * size[0] // counts.shape[0], x * size[1] // counts.shape[1]
    weights = counts[y, x]
    if not weights.size:
        raise ValueError("no fixation is left in the centred part")
    return np.bincount(rows * size[1] + columns, weights, size[0] * size[1]).reshape(size).astype(np.float32)


def _stamp(data: GazeDataset, key: tuple) -> str:
    files = [
        (one.name, one.image.stat().st_mtime_ns) if isinstance(one.image, pathlib.Path) else (one.name, one.image.shape)
        for one in (data.stimulus(number) for number in range(len(data)))
    ]
    return repr((key, data.outside, files))


def _stored(folder: pathlib.Path, data: GazeDataset, key: tuple):
    files = [folder / name for name in ("numbers.npy", "images.npy", "maps.npy")]
    mark = folder / "made_from.txt"
    if not (mark.is_file() and all(file.is_file() for file in files)):
        return None
    if mark.read_text(encoding="utf-8") != _stamp(data, key):
        return None
    return tuple(np.load(file, mmap_mode="r") for file in files)


def _store(folder: pathlib.Path, data: GazeDataset, key: tuple, *found: np.ndarray):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_from.txt").unlink(missing_ok=True)
    for name, array in zip(("numbers.npy", "images.npy", "maps.npy"), found, strict=True):
        with replacing(folder / name) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    with replacing(folder / "made_from.txt") as temporary:  # last: it says that the others are whole
        temporary.write_text(_stamp(data, key), encoding="utf-8")
    return _stored(folder, data, key)
