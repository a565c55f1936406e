"""The photos of the live page: those that were passed, the bundled ones, and those that are dropped into the page."""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np

import kerasal
from kerasal import images
from kerasal.digests import digest, stamp

MAX_DRAWN = 4_000_000
"""Number of pixels above which a photo is drawn smaller; the model always receives the whole photo."""


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo of the page: a ``name`` to show, a ``key`` that differs between photos, and ``pixels``, uint8 RGB."""

    name: str
    key: str
    pixels: np.ndarray = dataclasses.field(repr=False, compare=False)

    def to_draw(self) -> np.ndarray:
        """Return the photo at its own resolution, or reduced to 4 megapixels if it has more."""
        height, width = self.pixels.shape[:2]
        scale = (MAX_DRAWN / (height * width)) ** 0.5
        if scale >= 1:
            return self.pixels
        return images.resize(self.pixels, (max(1, round(scale * height)), max(1, round(scale * width))))


def list_photos(paths: str | os.PathLike | Sequence[str | os.PathLike] | None) -> dict[str, pathlib.Path]:
    """Return image files by the names under which the page lists them: those of ``paths``, then the bundled photos.

    Args:
        paths: image files, or folders, which are searched with their subfolders.

    Raises:
        FileNotFoundError: a path does not exist.
        ValueError: there are no image files in ``paths``.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    files = [] if paths is None else images.find_files(paths)
    names = [file.name for file in files]
    listed = {file.name if names.count(file.name) == 1 else str(file): file for file in files}
    return listed | {f"{file.stem} (comes with kerasal)": file for file in bundled_photos()}


def bundled_photos() -> list[pathlib.Path]:
    """Return the photos that are installed with the package."""
    return sorted((pathlib.Path(kerasal.__file__).parent / "assets").glob("*.jpg"))


def read_photo(name: str, path: pathlib.Path) -> Photo:
    """Return the photo in a file. Raises the errors of ``images.read``."""
    return Photo(name, digest(str(path), stamp(path)), images.read(path))


def read_dropped(name: str, content: bytes) -> Photo:
    """Return the photo in the content of a file that was dropped into the page.

    Raises:
        ValueError: not an image, or a damaged one; the message names the file as it was dropped.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "photo"
        path.write_bytes(content)
        try:
            pixels = images.read(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), name)) from error
    return Photo(name, digest(content), pixels)
