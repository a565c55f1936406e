"""The heaps in which HDF5 keeps texts of any length: its library does not return from some damaged ones.

The library (1.14) steps through a heap by the sizes of its objects. Where the rest that is free says that it is 0 bytes
long, as in a file of which a part was overwritten with zeros, ``h5py`` never comes back.
"""

import mmap
import pathlib
import struct
import zipfile

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_HEAD = len(_SIGNATURE) + 8
_OBJECT = struct.Struct("<HHIQ")  # number, references, reserved, size: HDF5's file format, section III.E


def check_heaps(path: pathlib.Path) -> None:
    """Refuse an HDF5 or ``.keras`` file with a heap that cannot be walked to its end.

    Raises:
        ValueError: an object of a heap is larger than the heap, or free space of no size.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check(content)  # also of members of an archive that are stored as they are
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED and member.filename.endswith(".h5"):
                    _check(archive.read(member))


def _check(content: "bytes | mmap.mmap") -> None:
    start = content.find(_SIGNATURE)
    while start >= 0:
        (size,) = struct.unpack_from("<Q", content[start : start + _HEAD].ljust(_HEAD, b"\0"), len(_SIGNATURE))
        place, end = start + _HEAD, min(start + size, len(content))
        while place + _OBJECT.size <= end:
            number, _, _, length = _OBJECT.unpack(content[place : place + _OBJECT.size])
            step = length if number == 0 else _OBJECT.size + (length + 7) // 8 * 8  # free space counts its own head
            if step < _OBJECT.size or place + step > end:
                raise ValueError(f"an HDF5 heap is damaged at byte {place}")
            place += step
        start = content.find(_SIGNATURE, start + 1)
