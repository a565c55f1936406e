"""A lock on a folder, so that only one process at a time writes to it; it is released when the process ends."""

import contextlib
import datetime
import json
import os
import pathlib
import socket
import warnings
from collections.abc import Iterator
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: concurrent processes are not detected
    fcntl = None

NAME = ".lock"
"""The lock file in the folder. A file that a killed process left does not lock anything."""


class FolderInUse(ValueError):
    """Another process, or another call in this process, is writing to the folder."""


@contextlib.contextmanager
def lock_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Hold an exclusive lock on a folder, which is created if necessary and removed again if it stays empty.

    The operating system releases the lock (``flock``) when the process ends. A file system without locks causes a
    warning.

    Raises:
        FolderInUse: another process or call holds the lock; the message gives its process, machine and start.
    """
    folder = pathlib.Path(folder)
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with _acquire(folder) as file:
        file.truncate(0)
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.datetime.now():%Y-%m-%d %H:%M}"}
        file.write(json.dumps(facts))
        file.flush()
        try:
            yield
        finally:
            (folder / NAME).unlink(missing_ok=True)
            if created:
                with contextlib.suppress(OSError):  # the folder is not empty
                    folder.rmdir()


def _acquire(folder: pathlib.Path) -> IO[str]:
    """Open and lock the lock file; repeat if another process removed it in the meantime."""
    path = folder / NAME
    while True:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            if not _try_lock(file, folder) or _is_at(file, path):
                stack.pop_all()
                return file


def _try_lock(file: IO[str], folder: pathlib.Path) -> bool:
    """Lock an open file; return whether the file system supports locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise FolderInUse(
            f"Another run is writing into {folder}: {_holder(file)}. Wait until it ends, stop it, or choose another "
            "folder."
        ) from error
    except OSError as error:
        warnings.warn(
            f"{folder} cannot be locked ({error.strerror}): its file system has no locks. Make sure that no second run "
            "writes there.",
            stacklevel=4,
        )
        return False
    return True


def _is_at(file: IO[str], path: pathlib.Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: IO[str]) -> str:
    """Describe the process that holds the lock, by the content of the lock file."""
    try:
        file.seek(0)
        facts = json.loads(file.read())
        return f"process {facts['pid']} on {facts['host']}, since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # the holder is still writing the file
        return "another process"
