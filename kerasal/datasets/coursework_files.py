"""Read and write the Bristol coursework's pickles of SALICON.

A pickle has a list of dictionaries with the keys X, y and file_name, and optionally X_original and y_original. X is the
model input of 96 × 96 pixels, channels first or last, 0..1 or 0..255. y is the density at 48 × 48, or its 2,304
flattened pixels. X_original is the image at 480 × 640, and y_original the map of its fixations. Source: the README of
the public repository saiffanwar/ADL.
"""

import functools
import io
import math
import os
import pathlib
import pickle
import reprlib
from collections.abc import Iterator

import numpy as np

from kerasal.checks import check_choice
from kerasal.datasets.gaze_dataset import GazeDataset
from kerasal.datasets.gaze_types import Points, Shape, Stimulus
from kerasal.datasets.safe_pickle import read_pickle
from kerasal.files import replacing
from kerasal.images.drawings import fit_image
from kerasal.progress import progress_bar

_PROTOCOL = 3  # supports bytes, but has no frames, so samples can be appended


def read_coursework(path: str | os.PathLike) -> list[Stimulus]:
    """Return the samples of a coursework pickle. Code in the file is not executed.

    Images are converted to uint8, which takes an eighth of the memory of float64. A y_original with fractions is read
    as a density instead of fixations.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        RefusedPickle: the pickle has objects other than arrays and containers.
        ValueError: the file is truncated, or a sample is invalid.
    """
    samples = read_pickle(path, _shrink_dtype)
    if not isinstance(samples, list) or not samples:
        raise ValueError(
            f"{path} must have a list of samples, got {type(samples).__name__} {reprlib.repr(samples)[:40]}."
        )
    seen: dict[str, int] = {}
    stimuli = []
    for index, sample in enumerate(samples):
        if not isinstance(sample, dict) or not {"X", "y"} <= set(sample):
            description = ", ".join(map(str, sample)) if isinstance(sample, dict) else type(sample).__name__
            raise ValueError(f"{path}: sample {index} must be a dict with X, y and file_name, got {description}.")
        name = pathlib.PurePath(str(sample.get("file_name", f"{index:05d}"))).stem
        seen[name] = seen.get(name, 0) + 1  # mirrored copies can have the same name as the original
        name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        try:
            stimuli.append(_make_stimulus(name, sample))
        except ValueError as error:
            raise ValueError(f"{path}: sample {index} ({name}): {error}.") from error
    return stimuli


def write_coursework(
    data: GazeDataset,
    path: str | os.PathLike,
    *,
    size: Shape = (96, 96),
    map_size: Shape = (48, 48),
    originals: bool = False,
    mirror: bool = False,
    channels: str = "first",
    sigma: float | str | None = None,
    progress: bool = False,
) -> pathlib.Path:
    """Write a data set to a coursework pickle. An existing file is replaced only after the new file is complete.

    Args:
        data: the data set.
        path: path of the file to write.
        size: (H, W) to which images are stretched for X, float32 0..1.
        map_size: (H, W) of y, float32 0..1.
        originals: also write X_original (float32 0..1) and y_original (uint8, 1 at fixated pixels), as in val.pkl.
        mirror: write each image and its left-right mirror image, as in train.pkl; the name of the latter ends in
            "_mirrored".
        channels: "first" as in the coursework, or "last".
        sigma: blur width of the densities, see ``GazeDataset.density``.
        progress: show a progress bar.

    Returns:
        ``path``, which ``pickle.load`` can read.

    Raises:
        ValueError: an image cannot be read or has no density. No file is written.
        OSError: the file cannot be written.
    """
    check_choice("channels", channels, ("first", "last"))
    with (
        progress_bar("Writing", len(data), progress) as advance,
        replacing(path) as temporary,
        temporary.open("wb") as file,
    ):
        file.write(pickle.PROTO + bytes([_PROTOCOL]) + pickle.EMPTY_LIST)
        for index in range(len(data)):
            for sample in _make_samples(data, index, size, map_size, originals, mirror, channels, sigma):
                body = io.BytesIO()
                pickle.Pickler(body, _PROTOCOL).dump(sample)
                file.write(body.getbuffer()[2:-1])  # without header and STOP opcode
                file.write(pickle.APPEND)
            advance(1)
        file.write(pickle.STOP)
    return pathlib.Path(path)


def _make_samples(data, index, size, map_size, originals, mirror, channels, sigma) -> Iterator[dict]:
    name, stimulus = data.names[index], data.stimulus(index)
    image = data.image(index)
    small = stimulus.small
    small = small if small is not None and small.shape[:2] == tuple(size) else fit_image(image, size, "stretch")
    arrays = {"X": small, "y": np.asarray(data.density(index, map_size, sigma))}
    if originals:
        arrays |= {"X_original": image, "y_original": np.asarray(data.fixation_map(index, binary=True), np.uint8)}
    for mirrored in (False, True) if mirror else (False,):
        oriented = {key: array[:, ::-1] if mirrored else array for key, array in arrays.items()}
        for key in ("X", "X_original") if originals else ("X",):
            scaled = oriented[key].astype(np.float32) / np.float32(255)
            oriented[key] = np.moveaxis(scaled, -1, 0) if channels == "first" else scaled
        stored = {key: np.ascontiguousarray(array) for key, array in oriented.items()}
        yield {**stored, "file_name": f"{name}_mirrored" if mirrored else name}


def _shrink_dtype(array: np.ndarray) -> np.ndarray:
    """Convert an array of the pickle to the smallest dtype without a loss that matters for training."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"arrays must have finite values, got NaN or infinite values in shape {array.shape}")
    if array.ndim == 3:
        return _to_uint8_image(array)
    if array.dtype.kind in "iu":
        return array.astype(np.uint8 if array.size and array.min() >= 0 and array.max() <= 255 else np.int32)
    if array.dtype.kind == "b" or ((array == 0) | (array == 1)).all():
        return array.astype(bool)
    return array.astype(np.float32)


def _to_uint8_image(array: np.ndarray) -> np.ndarray:
    if array.shape[-1] not in (1, 3) and array.shape[0] in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 3 channels first or last, got shape {array.shape}")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255.5 or (array.dtype.kind == "f" and 1 < high <= 1.5):
        raise ValueError(f"images must be in 0..1 or 0..255, got values {low:g} to {high:g}")
    if array.dtype.kind == "f":
        array = np.clip(np.rint(array * array.dtype.type(1.0 if high > 1 else 255.0)), 0, 255)
    return np.repeat(array.astype(np.uint8), 3 if array.shape[-1] == 1 else 1, axis=-1)


def _make_stimulus(name: str, sample: dict) -> Stimulus:
    small, density = sample["X"], _to_square(sample["y"])
    if not isinstance(small, np.ndarray) or small.ndim != 3:
        raise ValueError(f"X must be an image of three dimensions, got {getattr(small, 'shape', small)!r}")
    image = sample.get("X_original", small)
    fixation_map = sample.get("y_original")
    if fixation_map is not None and fixation_map.shape != image.shape[:2]:
        raise ValueError(f"y_original must have the shape {image.shape[:2]} of its image, got {fixation_map.shape}")
    if fixation_map is not None and fixation_map.dtype.kind == "f" and (fixation_map != np.floor(fixation_map)).any():
        fixation_map, density = None, fixation_map
    fixations = None if fixation_map is None else functools.partial(Points.from_array, fixation_map)
    return Stimulus(name, image, fixations, lambda: density, small)


def _to_square(density) -> np.ndarray:
    if not isinstance(density, np.ndarray) or density.ndim not in (1, 2):
        raise ValueError(f"y must be a map, got {getattr(density, 'shape', density)!r}")
    if density.ndim == 2:
        return density
    side = math.isqrt(density.size)
    if side * side != density.size:
        raise ValueError(f"y must be a square map, got {density.size} values")
    return density.reshape(side, side)
