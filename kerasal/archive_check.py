"""Check model and weights files for damage and implausible sizes before anything is loaded from them.

A few kilobytes can ask for gigabytes of memory: an HDF5 file may declare an array of any shape and store none of it,
and a compressed archive may expand to a thousand times its size. A link or an external array may lead to another file
on the machine. (Keras 3.15 checks arrays above 4 GiB only, and does not check archives.) Such files raise
``DamagedFile``, or its subclass ``ImplausibleFile`` where the declared size is too large.
"""

import io
import math
import mmap
import os
import pathlib
import struct
import zipfile
from collections.abc import Iterator
from typing import IO, cast

import numpy as np

_ALWAYS = 64 * 2**20
_EXPANSION = 100
"""Allowed ratio of declared size to file size; ``_ALWAYS`` bytes are allowed in any case. Weights hardly compress."""

VARIABLE = "KERASAL_MAX_EXPANSION"
"""Environment variable that replaces the factor ``_EXPANSION``, for trusted files."""

_WEIGHTS = "model.weights.h5"
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAP_HEAD = len(_HEAP) + 8
_HEAP_OBJECT = struct.Struct("<HHIQ")  # number, references, reserved, size: HDF5's file format, section III.E


class DamagedFile(ValueError):
    """A file is truncated or damaged, refers to other files, or declares far more data than it stores."""


class ImplausibleFile(DamagedFile):
    """A file that declares more data than it can hold, or far more than its own size."""


def check_claims(path: pathlib.Path) -> None:
    """Raise ``DamagedFile`` for a ``.keras`` or HDF5 file that is damaged, too large or refers to other files."""
    import h5py

    check_whole(path)
    if not zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        return
    stored, claimed = path.stat().st_size, 0
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                claimed = sum(member.file_size for member in archive.infolist())
            check_expansion(path, claimed, stored)
        _check_heaps(path)
        for name, shape, dtype in arrays(path):
            claimed += math.prod(shape) * dtype.itemsize
            check_expansion(path, claimed, stored, f", as {name} of shape {shape}")
    except DamagedFile:
        raise
    except Exception as error:  # zipfile, zlib and HDF5 raise many types, KeyError and RuntimeError among them
        reason = first_line(error)
        if "truncated" in reason:
            reason = f"it is truncated after {stored} bytes"
        raise DamagedFile(f"{path} cannot be read: {reason.rstrip('.')}. Copy, download or save it again.") from error


def first_line(error: Exception) -> str:
    """Return the first line of an error message, or the name of the error class if the message is empty."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def check_whole(path: pathlib.Path) -> None:
    """Raise ``DamagedFile`` for a zip archive without an end, as an interrupted download or copy leaves it."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise DamagedFile(
            f"{path} must be a complete {path.suffix} archive, got one that is truncated after "
            f"{path.stat().st_size} bytes. Copy, download or save it again."
        )


def arrays(path: pathlib.Path) -> Iterator[tuple[str, tuple[int, ...], np.dtype]]:
    """Yield the name, shape and dtype of every array in an HDF5 or ``.keras`` file, without reading the values.

    Raises:
        DamagedFile: the file contains a link, or an array whose values are in another file.
        OSError: not an HDF5 file.
    """
    import h5py

    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            yield from _walk_group(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS in archive.namelist():
            raw = cast(io.RawIOBase, archive.open(_WEIGHTS))  # a type checker does not know that it can be buffered
            with raw, h5py.File(io.BufferedReader(raw), "r") as file:
                yield from _walk_group(path, file)


def npz_arrays(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array in an ``.npz`` archive, read from the headers; ValueError for another file."""
    with zipfile.ZipFile(path) as archive:
        shapes = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                shapes[name.removesuffix(".npy")] = read_header(member)[0]
        return shapes


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read the header of an ``.npy`` file; return the shape and the dtype of its array."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _walk_group(path: pathlib.Path, group) -> Iterator[tuple[str, tuple[int, ...], np.dtype]]:
    import h5py

    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DamagedFile(f"{path} must not contain links, got the link {group.name}/{key}. Save the model again.")
        entry = group[key]
        if isinstance(entry, h5py.Group):
            yield from _walk_group(path, entry)
        elif isinstance(entry, h5py.Dataset):
            if entry.external or entry.is_virtual:
                raise DamagedFile(
                    f"{path} must contain its values, got the array {entry.name} whose values are in other files."
                )
            yield str(entry.name), entry.shape or (), entry.dtype


def check_expansion(path: str | os.PathLike, claimed: int, stored: int, what: str = "", always: int = _ALWAYS) -> None:
    """Raise ``ImplausibleFile`` if a file of ``stored`` bytes declares ``claimed`` bytes and the ratio is too large."""
    if claimed > largest_claim(stored, always):
        raise ImplausibleFile(
            f"{path} claims to hold {claimed / 2**20:,.0f} MiB{what}, in a file of {stored:,} bytes. It is damaged, or "
            "made to fill the memory; it was not loaded. If you trust it, save it without compression, or set the "
            f"environment variable {VARIABLE} above {claimed // max(stored, 1):,}."
        )


def largest_claim(stored: int, always: int = _ALWAYS) -> int:
    """Return the number of bytes to which a file of ``stored`` bytes may expand, at least ``always``.

    Raises:
        ValueError: the environment variable is not a positive number.
    """
    text = os.environ.get(VARIABLE, str(_EXPANSION))
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise ValueError(f"The environment variable {VARIABLE} must be a positive number, got {text!r}. Unset it.")
    return max(always, int(factor * stored))


def _check_heaps(path: pathlib.Path) -> None:
    """Raise ValueError for a file with a damaged HDF5 heap: an object larger than the heap, or free space of 0 bytes.

    HDF5 stores strings of variable length in these heaps. The library (1.14) loops forever over a heap whose free space
    has a size of 0, as after a part of the file was overwritten with zeros.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _walk_heaps(content)  # includes uncompressed members of an archive
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED and member.filename.endswith(".h5"):
                    _walk_heaps(archive.read(member))


def _walk_heaps(content: bytes | mmap.mmap) -> None:
    start = content.find(_HEAP)
    while start >= 0:
        (size,) = struct.unpack_from("<Q", content[start : start + _HEAP_HEAD].ljust(_HEAP_HEAD, b"\0"), len(_HEAP))
        place, end = start + _HEAP_HEAD, min(start + size, len(content))
        while place + _HEAP_OBJECT.size <= end:
            number, _, _, length = _HEAP_OBJECT.unpack(content[place : place + _HEAP_OBJECT.size])
            step = length if number == 0 else _HEAP_OBJECT.size + (length + 7) // 8 * 8  # free space counts its header
            if step < _HEAP_OBJECT.size or place + step > end:
                raise ValueError(f"an HDF5 heap is damaged at byte {place}")
            place += step
        start = content.find(_HEAP, start + 1)
