"""What a weights file claims to hold, read before any of it: a few kilobytes can ask for gigabytes of memory.

An HDF5 file may declare an array of any shape and store none of it, a compressed archive may unfold to a thousand times
its size, and a link or an external array may lead to another file of the machine. (Keras 3.15 refuses the same from
4 GiB on; below that, and in archives, nothing does.) What is refused is a ``DamagedFile``, and an ``ImplausibleFile``
where it claims too much.
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
"""A file may claim this many times its own bytes, and ``_ALWAYS`` in any case. Weights hardly compress at all."""

VARIABLE = "KERASAL_MAX_EXPANSION"
"""The environment variable with another factor than ``_EXPANSION``, for files that one trusts."""

_WEIGHTS = "model.weights.h5"
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAP_HEAD = len(_HEAP) + 8
_HEAP_OBJECT = struct.Struct("<HHIQ")  # number, references, reserved, size: HDF5's file format, section III.E


class DamagedFile(ValueError):
    """A file is cut off or damaged, leads to other files, or claims far more than it stores."""


class ImplausibleFile(DamagedFile):
    """A file that claims to hold more than it can, or far more than its own size."""


def check_claims(path: pathlib.Path) -> None:
    """Refuse a ``.keras`` or HDF5 file that is damaged, claims far more than it stores, or leads to other files."""
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
    except Exception as error:  # zipfile, zlib and HDF5 raise anything, KeyError and RuntimeError too
        reason = first_line(error)
        if "truncated" in reason:
            reason = f"it is truncated after {stored} bytes"
        raise DamagedFile(f"{path} cannot be read: {reason.rstrip('.')}. Copy, download or save it again.") from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or the name of its class where it says nothing."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def check_whole(path: pathlib.Path) -> None:
    """Refuse an archive that begins as one and has no end, cut off as by a download or a copy that stopped."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise DamagedFile(
            f"{path} is truncated: it begins as a {path.suffix} archive, but its end is missing after "
            f"{path.stat().st_size} bytes. Copy, download or save it again."
        )


def arrays(path: pathlib.Path) -> Iterator[tuple[str, tuple[int, ...], np.dtype]]:
    """Yield the name, shape and type of every array in an HDF5 or ``.keras`` file, without reading one.

    Refuses a link, and an array whose values are elsewhere; an OSError is no HDF5 file.
    """
    import h5py

    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            yield from _within(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS in archive.namelist():
            raw = cast(io.RawIOBase, archive.open(_WEIGHTS))  # for a buffered reader it is one
            with raw, h5py.File(io.BufferedReader(raw), "r") as file:
                yield from _within(path, file)


def npz_arrays(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array in an ``.npz`` archive, from their heads alone; ValueError for another file."""
    with zipfile.ZipFile(path) as archive:
        found = {}
        for name in archive.namelist():
            with archive.open(name) as member:
                found[name.removesuffix(".npy")] = read_head(member)[0]
        return found


def read_head(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read the head of an ``.npy`` file; return the shape and the type of its array."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _within(path: pathlib.Path, group) -> Iterator[tuple[str, tuple[int, ...], np.dtype]]:
    import h5py

    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DamagedFile(f"{path} leads to another place ({group.name}/{key} is a link), which is not followed.")
        entry = group[key]
        if isinstance(entry, h5py.Group):
            yield from _within(path, entry)
        elif isinstance(entry, h5py.Dataset):
            if entry.external or entry.is_virtual:
                raise DamagedFile(f"{path} keeps the values of {entry.name} in other files, which are not read.")
            yield str(entry.name), entry.shape or (), entry.dtype


def check_expansion(path: str | os.PathLike, claimed: int, stored: int, what: str = "", always: int = _ALWAYS) -> None:
    """Refuse contents of ``claimed`` bytes in a file of ``stored``, if they are out of proportion."""
    if claimed > largest_claim(stored, always):
        raise ImplausibleFile(
            f"{path} claims to hold {claimed / 2**20:,.0f} MiB{what}, in a file of {stored:,} bytes. It is damaged, or "
            "made to fill the memory; nothing of it was read. If you trust it, save it without compression, or set the "
            f"environment variable {VARIABLE} above {claimed // max(stored, 1):,}."
        )


def largest_claim(stored: int, always: int = _ALWAYS) -> int:
    """Return how many bytes a file of ``stored`` bytes may unfold to.

    Raises:
        ValueError: the environment variable is no positive number.
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
    """Refuse a file with a heap that cannot be walked to its end: an object larger than it, or free space of no size.

    In these heaps HDF5 keeps texts of any length. Its library (1.14) steps through them by the sizes of their objects,
    and never comes back from one whose free rest says that it is 0 bytes long, as where zeros overwrote a part.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _walk_heaps(content)  # also of members of an archive that are stored as they are
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
            step = length if number == 0 else _HEAP_OBJECT.size + (length + 7) // 8 * 8  # free space counts its head
            if step < _HEAP_OBJECT.size or place + step > end:
                raise ValueError(f"an HDF5 heap is damaged at byte {place}")
            place += step
        start = content.find(_HEAP, start + 1)
