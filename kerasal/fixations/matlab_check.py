"""Whether a Matlab 5 file (``save -v6``, ``-v7``) is what it claims: its elements fit into it, and into memory.

SciPy reads the values. It takes the types and sizes that the file announces for granted: a changed byte can end the
whole process, and a compressed variable unfolds to a thousand times its size. So all tags are gone through before.
Source: MathWorks, "MAT-File Format", chapter 1.
"""

import math
import pathlib
import struct
import zlib

from kerasal.archive_check import check_expansion, largest_claim
from kerasal.array_check import ALWAYS

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes of a number, by the type of its element."""
_TEXT = {16: 1, 17: 2, 18: 4}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _LAST_NUMERIC = 1, 2, 3, 4, 5, 15
_COMPLEX = 0x800
_MATRIX_BYTES = 200
"""About what a matrix takes in memory beside its numbers."""
_DEEPEST = 50
_CHUNK = 1 << 20


class DamagedMatlabFile(ValueError):
    """An element of the file is not what its tag or its place says."""


def check_matlab(path: pathlib.Path) -> None:
    """Refuse a Matlab 5 file that SciPy could not read safely; files of other versions are left to it.

    Raises:
        ImplausibleFile: contents far larger than the file.
        DamagedMatlabFile: elements that do not fit.
    """
    stored = path.stat().st_size
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or 0 in data[:4]:  # version 4, which has no such head
        return
    claimed, place = 0, 128
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        place += 8
        if size > len(data) - place:
            raise DamagedMatlabFile(f"a variable of {size:,} bytes is cut off")
        content = data[place : place + size]
        place += size
        if kind == _COMPRESSED:
            content = _unfold(content, path, claimed, stored)
            kind, size = struct.unpack_from(f"{order}II", content) if len(content) >= 8 else (0, 0)
            content = content[8 : 8 + size]
            if size > len(content):
                raise DamagedMatlabFile(f"a variable of {size:,} bytes is cut off")
        if kind != _MATRIX:
            raise DamagedMatlabFile(f"expected a variable, got an element of type {kind}")
        walk = _Walk(content, order)
        walk.matrix(0, len(content), 0)
        claimed += len(content) + _MATRIX_BYTES * walk.matrices
        check_expansion(path, claimed, stored, always=ALWAYS)


def _unfold(content: bytes, path: pathlib.Path, claimed: int, stored: int) -> bytes:
    """Return what a compressed variable holds; refuse more than may be there beside what is ``claimed`` already."""
    unpacker, pieces, limit = zlib.decompressobj(), [], largest_claim(stored, ALWAYS)
    while content and not unpacker.eof:
        try:
            pieces.append(unpacker.decompress(content, _CHUNK))
        except zlib.error as error:
            raise DamagedMatlabFile(str(error)) from error
        claimed += len(pieces[-1])
        if claimed > limit:
            check_expansion(path, claimed, stored, " or more", ALWAYS)
        content = unpacker.unconsumed_tail
    return b"".join(pieces)


class _Walk:
    """The elements of one variable; ``matrices`` counts those within it."""

    def __init__(self, data: bytes, order: str):
        self.data, self.order, self.matrices = data, order, 0

    def matrix(self, start: int, end: int, depth: int) -> None:
        """Go through a matrix whose content is ``data[start:end]``."""
        self.matrices += 1
        if start == end:  # an empty one
            return
        if depth > _DEEPEST:
            raise DamagedMatlabFile(f"matrices lie more than {_DEEPEST} deep in one another")
        place, flags = self._numbers(start, end, (6,), "I")
        if len(flags) != 2:
            raise DamagedMatlabFile("a matrix has no flags")
        kind = flags[0] & 0xFF
        if kind > _LAST_NUMERIC:  # functions and opaque objects: whatever elements follow
            self._others(place, end, depth)
            return
        place, sides = self._numbers(place, end, (5, 6), "i")
        if not 2 <= len(sides) <= 32 or min(sides) < 0:
            raise DamagedMatlabFile(f"a matrix has the sides {sides[:8]}")
        place, _ = self._numbers(place, end, (1, 2, 16), "b")  # its name
        if kind == _OBJECT:
            place, _ = self._numbers(place, end, (1, 2, 16), "b")
        count = math.prod(sides)
        if kind in (_STRUCT, _OBJECT):
            place, length = self._numbers(place, end, (5,), "i")
            place, names = self._numbers(place, end, (1, 2, 16), "b")
            if len(length) != 1 or (names and length[0] <= 0):
                raise DamagedMatlabFile("a struct has no length of its fields' names")
            count *= len(names) // length[0] if names else 0
        if kind in (_CELL, _STRUCT, _OBJECT):
            self._matrices(place, end, count, depth)
        else:
            self._values(place, end, kind, count, bool(flags[0] & _COMPLEX))

    def _matrices(self, place: int, end: int, count: int, depth: int) -> None:
        if count > (end - place) // 8:  # each has a tag
            raise DamagedMatlabFile(f"{count:,} matrices are announced in {end - place:,} bytes")
        for _ in range(count):
            kind, start, stop, place = self._element(place, end)
            if kind != _MATRIX:
                raise DamagedMatlabFile(f"expected a matrix, got an element of type {kind}")
            self.matrix(start, stop, depth + 1)

    def _values(self, place: int, end: int, kind: int, count: int, is_complex: bool) -> None:
        """Go through the numbers or letters of a matrix; of a sparse one, rows and columns come first."""
        if kind == 0:
            raise DamagedMatlabFile("a matrix is of class 0")
        indices = 2 if kind == _SPARSE else 0
        for number in range(indices + 1 + is_complex):
            element, start, stop, place = self._element(place, end)
            known = {5: 4} if number < indices else _NUMBERS | _TEXT if kind == _CHAR else _NUMBERS
            if element not in known or (stop - start) % known[element]:
                raise DamagedMatlabFile(f"expected numbers, got {stop - start:,} bytes of an element of type {element}")
            if kind not in (_SPARSE, _CHAR) and (stop - start) // known[element] != count:
                raise DamagedMatlabFile(f"a matrix of {count:,} numbers has {(stop - start) // known[element]:,}")

    def _others(self, place: int, end: int, depth: int) -> None:
        while place < end:
            kind, start, stop, place = self._element(place, end)
            if kind == _MATRIX:
                self.matrix(start, stop, depth + 1)
            elif kind not in _NUMBERS and kind not in _TEXT:
                raise DamagedMatlabFile(f"an element is of type {kind}")

    def _numbers(self, place: int, end: int, wanted: tuple[int, ...], code: str) -> tuple[int, tuple[int, ...]]:
        """Return where the next element begins, and the numbers of this one, which must be of a ``wanted`` type."""
        kind, start, stop, place = self._element(place, end)
        width = struct.calcsize(code)
        if kind not in wanted or (stop - start) % width:
            raise DamagedMatlabFile(f"expected an element of type {wanted[0]}, got {stop - start} bytes of type {kind}")
        return place, struct.unpack_from(f"{self.order}{(stop - start) // width}{code}", self.data, start)

    def _element(self, place: int, end: int) -> tuple[int, int, int, int]:
        """Return an element's type, where its content starts and stops, and where the next element begins."""
        if end - place < 8:
            raise DamagedMatlabFile("an element is missing")
        word, size = struct.unpack_from(f"{self.order}II", self.data, place)
        if word >> 16:  # a small element: at most four bytes, within the tag
            kind, size, start = word & 0xFFFF, word >> 16, place + 4
            if size > 4:
                raise DamagedMatlabFile(f"a small element has {size} bytes")
            return kind, start, start + size, place + 8
        start = place + 8
        if size > end - start:
            raise DamagedMatlabFile(f"an element of {size:,} bytes has {end - start:,}")
        return word, start, start + size, min(start + -(-size // 8) * 8, end)
