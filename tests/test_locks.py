"""One process at a time in a folder, whatever ends it."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from kerasal import locks
from kerasal.locks import FolderInUse, lock_folder

HOLD = """
import sys, time
from kerasal.locks import lock_folder
with lock_folder(sys.argv[1]):
    print("in", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def holder(folder):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "in\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_another_process_is_kept_out_and_told_of_whom(tmp_path):
    with holder(tmp_path) as process:
        told = rf"writing into {tmp_path}: process {process.pid} on {socket.gethostname()}, since \d{{4}}-.* Wait until"
        for _ in range(2):  # the first refusal leaves what the holder has written
            with pytest.raises(FolderInUse, match=told), lock_folder(tmp_path):
                raise AssertionError


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_holds_nothing(tmp_path, ending):
    with holder(tmp_path) as process:
        process.send_signal(ending)
        process.wait()
        assert (tmp_path / locks.NAME).exists()
        with lock_folder(tmp_path):
            pass
    assert os.listdir(tmp_path) == []


def test_this_process_is_kept_out_too(tmp_path):
    with lock_folder(tmp_path):
        with pytest.raises(FolderInUse, match=rf"process {os.getpid()} on"), lock_folder(tmp_path):
            raise AssertionError
        with lock_folder(tmp_path / "other"):
            pass
    with lock_folder(tmp_path):
        pass


def test_an_empty_folder_goes_with_the_lock_if_it_came_with_it(tmp_path):
    (tmp_path / "old").mkdir()
    for name, writes in (("old", False), ("new", False), ("full", True)):
        with lock_folder(tmp_path / name):
            if writes:
                (tmp_path / name / "file").touch()
    assert sorted(os.listdir(tmp_path)) == ["full", "old"]


def test_whoever_opened_a_file_that_was_removed_takes_the_new_one(tmp_path, monkeypatch):
    """Between opening and locking, the holder before may have ended and a third may have begun."""
    tried, first = [], locks._try_lock

    def late(file, folder):
        tried.append(os.fstat(file.fileno()).st_ino)
        if len(tried) == 1:
            os.replace(folder / locks.NAME, folder / "removed")
        return first(file, folder)

    monkeypatch.setattr(locks, "_try_lock", late)
    with lock_folder(tmp_path):
        assert os.stat(tmp_path / locks.NAME).st_ino == tried[1] != tried[0]


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with (
        pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\).*no second run"),
        lock_folder(tmp_path),
    ):
        pass
