"""The Bristol coursework's pickles of SALICON: lists of {X, y, file_name}, some with X_original and y_original.

X is the image at the network's 96 × 96, channel first or last, 0..1 or 0..255; y the density at 48 × 48, or its 2,304
pixels in a row; X_original and y_original are the image at 480 × 640 and the map of its fixations. Source: the
README of the public repository saiffanwar/ADL.
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

_PROTOCOL = 3  # the first with bytes, and the last without frames: samples can follow one another


def read_coursework(path: str | os.PathLike) -> list[Stimulus]:
    """Read a coursework pickle; nothing in it is executed, and images are kept as bytes, an eighth of the usual file.

    A y_original with fractions is a density rather than fixations, and is taken for one.

    Raises:
        FileNotFoundError: there is no such file.
        RefusedPickle: it asks for more than arrays and containers.
        ValueError: it is truncated, or no such list; the sample is named.
    """
    samples = read_pickle(path, _compact)
    if not isinstance(samples, list) or not samples:
        raise ValueError(
            f"{path}: expected a list of samples, received {type(samples).__name__} {reprlib.repr(samples)[:40]}."
        )
    seen: dict[str, int] = {}
    stimuli = []
    for index, sample in enumerate(samples):
        if not isinstance(sample, dict) or not {"X", "y"} <= set(sample):
            found = ", ".join(map(str, sample)) if isinstance(sample, dict) else type(sample).__name__
            raise ValueError(f"{path}: sample {index}: expected a dict with X, y and file_name, received {found}.")
        name = pathlib.PurePath(str(sample.get("file_name", f"{index:05d}"))).stem
        seen[name] = seen.get(name, 0) + 1  # mirrored copies may share the original's name
        name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        try:
            stimuli.append(_stimulus(name, sample))
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
    """Write a data set as a coursework pickle, one sample after the other, and renamed into place when it is whole.

    Args:
        data: what to write.
        path: the new file.
        size: (H, W) of X, float32 0..1, the image stretched to it.
        map_size: (H, W) of y, float32 0..1.
        originals: also write X_original (float32 0..1) and y_original (uint8, 1 at fixated pixels), as in val.pkl.
        mirror: write every image and its left-right mirror, as train.pkl has them; its name ends in "_mirrored".
        channels: "first" as in the coursework, or "last".
        sigma: blur of the densities, see ``GazeDataset.density``.
        progress: show a bar.

    Returns:
        ``path``. The standard ``pickle.load`` reads it.

    Raises:
        ValueError: an image that cannot be read or has no density; nothing is written then.
        OSError: the disk is full, or the folder cannot be written to.
    """
    check_choice("channels", channels, ("first", "last"))
    with (
        progress_bar("Writing", len(data), progress) as advance,
        replacing(path) as temporary,
        temporary.open("wb") as file,
    ):
        file.write(pickle.PROTO + bytes([_PROTOCOL]) + pickle.EMPTY_LIST)
        for index in range(len(data)):
            for sample in _samples(data, index, size, map_size, originals, mirror, channels, sigma):
                body = io.BytesIO()
                pickle.Pickler(body, _PROTOCOL).dump(sample)
                file.write(body.getbuffer()[2:-1])  # without its header and its stop
                file.write(pickle.APPEND)
            advance(1)
        file.write(pickle.STOP)
    return pathlib.Path(path)


def _samples(data, index, size, map_size, originals, mirror, channels, sigma) -> Iterator[dict]:
    name, stimulus = data.names[index], data.stimulus(index)
    image = data.image(index)
    small = stimulus.small
    small = small if small is not None and small.shape[:2] == tuple(size) else fit_image(image, size, "stretch")
    arrays = {"X": small, "y": np.asarray(data.density(index, map_size, sigma))}
    if originals:
        arrays |= {"X_original": image, "y_original": np.asarray(data.fixation_map(index, binary=True), np.uint8)}
    for mirrored in (False, True) if mirror else (False,):
        turned = {key: array[:, ::-1] if mirrored else array for key, array in arrays.items()}
        for key in ("X", "X_original") if originals else ("X",):
            scaled = turned[key].astype(np.float32) / np.float32(255)
            turned[key] = np.moveaxis(scaled, -1, 0) if channels == "first" else scaled
        stored = {key: np.ascontiguousarray(array) for key, array in turned.items()}
        yield {**stored, "file_name": f"{name}_mirrored" if mirrored else name}


def _compact(array: np.ndarray) -> np.ndarray:
    """Return an array of the pickle in the smallest form that loses nothing the networks could see."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"an array of shape {array.shape} has NaN or infinite values")
    if array.ndim == 3:
        return _bytes(array)
    if array.dtype.kind in "iu":
        return array.astype(np.uint8 if array.size and array.min() >= 0 and array.max() <= 255 else np.int32)
    if array.dtype.kind == "b" or ((array == 0) | (array == 1)).all():
        return array.astype(bool)
    return array.astype(np.float32)


def _bytes(array: np.ndarray) -> np.ndarray:
    if array.shape[-1] not in (1, 3) and array.shape[0] in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.shape[-1] not in (1, 3):
        raise ValueError(f"expected an image with 3 channels first or last, received shape {array.shape}")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255.5 or (array.dtype.kind == "f" and 1 < high <= 1.5):
        raise ValueError(f"expected an image of 0..1 or 0..255, received values {low:g} to {high:g}")
    if array.dtype.kind == "f":
        array = np.clip(np.rint(array * array.dtype.type(1.0 if high > 1 else 255.0)), 0, 255)
    return np.repeat(array.astype(np.uint8), 3 if array.shape[-1] == 1 else 1, axis=-1)


def _stimulus(name: str, sample: dict) -> Stimulus:
    small, truth = sample["X"], _square(sample["y"])
    if not isinstance(small, np.ndarray) or small.ndim != 3:
        raise ValueError(f"expected an image X of three dimensions, received {getattr(small, 'shape', small)!r}")
    image = sample.get("X_original", small)
    marks = sample.get("y_original")
    if marks is not None and marks.shape != image.shape[:2]:
        raise ValueError(f"y_original is {marks.shape}, but its image is {image.shape[:2]}")
    if marks is not None and marks.dtype.kind == "f" and (marks != np.floor(marks)).any():
        marks, truth = None, marks
    fixations = None if marks is None else functools.partial(Points.of, marks)
    return Stimulus(name, image, fixations, lambda: truth, small)


def _square(truth) -> np.ndarray:
    if not isinstance(truth, np.ndarray) or truth.ndim not in (1, 2):
        raise ValueError(f"expected a map y, received {getattr(truth, 'shape', truth)!r}")
    if truth.ndim == 2:
        return truth
    side = math.isqrt(truth.size)
    if side * side != truth.size:
        raise ValueError(f"expected y as a square map, received {truth.size} values")
    return truth.reshape(side, side)
