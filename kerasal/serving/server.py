"""TensorFlow Serving: writing its model folders ``DIR/NAME/VERSION``, and the command that serves them.

An installed server is used; nothing is downloaded.
"""

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
    """Yield a temporary folder to write into, and a function that returns the final path once the block is left.

    On an error the folder is removed. Servers look for folders with a number, so they do not see the temporary one.

    Raises:
        ValueError: the name is invalid, or the version exists.
        OSError: the folder cannot be created or written, or the disk is full.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"The model's name must be letters, digits, '_', '-' and '.', beginning with a letter, a digit or '_', got "
            f"{name!r}. Choose another with the argument name."
        )
    if version is not None:
        check_int("version", version)
    folder, paths, path_is_new = path / name, [], not path.exists()
    if version is not None and (folder / str(version)).exists():
        raise ValueError(
            f"version must be unused, but {folder / str(version)} exists. Omit version to write version "
            f"{max(list_versions(folder)) + 1}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    except OSError as error:
        raise type(error)(error.errno, f"cannot write into {folder}: {error.strerror}") from error
    try:
        yield temporary, lambda: paths[0]
        os.chmod(temporary, 0o777 & ~read_umask())  # mkdtemp creates folders that only the owner can read
        paths.append(_rename(temporary, folder, version))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not list_versions(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
                if path_is_new:
                    path.rmdir()


def list_versions(folder: pathlib.Path) -> list[int]:
    """Return the sorted version numbers in a model's folder; empty if there is no folder."""
    return sorted(int(entry.name) for entry in folder.glob("*") if entry.name.isdecimal()) if folder.is_dir() else []


def _rename(temporary: pathlib.Path, folder: pathlib.Path, version: int | None) -> pathlib.Path:
    """Rename the folder to the version, or to the next free number, which another export may take meanwhile."""
    while True:
        target = folder / str(version or max(list_versions(folder), default=0) + 1)
        try:
            os.rename(temporary, target)
            return target
        except OSError as error:
            if version is not None or not target.exists():
                raise OSError(error.errno, f"cannot write {target}: {error.strerror}") from error


DOCKER_IMAGE = "tensorflow/serving"
_BINARY = "tensorflow_model_server"


def find_model(path: pathlib.Path, name: str | None = None) -> pathlib.Path:
    """Return the folder of the model to serve: ``path`` itself, the only model in it, or the model called ``name``.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        ValueError: ``path`` has no such model, or several and ``name`` is None.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no folder {path}. Create an export with kerasal.export.")
    path = path.resolve()
    if path.name.isdecimal() and (path / "saved_model.pb").is_file():
        path = path.parent
    if list_versions(path) and name in (None, path.name):
        return path
    models = sorted(entry.name for entry in path.glob("*") if list_versions(entry))
    if name is not None and name in models:
        return path / name
    if name is None and len(models) == 1:
        return path / models[0]
    remedy = (
        f"It has the models {', '.join(models)}. Choose one by name." if models else "Create one with kerasal.export."
    )
    raise ValueError(f"{path} must hold one exported model{f' named {name!r}' if name else ''}. {remedy}")


def docker_command(folder: pathlib.Path, rest_port: int, grpc_port: int) -> list[str]:
    """Return the command that serves a model's folder in Docker, reachable from this machine only."""
    return [
        *("docker", "run", "--rm"),
        *("-p", f"127.0.0.1:{rest_port}:8501", "-p", f"127.0.0.1:{grpc_port}:8500"),
        *("-v", f"{folder}:/models/{folder.name}:ro", "-e", f"MODEL_NAME={folder.name}"),
        DOCKER_IMAGE,
    ]


def binary_command(folder: pathlib.Path, rest_port: int, grpc_port: int) -> list[str] | None:
    """Return the command that serves a model's folder with the installed server, or None if it is not installed."""
    binary = shutil.which(_BINARY)
    if binary is None:
        return None
    flags = {"rest_api_port": rest_port, "port": grpc_port, "model_name": folder.name, "model_base_path": folder}
    return [binary, *(f"--{key}={value}" for key, value in flags.items())]


def has_docker_image() -> bool:
    """Return whether Docker is running and has the image of the server, so that nothing would be downloaded."""
    try:
        process = subprocess.run(
            ["docker", "image", "inspect", DOCKER_IMAGE], capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):  # Docker is not installed or does not answer
        return False
    return process.returncode == 0


def choose_command(folder: pathlib.Path, rest_port: int, grpc_port: int, *, everywhere: bool) -> list[str]:
    """Return the command that starts TensorFlow Serving on this machine.

    In Docker it listens on the loopback interface. The server itself listens on every network interface and has no
    option to change that, so it is chosen only with ``everywhere=True``.

    Raises:
        RuntimeError: no server is installed, or only the server itself and ``everywhere`` is False; the error says what
            to do.
    """
    docker, binary = docker_command(folder, rest_port, grpc_port), binary_command(folder, rest_port, grpc_port)
    if binary is not None and everywhere:
        return binary
    if has_docker_image():
        return docker
    line = " ".join(docker)
    if binary is not None:
        raise RuntimeError(
            f"{binary[0]} listens on every network interface and needs no password. If everybody who can reach this "
            f"machine may use the model, set everywhere=True. To serve to this machine only, use Docker: {line}"
        )
    raise RuntimeError(
        "TensorFlow Serving is not installed. Install the Debian package tensorflow-model-server and set "
        "everywhere=True, since it listens on every network interface; or use Docker, which downloads "
        f"{DOCKER_IMAGE}: {line}"
    )
