"""TensorFlow Serving, started on an export: found where it is installed, never fetched."""

import pathlib
import shutil
import subprocess

from kerasal.serving.served_folder import versions

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
    if versions(path) and name in (None, path.name):
        return path
    found = sorted(one.name for one in path.glob("*") if versions(one))
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
    if shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def choose_command(folder: pathlib.Path, rest_port: int, grpc_port: int, *, everywhere: bool) -> list[str]:
    """Return the command that starts TensorFlow Serving here.

    Docker keeps it on the loopback; the bare server listens on every interface and has no option against that, so that
    it is chosen only if ``everywhere`` allows it.

    Raises:
        RuntimeError: no server is installed, or only one that would be reachable from elsewhere; what to do is said.
    """
    docker, bare = (make(folder, rest_port, grpc_port) for make in (docker_command, binary_command))
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
