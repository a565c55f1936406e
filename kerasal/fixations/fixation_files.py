"""Read fixations from fixation maps, tables of coordinates and Matlab files.

Coordinates are returned as a float64 array (n, 2) of 0-based (x, y), maps as (H, W) counts. Coordinates in Matlab files
are 1-based and are converted.
"""

import functools
import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.fixations.coordinate_tables import read_table
from kerasal.fixations.map_files import read_map
from kerasal.fixations.matlab_files import as_counts, list_recordings_and_size, read_matlab_recording
from kerasal.fixations.recordings import Recording
from kerasal.images.image_folders import key_by_stem
from kerasal.names import abbreviate

_MAPS = (".png", ".bmp", ".tif", ".tiff", ".npy")
_TABLES = (".csv", ".txt", ".tsv")
_JPEG = (".jpg", ".jpeg")


def list_fixations(path: pathlib.Path, split: str | None = None) -> dict[str, Callable[[], np.ndarray]]:
    """Return a dictionary from image name (without suffix) to a function that reads the fixations on that image.

    Args:
        path: a folder with one file per image (a fixation map as PNG, TIFF, BMP or NPY; coordinates as CSV or NPY; a
            ``.mat`` file, such as SALICON's), a single table with the columns image, x, y, or OSIE's
            ``fixations.mat``.
        split: the folder whose images to return, if the table names images with their folder, as in
            ``train/1.jpg``.

    Raises:
        ValueError: ``path`` has no fixations, or images in different folders have the same file name.
        FileNotFoundError: ``path`` does not exist.
    """
    readers = list_recordings(path, split)
    return {name: functools.partial(_read_points, read) for name, read in readers.items()}


def _read_points(read: Callable[[], Recording]) -> np.ndarray:
    return read().points


def list_recordings(path: pathlib.Path, split: str | None = None) -> dict[str, Callable[[], Recording]]:
    """Return a dictionary from image name to a function that reads its ``Recording``; see ``list_fixations``."""
    if not path.exists():
        raise FileNotFoundError(f"There is no folder or file {path}.")
    if path.is_file():
        if path.suffix.lower() in _TABLES:
            table = read_table(path)
            if table.image_column is None:
                return {path.stem: table.recording}
            return key_by_stem([(name, rows.recording) for name, rows in table.by_image().items()], path, split)
        if path.suffix.lower() == ".mat":
            return list_recordings_and_size(path, split)[0]
        return {path.stem: functools.partial(read_recording, path)}
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    known_files = [file for file in files if file.suffix.lower() in (*_MAPS, *_TABLES, *_JPEG, ".mat")]
    if not known_files:
        raise ValueError(
            f"{path} must have files of fixations, got none. Supported suffixes are "
            f"{', '.join((*_MAPS, *_TABLES, '.mat'))}."
        )
    readers: dict[str, Callable[[], Recording]] = {}
    for file in known_files:
        if file.stem in readers:
            raise ValueError(
                f"{path} must have a single file of fixations per image, got two for {file.stem!r}. Keep one."
            )
        readers[file.stem] = functools.partial(read_recording, file)
    return readers


def read_fixations(file: pathlib.Path) -> np.ndarray:
    """Return the fixations in a file with a single image: coordinates (n, 2) or a map of counts (H, W).

    In a map whose non-zero pixels all have the same value, such as 255, each of them counts as one fixation. Other maps
    hold the number of fixations on each pixel. ``list_fixations`` describes the formats.

    Raises:
        ValueError: the file cannot be read as fixations.
    """
    return read_recording(file).points


def read_recording(file: pathlib.Path) -> Recording:
    """Return the ``Recording`` of a file with a single image; see ``read_fixations``."""
    suffix = file.suffix.lower()
    if suffix in _JPEG:
        raise ValueError(
            f"Fixations must be in a PNG, NPY, CSV or .mat file, got {file}. JPEG compression changes pixel values."
        )
    if suffix == ".mat":
        return read_matlab_recording(file)
    if suffix in _TABLES:
        table = read_table(file)
        if table.image_column is not None and len(images := table.by_image()) > 1:
            raise ValueError(
                f"{file} must have the fixations of a single image, got {len(images)}: {abbreviate(images)}."
            )
        return table.recording()
    array = read_map(file)
    return Recording(array if array.ndim == 2 and array.shape[1] == 2 else as_counts(array))
