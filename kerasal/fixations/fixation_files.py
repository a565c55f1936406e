"""Read fixations from the files people have: fixation maps, coordinate tables, and Matlab files.

Coordinates come out as (n, 2) float64 (x, y), 0-based; maps as (H, W) counts. Matlab files count from 1, so 1 is
subtracted.
"""

import functools
import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.fixations.coordinate_tables import read_table
from kerasal.fixations.map_files import read_map
from kerasal.fixations.matlab_files import as_counts, list_sized, read_matlab
from kerasal.images.image_folders import key_by_stem
from kerasal.names import abbreviate

_MAPS = (".png", ".bmp", ".tif", ".tiff", ".npy")
_TABLES = (".csv", ".txt", ".tsv")
_LOSSY = (".jpg", ".jpeg")


def list_fixations(path: pathlib.Path, split: str | None = None) -> dict[str, Callable[[], np.ndarray]]:
    """Return image stem -> a function that reads its fixations.

    Args:
        path: a folder with one file an image (a fixation map as PNG, TIFF, BMP or NPY; coordinates as CSV or NPY;
            SALICON's or another ``.mat``), one table with the columns image, x, y, or OSIE's ``fixations.mat``.
        split: where one file names its images as ``train/1.jpg``, the folder whose images are wanted.

    Raises:
        ValueError: nothing that can be read as fixations, or two images of one file name in different folders.
        FileNotFoundError: there is no such folder or file.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no folder or file {path}.")
    if path.is_file():
        if path.suffix.lower() in _TABLES:
            table = read_table(path)
            if table.image_column is None:
                return {path.stem: table.coordinates}
            return key_by_stem([(name, rows.coordinates) for name, rows in table.by_image().items()], path, split)
        if path.suffix.lower() == ".mat":
            return list_sized(path, split)[0]
        return {path.stem: functools.partial(read_fixations, path)}
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    known = [file for file in files if file.suffix.lower() in (*_MAPS, *_TABLES, *_LOSSY, ".mat")]
    if not known:
        raise ValueError(
            f"{path} has no fixations; expected files that end in {', '.join((*_MAPS, *_TABLES, '.mat'))}."
        )
    found: dict[str, Callable[[], np.ndarray]] = {}
    for file in known:
        if file.stem in found:
            raise ValueError(f"{path} has two files of fixations for image {file.stem!r}. Keep one.")
        found[file.stem] = functools.partial(read_fixations, file)
    return found


def read_fixations(file: pathlib.Path) -> np.ndarray:
    """Read the fixations of one image; see ``list_fixations``.

    In a map whose non-zero pixels all have one value, such as 255, each is one fixation; other values are counts.

    Raises:
        ValueError: the file holds no fixations; the message names it.
    """
    suffix = file.suffix.lower()
    if suffix in _LOSSY:
        raise ValueError(
            f"{file}: JPEG changes pixel values, so it cannot hold fixations. Expected a PNG, NPY, CSV or .mat."
        )
    if suffix == ".mat":
        return read_matlab(file)
    if suffix in _TABLES:
        table = read_table(file)
        if table.image_column is not None and len(images := table.by_image()) > 1:
            raise ValueError(
                f"{file}: expected the fixations of one image, received {len(images)}: {abbreviate(images)}."
            )
        return table.coordinates()
    array = read_map(file)
    return array if array.ndim == 2 and array.shape[1] == 2 else as_counts(array)
