"""Files are written beside their place and renamed, so that a failure half-way leaves the old file or none."""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator

_NAME, _SUFFIX = 255, 30
"""Bytes that a file name may have on common file systems; characters of two suffixes that belong together."""
_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]+){0,2}")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary path in the folder of ``path``; on success it becomes ``path``, on any error it is removed.

    Missing parent folders are made. The temporary path has the same suffix, because writers look at it.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(path.suffixes[-2:])
        suffix = suffix if len(suffix) <= _SUFFIX else path.suffix
        room = _NAME - len(os.fsencode(suffix)) - len(".-12345678")  # the temporary name is longer than the final one
        stem = os.fsencode(path.stem)[: max(room, 0)].decode("utf-8", "ignore")
        handle, name = tempfile.mkstemp(prefix=f".{stem}-", suffix=suffix, dir=path.parent)
    except OSError as error:
        raise type(error)(error.errno, f"cannot write {path}: {error.strerror}") from error
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~read_umask())  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary)) or (error.errno is None and "requested and" not in str(error)):
            raise  # about another file
        # A full disk: the operating system says so without a name, NumPy only counts what it could not write.
        reason = error.strerror or f"the disk may be full ({error})"
        raise OSError(error.errno, f"cannot write {path}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
    """Raise an OSError, without writing anything, where a file cannot be written."""
    with contextlib.suppress(_Tried), replacing(path):
        raise _Tried


class _Tried(Exception):
    """Ends the trial of a place before anything is written."""


def write_text(path: str | os.PathLike, text: str, errors: str = "replace") -> None:
    """Write a UTF-8 text file, unless it says that already; errors are those of ``replacing``."""
    path, content = pathlib.Path(path), text.encode("utf-8", errors)
    if not (path.is_file() and path.read_bytes() == content):
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def remove_temporaries(paths: Iterable[pathlib.Path], names: Iterable[str] | None = None) -> None:
    """Remove those of ``paths`` that ``replacing`` was writing when it was killed: all, or for files of ``names``."""
    beginnings = None if names is None else tuple(f".{pathlib.PurePath(name).stem}-" for name in names)
    for path in paths:
        if is_temporary(path) and path.is_file() and (beginnings is None or path.name.startswith(beginnings)):
            with contextlib.suppress(OSError):
                path.unlink()


def is_temporary(path: pathlib.Path) -> bool:
    """Tell whether a file is one that ``replacing`` was writing, by its name: a kill leaves it."""
    return _TEMPORARY.fullmatch(path.name) is not None


def read_umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
