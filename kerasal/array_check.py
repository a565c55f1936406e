"""Check ``.npy``, ``.npz`` and ``.gz`` files for implausible sizes before anything is loaded from them.

A file of two hundred bytes can declare an array of terabytes, which NumPy allocates at once, and a few megabytes can
expand to a thousand times as many. The limits are those of ``kerasal.archive_check``, with a larger minimum, because
maps that are mostly zero compress well.
"""

import math
import pathlib
import zipfile
import zlib
from typing import IO

from kerasal.archive_check import ImplausibleFile, check_expansion, largest_claim, read_header

ALWAYS = 128 * 2**20
"""Bytes to which data may expand, regardless of the size of the file."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of NumPy; the header of LZMA alone can demand gigabytes


def check_arrays(path: pathlib.Path) -> None:
    """Check the headers of an ``.npy`` or ``.npz`` file; a file of another type is not checked.

    Raises:
        ImplausibleFile: an array that declares more bytes than follow its header, a compression that NumPy does not
            write, or contents far larger than the file. For other damage, whatever zipfile, zlib and NumPy raise.
    """
    stored = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(6)
        if start == b"\x93NUMPY":
            file.seek(0)
            _check_header(file, stored, str(path))
    if start[:2] != b"PK":
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        check_expansion(path, sum(member.file_size for member in members), stored, always=ALWAYS)
        for member in members:
            if member.compress_type not in _METHODS:
                raise ImplausibleFile(
                    f"{path} must be stored or deflated, as NumPy writes it, got another compression. Save it again."
                )
            with archive.open(member) as file:
                if file.read(6) == b"\x93NUMPY":
                    file.seek(0)
                    _check_header(file, member.file_size, f"{path}: {member.filename}")


def _check_header(file: IO[bytes], size: int, name: str) -> None:
    """Compare the size that an array header declares with the number of bytes that follow it."""
    shape, dtype = read_header(file)
    claimed, following = math.prod(shape) * max(1, dtype.itemsize), size - file.tell()
    if claimed > following and not dtype.hasobject:
        raise ImplausibleFile(
            f"{name} must hold the {claimed:,} bytes of its array of shape {shape} and dtype {dtype}, got "
            f"{following:,}. It is truncated or damaged: copy, download or save it again."
        )


def gunzip(path: pathlib.Path, data: bytes) -> bytes:
    """Return the decompressed gzip ``data`` of the file at ``path``; ValueError if it is damaged or too large."""
    limit, parts = largest_claim(len(data), ALWAYS), []
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(data, limit + 1))
            limit -= len(parts[-1])
        except zlib.error as error:
            raise ValueError(f"{path} is damaged or truncated: {error}. Get the file again.") from error
        if limit < 0:
            check_expansion(path, sum(map(len, parts)), path.stat().st_size, " or more", ALWAYS)
        if not unpacker.eof:
            raise ValueError(f"{path} is damaged or truncated: its end is missing. Get the file again.")
        data = unpacker.unused_data.lstrip(b"\0")
    return b"".join(parts)
