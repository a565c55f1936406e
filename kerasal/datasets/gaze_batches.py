"""From a gaze data set to batches for training: read and resized once, shuffled and mirrored in every pass."""

import concurrent.futures
import os
import pathlib

import numpy as np

from kerasal.datasets.gaze import GazeDataset, some
from kerasal.datasets.gaze_types import Shape
from kerasal.files import replacing
from kerasal.images.drawing import crop_square
from kerasal.preprocessing import Preprocessing, get
from kerasal.progress import progress_bar

_TARGETS = ("density", "fixations")
_RANGES = ("unit", "pm1")
_FITS = ("stretch", "crop")


def to_tf_data(
    data: GazeDataset,
    size: Shape,
    map_size: Shape,
    *,
    batch: int = 32,
    target: str = "density",
    sigma: float | str | None = None,
    preprocessing=None,
    target_range: str = "unit",
    fit: str = "stretch",
    augment: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    index: bool = False,
    drop_remainder: bool = False,
    empty: str = "error",
    cache: str | os.PathLike | None = None,
    progress: bool = False,
):
    """Return a ``tf.data.Dataset`` of (images (B, h, w, 3), maps (B, mh, mw)), float32, one pass over the data.

    All images are read and resized once, in threads, and kept as uint8 (and the maps as float32) in memory or, with
    ``cache``, in memory-mapped files. The order and the mirrored images of each pass depend on ``seed`` and the number
    of the pass alone, so that a training continued with ``epoch=e`` sees what it would have seen.

    Args:
        data: the images.
        size: (H, W) of the images.
        map_size: (H, W) of the maps.
        batch: images at a time.
        target: "density" (0..1), or "fixations" (counts).
        sigma: the densities' blur in pixels of the original image, see ``GazeDataset.density``.
        preprocessing: a convention of ``kerasal.preprocessing`` or a spelling of one; without, pixels 0..255.
        target_range: "unit", or "pm1" for densities as 2 y - 1 (Pan et al.).
        fit: "stretch" the image, or "crop" the largest centred part of ``size``'s shape, with its map.
        augment: mirror a random half of the images, each together with its map.
        shuffle: another order in every pass.
        seed: of the order and the mirroring.
        epoch: the number of the first pass; each further pass over the same ``Dataset`` is the next.
        index: give batches (images, maps, int32 numbers of the images) instead.
        drop_remainder: leave out a last batch that is not full.
        empty: "error" for images with nothing to train on, or "skip".
        cache: a folder for the arrays; what lies there from the same data and options is used again.
        progress: show a bar while images are read.

    Raises:
        ValueError: options that are not known, or images that cannot be read or have nothing to train on (named).
    """
    import tensorflow as tf

    _check(target=(target, _TARGETS), target_range=(target_range, _RANGES), fit=(fit, _FITS))
    _check(empty=(empty, ("error", "skip")))
    if batch < 1:
        raise ValueError(f"batch: expected a whole number from 1 on, received {batch!r}.")
    convention = get(preprocessing or "none")
    kept, images, maps = arrays(
        data, size, map_size, target=target, sigma=sigma, fit=fit, empty=empty, cache=cache, progress=progress
    )
    last = len(kept) % batch if drop_remainder else 0
    count = len(kept) - last
    if not count:
        raise ValueError(f"batch: {batch} is more than the {len(kept)} images, and drop_remainder leaves none.")
    passes = iter(range(epoch, 2**31))

    def order():
        number = next(passes)
        random = np.random.default_rng([seed, number])
        places = random.permutation(len(kept)) if shuffle else np.arange(len(kept))
        mirrored = random.random(len(kept)) < 0.5 if augment else np.zeros(len(kept), bool)
        for start in range(0, count, batch):
            yield places[start : start + batch].astype(np.int32), mirrored[start : start + batch]

    def gather(places, mirrored):
        pixels, truth = images[places], maps[places]
        if augment:
            pixels[mirrored], truth[mirrored] = pixels[mirrored, :, ::-1], truth[mirrored, :, ::-1]
        if target_range == "pm1" and target == "density":
            truth = truth * 2 - 1
        return _scaled(pixels, convention), truth, kept[places]

    def finish(places, mirrored):
        found = tf.numpy_function(gather, [places, mirrored], (tf.float32, tf.float32, tf.int32))
        shapes = ((None, *size, 3), (None, *map_size), (None,))
        shaped = tuple(tf.ensure_shape(part, shape) for part, shape in zip(found, shapes, strict=True))
        return shaped if index else shaped[:2]

    signature = (tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.bool))
    batches = tf.data.Dataset.from_generator(order, output_signature=signature)
    batches = batches.map(finish, num_parallel_calls=2, deterministic=True)
    number = -(-count // batch)
    return batches.apply(tf.data.experimental.assert_cardinality(number)).prefetch(2)


def _scaled(pixels: np.ndarray, convention: Preprocessing) -> np.ndarray:
    """Do what ``convention.apply`` does, a row of pixels at a time: a loop over three channels would take ten times."""
    rows = (pixels[..., ::-1] if convention.bgr else pixels).reshape(*pixels.shape[:2], -1)
    mean, std = (np.float32(values) for values in (convention.mean, convention.std))
    mean, std = (np.tile(values, rows.shape[2] // values.size) for values in (mean, std))
    scaled = np.subtract(rows, mean, dtype=np.float32)
    scaled /= std
    return scaled.reshape(pixels.shape)


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


def _check(**given) -> None:
    for argument, (value, known) in given.items():
        if value not in known:
            raise ValueError(f"{argument}: expected one of {', '.join(known)}, received {value!r}.")
