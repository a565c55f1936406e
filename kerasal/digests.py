"""Digests: short texts by which a value, an array or a file is known again, in this process or in another.

Whatever resumes or caches asks here, or ``hooks.digest_model`` for a model, whether a thing is still the same.
"""

import functools
import hashlib
import numbers
import os
import pathlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

_LENGTH = 32  # hexadecimal digits: 128 bits
_READ = 64 * 2**20
"""Bytes up to which the contents of a list of files are read for its digest."""


class Encoder:
    """A hash that is fed values: equal values give equal digests, whatever the process and the order of their keys.

    Values are None, numbers, texts, bytes, paths and arrays, and lists, tuples, sets and mappings of these; a list and
    a tuple are the same, as in JSON. A subclass decides in ``add_other`` what else there may be.
    """

    def __init__(self):
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Return 32 hexadecimal digits of all that was added."""
        return self._hash.hexdigest()[:_LENGTH]

    def add(self, value: Any) -> "Encoder":
        """Add a value; one of another kind is a TypeError."""
        if value is None or isinstance(value, (bool, np.bool_)):
            self._put("constant", repr(None if value is None else bool(value)).encode())
        elif isinstance(value, numbers.Integral):
            self._put("integer", repr(int(value)).encode())
        elif isinstance(value, numbers.Real) and isinstance(value, (float, np.floating)):
            self._put("real", repr(float(value)).encode())
        elif isinstance(value, (complex, np.complexfloating)):
            self._put("complex", repr(complex(value)).encode())
        elif isinstance(value, str):
            self._put("text", value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, (bytes, bytearray)):
            self._put("bytes", value)
        elif isinstance(value, os.PathLike):
            self._put("path", os.fsencode(value))
        elif isinstance(value, np.ndarray):
            self._add_array(value)
        elif isinstance(value, (list, tuple)):
            self._put("list", str(len(value)).encode())
            for one in value:
                self.add(one)
        elif isinstance(value, Mapping):
            self._put("mapping", str(len(value)).encode())
            for key, one in sorted(value.items(), key=lambda item: (type(item[0]).__name__, str(item[0]))):
                self.add(key).add(one)
        elif isinstance(value, AbstractSet):
            self._put("set", str(len(value)).encode())
            for one in sorted(self.fresh().add(element).digest for element in value):
                self.add(one)
        else:
            self.add_other(value)
        return self

    def add_other(self, value: Any) -> None:
        """Add a value of a kind that this class does not know."""
        raise TypeError(
            f"A digest is of numbers, texts, paths and arrays, or lists and mappings of them, got {value!r}."
        )

    def fresh(self) -> "Encoder":
        """Return an empty encoder of the same kind."""
        return type(self)()

    def _add_array(self, array: np.ndarray) -> None:
        if array.dtype.hasobject:
            self._put("objects", repr(array.shape).encode())
            for one in array.ravel().tolist():
                self.add(one)
            return
        flat = np.ascontiguousarray(array).reshape(-1)
        self._put("array", f"{array.dtype.name} {array.dtype.str} {array.shape}".encode())
        self._hash.update(flat.view(np.uint8).data if flat.size else b"")

    def _put(self, kind: str, content: bytes | bytearray) -> None:
        self._hash.update(f"{kind} {len(content)}:".encode())
        self._hash.update(content)


def digest(*values: Any) -> str:
    """Return 32 hexadecimal digits that change with the values, which are of the kinds that ``Encoder`` knows."""
    return Encoder().add(values).digest


def digest_file(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits; of a folder, that of its files with their names."""
    path = pathlib.Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    found = hashlib.sha256()
    for one in sorted(file for file in path.rglob("*") if file.is_file()):
        found.update(f"{one.relative_to(path).as_posix()}\n{digest_file(one)}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def digest_files(paths: Iterable[str | os.PathLike]) -> str:
    """Return a digest of files, in their order: their absolute paths and contents.

    Of more than 64 MiB together, sizes and times stand for the contents; then a file that was changed without a change
    of its size, and whose time was set back, passes for the same. What is not there counts as that.
    """
    paths = [os.path.abspath(path) for path in paths]
    stamps = [stamp(path) for path in paths]
    small = sum(one[0] for one in stamps if one) <= _READ
    return digest(
        [(path, known_digest(path) if small and one else one) for path, one in zip(paths, stamps, strict=True)]
    )


def stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    """Return a file's size and time in nanoseconds, which a change of it changes; None if it is not there.

    The limit: a change that keeps the size, after which somebody sets the time back, is not seen.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # a zero byte in the name
        return None
    return found.st_size, found.st_mtime_ns


def known_digest(path: str | os.PathLike) -> str | None:
    """Return the SHA-256 of a file, read once a process while it stays as it is; None if it cannot be read."""
    try:
        found = os.stat(path)
        return _known_content(os.path.abspath(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    except OSError:
        return None


@functools.lru_cache(maxsize=2**14)
def _known_content(path: str, *_state: int) -> str:
    return digest_file(path)
