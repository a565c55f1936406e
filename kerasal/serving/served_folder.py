"""TensorFlow Serving's folders, ``DIR/NAME/VERSION``: a version is written beside its place and renamed."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator

from kerasal.checks import check_int

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@contextlib.contextmanager
def write_version(
    path: pathlib.Path, name: str, version: int | None
) -> Iterator[tuple[pathlib.Path, Callable[[], pathlib.Path]]]:
    """Yield a folder to write into, and a function that says afterwards where it went; on an error it is removed.

    Servers look for numbers, so that they do not see the folder before it is renamed to one.

    Raises:
        ValueError: a name that is none, or a version that exists.
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"A model's name is letters, digits, '_', '-' and '.'. Received: {name!r}; give name=.")
    if version is not None:
        check_int("version", version)
    folder, place, made = path / name, [], not path.exists()
    if version is not None and (folder / str(version)).exists():
        raise ValueError(f"{folder / str(version)} exists. Leave version out for {max(versions(folder)) + 1}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    except OSError as error:
        raise type(error)(error.errno, f"cannot write into {folder}: {error.strerror}") from error
    try:
        yield temporary, lambda: place[0]
        os.chmod(temporary, 0o777 & ~_umask())  # mkdtemp makes folders that only their owner can read
        place.append(_renamed(temporary, folder, version))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not versions(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
                if made:
                    path.rmdir()


def versions(folder: pathlib.Path) -> list[int]:
    """List the versions in a model's folder, sorted."""
    return sorted(int(one.name) for one in folder.glob("*") if one.name.isdecimal()) if folder.is_dir() else []


def _renamed(temporary: pathlib.Path, folder: pathlib.Path, version: int | None) -> pathlib.Path:
    """Rename to the version, or to the next one; another export may have taken that in the meantime."""
    while True:
        target = folder / str(version or max(versions(folder), default=0) + 1)
        try:
            os.rename(temporary, target)
            return target
        except OSError as error:
            if version is not None or not target.exists():
                raise OSError(error.errno, f"cannot write {target}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
