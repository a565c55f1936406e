"""Read saliency maps and densities from image and array files."""

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
    """Return stem -> file for the maps in ``folder`` (or for the one file), sorted by stem.

    Raises:
        ValueError: there is no map, or two of one stem.
        FileNotFoundError: there is no such folder or file.
    """
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder or file {folder}.")
    files = [folder] if folder.is_file() else sorted(folder.iterdir())
    found: dict[str, pathlib.Path] = {}
    for file in files:
        if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
            continue
        if file.stem in found:
            raise ValueError(f"{folder} has two maps of one name: {found[file.stem].name} and {file.name}. Keep one.")
        found[file.stem] = file
    if not found:
        raise ValueError(f"{folder} has no maps; expected files that end in {', '.join(SUFFIXES)}.")
    return found


def read_map(path: pathlib.Path) -> np.ndarray:
    """Read one map: (H, W) of the file's own numbers, color images as their luminance.

    An ``.npy`` file may also hold a flat prediction (n,).

    Raises:
        ValueError: the file is damaged or holds no map; the message names it.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    with _open(path) as image:
        return np.asarray(image.convert("L") if image.mode in _COLOR_MODES else image)


def map_shape(path: pathlib.Path) -> tuple[int, int]:
    """Return (H, W) of a map without reading its pixels; its errors are those of ``read_map``."""
    if path.suffix.lower() == ".npy":
        return _read_array(path, "r").shape[:2]
    with _open(path) as image:
        return image.height, image.width


@contextlib.contextmanager
def naming(path: pathlib.Path, what: str, *left: type[Exception]) -> Iterator[None]:
    """Name the file at ``path`` in whatever its reader raises, which on damaged files may be anything.

    Errors of the operating system, of files that claim too much, and the kinds that are ``left`` pass as they are.
    """
    try:
        yield
    except (ImplausibleFile, *left):
        raise
    except Exception as error:  # zip, zlib, NumPy and SciPy each have their own, MemoryError where a head claims much
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = "".join(letter if letter.isprintable() else "?" for letter in first_line(error)[:300])
        raise ValueError(f"{path} cannot be read as {what}: {reason}") from error


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator["Image.Image"]:
    from PIL import Image

    with naming(path, "an image", MemoryError), Image.open(path) as image:
        yield image


def _read_array(path: pathlib.Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    with naming(path, "a NumPy array"):
        check_arrays(path)
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} cannot be read as a NumPy array: it is an archive of several.")
    return array[0] if array.ndim == 4 and array.shape[0] == 1 else array
