"""Read saliency maps and densities from image and array files."""

import pathlib

import numpy as np

from kerasal.archive_check import ImplausibleFile
from kerasal.array_check import check_arrays

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
    """Read one map: (H, W) of the file's own numbers, colour images as their luminance.

    An ``.npy`` file may also hold a flat prediction (n,).

    Raises:
        ValueError: the file is damaged or holds no map; the message names it.
        OSError: it cannot be read.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode in ("RGB", "RGBA", "P", "LA", "CMYK", "YCbCr"):
                image = image.convert("L")
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} cannot be read as an image: {_first_line(error)}") from error


def map_shape(path: pathlib.Path) -> tuple[int, int]:
    """Return (H, W) of a map without reading its pixels.

    Raises:
        ValueError: the file is damaged or holds no map.
    """
    if path.suffix.lower() == ".npy":
        return _read_array(path, "r").shape[:2]
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} cannot be read as an image: {_first_line(error)}") from error


def _read_array(path: pathlib.Path, mmap_mode: str | None = None) -> np.ndarray:
    try:
        check_arrays(path)
        array = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except ImplausibleFile:
        raise
    except Exception as error:  # zip, zlib and NumPy each have their own
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} cannot be read as a NumPy array: {_first_line(error)}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} cannot be read as a NumPy array: it is an archive of several.")
    return array[0] if array.ndim == 4 and array.shape[0] == 1 else array


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
