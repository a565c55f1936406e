"""What every test shares. TensorFlow's start-up messages are silenced before anything imports it."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session")
def data_folder() -> pathlib.Path:
    """The folder with real data: $KERASAL_DATA, else shared/data beside the checkout; skips where there is none."""
    named = os.environ.get("KERASAL_DATA")
    folder = pathlib.Path(named) if named else pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder; set KERASAL_DATA to one with mnist.npz, ...")
    return folder


@pytest.fixture(scope="session")
def mnist_path(data_folder) -> pathlib.Path:
    """The real mnist.npz; without it the test is skipped."""
    path = data_folder / "mnist.npz"
    if not path.is_file():
        pytest.skip(f"no real MNIST: {path} is missing")
    return path
