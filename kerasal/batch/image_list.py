"""The images of a batch, from a folder, an image, a Parquet list or paths, each with a unique name."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from kerasal.digests import stamp
from kerasal.images import find_files
from kerasal.names import as_text

COLUMNS = ("image", "path", "file")
"""The columns in which a Parquet list may have its paths, in this order of preference."""


@dataclasses.dataclass(frozen=True)
class Source:
    """An image file.

    Attributes:
        name: its name in the results, as UTF-8; other bytes of a file name are written as a backslash and digits.
        path: its absolute path.
        stamp: its size and time of modification, by which changes are detected; None for a missing file.
    """

    name: str
    path: str
    stamp: tuple[int, int] | None


def list_images(
    images: str | os.PathLike | Sequence[str | os.PathLike], out: pathlib.Path, column: str | None = None
) -> list[Source]:
    """Return the images of a folder and its subfolders, of a Parquet list, or at a sequence of paths, without repeats.

    An image in a folder is named by its relative path, an image of a list by the text in the list. Relative paths in a
    list are relative to the folder of the list. Files in ``out``, the folder of the results, are skipped.

    Raises:
        FileNotFoundError: ``images`` does not exist.
        ValueError: a folder has no images; a list has no such column, or the column has missing values or no strings.
    """
    if not isinstance(images, (str, os.PathLike)):
        return _make_sources((os.fspath(path), pathlib.Path(path)) for path in images)
    location = pathlib.Path(images)
    if location.suffix.lower() == ".parquet" and not location.is_dir():
        return _make_sources((text, location.parent / text) for text in read_list(location, column))
    files = find_files([location])
    if not location.is_dir():
        return _make_sources((file.name, file) for file in files)
    results = pathlib.Path(os.path.realpath(out))  # unlike Path.resolve, realpath accepts circular links
    inputs = [file for file in files if results not in pathlib.Path(os.path.realpath(file)).parents]
    if not inputs:
        raise ValueError(f"{location} must contain images, but all of its images are results in {out}.")
    return _make_sources((file.relative_to(location).as_posix(), file) for file in inputs)


def read_list(path: pathlib.Path, column: str | None = None) -> list[str]:
    """Return the paths in a column of a Parquet file, by default in the first of ``COLUMNS`` that the file has."""
    pyarrow = need_pyarrow()
    from pyarrow import parquet

    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        names = parquet.read_schema(path).names
        path_column = column if column is not None else next((name for name in COLUMNS if name in names), None)
        if path_column not in names:
            expected = repr(column) if column is not None else " or ".join(map(repr, COLUMNS))
            raise ValueError(
                f"{path} must have a column {expected} with the paths, got "
                f"{', '.join(map(repr, names)) or 'no column'}. Name the column with the argument column."
            )
        values = parquet.read_table(path, columns=[path_column])[path_column]
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    if not (pyarrow.types.is_string(values.type) or pyarrow.types.is_large_string(values.type)):
        raise ValueError(f"Column {path_column!r} of {path} must hold paths as strings, got {values.type}.")
    if values.null_count:
        raise ValueError(
            f"Column {path_column!r} of {path} must have a path in every row, got {values.null_count} missing of "
            f"{len(values)}."
        )
    if not len(values):
        raise ValueError(f"{path} must have at least one row, got an empty table.")
    return [os.fsdecode(name) for name in values.cast(pyarrow.large_binary()).to_pylist()]  # names need not be UTF-8


def need_pyarrow() -> Any:
    """Import pyarrow and return it.

    Raises:
        ImportError: pyarrow is not installed; the error says how to install it.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            'Parquet requires pyarrow. Install it with python -m pip install "kerasal[batch]", or write npz or png.'
        ) from error
    return pyarrow


def _make_sources(files: Iterable[tuple[str, pathlib.Path]]) -> list[Source]:
    paths = {name: os.path.abspath(path) for name, path in files}
    return [Source(as_text(name), path, stamp(path)) for name, path in paths.items()]
