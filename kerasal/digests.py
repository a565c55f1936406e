"""Digests of values, arrays and files, equal in every process; caches and resumed jobs compare them to detect changes.

The digest of a model is ``hooks.digest_model``.
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
"""Total size up to which ``digest_files`` reads the contents of the files."""


class Encoder:
    """A hash of Python values: equal values have equal digests in every process, regardless of the order of their keys.

    Supported are None, numbers, strings, bytes, paths and arrays, and lists, tuples, sets and mappings of these. As in
    JSON, lists and tuples are not distinguished. A subclass supports more types in ``add_other``.
    """

    def __init__(self):
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of all values added so far: 32 hexadecimal digits."""
        return self._hash.hexdigest()[:_LENGTH]

    def add(self, value: Any) -> "Encoder":
        """Add a value; raise TypeError if its type is not supported."""
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
            for element in value:
                self.add(element)
        elif isinstance(value, Mapping):
            self._put("mapping", str(len(value)).encode())
            for key, element in sorted(value.items(), key=lambda item: (type(item[0]).__name__, str(item[0]))):
                self.add(key).add(element)
        elif isinstance(value, AbstractSet):
            self._put("set", str(len(value)).encode())
            for element_digest in sorted(self.fresh().add(element).digest for element in value):
                self.add(element_digest)
        else:
            self.add_other(value)
        return self

    def add_other(self, value: Any) -> None:
        """Add a value of a type that this class does not support."""
        raise TypeError(
            f"Values must be numbers, strings, paths or arrays, or lists and mappings of these, got {value!r}."
        )

    def fresh(self) -> "Encoder":
        """Return an empty encoder of the same kind."""
        return type(self)()

    def _add_array(self, array: np.ndarray) -> None:
        if array.dtype.hasobject:
            self._put("objects", repr(array.shape).encode())
            for element in array.ravel().tolist():
                self.add(element)
            return
        flat = np.ascontiguousarray(array).reshape(-1)
        self._put("array", f"{array.dtype.name} {array.dtype.str} {array.shape}".encode())
        self._hash.update(flat.view(np.uint8).data if flat.size else b"")

    def _put(self, kind: str, content: bytes | bytearray) -> None:
        self._hash.update(f"{kind} {len(content)}:".encode())
        self._hash.update(content)


def digest(*values: Any) -> str:
    """Return the digest of values that ``Encoder`` supports: 32 hexadecimal digits."""
    return Encoder().add(values).digest


def digest_file(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files in a folder: 64 hexadecimal digits."""
    path = pathlib.Path(path)
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    combined = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        entry = f"{file.relative_to(path).as_posix()}\n{digest_file(file)}\n"
        combined.update(entry.encode("utf-8", "surrogateescape"))
    return combined.hexdigest()


def digest_files(paths: Iterable[str | os.PathLike]) -> str:
    """Return a digest of a list of files: their order, absolute paths and contents. Missing files are part of it.

    If the files have more than 64 MiB in total, their sizes and modification times are used in place of the contents.
    Then a change that keeps the size of a file and resets its time is not detected.
    """
    paths = [os.path.abspath(path) for path in paths]
    stamps = [stamp(path) for path in paths]
    small = sum(size_time[0] for size_time in stamps if size_time) <= _READ
    return digest(
        [
            (path, known_digest(path) if small and size_time else size_time)
            for path, size_time in zip(paths, stamps, strict=True)
        ]
    )


def stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    """Return the size of a file in bytes and its modification time in nanoseconds; None if there is no such file.

    A change that keeps the size and resets the time is not detected.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return None
    return status.st_size, status.st_mtime_ns


def known_digest(path: str | os.PathLike) -> str | None:
    """Return the SHA-256 of a file, cached until the file changes; None if it cannot be read."""
    try:
        status = os.stat(path)
        state = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        return _known_content(os.path.abspath(path), *state)
    except OSError:
        return None


@functools.lru_cache(maxsize=2**14)
def _known_content(path: str, *_state: int) -> str:
    return digest_file(path)
