"""TensorFlow Serving: its folders, ``DIR/NAME/VERSION``, and its start on one; found where installed, never fetched."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator

from kerasal.checks import check_int
from kerasal.files import read_umask

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
        raise ValueError(f"{folder / str(version)} exists. Leave version out for {max(list_versions(folder)) + 1}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    except OSError as error:
        raise type(error)(error.errno, f"cannot write into {folder}: {error.strerror}") from error
    try:
        yield temporary, lambda: place[0]
        os.chmod(temporary, 0o777 & ~read_umask())  # mkdtemp makes folders that only their owner can read
        place.append(_rename(temporary, folder, version))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not list_versions(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
                if made:
                    path.rmdir()


def list_versions(folder: pathlib.Path) -> list[int]:
    """List the versions in a model's folder, sorted."""
    return sorted(int(one.name) for one in folder.glob("*") if one.name.isdecimal()) if folder.is_dir() else []


def _rename(temporary: pathlib.Path, folder: pathlib.Path, version: int | None) -> pathlib.Path:
    """Rename to the version, or to the next one; another export may have taken that in the meantime."""
    while True:
        target = folder / str(version or max(list_versions(folder), default=0) + 1)
        try:
            os.rename(temporary, target)
            return target
        except OSError as error:
            if version is not None or not target.exists():
                raise OSError(error.errno, f"cannot write {target}: {error.strerror}") from error


IMAGE = "tensorflow/serving"
_BINARY = "tensorflow_model_server"


def find_model(path: pathlib.Path, name: str | None = None) -> pathlib.Path:
    """Return the folder of the model to serve: ``path`` itself, or the one in it, or the one called ``name``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there is no model in it, or several and no name.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no folder {path}. Make one with kerasal export.")
    path = path.resolve()
    if path.name.isdecimal() and (path / "saved_model.pb").is_file():
        path = path.parent
    if list_versions(path) and name in (None, path.name):
        return path
    found = sorted(one.name for one in path.glob("*") if list_versions(one))
    if name is not None and name in found:
        return path / name
    if name is None and len(found) == 1:
        return path / found[0]
    listed = f"It has {', '.join(found)}; say which with --name." if found else "Make one with kerasal export."
    raise ValueError(f"{path} is no export with one model{f' named {name!r}' if name else ''}. {listed}")


def docker_command(folder: pathlib.Path, rest_port: int, grpc_port: int) -> list[str]:
    """Return the command that serves a model's folder from Docker, reachable from this machine alone."""
    return [
        *("docker", "run", "--rm"),
        *("-p", f"127.0.0.1:{rest_port}:8501", "-p", f"127.0.0.1:{grpc_port}:8500"),
        *("-v", f"{folder}:/models/{folder.name}:ro", "-e", f"MODEL_NAME={folder.name}"),
        IMAGE,
    ]


def binary_command(folder: pathlib.Path, rest_port: int, grpc_port: int) -> list[str] | None:
    """Return the command that serves a model's folder with the installed server, or None if there is none."""
    binary = shutil.which(_BINARY)
    if binary is None:
        return None
    names = {"rest_api_port": rest_port, "port": grpc_port, "model_name": folder.name, "model_base_path": folder}
    return [binary, *(f"--{key}={value}" for key, value in names.items())]


def has_image() -> bool:
    """Tell whether Docker runs here and holds the server's image, so that nothing would be downloaded."""
    try:
        done = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # no Docker, or none that answers
        return False
    return done.returncode == 0


def choose_command(folder: pathlib.Path, rest_port: int, grpc_port: int, *, everywhere: bool) -> list[str]:
    """Return the command that starts TensorFlow Serving here.

    Docker keeps it on the loopback; the bare server listens on every interface and has no option against that, so that
    it is chosen only if ``everywhere`` allows it.

    Raises:
        RuntimeError: no server is installed, or only one reachable from elsewhere; the error says what to do.
    """
    docker, bare = docker_command(folder, rest_port, grpc_port), binary_command(folder, rest_port, grpc_port)
    if bare is not None and everywhere:
        return bare
    if has_image():
        return docker
    line = " ".join(docker)
    if bare is not None:
        raise RuntimeError(
            f"{bare[0]} listens on every network interface, without a password. If all who can reach this machine may "
            f"use the model, say --all-interfaces. On this machine alone, with Docker: {line}"
        )
    raise RuntimeError(
        f"TensorFlow Serving is not installed here. With Docker (it downloads {IMAGE}): {line} . Or install the Debian "
        "package tensorflow-model-server, and say --all-interfaces: it listens on all of them."
    )
