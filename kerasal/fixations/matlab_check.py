"""Check that the elements of a Matlab 5 file (``save -v6``, ``-v7``) fit the file and the memory.

SciPy reads the values, but trusts the types and sizes in the file: a changed byte can crash the process, and a
compressed variable can expand to a thousand times its size. Therefore all tags are checked first. Source: MathWorks,
"MAT-File Format", chapter 1.
"""

import math
import pathlib
import struct
import zlib

from kerasal.archive_check import check_expansion, largest_claim
from kerasal.array_check import ALWAYS

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes per number, by element type."""
_TEXT = {16: 1, 17: 2, 18: 4}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _LAST_NUMERIC = 1, 2, 3, 4, 5, 15
_COMPLEX = 0x800
_MATRIX_BYTES = 200
"""Approximate memory of a matrix in addition to its numbers."""
_MAX_DEPTH = 50
_CHUNK = 1 << 20


class DamagedMatlabFile(ValueError):
    """The file has an element whose type or size contradicts its tag or its position."""


def check_matlab(path: pathlib.Path) -> None:
    """Refuse a Matlab 5 file that SciPy cannot read safely. Files of other versions are not checked.

    Raises:
        ImplausibleFile: the contents are far larger than the file.
        DamagedMatlabFile: an element does not fit the file.
    """
    stored = path.stat().st_size
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or 0 in data[:4]:  # version 4 has no such header
        return
    claimed, offset = 0, 128
    while offset + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, offset)
        offset += 8
        if size > len(data) - offset:
            raise DamagedMatlabFile(f"expected a variable of {size:,} bytes, got {len(data) - offset:,} bytes")
        content = data[offset : offset + size]
        offset += size
        if kind == _COMPRESSED:
            content = _decompress(content, path, claimed, stored)
            kind, size = struct.unpack_from(f"{order}II", content) if len(content) >= 8 else (0, 0)
            content = content[8 : 8 + size]
            if size > len(content):
                raise DamagedMatlabFile(f"expected a variable of {size:,} bytes, got {len(content):,} bytes")
        if kind != _MATRIX:
            raise DamagedMatlabFile(f"expected a variable, got an element of type {kind}")
        checker = _VariableChecker(content, order)
        checker.check_matrix(0, len(content), 0)
        claimed += len(content) + _MATRIX_BYTES * checker.matrices
        check_expansion(path, claimed, stored, always=ALWAYS)


def _decompress(content: bytes, path: pathlib.Path, claimed: int, stored: int) -> bytes:
    """Decompress a variable; refuse one that, with the ``claimed`` bytes of earlier ones, is too large for the file."""
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


class _VariableChecker:
    """Check the elements of a variable; ``matrices`` counts the matrices in it."""

    def __init__(self, data: bytes, order: str):
        self.data, self.order, self.matrices = data, order, 0

    def check_matrix(self, start: int, end: int, depth: int) -> None:
        """Check a matrix whose content is ``data[start:end]``."""
        self.matrices += 1
        if start == end:  # an empty matrix
            return
        if depth > _MAX_DEPTH:
            raise DamagedMatlabFile(f"matrices must be nested at most {_MAX_DEPTH} levels deep, got more")
        offset, flags = self._read_numbers(start, end, (6,), "I")
        if len(flags) != 2:
            raise DamagedMatlabFile(f"expected the two numbers of a matrix's flags, got {len(flags)}")
        kind = flags[0] & 0xFF
        if kind > _LAST_NUMERIC:  # functions and opaque objects have any elements
            self._check_opaque(offset, end, depth)
            return
        offset, sides = self._read_numbers(offset, end, (5, 6), "i")
        if not 2 <= len(sides) <= 32 or min(sides) < 0:
            raise DamagedMatlabFile(f"a matrix must have 2 to 32 non-negative dimensions, got {sides[:8]}")
        offset, _ = self._read_numbers(offset, end, (1, 2, 16), "b")  # the name
        if kind == _OBJECT:
            offset, _ = self._read_numbers(offset, end, (1, 2, 16), "b")
        count = math.prod(sides)
        if kind in (_STRUCT, _OBJECT):
            offset, length = self._read_numbers(offset, end, (5,), "i")
            offset, names = self._read_numbers(offset, end, (1, 2, 16), "b")
            if len(length) != 1 or (names and length[0] <= 0):
                raise DamagedMatlabFile("a struct must have a positive length of field names")
            count *= len(names) // length[0] if names else 0
        if kind in (_CELL, _STRUCT, _OBJECT):
            self._check_matrices(offset, end, count, depth)
        else:
            self._check_values(offset, end, kind, count, bool(flags[0] & _COMPLEX))

    def _check_matrices(self, offset: int, end: int, count: int, depth: int) -> None:
        if count > (end - offset) // 8:  # a tag has 8 bytes
            raise DamagedMatlabFile(f"expected {count:,} matrices, got {end - offset:,} bytes, too few for them")
        for _ in range(count):
            kind, start, stop, offset = self._read_element(offset, end)
            if kind != _MATRIX:
                raise DamagedMatlabFile(f"expected a matrix, got an element of type {kind}")
            self.check_matrix(start, stop, depth + 1)

    def _check_values(self, offset: int, end: int, kind: int, count: int, is_complex: bool) -> None:
        """Check the numbers or characters of a matrix; in a sparse matrix, row and column indices precede them."""
        if kind == 0:
            raise DamagedMatlabFile("a matrix must be of class 1 to 15, got class 0")
        indices = 2 if kind == _SPARSE else 0
        for number in range(indices + 1 + is_complex):
            element, start, stop, offset = self._read_element(offset, end)
            known = {5: 4} if number < indices else _NUMBERS | _TEXT if kind == _CHAR else _NUMBERS
            if element not in known or (stop - start) % known[element]:
                raise DamagedMatlabFile(f"expected numbers, got {stop - start:,} bytes of an element of type {element}")
            if kind not in (_SPARSE, _CHAR) and (stop - start) // known[element] != count:
                raise DamagedMatlabFile(
                    f"expected a matrix of {count:,} numbers, got {(stop - start) // known[element]:,}"
                )

    def _check_opaque(self, offset: int, end: int, depth: int) -> None:
        while offset < end:
            kind, start, stop, offset = self._read_element(offset, end)
            if kind == _MATRIX:
                self.check_matrix(start, stop, depth + 1)
            elif kind not in _NUMBERS and kind not in _TEXT:
                raise DamagedMatlabFile(f"expected numbers, text or a matrix, got an element of type {kind}")

    def _read_numbers(self, offset: int, end: int, types: tuple[int, ...], code: str) -> tuple[int, tuple[int, ...]]:
        """Return the offset of the next element and the numbers of this one, which must have a type in ``types``."""
        kind, start, stop, offset = self._read_element(offset, end)
        width = struct.calcsize(code)
        if kind not in types or (stop - start) % width:
            raise DamagedMatlabFile(f"expected an element of type {types[0]}, got {stop - start} bytes of type {kind}")
        return offset, struct.unpack_from(f"{self.order}{(stop - start) // width}{code}", self.data, start)

    def _read_element(self, offset: int, end: int) -> tuple[int, int, int, int]:
        """Return the type of an element, the start and stop of its content, and the offset of the next element."""
        if end - offset < 8:
            raise DamagedMatlabFile("expected another element, got the end of the data")
        word, size = struct.unpack_from(f"{self.order}II", self.data, offset)
        if word >> 16:  # a small element: up to four bytes, stored in the tag
            kind, size, start = word & 0xFFFF, word >> 16, offset + 4
            if size > 4:
                raise DamagedMatlabFile(f"a small element must have at most 4 bytes, got {size}")
            return kind, start, start + size, offset + 8
        start = offset + 8
        if size > end - start:
            raise DamagedMatlabFile(f"expected an element of {size:,} bytes, got {end - start:,} bytes")
        return word, start, start + size, min(start + -(-size // 8) * 8, end)
