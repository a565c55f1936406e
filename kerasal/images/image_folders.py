"""Many image files: found in folders, told apart by their names, and read by threads ahead of whoever uses them."""

import os
import pathlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from kerasal.images.image_files import read

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_PENDING = 64
_Value = TypeVar("_Value")


def find_files(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    """List image files: those named, and of each folder named every one in it, at any depth, sorted by path.

    In a folder a file counts by its suffix (``SUFFIXES``), hidden ones do not; a file that is itself named counts
    whatever it is called. A file that is reached twice is listed once.

    Raises:
        FileNotFoundError: there is nothing at one of the paths.
        ValueError: no image file at any of them.
    """
    paths = [pathlib.Path(path) for path in paths]
    found: list[pathlib.Path] = []
    for path in paths:
        if path.is_dir():
            found += list_files(path)[0]
        elif path.exists() or path.is_symlink():  # a link to nothing is for the reader to name, like a damaged file
            found.append(path)
        else:
            raise FileNotFoundError(f"There is no image file or folder {path}.")
    if not found:
        raise ValueError(
            f"There are no image files in {', '.join(map(str, paths)) or 'an empty list'}; expected some ending in "
            f"{', '.join(SUFFIXES)}."
        )
    return list(dict.fromkeys(found))


def read_ahead(
    function: Callable[[Any], Any], items: Iterable, *, workers: int | None = None, pending: int = _PENDING
) -> Iterator[tuple[Any, Future]]:
    """Yield ``(item, future of function(item))`` in order, while threads work at most ``pending`` items ahead.

    Decoding releases Python's lock, so a reader keeps the network fed. What ``function`` raises comes out of the
    future's ``result()``, and the reading goes on. Whoever stops early leaves no work behind.
    """
    pool = ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1), thread_name_prefix="kerasal-reader")
    waiting: deque = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= pending:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def key_by_stem(
    entries: Iterable[tuple[str, _Value]], file: pathlib.Path, split: str | None = None
) -> dict[str, _Value]:
    """Return image stem -> value for the images that ``file`` names, without their folders and suffixes.

    Two images of one stem are refused, so that the fixations of none are lost; names are spelled as in ``train/1.jpg``.
    If the file names images in the folder ``split``, only those count.
    """
    entries = list(entries)
    if split is not None:
        entries = [entry for entry in entries if pathlib.PureWindowsPath(entry[0]).parent.name == split] or entries
    keyed: dict[str, _Value] = {}
    spelled: dict[str, str] = {}
    for name, value in entries:
        stem = take_stem(name, spelled, file)
        if stem in keyed:
            raise ValueError(f"{file}: each image must have a file name of its own, got {name!r} twice. Keep one.")
        keyed[stem] = value
    return keyed


def take_stem(name: str, spelled: dict[str, str], file: pathlib.Path) -> str:
    """Return the stem of an image's name and note in ``spelled`` how the name was spelled."""
    path = pathlib.PureWindowsPath(name)  # which takes either kind of slash
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    if not stem:
        raise ValueError(f"{file}: each image must have a name, got {name!r}. Complete or remove that entry.")
    other = spelled.setdefault(stem, name)
    if other != name:
        raise ValueError(
            f"{file}: each image must have a file name of its own, got {other!r} and {name!r}, which are both {stem!r} "
            "without folder and suffix. Rename one, or keep each folder in a file of its own."
        )
    return stem


def list_files(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Return the images and the other files of a folder, at any depth, hidden ones left out, sorted."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [pathlib.Path(parent, name) for name in names if not name.startswith(".")]
    files.sort()
    return [file for file in files if is_image(file)], [file for file in files if not is_image(file)]


def is_image(file: pathlib.Path) -> bool:
    """Tell by its suffix whether a file is an image."""
    return file.name.lower().endswith(SUFFIXES)


def read_images(photos: Any) -> list[np.ndarray] | None:
    """Return uint8 images (h, w, 1 or 3) from a path, a folder, a list of paths or images, or an array (N, h, w, C).

    None stands for an array of another dtype, which may be model inputs.

    Raises:
        ValueError: an empty list, or a file that is no image.
        FileNotFoundError: a path at which there is nothing.
    """
    if isinstance(photos, (str, os.PathLike)):
        photos = find_files([photos])
    if isinstance(photos, (list, tuple)):
        if not photos:
            raise ValueError("photos must hold images, got none.")
        arrays = [read(one) if isinstance(one, (str, os.PathLike)) else np.asarray(one) for one in photos]
        return arrays if all(array.dtype == np.uint8 for array in arrays) else None
    array = np.asarray(photos)
    if array.dtype != np.uint8:
        return None
    if array.ndim == 3 and array.shape[2] == 4:
        raise ValueError(
            f"An image must be RGB or gray, got 4 channels, {array.shape}. Leave the alpha out: image[..., :3]."
        )
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)):
        return [array if array.ndim == 3 else array[..., None]]
    return list(array if array.ndim == 4 else array[..., None])
