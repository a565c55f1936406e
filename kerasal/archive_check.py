"""What a weights file claims to hold, read before any of it: a few kilobytes can ask for gigabytes of memory.

An HDF5 file may declare an array of any shape and store none of it, a compressed archive may unfold to a thousand times
its size, and a link or an external array may lead to another file of the machine. (Keras 3.15 refuses the same from
4 GiB on; below that, and in archives, nothing does.)
"""

import io
import math
import os
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from kerasal.hdf5_heaps import check_heaps

_ALWAYS = 64 * 2**20
_EXPANSION = 100
"""A file may claim this many times its own bytes, and ``_ALWAYS`` in any case. Weights hardly compress at all."""

VARIABLE = "KERASAL_MAX_EXPANSION"
"""The environment variable with another factor than ``_EXPANSION``, for files that one trusts."""

_WEIGHTS = "model.weights.h5"


class DamagedFile(ValueError):
    """A file is cut off or damaged, leads to other files, or claims far more than it stores."""


class ImplausibleFile(DamagedFile):
    """A file that claims to hold more than it can, or far more than its own size."""


def check_claims(path: pathlib.Path) -> None:
    """Refuse a ``.keras`` or HDF5 file that is truncated, or whose arrays are not in it.

    Raises:
        DamagedFile: the file ends early, is damaged, claims far more than it stores, or leads to other files.
    """
    check_whole(path)
    if not _is_model(path):
        return
    try:
        _check_sizes(path)
    except DamagedFile:
        raise
    except Exception as error:  # zipfile, zlib and HDF5 raise anything, KeyError and RuntimeError too
        reason = first_line(error)
        if "truncated" in reason:
            reason = f"it is truncated after {path.stat().st_size} bytes"
        raise DamagedFile(f"{path} cannot be read: {reason.rstrip('.')}. Copy, download or save it again.") from error


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or the name of its class where it says nothing."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _check_sizes(path: pathlib.Path) -> None:
    """Add up what a file claims, and stop where it is too much."""
    stored, claimed = path.stat().st_size, 0
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
        check_expansion(path, claimed, stored)
    check_heaps(path)
    for name, shape, dtype in arrays(path):
        claimed += math.prod(shape) * dtype.itemsize
        check_expansion(path, claimed, stored, f", as {name} of shape {shape}")


def check_whole(path: pathlib.Path) -> None:
    """Refuse an archive that begins as one and has no end.

    Raises:
        DamagedFile: it was cut off, as by a download or a copy that stopped.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise DamagedFile(
            f"{path} is truncated: it begins as a {path.suffix} archive, but its end is missing after "
            f"{path.stat().st_size} bytes. Copy, download or save it again."
        )


def arrays(path: pathlib.Path) -> Iterator[tuple[str, tuple[int, ...], np.dtype]]:
    """Yield the name, shape and type of every array in an HDF5 or ``.keras`` file, without reading one.

    Raises:
        DamagedFile: a link or an array whose values are elsewhere.
        OSError: no HDF5 file.
    """
    import h5py

    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            yield from _within(path, file)
        return
    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS in archive.namelist():
            with archive.open(_WEIGHTS) as member, h5py.File(io.BufferedReader(member), "r") as file:
                yield from _within(path, file)


def npz_arrays(path: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array in an ``.npz`` archive, from their heads alone.

    Raises:
        ValueError: no such archive.
    """
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy"): _npy_shape(archive, name) for name in archive.namelist()}


def _npy_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(member)[0]


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
            yield entry.name, entry.shape or (), entry.dtype


def check_expansion(path, claimed: int, stored: int, what: str = "", always: int = _ALWAYS) -> None:
    """Refuse contents of ``claimed`` bytes in a file of ``stored``, if they are out of proportion.

    Raises:
        ImplausibleFile: they are; the message says what to do if the file is to be trusted.
    """
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


def _is_model(path: pathlib.Path) -> bool:
    import h5py

    return zipfile.is_zipfile(path) or h5py.is_hdf5(path)
