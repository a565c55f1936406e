"""Read saliency maps and fixation densities from image files and NumPy arrays."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from kerasal.archive_check import ImplausibleFile, first_line
from kerasal.array_check import check_arrays

if TYPE_CHECKING:
    from PIL import Image

_COLOR_MODES = ("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".npy")


def list_maps(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return a dictionary from name (without suffix) to path of the maps in a folder, sorted, or of a single file.

    Raises:
        ValueError: there is no map, or two maps have the same name.
        FileNotFoundError: ``folder`` does not exist.
    """
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder or file {folder}.")
    files = [folder] if folder.is_file() else sorted(folder.iterdir())
    paths: dict[str, pathlib.Path] = {}
    for file in files:
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        if file.stem in paths:
            raise ValueError(
                f"{folder} must have maps of different names, got {paths[file.stem].name} and {file.name}. Keep one."
            )
        paths[file.stem] = file
    if not paths:
        raise ValueError(f"{folder} must have maps, got none. Supported suffixes are {', '.join(SUFFIXES)}.")
    return paths


def read_map(path: pathlib.Path) -> np.ndarray:
    """Return a map as an array (H, W) of the values stored in the file; color images are converted to luminance.

    An ``.npy`` file may also hold a flattened prediction (n,).

    Raises:
        ValueError: the file is damaged or is not a map.
        OSError: the file cannot be opened.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    with _open_image(path) as image:
        return np.asarray(image.convert("L") if image.mode in _COLOR_MODES else image)


def map_shape(path: pathlib.Path) -> tuple[int, int]:
    """Return the shape (H, W) of a map without reading its pixels; raise the errors of ``read_map``."""
    if path.suffix.lower() == ".npy":
        return _read_array(path, "r").shape[:2]
    with _open_image(path) as image:
        return image.height, image.width


@contextlib.contextmanager
def report_unreadable(path: pathlib.Path, file_type: str, *unchanged: type[Exception]) -> Iterator[None]:
    """Convert any exception of a reader to a ValueError that says that ``path`` cannot be read as ``file_type``.

    Errors of the operating system, ``ImplausibleFile`` and the ``unchanged`` types are not converted.
    """
    try:
        yield
    except (ImplausibleFile, *unchanged):
        raise
    except Exception as error:  # damaged files raise errors of zipfile, zlib, NumPy and SciPy
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = "".join(letter if letter.isprintable() else "?" for letter in first_line(error)[:300])
        raise ValueError(f"{path} cannot be read as {file_type}: {reason}") from error


@contextlib.contextmanager
def _open_image(path: pathlib.Path) -> Iterator["Image.Image"]:
    from PIL import Image

    with report_unreadable(path, "an image", MemoryError), Image.open(path) as image:
        yield image


def _read_array(path: pathlib.Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    with report_unreadable(path, "a NumPy array"):
        check_arrays(path)
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"{path} cannot be read as a NumPy array: it is an archive of several arrays. Save a single array as NPY."
        )
    return array[0] if array.ndim == 4 and array.shape[0] == 1 else array
