"""Read fixations from the files people have: fixation maps, coordinate tables, and Matlab files.

Coordinates come out as (n, 2) float64 (x, y), 0-based; maps as (H, W) counts. Matlab files count from 1, so 1 is
subtracted.
"""

import pathlib
from collections.abc import Callable

import numpy as np

from kerasal.datasets.map_files import read_map
from kerasal.datasets.matlab_files import as_counts, list_matlab, read_matlab

_MAPS = (".png", ".bmp", ".tif", ".tiff", ".npy")
_TABLES = (".csv", ".txt", ".tsv")
_LOSSY = (".jpg", ".jpeg")


def list_fixations(path: pathlib.Path) -> dict[str, Callable[[], np.ndarray]]:
    """Return image stem -> a function that reads its fixations.

    Args:
        path: a folder with one file an image (a fixation map as PNG, TIFF, BMP or NPY; coordinates as CSV or NPY;
            SALICON's or another ``.mat``), one table with the columns image, x, y, or OSIE's ``fixations.mat``.

    Raises:
        ValueError: nothing that can be read as fixations.
        FileNotFoundError: there is no such folder or file.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no folder or file {path}.")
    if path.is_file():
        if path.suffix.lower() in _TABLES:
            return _from_table(path)
        if path.suffix.lower() == ".mat":
            return list_matlab(path)
        return {path.stem: _reader(path)}
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
        found[file.stem] = _reader(file)
    return found


def _reader(file: pathlib.Path) -> Callable[[], np.ndarray]:
    return lambda: read_fixations(file)


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
        return _coordinates(_table(file), file)
    array = read_map(file)
    if array.ndim == 2 and array.shape[1] == 2:
        return array
    return as_counts(array)


def _table(file: pathlib.Path):
    import pandas as pd

    try:
        with file.open(encoding="utf-8-sig") as lines:
            first = lines.readline()
        separator = next((mark for mark in ",;\t" if mark in first), r"\s+")
        table = pd.read_csv(file, sep=separator, skipinitialspace=True, dtype=str, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}") from error
    if _number(table.columns[0]) and len(table.columns) == 2:  # no header
        table = pd.concat([pd.DataFrame([list(table.columns)], columns=["x", "y"]), table.set_axis(["x", "y"], axis=1)])
    return table.rename(columns=lambda column: str(column).strip().lower())


def _number(text) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _coordinates(table, file: pathlib.Path) -> np.ndarray:
    import pandas as pd

    missing = [column for column in ("x", "y") if column not in table.columns]
    if missing:
        raise ValueError(f"{file}: expected the columns x and y (0-based pixels), received {', '.join(table.columns)}.")
    values = table[["x", "y"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values).any(axis=1))[0])
        raise ValueError(
            f"{file}: expected numbers in the columns x and y, received something else in data row {row + 1}."
        )
    return values


def _from_table(file: pathlib.Path) -> dict[str, Callable[[], np.ndarray]]:
    table = _table(file)
    name = next((column for column in ("image", "name", "filename", "file", "img") if column in table.columns), None)
    if name is None:
        return {file.stem: lambda: _coordinates(table, file)}
    groups = {pathlib.PurePath(str(image)).stem: rows for image, rows in table.groupby(name, sort=True)}
    return {stem: (lambda rows=rows: _coordinates(rows, file)) for stem, rows in groups.items()}
