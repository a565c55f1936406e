"""What a block may need that is not everywhere, and whether it is here: ``reason(need)`` is None, or why not."""

import os
import pathlib
import shutil
import socket
import subprocess

from page_blocks import ROOT


def data_folder() -> pathlib.Path:
    """Return where the real data would be."""
    return pathlib.Path(os.environ.get("KERASAL_DATA", ROOT.parent / "shared" / "data"))


def reason(need: str) -> str | None:
    """Return None if it is here, or else why the block is left out."""
    kind, _, what = need.partition(" ")
    return {
        "docker": _docker,
        "server": _server,
        "data": lambda name: None if (data_folder() / name).exists() else f"no {name} in the data (KERASAL_DATA)",
        "machines": lambda _: "several GPUs or machines",
        "cores": lambda count: None if os.cpu_count() >= int(count) else f"{count} cores",
        "download": lambda _: "downloads pretrained weights or a package",
        "pip": lambda _: "installs the package: .ci/run does it",
        "minutes": lambda _: None if os.environ.get("KERASAL_DOCS") == "all" else "takes minutes: KERASAL_DOCS=all",
        "browser": lambda _: "serves a page until Ctrl-C: the browser tests of tests/viewer and tests/gaze_page do it",
        "package": lambda _: None,  # the runner installs it
    }[kind](what)


def _docker(image: str) -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker"
    found = subprocess.run(["docker", "image", "inspect", image], capture_output=True)
    return None if found.returncode == 0 else f"docker has no image {image} here, and none is downloaded"


def _server(port: str) -> str | None:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return None if probe.connect_ex(("127.0.0.1", int(port))) == 0 else f"no server listens on port {port}"
