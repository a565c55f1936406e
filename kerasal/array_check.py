"""What a file of arrays claims to hold, read before any of it: ``.npy``, ``.npz`` and ``.gz``.

Two hundred bytes can announce an array of terabytes, for which NumPy asks at once, and a few megabytes unfold to a
thousand times as many. The limits are those of ``kerasal.archive_check``, with more room: maps that are zero nearly
everywhere compress well.
"""

import math
import pathlib
import zipfile
import zlib
from typing import IO

from kerasal.archive_check import ImplausibleFile, check_expansion, largest_claim, read_head

ALWAYS = 128 * 2**20
"""Bytes that data may unfold to, however small its file."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; LZMA's head alone can ask for gigabytes


def check_arrays(path: pathlib.Path) -> None:
    """Refuse an ``.npy`` or ``.npz`` file whose arrays are not in it, or which unfolds out of proportion.

    An ``ImplausibleFile`` has an array that claims more bytes than follow its head, a compression that NumPy does not
    write, or contents far larger than the file; other damage is whatever zipfile, zlib and NumPy raise. What is neither
    kind of file is left to its reader. Nothing but heads is read.
    """
    stored = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(6)
        if start == b"\x93NUMPY":
            file.seek(0)
            _check_head(file, stored, str(path))
    if start[:2] != b"PK":
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_expansion(path, sum(member.file_size for member in members), stored, always=ALWAYS)
        for member in members:
            if member.compress_type not in _METHODS:
                raise ImplausibleFile(f"{path} must be stored or deflated, as NumPy does, got another compression.")
            with archive.open(member) as file:
                if file.read(6) == b"\x93NUMPY":
                    file.seek(0)
                    _check_head(file, member.file_size, f"{path}: {member.filename}")


def _check_head(file: IO[bytes], size: int, name: str) -> None:
    """Compare what an array's head announces with the bytes that follow it."""
    shape, dtype = read_head(file)
    claimed, following = math.prod(shape) * max(1, dtype.itemsize), size - file.tell()
    if claimed > following and not dtype.hasobject:
        raise ImplausibleFile(
            f"{name} claims an array of shape {shape} and dtype {dtype}, {claimed:,} bytes, and holds {following:,}. "
            "It is truncated or damaged; copy, download or save it again."
        )


def gunzip(path: pathlib.Path, data: bytes) -> bytes:
    """Return what gzip-compressed ``data`` of the file at ``path`` holds; ValueError if damaged or too much."""
    limit, found = largest_claim(len(data), ALWAYS), []
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            found.append(unpacker.decompress(data, limit + 1))
            limit -= len(found[-1])
        except zlib.error as error:
            raise ValueError(f"{path} is damaged or truncated: {error}. Get the file again.") from error
        if limit < 0:
            check_expansion(path, sum(map(len, found)), path.stat().st_size, " or more", ALWAYS)
        if not unpacker.eof:
            raise ValueError(f"{path} is damaged or truncated: its end is missing. Get the file again.")
        data = unpacker.unused_data.lstrip(b"\0")
    return b"".join(found)
