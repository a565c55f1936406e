"""A folder that one process at a time writes into: a lock that ends with its holder, however that ends."""

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
except ImportError:  # Windows: two processes at once are not noticed there
    fcntl = None

NAME = ".lock"
"""The file in the folder, there while it is locked. What is left of a killed process locks nothing."""


class FolderInUse(ValueError):
    """Another process, or another call in this one, writes into the folder."""


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keep every other ``locked`` out of a folder, which is made if need be, until this one ends or its process does.

    The system holds the lock (``flock``), so that a process that is killed leaves none; a file system without locks is
    a warning. ``FolderInUse`` names the process, machine and start of another holder. A folder that was made here and
    into which nothing was written is removed again.
    """
    folder = pathlib.Path(folder)
    made = not folder.exists()
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
            if made:
                with contextlib.suppress(OSError):  # it holds something
                    folder.rmdir()


def _acquire(folder: pathlib.Path) -> IO[str]:
    """Open the file and lock it; where another has removed it since, the one that is there now."""
    path = folder / NAME
    while True:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            if not _try_lock(file, folder) or _is_at(file, path):
                stack.pop_all()
                return file


def _try_lock(file: IO[str], folder: pathlib.Path) -> bool:
    """Lock an open file; return whether the file system can."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise FolderInUse(
            f"Another run is writing into {folder}: {_holder(file)}. Wait for its end or stop it, or choose another "
            "folder."
        ) from error
    except OSError as error:
        warnings.warn(
            f"{folder} cannot be locked ({error.strerror}): its file system has no locks. See to it that no second run "
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
    """Say who holds the lock, as far as its holder wrote that down."""
    try:
        file.seek(0)
        facts = json.loads(file.read())
        return f"process {facts['pid']} on {facts['host']}, since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is only just writing
        return "a process that has not said which"
