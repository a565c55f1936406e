"""ONNX Runtime Web, which runs the model in the browser: from a folder of the user, or fetched with npm."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
"""The npm package, and the version with which the page is tested."""
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The two of its files that the page needs, in its folder ``dist``."""
_PLACES = ("", "dist", f"{PACKAGE}/dist", f"node_modules/{PACKAGE}/dist", "package/dist")


class NoRuntime(RuntimeError):
    """Error for a runtime that neither a folder nor npm provides."""


@contextlib.contextmanager
def open_runtime(folder: str | os.PathLike | None) -> Iterator[tuple[pathlib.Path, str]]:
    """Yield the folder with the two files of the runtime, and its version.

    Args:
        folder: the npm package, a folder with its files, or one in which npm has installed it. With None, npm fetches
            the package (without its dependencies, and without running its scripts) or takes it from its own cache.

    Raises:
        FileNotFoundError: the folder does not exist, or lacks a file.
        NoRuntime: npm is not installed, or cannot get the package.
    """
    source = check_runtime(folder)
    if folder is not None:
        yield source, read_version(source)
        return
    with tempfile.TemporaryDirectory(prefix="kerasal-") as temporary:
        fetched = pathlib.Path(temporary)
        _fetch(source, fetched)
        yield fetched, read_version(fetched)


def check_runtime(folder: str | os.PathLike | None) -> pathlib.Path:
    """Return the folder with the two files, or with None the program npm; raises the errors of ``open_runtime``."""
    if folder is not None:
        return _find(pathlib.Path(folder))
    npm = shutil.which("npm")
    if npm is None:
        raise NoRuntime(f"npm must be installed to fetch {PACKAGE}, which runs the model in the browser. {_remedy()}")
    return pathlib.Path(npm)


def read_version(folder: pathlib.Path) -> str:
    """Return the version that the runtime's script states, or ``"unknown"``."""
    with (folder / FILES[0]).open(encoding="utf-8", errors="replace") as script:
        stated = re.search(r"ONNX Runtime Web v(\d[\w.\-+]*)", script.read(2000))
    return stated[1] if stated else "unknown"


def _find(folder: pathlib.Path) -> pathlib.Path:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"runtime must be a folder with {PACKAGE}, but there is no folder {folder}. {_remedy()}"
        )
    for place in _PLACES:
        if all((folder / place / name).is_file() for name in FILES):
            return folder / place
    raise FileNotFoundError(
        f"runtime must be a folder with {' and '.join(FILES)} of the npm package {PACKAGE}, got {folder}, which lacks "
        f"them. {_remedy()}"
    )


def _fetch(npm: pathlib.Path, folder: pathlib.Path) -> None:
    """Let npm fetch the package, and write its two files into a folder."""
    command = [
        str(npm),
        "pack",
        f"{PACKAGE}@{VERSION}",
        "--pack-destination",
        str(folder),
        "--prefer-offline",
        "--silent",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        reason = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise NoRuntime(f"npm could not get {PACKAGE} {VERSION}: {reason.splitlines()[0]}. {_remedy()}")
    with tarfile.open(packed) as archive:
        for name in FILES:
            member = archive.extractfile(f"package/dist/{name}")
            if member is None:
                raise NoRuntime(f"{PACKAGE} {VERSION} must contain dist/{name}, got a package without it. {_remedy()}")
            with member, (folder / name).open("wb") as file:
                shutil.copyfileobj(member, file)
    packed.unlink()


def _remedy() -> str:
    return (
        f"On any machine with npm, run npm install {PACKAGE}@{VERSION} in an empty folder, copy this folder here, and "
        "pass it as runtime='FOLDER'."
    )
