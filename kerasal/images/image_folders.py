"""List image files in folders, identify them by name, and read them ahead in threads."""

import os
import pathlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from kerasal.images.array_files import ARRAY_SUFFIXES, read_array
from kerasal.images.image_files import read
from kerasal.images.volume_files import VOLUME_SUFFIXES, is_volume_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
_PENDING = 64
_Value = TypeVar("_Value")


def find_files(paths: Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    """Return image files: the files in ``paths``, and the images in its folders at any depth, sorted by path.

    In folders, files with a suffix in ``SUFFIXES`` that are not hidden count as images; files passed directly always
    do. Duplicates are removed.

    Raises:
        FileNotFoundError: one of the paths does not exist.
        ValueError: no image files.
    """
    paths = [pathlib.Path(path) for path in paths]
    files: list[pathlib.Path] = []
    for path in paths:
        if path.is_dir():
            files += list_files(path)[0]
        elif path.exists() or path.is_symlink():  # a dangling link is reported when the file is read
            files.append(path)
        else:
            raise FileNotFoundError(f"There is no image file or folder {path}.")
    if not files:
        raise ValueError(
            f"There are no image files in {', '.join(map(str, paths)) or 'an empty list'}. Their names must end in "
            f"{', '.join(SUFFIXES)}."
        )
    return list(dict.fromkeys(files))


def read_ahead(
    function: Callable[[Any], Any], items: Iterable, *, workers: int | None = None, pending: int = _PENDING
) -> Iterator[tuple[Any, Future]]:
    """Yield ``(item, future of function(item))`` in order, while threads work up to ``pending`` items ahead.

    An exception in ``function`` is raised by the ``result()`` of that future and does not stop the others. Closing the
    generator cancels the remaining work.
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
    """Return the ``entries`` (image name, value) of ``file`` as a dictionary from image stem to value.

    Names may have folders and suffixes, as in ``train/1.jpg``. If some are in the folder ``split``, only those are
    used.

    Raises:
        ValueError: two images with the same stem, or an entry without a name.
    """
    entries = list(entries)
    if split is not None:
        entries = [entry for entry in entries if pathlib.PureWindowsPath(entry[0]).parent.name == split] or entries
    keyed: dict[str, _Value] = {}
    spellings: dict[str, str] = {}
    for name, value in entries:
        stem = take_stem(name, spellings, file)
        if stem in keyed:
            raise ValueError(f"{file}: image names must be unique, got {name!r} twice. Remove the duplicate.")
        keyed[stem] = value
    return keyed


def take_stem(name: str, spellings: dict[str, str], file: pathlib.Path) -> str:
    """Return the stem of an image name; ``spellings`` maps stems to the names seen so far and is updated."""
    path = pathlib.PureWindowsPath(name)  # accepts both kinds of slashes
    stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
    if not stem:
        raise ValueError(f"{file}: each image must have a name, got {name!r}. Complete or remove that entry.")
    other = spellings.setdefault(stem, name)
    if other != name:
        raise ValueError(
            f"{file}: image names must be unique without folder and suffix, got {other!r} and {name!r}. Rename an "
            "image, or use a separate file for each folder."
        )
    return stem


def list_files(folder: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Return the images and the other files of a folder at any depth, sorted, without hidden files."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [pathlib.Path(parent, name) for name in names if not name.startswith(".")]
    files.sort()
    return [file for file in files if is_image(file)], [file for file in files if not is_image(file)]


def is_image(file: pathlib.Path) -> bool:
    """Return whether a file has the suffix of an image."""
    return file.name.lower().endswith(SUFFIXES)


def read_images(photos: Any) -> list[np.ndarray] | np.ndarray:
    """Return uint8 images (h, w, 1 or 3) from a path, a folder, a list of paths or images, or an array (N, h, w, C).

    Values of another dtype, which may be model inputs, are returned as one array; so are those of ``.npy`` and
    ``.npz`` files.

    Raises:
        ValueError: an empty list, a file that is neither image nor array, or inputs of different shapes.
        FileNotFoundError: a path does not exist.
    """
    if isinstance(photos, (str, os.PathLike)):
        photos = find_files([photos])
        photos = _read_file(photos[0]) if len(photos) == 1 else photos
    if isinstance(photos, (list, tuple)):
        if not photos:
            raise ValueError("photos must hold images, got none.")
        arrays = [_read_file(photo) if isinstance(photo, (str, os.PathLike)) else np.asarray(photo) for photo in photos]
        if all(array.dtype == np.uint8 for array in arrays):
            return arrays
        if len({array.shape for array in arrays}) > 1:
            shapes = ", ".join(dict.fromkeys(str(array.shape) for array in arrays))
            raise ValueError(
                f"inputs must have one shape to form a batch, got {shapes}. Pass them one at a time, or pad them."
            )
        return np.stack(arrays)
    array = np.asarray(photos)
    if array.dtype != np.uint8:
        return array
    if array.ndim == 3 and array.shape[2] == 4:
        raise ValueError(
            f"An image must be RGB or gray, got 4 channels, {array.shape}. Drop the alpha channel: image[..., :3]."
        )
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)):
        return [array if array.ndim == 3 else array[..., None]]
    return list(array if array.ndim == 4 else array[..., None])


def _read_file(path: str | os.PathLike) -> np.ndarray:
    """Return the array of an array file, or an image."""
    return read_array(path) if pathlib.Path(path).suffix.lower() in ARRAY_SUFFIXES else read(path)


def name_files(paths: Sequence[str | os.PathLike], *, arrays: bool = False) -> dict[str, pathlib.Path]:
    """Return a dictionary from unique name to path of all image files in ``paths``, which are files and folders.

    The name is the stem of the file; if that is not unique, the suffix is added, and then the name of the folder.
    ``arrays`` also takes the arrays and volumes of a folder that has no images.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: a folder has no images, or two files differ in none of these parts.
    """
    files = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"There is no image file or folder {path}.")
        entries = sorted(path.iterdir()) if path.is_dir() else []
        inside = [file for file in entries if file.suffix.lower() in SUFFIXES] if path.is_dir() else [path]
        if arrays and not inside:
            inside = [file for file in entries if file.name.lower().endswith(ARRAY_SUFFIXES + VOLUME_SUFFIXES)]
        if not inside:
            raise ValueError(f"{path} must contain image files ({', '.join(SUFFIXES)}), got none.")
        files += inside
    name_functions = (
        _stem,
        lambda file: f"{_stem(file)}-{file.suffix[1:].lower()}",
        lambda file: f"{file.absolute().parent.name}-{_stem(file)}-{file.suffix[1:].lower()}",
    )
    files, named = list(dict.fromkeys(files)), {}
    for make_name in name_functions:
        remaining = [file for file in files if file not in named]
        names = [make_name(file) for file in remaining]
        named |= {
            file: name
            for file, name in zip(remaining, names, strict=True)
            if names.count(name) == 1 and name not in named.values()
        }
    if unnamed := [file for file in files if file not in named]:
        raise ValueError(
            f"Results must have unique names, got the same name for {unnamed[0]} and {unnamed[-1]}. Use a separate "
            "output folder for each of them."
        )
    return {name: file for file, name in named.items()}


def _stem(file: pathlib.Path) -> str:
    """Return the name of a file without its suffix, which may be double, as in scan.nii.gz."""
    return pathlib.Path(file.stem).stem if is_volume_file(file) else file.stem
