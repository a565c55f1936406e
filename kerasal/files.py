"""Write files atomically: to a temporary file in the same folder, which then replaces the final file."""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator

_NAME, _SUFFIX = 255, 30
"""Largest length of a file name on common file systems, in bytes, and of a double suffix such as ``.weights.h5``."""
_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]+){0,2}")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary path in the folder of ``path``; on success it replaces ``path``, on any error it is removed.

    Missing parent folders are created. The temporary path has the suffix of ``path``, from which writers infer the
    format.

    Raises:
        OSError: the folder cannot be created or written to, or the disk is full.
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
        os.chmod(temporary, 0o666 & ~read_umask())  # mkstemp creates files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary)) or (error.errno is None and "requested and" not in str(error)):
            raise  # an error about another file
        # For a full disk the operating system gives no file name, and NumPy only the number of items not written.
        reason = error.strerror or f"the disk may be full ({error})"
        raise OSError(error.errno, f"cannot write {path}: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
    """Raise OSError if a file cannot be written at ``path``; an existing file is not changed."""
    with contextlib.suppress(_CanWrite), replacing(path):
        raise _CanWrite


class _CanWrite(Exception):
    """Raised to leave ``replacing`` before anything is written."""


def write_text(path: str | os.PathLike, text: str, errors: str = "replace") -> None:
    """Write a UTF-8 text file unless its content is already ``text``; raises the errors of ``replacing``."""
    path, content = pathlib.Path(path), text.encode("utf-8", errors)
    if not (path.is_file() and path.read_bytes() == content):
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def remove_temporaries(paths: Iterable[pathlib.Path], names: Iterable[str] | None = None) -> None:
    """Remove temporary files that a killed process left among ``paths``: all, or those of the files ``names``."""
    beginnings = None if names is None else tuple(f".{pathlib.PurePath(name).stem}-" for name in names)
    for path in paths:
        if is_temporary(path) and path.is_file() and (beginnings is None or path.name.startswith(beginnings)):
            with contextlib.suppress(OSError):
                path.unlink()


def is_temporary(path: pathlib.Path) -> bool:
    """Return whether a file is, by its name, a temporary file of ``replacing``."""
    return _TEMPORARY.fullmatch(path.name) is not None


def read_umask() -> int:
    """Return the umask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
