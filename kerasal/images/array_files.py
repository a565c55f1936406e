"""Read arrays from ``.npy`` and ``.npz`` files: inputs of models, and photos that were saved as arrays."""

import os
import pathlib

import numpy as np

from kerasal.archive_check import ImplausibleFile, first_line
from kerasal.array_check import check_arrays

ARRAY_SUFFIXES = (".npy", ".npz")


def read_array(path: str | os.PathLike, array: str | None = None) -> np.ndarray:
    """Return the array of numbers in an ``.npy`` or ``.npz`` file, in the shape and dtype in which it was saved.

    Args:
        path: the file.
        array: name of the array in an ``.npz`` file that holds several.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or of another kind, an ``.npz`` file holds several arrays and ``array`` is none
            of them, or the array is empty or holds objects, such as signals of different lengths.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no array file {path}.")
    try:
        check_arrays(path)
        loaded = np.load(path, allow_pickle=False)
        values = _choose(loaded, path, array) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except (ImplausibleFile, PermissionError, MemoryError, _Unfit):
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many classes
        if "allow_pickle" in str(error) and not _is_pickle(path):
            raise ValueError(
                f"{path} must hold an array of numbers, got objects, such as signals of different lengths. Save each "
                "in a file of its own, or pad them to one length."
            ) from error
        reason = "it is not written by NumPy" if "allow_pickle" in str(error) else first_line(error).rstrip(".")
        raise ValueError(f"{path} cannot be read as an array: {reason}. Save it again with numpy.save.") from error
    if values.dtype.kind not in "biuf" or not values.size:
        raise ValueError(f"{path} must hold numbers, got {values.dtype} {values.shape}. Save real numbers.")
    return values


class _Unfit(ValueError):
    """An intact file without the one array that is asked for."""


def _choose(archive: np.lib.npyio.NpzFile, path: pathlib.Path, name: str | None) -> np.ndarray:
    with archive:
        names = archive.files
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            wanted = "a single array" if name is None else f"an array {name!r}"
            raise _Unfit(
                f"{path} must hold {wanted}, got {', '.join(names) or 'none'}."
                + (f" Choose one of them: array={names[0]!r}." if names else "")
            )
        return archive[name]


def _is_pickle(path: pathlib.Path) -> bool:
    """Return whether a file is neither an array nor an archive; NumPy then takes it for a pickle."""
    with path.open("rb") as file:
        return file.read(6) != b"\x93NUMPY" and path.suffix.lower() == ".npy"
